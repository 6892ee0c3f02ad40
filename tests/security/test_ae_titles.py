"""Who is let in."""

from __future__ import annotations

import pytest

from archive.dicom.errors import CallerRefused, ConfigurationError
from archive.security.ae_titles import AETitle, check, decide, normalise

KNOWN = AETitle("CT1", "192.0.2.7", 104)


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
        ("CT1", "ARCHIVE", "2001:db8::1", AETitle("CT1", "2001:0db8:0::1", 104)),
        ("CT1", "ARCHIVE", "fe80::1%eth0", AETitle("CT1", "[fe80::1]", 104)),
    ],
)
def test_let_in(calling: str, called: str, address: str, known: AETitle | None) -> None:
    decide(calling, called, address, "ARCHIVE", known)


@pytest.mark.parametrize(
    ("calling", "called", "address", "known", "diagnostic"),
    [
        ("CT1", "OTHER", "192.0.2.7", KNOWN, 7),
        ("ANYBODY", "OTHER", "127.0.0.1", None, 7),
        ("ANYBODY", "archive", "127.0.0.1", None, 7),
        ("CT1", "ARCHIVE", "192.0.2.8", KNOWN, 3),
        ("CT1", "ARCHIVE", "192.0.2.7", None, 3),
        ("ct1", "ARCHIVE", "192.0.2.7", KNOWN, 3),
        ("", "ARCHIVE", "192.0.2.7", None, 3),
        ("CT1", "ARCHIVE", "not an address", KNOWN, 3),
        ("A\x1b[31m", "ARCHIVE", "127.0.0.1", None, 3),
    ],
)
def test_refused(calling: str, called: str, address: str, known: AETitle | None, diagnostic: int) -> None:
    """PS3.8 Table 9-21: rejected-permanent, by the service user, calling or called AE title not recognized."""
    with pytest.raises(CallerRefused) as refused:
        decide(calling, called, address, "ARCHIVE", known)
    error = refused.value
    assert (error.result, error.source, error.diagnostic) == (1, 1, diagnostic)


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
        AETitle("CT1", "host", 0),
        AETitle("CT1", "host", 65536),
    ],
)
def test_there_can_be_no_such_ae(entry: AETitle) -> None:
    with pytest.raises(ConfigurationError):
        check(entry)
