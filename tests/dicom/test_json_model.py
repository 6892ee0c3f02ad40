"""Values as DICOM JSON: what PS3.18 annex F says, and what is left when bytes do not keep to their VR."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.charsets import decoder
from archive.dicom.reading.json_model import (
    CONVERTERS,
    decimal_text,
    integer_text,
    split,
    words_to_little_endian,
)
from encoded_bytes import explicit, identified, metadata, read

TAG = 0x00091001


def _value(vr: str, raw: bytes) -> dict[str, Any]:
    return metadata(read(identified(explicit(TAG, vr, raw))))["00091001"]


@pytest.mark.parametrize(
    ("vr", "raw", "expected"),
    [
        ("CS", b"ORIGINAL\\ PRIMARY\\AXIAL ", ["ORIGINAL", "PRIMARY", "AXIAL"]),
        ("AE", b" TITLE  ", ["TITLE"]),
        ("LO", b" leading\\trailing ", [" leading", "trailing"]),
        ("LO", b"one\\\\three ", ["one", None, "three"]),
        ("LO", b"a\0b\0", ["a\u2400b"]),
        ("PN", b"a\0b\\c\0", [{"Alphabetic": "a\u2400b"}, {"Alphabetic": "c"}]),
        ("LT", b"a\0b \0", ["a\u2400b"]),
        ("UI", b"1.2\0\\1.3\0", ["1.2", "1.3"]),
        ("CS", b" A\0B\\ C ", ["A\u2400B", "C"]),
        ("LT", b'back\\slash\r\n\t"quoted" ', ['back\\slash\r\n\t"quoted"']),
        ("UT", b" text", [" text"]),
        ("UR", b"http://x/?a=1\\b ", ["http://x/?a=1\\b"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("DA", b"20240229", ["20240229"]),
        ("IS", b"+007 ", [7]),
        ("IS", b"1.0 ", [1]),
        ("IS", b"1.5 ", ["1.5"]),
        ("IS", b"12A ", ["12A"]),
        ("IS", b"1\\\\3 ", [1, None, 3]),
        ("IS", b"9" * 17 + b" ", ["9" * 17]),
        ("DS", b"0.10\\-1.5E+2\\+3\\.5\\5.\\007", [0.1, -150, 3, 0.5, 5, 7]),
        ("DS", b"1,5 ", ["1,5"]),
        ("DS", b"NaN ", ["NaN"]),
        ("DS", b"1e999 ", ["1e999"]),
        ("DS", b"1_0 ", ["1_0"]),
        ("PN", b"A^B=\xc3\xa4=c ", [{"Alphabetic": "A^B", "Ideographic": "ä", "Phonetic": "c"}]),
        ("PN", b"=X\\\\B ", [{"Ideographic": "X"}, None, {"Alphabetic": "B"}]),
        ("AT", b"\x10\x00\x20\x00\xe0\x7f\x10\x00", ["00100020", "7FE00010"]),
        ("US", b"\xff\xff\x01\x00", [65535, 1]),
        ("SS", b"\xff\xff", [-1]),
        ("FL", struct.pack("<2f", 0.5, -2), [0.5, -2.0]),
        (
            "FD",
            struct.pack("<3d", float("nan"), float("inf"), float("-inf")),
            ["NaN", "Infinity", "-Infinity"],
        ),
        ("SV", struct.pack("<2q", -1, 1 << 60), [-1, str(1 << 60)]),
        ("UV", struct.pack("<2Q", 1 << 53, 1 << 63), [1 << 53, str(1 << 63)]),
    ],
)
def test_values(vr: str, raw: bytes, expected: list[Any]) -> None:
    assert _value(vr, raw) == {"vr": vr, "Value": expected}


@pytest.mark.parametrize("vr", sorted(CONVERTERS))
def test_an_empty_value_has_no_value(vr: str) -> None:
    assert _value(vr, b"") == {"vr": vr}


@pytest.mark.parametrize("vr", ["CS", "LO", "LT", "PN", "UI", "DS", "IS", "UR", "DA"])
def test_padding_alone_is_no_value(vr: str) -> None:
    assert _value(vr, b"  ") == _value(vr, b"\0\0") == {"vr": vr}


@pytest.mark.parametrize(("vr", "raw"), [("US", b"ABC"), ("FD", b"ABCD"), ("UL", b"AB")])
def test_a_wrong_length_keeps_the_bytes(vr: str, raw: bytes) -> None:
    assert _value(vr, raw)["vr"] == "UN"
    assert "InlineBinary" in _value(vr, raw)


def test_binary_values_are_inline_or_bulk_data() -> None:
    assert _value("OB", b"AB") == {"vr": "OB", "InlineBinary": "QUI="}
    assert "InlineBinary" in _value("UN", bytes(1024))
    assert _value("UN", bytes(1026)) == {"vr": "UN", "BulkDataURI": "bulkdata/00091001"}


@pytest.mark.parametrize(("vr", "given"), [("UT", "UT"), ("UC", "UC"), ("OF", "OF"), ("UR", "UN")])
def test_long_values_are_bulk_data(vr: str, given: str) -> None:
    data_set = identified(explicit(TAG, vr, b"A" * 70000))
    instance = read(data_set)
    assert metadata(instance)["00091001"] == {"vr": given, "BulkDataURI": "bulkdata/00091001"}
    (value,) = instance.bulk_values
    assert data_set[value.offset : value.offset + value.length] == b"A" * 70000


def test_lookup_tables_stay_inline() -> None:
    palette = explicit(0x00281201, "OW", bytes(131072))
    assert "InlineBinary" in metadata(read(identified(after=palette)))["00281201"]


def test_the_character_set_is_that_of_the_json() -> None:
    name = explicit(0x00100010, "PN", "Müller".encode("latin-1"))
    read_back = metadata(read(explicit(0x00080005, "CS", b"ISO_IR 100") + identified(name)))
    assert read_back["00080005"]["Value"] == ["ISO_IR 192"]
    assert read_back["00100010"]["Value"] == [{"Alphabetic": "Müller"}]
    assert metadata(read(explicit(0x00080005, "CS") + identified()))["00080005"] == {"vr": "CS"}


def test_a_lut_descriptor_counts_unsigned() -> None:
    descriptor = explicit(0x00281101, "SS", struct.pack("<3h", -1, -5, 16))
    assert metadata(read(identified(after=descriptor)))["00281101"]["Value"] == [65535, -5, 16]


def test_what_is_not_text_in_utf_8_is_json_all_the_same() -> None:
    assert _value("LO", b'\xff\x1b\x01"\\')["Value"][0].startswith("ÿ")


@given(value=st.text(alphabet="0123456789+-.eE_ \u0660", max_size=20))
def test_numbers_are_json(value: str) -> None:
    for text in (decimal_text(value), integer_text(value)):
        loaded = json.loads(text, parse_constant=pytest.fail)
        assert isinstance(loaded, (int, float, str, type(None)))
        if isinstance(loaded, (int, float)):
            assert loaded == pytest.approx(float(value))


@given(vr=st.sampled_from(sorted(CONVERTERS)), raw=st.binary(max_size=64), order=st.sampled_from("<>"))
def test_any_bytes_make_json(vr: str, raw: bytes, order: str) -> None:
    try:
        text = CONVERTERS[vr](raw, decoder(()), order)
    except ValueError:
        return
    parsed = json.loads(f'{{"vr":"{vr}"{text}}}', parse_constant=pytest.fail)
    assert parsed.keys() <= {"vr", "Value", "InlineBinary"}
    assert "\0" not in "".join(split(vr, raw, decoder(()), order))


@pytest.mark.parametrize(
    ("vr", "raw", "expected"),
    [
        ("US", b"\x02\x01", ("258",)),
        ("AT", b"\x10\x00\x20\x00", ("00100020",)),
        ("PN", b"A^B=C ", ("A^B=C",)),
        ("DS", b"1.50\\2 ", ("1.50", "2")),
        ("OB", b"AB", ()),
        ("US", b"ABC", ()),
        ("SH", b"", ()),
    ],
)
def test_values_as_text(vr: str, raw: bytes, expected: tuple[str, ...]) -> None:
    assert split(vr, raw, decoder(()), "<") == expected


def test_words_are_swapped_by_their_width() -> None:
    raw = bytes(range(8))
    assert words_to_little_endian(raw, "OW") == bytes([1, 0, 3, 2, 5, 4, 7, 6])
    assert words_to_little_endian(raw, "OF") == bytes([3, 2, 1, 0, 7, 6, 5, 4])
    assert words_to_little_endian(raw, "OD") == raw[::-1]
    assert words_to_little_endian(raw, "OB") == raw
    assert words_to_little_endian(b"ABC", "OW") == b"ABC"
