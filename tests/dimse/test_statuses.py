"""Every error has a DIMSE status of its own (reliability 1.2: the status table), and a comment a modality can show."""

from __future__ import annotations

import inspect

import pytest
from pynetdicom import status as standard

from archive.dicom import errors
from archive.dimse.statuses import PROCESSING_FAILURE, STATUSES, comment, row, unexpected, worded

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.ArchiveError)
]
LEAVES = [value for value in CLASSES if not value.__subclasses__()]


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_has_a_row(leaf: type[errors.ArchiveError]) -> None:
    assert leaf in STATUSES


@pytest.mark.parametrize("known", STATUSES)
def test_every_status_is_a_failure_that_the_standard_knows(known: type[errors.ArchiveError]) -> None:
    tables = (
        standard.STORAGE_SERVICE_CLASS_STATUS,
        standard.QR_FIND_SERVICE_CLASS_STATUS,
        standard.QR_MOVE_SERVICE_CLASS_STATUS,
        standard.GENERAL_STATUS | standard.UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS,
    )
    for code, table in zip(STATUSES[known], tables, strict=True):
        category, _ = table[code]
        assert category == "Failure"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CannotUnderstand("cut"), 0xC000),
        (errors.ObjectMismatch("other"), 0xA900),
        (errors.OutOfResources("full"), 0xA700),
        (errors.ObjectTooLarge("huge"), 0xA700),
        (errors.UnsupportedSOPClass("print"), 0x0122),
        (errors.InstanceConflict("taken"), 0x0111),
        (errors.CallerRefused("no"), 0x0124),
    ],
)
def test_store_statuses(error: errors.ArchiveError, code: int) -> None:
    assert worded(error, "store").code == code


def test_retrieve_statuses() -> None:
    assert worded(errors.UnknownDestination("?"), "retrieve").code == 0xA801
    assert worded(errors.PeerUnreachable("?"), "retrieve").code == 0xA702
    assert worded(errors.OutOfResources("?"), "retrieve").code == 0xA701


def test_a_class_without_row_takes_that_above() -> None:
    class Newer(errors.InstanceConflict):
        pass

    assert row(Newer) == STATUSES[errors.InstanceConflict]


def test_the_tag_to_blame_is_named() -> None:
    assert worded(errors.MissingAttribute("no study", tag=0x0020000D), "store").offending == (0x0020000D,)
    assert worded(errors.CannotUnderstand("cut"), "store").offending == ()


def test_comment_fits_its_vr() -> None:
    text = comment("a back\\slash, a\nline, ünïcödé and many more words than an Error Comment may ever hold")
    assert len(text) <= 64
    assert text.isascii()
    assert text.isprintable()
    assert "\\" not in text
    assert text.endswith("...")
    assert comment("short") == "short"
    assert len(comment("x" * 200)) == 64


def test_a_fault_of_ours_says_nothing_about_the_object() -> None:
    assert unexpected("store").code == PROCESSING_FAILURE
    assert "log" in unexpected("query").comment
