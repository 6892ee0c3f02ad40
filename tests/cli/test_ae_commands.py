"""`archive ae` and `archive refusals`: every rule has an option, and what is printed as a remedy can be typed."""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path

import pytest

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.cli.ae_options import differing
from archive.dicom.errors import CallerRefused, OutOfResources
from archive.dicom.instance import Source
from archive.network.caller import Caller
from archive.security.ae_titles import AETitle
from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.rule_facts import FACTS
from archive.security.rules import DEFAULT_RULES, Rules
from archive.services.refusals import Instance
from in_process import archive_here, in_folder

CT = ("CT1", "192.0.2.7", "104")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    assert in_folder(folder, "ae", "add", *CT).code == 0
    return folder


def opened(data: Path) -> Archive:
    return building.build(config.load(environment={}, overrides={"data": str(data)}))


def entry(data: Path, title: str = "CT1") -> AETitle:
    archive = opened(data)
    found = archive.ae_titles.get(title)
    archive.close()
    assert found is not None
    return found


def test_every_rule_has_an_option(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret\n"))
    options = """--address 198.51.100.0/24 --deny move --deny get --destination WS1 --called TEACHING --alias ''
        --alias 'R\\xd6' --any-case --maximum-associations 4 --associations 2 --duplicates keep --tls --require-tls
        --certificate ct1.example --identity password --user ct --set-password --character-set 'ISO_IR 100'
        --transfer-syntax 1.2.840.10008.1.2.4.80 --notify --no-relational
        --see 'institution=St. Mary*; modality=CT'"""
    done = in_folder(data, "ae", "set", "CT1", *shlex.split(options))
    assert done.code == 0
    rules = entry(data).rules
    assert differing(rules) == [fact.name for fact in FACTS]
    assert rules.operations == ALL_OPERATIONS - {Operation.MOVE, Operation.GET}
    assert rules.aliases == ("", "R\xd6")
    assert rules.password_hash.startswith("$argon2id$")
    shown = in_folder(data, "ae", "show", "CT1").stdout
    for said in ('aliases\t"", RÖ', "operations\tcommit, echo", "password\tset", "require_tls\ttrue"):
        assert said in shown
    assert "s3cret" not in shown + rules.password_hash
    listed = in_folder(data, "ae", "list").stdout
    assert listed.startswith("CT1\t192.0.2.7\t104\taddresses, operations")


def test_what_is_not_named_stays(data: Path) -> None:
    set_ = ("ae", "set", "CT1")
    assert in_folder(data, *set_, "--address", "192.0.2.8", "--address", "192.0.2.9", "--notify").code == 0
    assert in_folder(data, *set_, "--no-address", "192.0.2.8", "--port", "11112").code == 0
    found = entry(data)
    assert (found.host, found.port) == ("192.0.2.7", 11112)
    assert found.rules == Rules(addresses=("192.0.2.9",), notify=True)
    assert in_folder(data, "ae", "add", "CT1", "192.0.2.1", "104").code == 0
    assert entry(data).rules == found.rules
    assert in_folder(data, *set_, "--no-notify", "--no-address", "192.0.2.9").code == 0
    assert entry(data).rules == DEFAULT_RULES


def test_only_some_operations(data: Path) -> None:
    assert (
        in_folder(data, "ae", "set", "CT1", "--deny", "all", "--allow", "echo", "--allow", "store").code == 0
    )
    assert entry(data).rules.operations == {Operation.ECHO, Operation.STORE}
    assert in_folder(data, "ae", "set", "CT1", "--allow", "all").code == 0
    assert entry(data).rules == DEFAULT_RULES


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--allow", "teleport"), "teleport"),
        (("--duplicates", "overwrite"), "overwrite"),
        (("--address", "192.0.2.0/33"), "addresses"),
        (("--associations", "0"), "associations"),
        (("--identity", "password"), "--set-password"),
        (("--certificate", "sha256:12"), "certificate"),
        (("--set-password",), "standard input"),
        (("--port", "0"), "--port"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    data: Path, options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    done = in_folder(data, "ae", "set", "CT1", *options)
    assert done.code == 2
    assert said in done.stderr
    assert entry(data) == AETitle("CT1", "192.0.2.7", 104)


def test_an_ae_title_that_is_not_known(data: Path) -> None:
    for command in ("set", "show", "remove", "echo"):
        done = in_folder(data, "ae", command, "NOBODY")
        assert done.code == 1
        assert "archive ae list" in done.stderr


def test_an_administrator_is_told_what_else_is_missing(data: Path) -> None:
    assert "[tokens]" in in_folder(data, "ae", "set", "CT1", "--identity", "token").stderr
    assert "[tls]" in in_folder(data, "ae", "set", "CT1", "--require-tls").stderr


@pytest.mark.parametrize(
    ("calling", "called", "address"),
    [
        ("MR1", "ARCHIVE", "192.0.2.8"),
        ("", "ARCHIVE", "192.0.2.8"),
        ("R\xd6NTGEN", "ARCHIVE", "192.0.2.8"),
        ("A\x1b'; id", "ARCHIVE", "192.0.2.8"),
        ("--help", "ARCHIVE", "192.0.2.8"),
        ("CT1", "ARCHIVE", "192.0.2.9"),
        ("CT1", "OLDPACS", "192.0.2.7"),
    ],
)
def test_the_remedy_can_be_typed_and_helps(data: Path, calling: str, called: str, address: str) -> None:
    """T5 and dimse.md section 0, finding 8: a refusal names the command that lets the caller in."""
    archive = opened(data)
    caller = Caller(calling, called, address)
    with pytest.raises(CallerRefused) as refused:
        archive.admissions.admit(caller)
    (line,) = in_folder(data, "refusals").stdout.splitlines()
    assert line.endswith(f"\t{refused.value.reason}\t{refused.value.remedy}")
    command = shlex.split(refused.value.remedy.rpartition(", or ")[2])
    assert command[0] == "archive"
    assert archive_here(*command[1:], "--data", str(data)).code == 0
    archive.close()
    archive = opened(data)
    assert archive.admissions.admit(caller).entry is not None
    archive.close()


def test_refusals_of_both_kinds_the_newest_first(data: Path) -> None:
    archive = opened(data)
    what = Instance("1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2")
    for number in range(3):
        archive.refusals.keep_association(
            Caller(f"A{number}\x1b[31m", "ARCHIVE", "192.0.2.8"), "not known", "add"
        )
    archive.refusals.keep_object(what, Source("DIMSE", "192.0.2.7", "CT1"), "A700", OutOfResources("full"))
    archive.close()
    lines = in_folder(data, "refusals").stdout.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["object", *["association"] * 3]
    assert "DIMSE status A700, CT Image Storage 1.2.3.4\tfull\tmake room" in lines[0]
    assert "A2\\x1b[31m\t192.0.2.8\tcalled ARCHIVE\tnot known\tadd" in lines[1]
    assert "\x1b" not in "".join(lines)
    assert len(in_folder(data, "refusals", "--limit", "2").stdout.splitlines()) == 2
    assert len(in_folder(data, "ae", "refused").stdout.splitlines()) == 3
