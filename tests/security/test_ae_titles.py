"""What an AE title may be, and its rules."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from archive.dicom.errors import ConfigurationError, InvalidEntry
from archive.security import rules
from archive.security.ae_titles import AETitle, check, normalise
from archive.security.operations import Operation
from archive.security.rule_facts import FACTS, MOST_VALUES, checked
from archive.security.rules import DEFAULT_RULES, Rules
from archive.security.titles import escaped, same_bytes, unescaped

FINGERPRINT = "sha256:" + "0f" * 32


def test_padding_is_no_part_of_a_title() -> None:
    assert normalise("  CT1 \0\0") == "CT1"
    assert check(AETitle(" CT1 ", " host ", 104)) == AETitle("CT1", "host", 104)


@pytest.mark.parametrize(
    "entry",
    [
        AETitle("", "host", 104),
        AETitle("   ", "host", 104),
        AETitle("SEVENTEEN_LETTERS", "host", 104),
        AETitle("A\\B", "host", 104),
        AETitle("A\nB", "host", 104),
        AETitle("ÄRZTE", "host", 104),
        AETitle("CT1", " ", 104),
        AETitle("CT1", "a\nb", 104),
        AETitle("CT1", "host", 0),
        AETitle("CT1", "host", 65536),
    ],
)
def test_there_can_be_no_such_ae(entry: AETitle) -> None:
    with pytest.raises(ConfigurationError):
        check(entry)


GOOD: dict[str, Any] = {
    "addresses": ("192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "192.0.2.7"),
    "operations": frozenset((Operation.ECHO, Operation.STORE)),
    "destinations": ("WS1",),
    "called": ("OLD PACS", "*"),
    "aliases": ("", "RÖNTGEN", "A\x83B"),
    "any_case": True,
    "maximum_associations": 4,
    "associations": 8,
    "duplicates": "conflict",
    "tls": True,
    "require_tls": True,
    "certificate": FINGERPRINT,
    "identity": "password",
    "user": "ct",
    "character_set": "\\ISO 2022 IR 87",
    "transfer_syntax": "1.2.840.10008.1.2.4.80",
    "notify": True,
    "see": ("institution=St. Mary*; modality=CT",),
    "relational": False,
}


def test_every_rule_can_be_set_and_is_kept() -> None:
    """And every rule has its row; only the hash of a password is nobody's to write."""
    assert {fact.name for fact in FACTS} == {field.name for field in dataclasses.fields(Rules)} - {
        "password_hash"
    }
    assert set(GOOD) == {fact.name for fact in FACTS}
    kept = checked(Rules(**GOOD, password_hash="$argon2id$"))
    assert kept == replace(Rules(**GOOD, password_hash="$argon2id$"), addresses=GOOD["addresses"][:3])
    assert rules.from_json(kept.to_json()) == kept
    assert rules.from_json("{}") == DEFAULT_RULES == checked(DEFAULT_RULES)
    for name in GOOD:
        assert getattr(kept, name) != getattr(DEFAULT_RULES, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("addresses", ("192.0.2.7/24",)),
        ("addresses", ("ct1.example",)),
        ("addresses", tuple(f"192.0.2.{number}" for number in range(MOST_VALUES + 1))),
        ("destinations", ("",)),
        ("destinations", ("A" * 17,)),
        ("called", ("",)),
        ("aliases", ("A" * 17,)),
        ("aliases", (" A",)),
        ("maximum_associations", -1),
        ("maximum_associations", 10001),
        ("associations", 0),
        ("associations", 17),
        ("duplicates", "overwrite"),
        ("certificate", "sha256:0f"),
        ("certificate", "sha256:" + "0F" * 32),
        ("certificate", "a\nb"),
        ("identity", "kerberos"),
        ("identity", "password"),
        ("user", "a\nb"),
        ("character_set", "ISO_IR 100\n"),
        ("character_set", "ISO_IR 999"),
        ("character_set", "ISO_IR 100\\LATIN1"),
        ("transfer_syntax", "1.2.3"),
    ],
)
def test_a_rule_that_cannot_be_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidEntry, match=f"^{name}: "):
        checked(replace(DEFAULT_RULES, **{name: value}))


def test_rules_of_a_later_version_do_not_lock_out() -> None:
    """An archive that was set back a version reads what it knows."""
    assert rules.from_json('{"new_rule": 1, "notify": true}') == Rules(notify=True)
    assert rules.from_json('{"operations": ["echo", "teleport"]}').operations == {Operation.ECHO}


@pytest.mark.parametrize(
    ("title", "shown"), [("CT1", "CT1"), ("RÖNTGEN", "R\\xd6NTGEN"), ("A\x1b\\", "A\\x1b\\x5c"), ("", "")]
)
def test_odd_titles_are_written_in_ascii_and_read_again(title: str, shown: str) -> None:
    assert escaped(title) == shown
    assert unescaped(shown) == title


@pytest.mark.parametrize("codec", ["latin-1", "utf-8", "cp1252"])
def test_an_alias_is_known_in_whatever_set_it_is_sent(codec: str) -> None:
    assert same_bytes("RÖNTGEN".encode(codec).decode("latin-1"), "RÖNTGEN")


def test_an_alias_is_nothing_but_itself() -> None:
    assert same_bytes("", "")
    assert same_bytes("Рентген".encode("cp1251").decode("latin-1"), "Рентген")
    assert same_bytes("レントゲン".encode("shift_jis").decode("latin-1"), "レントゲン")
    for sent in ("?", "R?NTGEN", "", "RONTGEN", "R\\xd6NTGEN"):
        assert not same_bytes(sent, "RÖNTGEN")
    assert not same_bytes("?", "Ж")
