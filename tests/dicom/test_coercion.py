"""Coercion of attributes as a data set passes by (S6; PS3.3 C.12.1.1.9): pydicom reads what came out, and every other
byte is as it was."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from archive.dicom.errors import ArchiveError, CannotUnderstand
from archive.dicom.reading import elements
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing.coercion import Circumstances, Coercer, coerced
from objects import encoded, file_meta_length, mr, part10, secondary_capture

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
TOLD = Circumstances("20260101120000.000000+0100", "ARCHIVE", "SCANNER")


def run(raw: bytes, syntax: str, size: int = 1 << 20, **wanted: str) -> tuple[bytes, bool]:
    """What comes out, and whether anything was coerced."""
    rows = tuple(coerced(keyword, value) for keyword, value in wanted.items())
    coercer = Coercer(rows, transfer_syntax(syntax), TOLD)
    out = bytearray()
    for start in range(0, len(raw), size):
        for piece in coercer.feed(raw[start : start + size]):
            out += piece
    return bytes(out + coercer.finish()), bool(coercer.modified_tags)


def read(raw: bytes, syntax: str) -> Dataset:
    """By pydicom."""
    return read_dataset(
        BytesIO(content(raw, syntax)), syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    )


def content(raw: bytes, syntax: str) -> bytes:
    """The data set, inflated."""
    return (
        zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw)
        if syntax == DeflatedExplicitVRLittleEndian
        else raw
    )


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("size", [1, 13, 1 << 20])
def test_replaced_and_filled_and_recorded(syntax: str, size: int) -> None:
    data_set = mr(PatientName="OLD^NAME", InstitutionName=None, AccessionNumber="")
    raw = encoded(data_set, syntax)
    wanted = {
        "PatientName": "NEW^NAME",
        "InstitutionName": "General",
        "AccessionNumber": "A7",
        "PatientSex": str(data_set.PatientSex),
    }
    out, modified = run(raw, syntax, size, **wanted)
    assert modified
    found = read(out, syntax)
    assert (found.PatientName, found.InstitutionName, found.AccessionNumber) == ("NEW^NAME", "General", "A7")
    [item] = found.OriginalAttributesSequence
    assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("ARCHIVE", "SCANNER")
    assert (item.ReasonForTheAttributeModification, item.AttributeModificationDateTime) == (
        "COERCE",
        "20260101120000.000000+0100",
    )
    [was] = item.ModifiedAttributesSequence
    assert was.PatientName == "OLD^NAME"
    assert (was.InstitutionName, was.AccessionNumber, "PatientSex" in was) == ("", "", False)
    sent = read(raw, syntax)
    for keyword in (*wanted, "OriginalAttributesSequence"):
        for one in (found, sent):
            one.pop(keyword, None)
    assert found == sent


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_nothing_to_coerce_is_nothing_changed(syntax: str) -> None:
    data_set = mr(InstitutionName="General")
    raw = encoded(data_set, syntax)
    out, modified = run(raw, syntax, InstitutionName="General", PatientSex=str(data_set.PatientSex))
    assert not modified
    assert content(out, syntax) == content(raw, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_came_out_is_not_coerced_again(syntax: str) -> None:
    once, _ = run(encoded(mr(), syntax), syntax, InstitutionName="General", StationName="S")
    again, modified = run(once, syntax, InstitutionName="General", StationName="S")
    assert not modified
    assert content(again, syntax) == content(once, syntax)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("size", [5, 1 << 20])
def test_earlier_items_are_preserved(syntax: str, undefined: bool, size: int) -> None:
    was = Dataset()
    was.PatientID = "BEFORE"
    earlier = Dataset()
    earlier.ModifiedAttributesSequence = Sequence([was])
    earlier.ModifyingSystem = "ELSEWHERE"
    data_set = mr(OriginalAttributesSequence=Sequence([earlier]))
    data_set["OriginalAttributesSequence"].is_undefined_length = undefined
    earlier.is_undefined_length_sequence_item = undefined
    out, _ = run(encoded(data_set, syntax), syntax, size, PatientID="AFTER")
    found = read(out, syntax).OriginalAttributesSequence
    assert [item.ModifyingSystem for item in found] == ["ELSEWHERE", "ARCHIVE"]
    assert found[0].ModifiedAttributesSequence[0].PatientID == "BEFORE"
    assert found[1].ModifiedAttributesSequence[0].PatientID == data_set.PatientID


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_sequences_of_undefined_length_pass(syntax: str, size: int) -> None:
    """Also those whose item lengths look like a VR, and attributes of the same tag within."""
    inner = Dataset()
    inner.InstitutionName = "within"
    inner.TextValue = "x" * (0x4141 - 40)
    outer = Dataset()
    outer.ReferencedStudySequence = Sequence([inner, Dataset()])
    data_set = mr(ReferencedImageSequence=Sequence([outer, inner]))
    for sequence in (data_set["ReferencedImageSequence"], outer["ReferencedStudySequence"]):
        sequence.is_undefined_length = True
    outer.is_undefined_length_sequence_item = True
    out, _ = run(encoded(data_set, syntax), syntax, size, InstitutionName="General", StudyDescription="S")
    found = read(out, syntax)
    assert found.ReferencedImageSequence == data_set.ReferencedImageSequence
    assert (found.InstitutionName, found.StudyDescription) == ("General", "S")
    assert found.PixelData == read(encoded(data_set, syntax), syntax).PixelData


@pytest.mark.parametrize(
    ("charset", "value", "expected"),
    [
        ("ISO_IR 192", "Universitätsklinikum 東京", "Universitätsklinikum 東京"),
        ("ISO_IR 100", "Universitätsklinikum", "Universitätsklinikum"),
        ("ISO_IR 100", "東京", "was"),
        (None, "Universitätsklinikum", "was"),
    ],
)
def test_the_character_set_of_the_data_set_decides(charset: str | None, value: str, expected: str) -> None:
    """A value that it cannot say is not coerced: changing the set would change every text."""
    data_set = mr(SpecificCharacterSet=charset, InstitutionName="was")
    out, modified = run(encoded(data_set), ExplicitVRLittleEndian, InstitutionName=value)
    assert read(out, ExplicitVRLittleEndian).InstitutionName == expected
    assert modified == (expected != "was")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_un_of_undefined_length_in_big_endian(size: int) -> None:
    """Its items are implicit VR little endian (PS3.5 6.2.2), whatever surrounds them."""
    head = struct.pack(">HH2sHI", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF)
    inner = struct.pack("<HHI", 0x0008, 0x0080, 6) + b"within"
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    unknown = head + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    name = struct.pack(">HH2sH", 0x0010, 0x0010, b"PN", 4) + b"A^B "
    out, modified = run(
        unknown + name, ExplicitVRBigEndian, size, PatientName="C^D", InstitutionName="General"
    )
    assert modified
    institution = struct.pack(">HH2sH", 0x0008, 0x0080, b"LO", 8) + b"General "
    new_name = struct.pack(">HH2sH", 0x0010, 0x0010, b"PN", 4) + b"C^D "
    assert out.startswith(institution + unknown + new_name)


def test_group_lengths_of_changed_groups_go() -> None:
    raw = b"\x08\0\0\0UL\4\0\x12\0\0\0" + encoded(secondary_capture(SpecificCharacterSet=None))
    out, _ = run(raw, ExplicitVRLittleEndian, InstitutionName="General")
    assert 0x00080000 not in read(out, ExplicitVRLittleEndian)
    kept, _ = run(raw, ExplicitVRLittleEndian, PatientComments="General")
    assert 0x00080000 in read(kept, ExplicitVRLittleEndian)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    ("named", "really"),
    [(ExplicitVRLittleEndian, ImplicitVRLittleEndian), (ImplicitVRLittleEndian, ExplicitVRLittleEndian)],
)
def test_a_wrong_transfer_syntax_is_seen_through(named: str, really: str, size: int) -> None:
    """As the reader does: else what is coerced would be in another VR encoding than what surrounds it."""
    raw = encoded(secondary_capture(), really)
    assert (
        run(raw, named, size, InstitutionName="General")[0]
        == run(raw, really, size, InstitutionName="General")[0]
    )


_SMALL = {syntax: encoded(secondary_capture(), syntax) for syntax in SYNTAXES}


def refused(raw: bytes, syntax: str) -> bool:
    """Whether the reader refuses it."""
    reader = DataSetReader(syntax)
    try:
        reader.feed(raw)
        reader.finish()
    except ArchiveError:
        return True
    return False


@given(st.integers(0, 1 << 20), st.sampled_from(SYNTAXES))
def test_what_was_cut_off_never_seems_whole(cut: int, syntax: str) -> None:
    """What is added at the end must not fill the place of what is missing."""
    short = _SMALL[syntax][: cut % len(_SMALL[syntax])]
    try:
        out, _ = run(short, syntax, InstitutionName="General", PatientComments="x", StudyComments="x")
    except CannotUnderstand:
        assert refused(short, syntax)
        return
    assert refused(out, syntax) == refused(short, syntax)


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES), st.integers(1, 40))
def test_any_bytes_pass_or_are_refused(raw: bytes, syntax: str, size: int) -> None:
    try:
        whole = run(raw, syntax, InstitutionName="General")
    except CannotUnderstand:
        with pytest.raises(CannotUnderstand):
            run(raw, syntax, size, InstitutionName="General")
        return
    pieces = run(raw, syntax, size, InstitutionName="General")
    assert content(pieces[0], syntax) == content(whole[0], syntax)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyInstanceUID", "1.2"),
        ("SpecificCharacterSet", "ISO_IR 192"),
        ("Rows", "1"),
        ("PixelData", "x"),
        ("OtherPatientIDsSequence", "x"),
        ("Nonsense", "x"),
        ("00100010", "a\0b"),
        ("Modality", "Ä"),
        ("TextValue", "x" * 10 + "\x1b"),
        ("LabelText", "behind"),
    ],
)
def test_what_cannot_be_coerced(keyword: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        coerced(keyword, value)


def test_a_whole_file_reads_back() -> None:
    raw = part10(mr())
    start = file_meta_length(raw)
    out, _ = run(raw[start:], ExplicitVRLittleEndian, PatientName="A^B")
    assert dcmread(BytesIO(raw[:start] + out)).PatientName == "A^B"


def test_a_long_sequence_in_small_pieces_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece of the Original Attributes Sequence is not a reason to begin anew."""
    headers = 0
    header = elements.header

    def counted(*arguments: Any) -> Any:
        nonlocal headers
        headers += 1
        return header(*arguments)

    monkeypatch.setattr(elements, "header", counted)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + b"\x08\0\x80\0LO\0\0" * 5000
    ends = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    sequence = b"\0\x04\x61\x05SQ\0\0\xff\xff\xff\xff" + item + ends
    raw = b"\x08\0\x80\0LO\x04\0OLD " + sequence
    out, modified = run(raw, ExplicitVRLittleEndian, 100, InstitutionName="NEW")
    assert modified
    assert item + ends[:8] in out
    assert headers < 4 * 5000
