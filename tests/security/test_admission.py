"""Who is let in, by which entry, and what a refused caller is told and its administrator after it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from archive.dicom.errors import CallerRefused
from archive.network.caller import Caller, Certificate
from archive.security.admission import House, IPAddress, decide, parsed
from archive.security.ae_titles import AETitle
from archive.security.rules import Rules

KNOWN = AETitle("CT1", "192.0.2.7", 104)
NAMES = {"ct1.example.org": frozenset((parsed("198.51.100.9"), parsed("2001:db8::9")))}
CERTIFICATE = Certificate("ct1", ("ct1.example.org",), "ab" * 32)


def resolved(name: str) -> frozenset[IPAddress] | None:
    return NAMES.get(name)  # type: ignore[return-value]


def asked(calling: str, called: str, address: str, *known: AETitle, **more: Any) -> AETitle | None:
    trust = more.pop("trust", True)
    titles = more.pop("titles", ("ARCHIVE",))
    return decide(Caller(calling, called, address, **more), House(titles, known, resolved, trust))


def refused(*arguments: Any, **more: Any) -> CallerRefused:
    with pytest.raises(CallerRefused) as caught:
        asked(*arguments, **more)
    return caught.value


def ruled(**rules: Any) -> AETitle:
    return replace(KNOWN, rules=Rules(**rules))


@pytest.mark.parametrize(
    ("calling", "called", "address", "known"),
    [
        ("ANYBODY", "ARCHIVE", "127.0.0.1", None),
        ("", "ARCHIVE", "127.8.9.10", None),
        ("ANYBODY", " ARCHIVE  ", "::1", None),
        ("ANYBODY", "ARCHIVE\0", "::ffff:127.0.0.1", None),
        ("CT1", "ARCHIVE", "192.0.2.7", KNOWN),
        ("CT1     ", "ARCHIVE", "::ffff:192.0.2.7", KNOWN),
        ("CT1", "ARCHIVE", "198.51.100.9", AETitle("CT1", "ct1.example.org", 104)),
        ("CT1", "ARCHIVE", "2001:db8::9", AETitle("CT1", "ct1.example.org", 104)),
        ("CT1", "ARCHIVE", "2001:db8::1", AETitle("CT1", "2001:0db8:0::1", 104)),
        ("CT1", "ARCHIVE", "fe80::1%eth0", AETitle("CT1", "[fe80::1]", 104)),
        ("CT1", "ARCHIVE", "127.0.0.1", KNOWN),
        ("CT1", "ARCHIVE", "203.0.113.9", ruled(addresses=("203.0.113.9",))),
        ("CT1", "ARCHIVE", "::ffff:203.0.113.200", ruled(addresses=("203.0.113.0/24",))),
        ("CT1", "ARCHIVE", "2001:db8::77", ruled(addresses=("2001:db8::/64",))),
        ("ct1", "ARCHIVE", "192.0.2.7", ruled(any_case=True)),
        ("ct1", "archive", "192.0.2.7", ruled(any_case=True)),
        ("", "ARCHIVE", "192.0.2.7", ruled(aliases=("",))),
        (" \0", "ARCHIVE", "192.0.2.7", ruled(aliases=("",))),
        ("R\xd6NTGEN", "ARCHIVE", "192.0.2.7", ruled(aliases=("RÖNTGEN",))),
        ("A\x1bB", "ARCHIVE", "192.0.2.7", ruled(aliases=("A\x1bB",))),
        ("CT1", "OLDPACS", "192.0.2.7", ruled(called=("OLDPACS", "ARCHIVE"))),
        ("CT1", "", "192.0.2.7", ruled(called=("*",))),
    ],
)
def test_let_in(calling: str, called: str, address: str, known: AETitle | None) -> None:
    """dimse.md 1.1: address check, case, blank, NUL-padded and non-ASCII titles, wrong called title on request."""
    assert asked(calling, called, address, *((known,) if known else ())) == known


@pytest.mark.parametrize(
    ("calling", "called", "address", "known", "diagnostic"),
    [
        ("CT1", "OTHER", "192.0.2.7", KNOWN, 7),
        ("ANYBODY", "OTHER", "127.0.0.1", None, 7),
        ("ANYBODY", "archive", "127.0.0.1", None, 7),
        ("CT1", "archive", "192.0.2.7", KNOWN, 7),
        ("CT1", "ARCHIVE", "192.0.2.7", ruled(called=("OLDPACS",)), 7),
        ("CT1", "", "192.0.2.7", KNOWN, 7),
        ("CT1", "ARCHIVE", "192.0.2.8", KNOWN, 3),
        ("CT1", "ARCHIVE", "192.0.2.7", None, 3),
        ("ct1", "ARCHIVE", "192.0.2.7", KNOWN, 3),
        ("", "ARCHIVE", "192.0.2.7", None, 3),
        ("", "ARCHIVE", "192.0.2.7", KNOWN, 3),
        ("", "ARCHIVE", "192.0.2.8", ruled(aliases=("",)), 3),
        ("CT1", "ARCHIVE", "not an address", KNOWN, 3),
        ("CT1", "ARCHIVE", "198.51.100.8", AETitle("CT1", "ct1.example.org", 104), 3),
        ("CT1", "ARCHIVE", "203.0.114.1", ruled(addresses=("203.0.113.0/24",)), 3),
        ("A\x1b[31m", "ARCHIVE", "127.0.0.1", None, 3),
    ],
)
def test_refused(calling: str, called: str, address: str, known: AETitle | None, diagnostic: int) -> None:
    """PS3.8 Table 9-21: rejected-permanent, by the service user, calling or called AE title not recognized."""
    error = refused(calling, called, address, *((known,) if known else ()))
    assert (error.result, error.source, error.diagnostic) == (1, 1, diagnostic)
    assert error.remedy


def test_several_titles_of_ours() -> None:
    titles = ("ARCHIVE", "TEACHING")
    assert asked("CT1", "TEACHING", "192.0.2.7", KNOWN, titles=titles) == KNOWN
    error = refused("CT1", "TEACHING", "192.0.2.7", ruled(called=("ARCHIVE",)), titles=titles)
    assert (error.diagnostic, error.remedy) == (7, "archive ae set CT1 --called TEACHING")


def test_the_entry_with_the_very_title_goes_first() -> None:
    """Then the one that compares it without case, then the one with the alias; of two with it, that of the address."""
    loose = AETitle("ct1", "192.0.2.7", 104, Rules(any_case=True))
    alias = AETitle("US1", "192.0.2.7", 104, Rules(aliases=("CT1",)))
    other = AETitle("US2", "192.0.2.8", 104, Rules(aliases=("CT1",)))
    assert asked("CT1", "ARCHIVE", "192.0.2.7", other, alias, loose, KNOWN) == KNOWN
    assert asked("CT1", "ARCHIVE", "192.0.2.7", other, alias, loose) == loose
    assert asked("CT1", "ARCHIVE", "192.0.2.7", other, alias) == alias
    assert asked("CT1", "ARCHIVE", "192.0.2.8", other, alias, loose, KNOWN) == other


def test_an_alias_is_nobody_in_particular_on_this_machine() -> None:
    """A blank title from loopback is that of any program here, not of the ultrasound that sends one too."""
    blank = ruled(aliases=("",))
    assert asked("", "ARCHIVE", "127.0.0.1", blank) is None
    calls_us_otherwise = ruled(aliases=("",), called=("OLDPACS",))
    assert refused("", "OLDPACS", "127.0.0.1", calls_us_otherwise).diagnostic == 7
    assert asked("", "ARCHIVE", "127.0.0.1", calls_us_otherwise) is None
    local = AETitle("LOCAL", "127.0.0.1", 104, Rules(aliases=("",)))
    assert asked("", "ARCHIVE", "127.0.0.1", local, blank) == local


def test_this_machine_need_not_be_trusted() -> None:
    assert refused("ANYBODY", "ARCHIVE", "127.0.0.1", trust=False).diagnostic == 3
    assert refused("CT1", "ARCHIVE", "127.0.0.1", KNOWN, trust=False).diagnostic == 3
    local = AETitle("CT1", "127.0.0.1", 104)
    assert asked("CT1", "ARCHIVE", "127.0.0.1", local, trust=False) == local


def test_a_name_that_cannot_be_resolved_is_for_later() -> None:
    """Rejected-transient, temporary congestion (2/3/1): a device tries again, and nobody is let in meanwhile."""
    error = refused("CT1", "ARCHIVE", "192.0.2.7", AETitle("CT1", "nowhere.example", 104))
    assert (error.result, error.source, error.diagnostic) == (2, 3, 1)
    assert "nowhere.example" in error.reason


@pytest.mark.parametrize("address", ["192.0.2.7", "127.0.0.1"])
@pytest.mark.parametrize(
    ("rules", "more", "reason"),
    [
        ({"require_tls": True}, {}, "over TLS"),
        ({"certificate": "ct1"}, {}, "over TLS"),
        ({"certificate": "ct1"}, {"secured": True}, "shows no certificate"),
        ({"certificate": "ct2"}, {"secured": True, "certificate": CERTIFICATE}, "another certificate"),
        (
            {"certificate": "sha256:" + "cd" * 32},
            {"secured": True, "certificate": CERTIFICATE},
            "another certificate",
        ),
    ],
)
def test_what_an_entry_asks_of_the_connection(
    rules: dict[str, Any], more: dict[str, Any], reason: str, address: str
) -> None:
    """mTLS bound to an AE title; this machine is no exception. 1/1/1: no reason is given to the caller."""
    error = refused("CT1", "ARCHIVE", address, ruled(**rules), **more)
    assert reason in error.reason
    assert (error.result, error.source, error.diagnostic) == (1, 1, 1)


@pytest.mark.parametrize(
    "wanted", ["ct1", "CT1.example.org", "sha256:" + "ab" * 32, "SHA256:" + "AB:" * 31 + "AB"]
)
def test_the_certificate_of_the_entry(wanted: str) -> None:
    entry = ruled(certificate=wanted, require_tls=True)
    assert asked("CT1", "ARCHIVE", "192.0.2.7", entry, secured=True, certificate=CERTIFICATE) == entry
    other = replace(CERTIFICATE, subject="CT1", names=(), sha256="cd" * 32)
    assert refused("CT1", "ARCHIVE", "192.0.2.7", entry, secured=True, certificate=other)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("CT1", "ARCHIVE", "192.0.2.7"), "archive ae add CT1 192.0.2.7 104"),
        (("CT 1", "ARCHIVE", "192.0.2.7"), "archive ae add 'CT 1' 192.0.2.7 104"),
        (("", "ARCHIVE", "192.0.2.7"), "archive ae add UNNAMED 192.0.2.7 104 --alias ''"),
        (("R\xd6", "ARCHIVE", "192.0.2.7"), "archive ae add UNNAMED 192.0.2.7 104 --alias 'R\\xd6'"),
        (("--data=/x", "ARCHIVE", "::9"), "archive ae add UNNAMED ::9 104 --alias=--data=/x"),
        (("$(rm -rf /)", "ARCHIVE", "192.0.2.7"), "archive ae add '$(rm -rf /)' 192.0.2.7 104"),
        (("A';id\n", "ARCHIVE", "::9"), "archive ae add UNNAMED ::9 104 --alias 'A'\"'\"';id\\x0a'"),
        (("CT1", "ARCHIVE", "192.0.2.9", KNOWN), "archive ae set CT1 --address 192.0.2.9"),
        (("CT9", "WRONG", "192.0.2.9"), "correct the called AE title at the sender to ARCHIVE"),
        (
            ("CT1", "OLD", "192.0.2.7", KNOWN),
            "correct the called AE title at the sender to ARCHIVE, or archive ae set CT1 --called ARCHIVE --called OLD",
        ),
    ],
)
def test_what_would_let_it_in(arguments: tuple[Any, ...], remedy: str) -> None:
    """A command to type; what a stranger chose of it is quoted for the shell and in ASCII."""
    error = refused(*arguments)
    assert error.remedy == remedy
    assert remedy.isascii()
    assert remedy.isprintable()
    if remedy.startswith("archive"):
        assert shlex.split(remedy)[:2] == ["archive", "ae"]
