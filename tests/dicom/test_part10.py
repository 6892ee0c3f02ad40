"""The PS3.10 header, read in pieces and written."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom.filereader import dcmread, read_file_meta_info

from archive.dicom.errors import CannotUnderstand, NotDicom
from archive.dicom.part10 import MAXIMUM_LENGTH, FileMetaReader, file_meta
from encoded_bytes import SOP_CLASS, explicit

HEADER = file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", "1.2.840.10008.1.2.1", "SENDER", "ARCHIVE")


def _read(raw: bytes, step: int = 1 << 20) -> FileMetaReader:
    reader = FileMetaReader()
    for start in range(0, len(raw), step):
        if reader.feed(raw[start : start + step]):
            break
    return reader


def test_what_is_written_pydicom_reads(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "object"
    path.write_bytes(HEADER)
    meta = read_file_meta_info(path)
    assert meta.FileMetaInformationGroupLength == len(HEADER) - 144
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.3",
    )
    assert (meta.TransferSyntaxUID, meta.SourceApplicationEntityTitle) == ("1.2.840.10008.1.2.1", "SENDER")
    assert meta.ReceivingApplicationEntityTitle == "ARCHIVE"


def test_titles_may_be_absent() -> None:
    assert b"AE" not in file_meta("1.2", "1.3", "1.2.840.10008.1.2")


@pytest.mark.parametrize("step", [1, 2, 5, 131, 1 << 20])
def test_what_is_written_is_read(step: int) -> None:
    raw = HEADER + SOP_CLASS
    reader = _read(raw, step)
    assert reader.meta.header == HEADER
    assert reader.meta.length == len(HEADER)
    assert reader.meta.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert reader.meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert reader.meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert raw[len(HEADER) :].startswith(reader.rest)


def test_the_preamble_is_zeroed() -> None:
    reader = _read(b"MZ" + b"\x90" * 126 + HEADER[128:] + SOP_CLASS)
    assert reader.meta.header == HEADER


@pytest.mark.parametrize("lie", [0, 4, 1000, 0xFFFFFFFF])
def test_a_group_length_that_lies_does_no_harm(lie: int) -> None:
    elements = HEADER[144:]
    raw = HEADER[:132] + explicit(0x00020000, "UL", lie.to_bytes(4, "little")) + elements
    assert _read(raw + SOP_CLASS).meta.header == raw
    assert _read(HEADER[:132] + elements + SOP_CLASS).meta.header == HEADER[:132] + elements


@pytest.mark.parametrize("raw", [b"", b"\0" * 131, b"\0" * 132, b"%PDF" * 100, HEADER[1:] + SOP_CLASS])
def test_what_is_no_dicom(raw: bytes) -> None:
    with pytest.raises(NotDicom):
        _ = _read(raw).meta


def test_not_dicom_is_known_as_soon_as_possible() -> None:
    with pytest.raises(NotDicom):
        FileMetaReader().feed(b"\0" * 128 + b"D1")


@pytest.mark.parametrize("cut", range(132, len(HEADER), 5))
def test_a_header_that_is_cut_off(cut: int) -> None:
    with pytest.raises(CannotUnderstand):
        _ = _read(HEADER[:cut]).meta


def test_a_header_without_transfer_syntax() -> None:
    with pytest.raises(CannotUnderstand, match="Transfer Syntax"):
        _read(HEADER[:132] + explicit(0x00020002, "UI", b"1.2\0") + SOP_CLASS)


NO_UIDS = [
    b"1.2.3\r\nX-Evil: 1\r\n\r\n<script>",
    b"1.2\x003",
    b"1" * 5000,
    b"1.2.\xb2",
    b"1..2",
    b"Explicit VR",
]


@pytest.mark.parametrize("value", NO_UIDS)
def test_a_transfer_syntax_that_is_no_uid(value: bytes) -> None:
    with pytest.raises(CannotUnderstand, match="is no UID") as refused:
        _read(HEADER[:132] + explicit(0x00020010, "UI", value) + SOP_CLASS)
    assert "Evil" not in refused.value.reason


@pytest.mark.parametrize("value", NO_UIDS)
def test_media_storage_uids_that_are_none_count_as_absent(value: bytes) -> None:
    elements = [explicit(number, "UI", value) for number in (0x00020002, 0x00020003)]
    meta = _read(HEADER[:132] + b"".join(elements) + explicit(0x00020010, "UI", b"1.2\0") + SOP_CLASS).meta
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == ("", "")
    assert meta.transfer_syntax_uid == "1.2"


def test_a_header_that_is_too_long() -> None:
    many = explicit(0x00020102, "OB", bytes(1000)) * 100
    with pytest.raises(CannotUnderstand):
        _read(HEADER + many + SOP_CLASS, 100)
    huge = explicit(0x00020102, "OB", b"", 1 << 31)
    with pytest.raises(CannotUnderstand, match="too long"):
        _read(HEADER + huge)
    endless = HEADER[:132] + explicit(0x00020102, "OB", bytes(MAXIMUM_LENGTH - 200))
    assert not _read(endless).feed(b"\x02\x00")


def test_each_header_is_that_of_its_own_object_and_sender() -> None:
    """What objects of one kind and sender have in common is remembered."""
    made = {
        (uid, syntax, sender): file_meta("1.2", uid, syntax, sender, "ARCHIVE")
        for uid in ("1.2.3", "1.2.34")
        for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
        for sender in ("ONE", "OTHER")
        for _ in range(2)
    }
    for (uid, syntax, sender), header in made.items():
        meta = dcmread(BytesIO(header)).file_meta
        assert meta.FileMetaInformationGroupLength == len(header) - 144
        assert (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == (uid, syntax)
        assert meta.SourceApplicationEntityTitle == sender
