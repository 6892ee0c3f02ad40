"""dicomweb.md N4, N5: what becomes of single elements in Explicit VR Little Endian (PS3.5 annex A)."""

from __future__ import annotations

import contextlib
import io
import struct

import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from archive.dicom import part10
from archive.dicom.errors import ArchiveError, CannotUnderstand, NotAcceptable
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing import recoding
from archive.dicom.writing.recoded import Recoded
from archive.dicom.writing.recoding import Source
from dicom_files import every_file, split
from encoded_bytes import ITEM_END, SEQUENCE_END, UNDEFINED, explicit, fragment, implicit, item

HEAD = part10.file_meta("1.2", "1.2.3", "1.2.840.10008.1.2.1")


def recoded(
    data_set: bytes, *, implicit: bool = True, big_endian: bool = False, pixel_bytes: int = 2
) -> bytes:
    """The data set in Explicit VR Little Endian."""

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(data_set)
        return data_set[offset : offset + length]

    whole = Recoded(HEAD, Source(read, len(data_set), implicit, big_endian, pixel_bytes))
    got = b"".join(whole.pieces(read, 0, whole.length))
    assert len(got) == whole.length
    return got[len(HEAD) :]


def understood(data_set: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(HEAD + data_set))


def us(number: int) -> bytes:
    return struct.pack("<H", number)


@pytest.mark.parametrize(("representation", "vr"), [(None, "US"), (0, "US"), (1, "SS")])
def test_us_or_ss_by_pixel_representation(representation: int | None, vr: str) -> None:
    before = b"" if representation is None else implicit(0x00280103, us(representation))
    got = understood(recoded(before + implicit(0x00280106, b"\xff\xff")))
    assert vr == got[0x00280106].VR
    assert got[0x00280106].value == (-1 if vr == "SS" else 65535)


def test_an_item_begins_with_the_pixel_representation_outside() -> None:
    nested = implicit(0x00409096, item(implicit(0x00409211, b"\xfe\xff")))
    got = understood(recoded(implicit(0x00280103, us(1)) + nested))
    assert got[0x00409096].value[0][0x00409211].VR == "SS"


@pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (2, "OW")])
def test_lut_data_by_its_number_of_entries(entries: int, vr: str) -> None:
    """PS3.3 C.11.1: one entry is a number, more are words."""
    lut = implicit(0x00283002, us(entries) + us(0) + us(16)) + implicit(0x00283006, us(7) * entries)
    [got] = understood(recoded(implicit(0x00283000, item(lut))))[0x00283000].value
    assert vr == got[0x00283006].VR


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x7FE00010, "OW"),
        (0x60003000, "OW"),
        (0x54001010, "OW"),
        (0x00281201, "OW"),
        (0x00080018, "UI"),
        (0x00100010, "PN"),
        (0x00189810, "US"),
        (0x00091001, "UN"),
        (0x00080099, "UN"),
    ],
)
def test_the_vr_comes_from_the_dictionary(tag: int, vr: str) -> None:
    got = recoded(implicit(tag, b"12"))
    assert got == explicit(tag, vr, b"12")


def test_private_attributes_by_their_creator() -> None:
    got = recoded(
        implicit(0x00290010, b"SIEMENS CSA HEADER")
        + implicit(0x00291010, b"12")
        + implicit(0x00291108, b"34")
    )
    expected = explicit(0x00290010, "LO", b"SIEMENS CSA HEADER") + explicit(0x00291010, "OB", b"12")
    assert got == expected + explicit(0x00291108, "UN", b"34")


