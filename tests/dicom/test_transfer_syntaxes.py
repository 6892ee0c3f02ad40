"""The table of transfer syntaxes against PS3.6 as pydicom has it."""

from __future__ import annotations

import pytest
from pydicom.uid import UID, UID_dictionary

from archive.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax, transfer_syntax

_NOT_FOR_STORAGE = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.", "1.2.840.10008.1.20")

_JPEG_XL = {"1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112"}
_NOT_IN_PYDICOM = {"1.2.840.113619.5.2", "1.2.840.10008.1.2.8.1", *_JPEG_XL}


@pytest.mark.parametrize("row", TRANSFER_SYNTAXES.values(), ids=lambda row: row.uid)
def test_rows_agree_with_pydicom(row: TransferSyntax) -> None:
    known = UID(row.uid)
    if row.uid not in UID_dictionary:
        assert row.uid in _NOT_IN_PYDICOM
        return
    assert known.is_transfer_syntax
    assert row.implicit == known.is_implicit_VR
    assert row.big_endian == (not known.is_little_endian)
    if row.media_type != "application/octet-stream":
        assert row.encapsulated


def test_every_storage_transfer_syntax_of_the_standard_is_there() -> None:
    registered = {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    missing = {uid for uid in registered - TRANSFER_SYNTAXES.keys() if not uid.startswith(_NOT_FOR_STORAGE)}
    assert missing == set()


def test_an_unknown_one_is_explicit_little_endian() -> None:
    row = transfer_syntax("1.2.3.4")
    assert (row.uid, row.implicit, row.big_endian, row.deflated) == ("1.2.3.4", False, False, False)