@pytest.mark.parametrize("length", [0xFFFE, 0x10000, 0x30000])
def test_a_value_too_long_for_its_vr_is_un(length: int) -> None:
    """PS3.5 6.2.2; PS3.18 8.7.3.4."""
    value = b"1\\" * (length // 2)
    got = recoded(implicit(0x00280010, b"\1\0") + implicit(0x00283003, value))
    vr = "LO" if length < 0x10000 else "UN"
    assert got == explicit(0x00280010, "US", b"\1\0") + explicit(0x00283003, vr, value)


def test_odd_lengths_become_even() -> None:
    """PS3.5 7.1.1."""
    got = recoded(
        implicit(0x00080018, b"1.2") + implicit(0x00100020, b"abc") + implicit(0x00420011, b"x" * 9001)
    )
    expected = explicit(0x00080018, "UI", b"1.2\0") + explicit(0x00100020, "LO", b"abc ")
    assert got == expected + explicit(0x00420011, "OB", b"x" * 9001 + b"\0")


def test_a_number_of_the_wrong_length_is_un() -> None:
    assert recoded(implicit(0x00280010, b"\1\0\2")) == explicit(0x00280010, "UN", b"\1\0\2\0")


@pytest.mark.parametrize("length", [9, 9001, 300_001])
def test_an_odd_number_of_bytes_is_pixel_data_still(length: int) -> None:
    """Of 8 bits, from a writer that forgot to fill it up."""
    got = recoded(implicit(0x7FE00010, b"x" * length))
    assert got == explicit(0x7FE00010, "OW", b"x" * length + b"\0")


@pytest.mark.parametrize("length", [9, 9001, 300_002])
def test_numbers_that_are_none_are_un_however_long(length: int) -> None:
    got = recoded(implicit(0x00660016, b"x" * length))
    assert got == explicit(0x00660016, "UN", b"x" * length + b"\0" * (length % 2))


def test_group_lengths_go() -> None:
    got = recoded(
        implicit(0x00080000, b"\4\0\0\0") + implicit(0x00080016, b"1.2\0") + implicit(0x00090000, b"\4\0\0\0")
    )
    assert got == explicit(0x00080016, "UI", b"1.2\0")


@pytest.mark.parametrize("of_sequence", [None, UNDEFINED])
@pytest.mark.parametrize("of_item", [None, UNDEFINED])
def test_sequences_of_either_length(of_sequence: int | None, of_item: int | None) -> None:
    content = item(implicit(0x00080100, b"AB"), of_item) + item(b"", of_item)
    end = SEQUENCE_END if of_sequence else b""
    got = recoded(implicit(0x00081140, content, of_sequence) + end)
    assert [dict(one.items()).keys() for one in understood(got)[0x00081140].value] == [{0x00080100}, set()]
    assert got.count(ITEM_END) == 2
    assert got.endswith(SEQUENCE_END)


def test_words_are_turned_round_by_their_vr() -> None:
    def big(tag: int, vr: str, value: bytes) -> bytes:
        if vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN", "SV", "UV"):
            return struct.pack(">HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, len(value)) + value
        return struct.pack(">HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value

    values = [
        (0x00080018, "UI", b"1.2\0", b"1.2\0"),
        (0x00181271, "FD", struct.pack(">d", 1.5), struct.pack("<d", 1.5)),
        (0x00280009, "AT", b"\x00\x18\x10\x63", b"\x18\x00\x63\x10"),
        (0x00280010, "US", b"\1\2", b"\2\1"),
        (0x00660016, "OF", b"\1\2\3\4" * 3000, b"\4\3\2\1" * 3000),
        (0x00720082, "SV", b"\1\2\3\4\5\6\7\x08", b"\x08\7\6\5\4\3\2\1"),
        (0x00091001, "UN", b"\1\2", b"\1\2"),
    ]
    data_set = b"".join(big(tag, vr, value) for tag, vr, value, _ in values)
    expected = b"".join(explicit(tag, vr, value) for tag, vr, _, value in values)
    assert recoded(data_set, implicit=False, big_endian=True) == expected


@pytest.mark.parametrize("cells", [1, 2, 4, 8])
@pytest.mark.parametrize("length", [16, 8000, 300_000])
def test_pixel_cells_are_turned_round_whole(cells: int, length: int) -> None:
    """PS3.5 8.1.1: OW also holds cells of 32 and 64 bits."""
    value = bytes(range(1, 9)) * (length // 8)
    data_set = struct.pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(value)) + value
    got = recoded(data_set, implicit=False, big_endian=True, pixel_bytes=max(cells, 2))
    word = max(cells, 2)
    turned = b"".join(value[at : at + word][::-1] for at in range(0, len(value), word))
    assert got == explicit(0x7FE00010, "OW", turned)


@pytest.mark.parametrize("length", [None, UNDEFINED])
def test_a_sequence_that_came_as_un_is_one_in_implicit_vr(length: int | None) -> None:
    """Some senders have explicit VR in it, against PS3.5 6.2.2: as bytes that would be read as implicit VR."""
    inner = item(explicit(0x00080100, "SH", b"T-D1100 "), length)
    sent = explicit(0x00082218, "UN", inner) + explicit(0x00291010, "UN", b"\1\2\3\4")

    def read(offset: int, size: int) -> bytes:
        return sent[offset : offset + size]

    whole = Recoded(b"", Source(read, len(sent), implicit=False), implicit=True)
    got = read_dataset(io.BytesIO(b"".join(whole.pieces(read, 0, whole.length))), True, True)
    assert got.AnatomicRegionSequence[0].CodeValue == "T-D1100"
    assert got[0x00291010].value == b"\1\2\3\4"


@pytest.mark.parametrize(("vr", "length"), [("UN", 8), ("UN", 8000), ("SH", 8), ("UT", 200_000)])
def test_what_is_no_sequence_cannot_be_said_in_implicit_vr(vr: str, length: int) -> None:
    """Nothing would say there that it is none."""
    sent = explicit(0x00082218, vr, b"x" * length)

    def read(offset: int, size: int) -> bytes:
        return sent[offset : offset + size]

    source = Source(read, len(sent), implicit=False)
    with pytest.raises(NotAcceptable, match="no sequence"):
        Recoded(b"", source, implicit=True)
    assert Recoded(b"", source).length == len(sent)


def test_a_number_that_would_be_taken_for_a_uid_cannot_be_said_in_implicit_vr() -> None:
    """Its bytes are none: found by fuzzing, with a Series Instance UID that said it was US."""
    sent = explicit(0x0020000E, "US", b"\4\0")

    def read(offset: int, size: int) -> bytes:
        return sent[offset : offset + size]

    source = Source(read, len(sent), implicit=False)
    with pytest.raises(NotAcceptable, match="no UID"):
        Recoded(b"", source, implicit=True)
    assert Recoded(b"", source).length == len(sent)


def test_fragments_cannot_be_said_natively() -> None:
    data_set = explicit(0x00420011, "OB", fragment(b"") + fragment(b"1234") + SEQUENCE_END, UNDEFINED)
    with pytest.raises(NotAcceptable, match=r"\(0042,0011\)"):
        recoded(data_set, implicit=False)


def test_what_is_cut_off_is_not_made_whole() -> None:
    with pytest.raises(CannotUnderstand):
        recoded(implicit(0x00100020, b"abcd", 8))


SAMPLE = b"".join(
    (
        implicit(0x00080016, b"1.2\0"),
        implicit(0x00081140, item(implicit(0x00080100, b"AB"), UNDEFINED), UNDEFINED) + SEQUENCE_END,
        implicit(0x00283003, b"1\\" * 40000),
        implicit(0x00291010, b"x" * 5000),
        implicit(0x7FE00010, bytes(range(256)) * 700),
        implicit(0xFFFCFFFC, b"\0\0"),
    )
)


@given(step=st.integers(1, 300_000))
@example(step=1 << 12)
def test_it_does_not_matter_in_which_pieces_it_is_read(step: int) -> None:
    expected = recoded(SAMPLE)
    before = recoding.READ_AHEAD
    try:
        recoding.READ_AHEAD = max(step, 64)
        assert recoded(SAMPLE) == expected
    finally:
        recoding.READ_AHEAD = before


FILES = {path.name: path for path in every_file()}
MUTATED = ("CT_small.dcm", "rtplan.dcm", "nested_priv_SQ.dcm", "waveform_ecg.dcm", "MR_small_bigendian.dcm")


@given(name=st.sampled_from(MUTATED), at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_hostile_bytes_are_refused_or_become_a_data_set(name: str, at: float, byte: int) -> None:
    """One byte of a real file is another; nothing but our own errors may come of it."""
    meta, data_set = split(FILES[name].read_bytes())
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    place = int(at * min(len(data_set), 20_000))
    broken = data_set[:place] + bytes((byte,)) + data_set[place + 1 :]
    with contextlib.suppress(ArchiveError):
        recoded(broken, implicit=syntax.implicit, big_endian=syntax.big_endian)
