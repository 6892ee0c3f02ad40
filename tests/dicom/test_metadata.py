"""What the metadata keep of values, and what they do not keep however often a sender repeats it."""

from __future__ import annotations

import struct
import time
import zlib

import pytest

from archive.dicom.charsets import decoder
from archive.dicom.dictionary import Choice, private_vr, public_vr
from archive.dicom.errors import CannotUnderstand
from archive.dicom.reading import metadata as metadata_module
from archive.dicom.reading import reader, structure
from archive.dicom.reading.metadata import MOST_VALUES
from archive.dicom.reading.metadata_text import PLENTY
from archive.dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from encoded_bytes import SEQUENCE_END, UNDEFINED, explicit, identified, implicit, item, metadata, read

LONG_TEXT = b"".join(
    explicit(0x00411000 + number, "LO", b"A" * 60_000) for number in range(PLENTY // 60_000 + 2)
)
COSINES = b"\\".join([b"-0.1234567890123"] * 6)


@pytest.mark.parametrize(
    ("vr", "value", "is_bulk"),
    [
        ("UT", b"A" * 64, False),
        ("UT", b"A" * 66, True),
        ("LT", b"A" * 66, True),
        ("UN", b"A" * 66, True),
        ("OW", b"A" * 66, True),
        ("DS", COSINES, False),
        ("DS", COSINES * 6, True),
        ("FD", bytes(16 * 8), False),
        ("FD", bytes(65 * 8), True),
        ("LO", b"A" * 66, False),
        ("UI", b"1.2\\" * 40 + b"1.2\0", False),
        ("PN", b"A" * 200, False),
    ],
)
def test_beyond_four_megabytes_long_values_become_bulk_where_they_may(
    vr: str, value: bytes, is_bulk: bool
) -> None:
    here = explicit(0x0043_1001, vr, value)
    before = metadata(read(identified(after=here)))["00431001"]
    assert "BulkDataURI" not in before
    instance = read(identified(after=LONG_TEXT + here), step=1 << 15)
    after = metadata(instance)["00431001"]
    assert after == ({"vr": vr, "BulkDataURI": "bulkdata/00431001"} if is_bulk else before)
    assert [value.path for value in instance.bulk_values] == (["00431001"] if is_bulk else [])


def test_implicit_vr_and_items_are_thrifty_too() -> None:
    ids = [implicit(tag, b"1.2\0") for tag in (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)]
    long = implicit(0x00081140, item(implicit(0x00080081, b"A" * 60_000)) * (PLENTY // 60_000 + 2))
    comment = implicit(0x00540016, item(implicit(0x00204000, b"A" * 100)))
    found = metadata(read(b"".join((*ids[:2], long, *ids[2:], comment)), IMPLICIT_VR_LITTLE_ENDIAN))
    assert found["00540016"]["Value"] == [
        {"00204000": {"vr": "LT", "BulkDataURI": "bulkdata/00540016/0/00204000"}}
    ]


def test_what_the_index_wants_stays() -> None:
    data_set = identified(LONG_TEXT, after=explicit(0x00104000, "LT", b"A" * 100))
    assert read(data_set).attributes[0x00104000].values == ("A" * 100,)


def test_a_great_many_bulk_values_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_module, "_MANY_BULK_VALUES", 10)
    values = b"".join(explicit(0x00431000 + number, "OB", bytes(2000)) for number in range(20))
    assert len(read(identified(after=values)).bulk_values) == 10
    assert len(read(identified(after=values + explicit(0x00451000, "OB", bytes(70_000)))).bulk_values) == 11


def test_a_great_many_values_are_not_indexed() -> None:
    ids = explicit(0x00101000, "LO", b"\\".join([b"X"] * 5000))
    instance = read(identified(ids))
    assert instance.attributes[0x00101000].values == ("X",) * MOST_VALUES
    assert len(metadata(instance)["00101000"]["Value"]) == 5000


def test_private_creators_that_nobody_knows_are_forgotten() -> None:
    known = explicit(0x00290010, "LO", b"SIEMENS CSA HEADER")
    strangers = b"".join(
        explicit((group << 16) + number, "LO", b"SIEMENS CSA HEADER" if group % 4 == 3 else b"X" * 1000)
        for group in range(0x0031, 0x0041, 2)
        for number in range(0x11, 0x100)
    )
    private_vr.cache_clear()
    instance = read(identified(after=known + explicit(0x00291008, "UN", b"IMAGE NUM 4 ") + strangers))
    assert metadata(instance)["00291008"] == {"vr": "CS", "Value": ["IMAGE NUM 4"]}
    late = explicit(0x00410010, "LO", b"X" * 60_000) + explicit(0x00411008, "UN", b"AB")
    assert metadata(read(identified(after=late)))["00411008"]["vr"] == "UN"
    assert private_vr.cache_info().currsize == 1


def test_long_character_sets_are_not_kept() -> None:
    one = decoder(("ISO_IR 100", "X" * 60_000))
    assert one is decoder(("ISO_IR 100", "X" * 50_000))


@pytest.mark.parametrize("what", ["elements", "items", "sequences", "group lengths", "skipped"])
def test_the_number_of_elements_is_limited(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAXIMUM_ELEMENTS", 5000)
    many = {
        "elements": b"".join(explicit(0x00411000 + n, "SH") for n in range(6000)),
        "items": explicit(0x00411000, "SQ", item() * 6000),
        "sequences": b"".join(explicit(0x00411000 + n, "SQ") for n in range(6000)),
        "group lengths": explicit(0x00430000, "UL", bytes(4)) * 6000,
        "skipped": explicit(0xFFFCFFFC, "OB", bytes(2000)) * 6000,
    }[what]
    with pytest.raises(CannotUnderstand, match="more than 5000 elements and items"):
        read(identified(after=many))


def test_a_small_deflated_object_cannot_hold_millions_of_elements() -> None:
    many = explicit(0x00411000, "SQ", item(explicit(0x00411001, "SH")) * 1_000_000)
    stream = zlib.compressobj(9, wbits=-15)
    small = stream.compress(identified(after=many)) + stream.flush()
    assert len(small) < 64_000
    began = time.process_time()
    with pytest.raises(CannotUnderstand, match="elements and items"):
        read(small, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert time.process_time() - began < 12


def test_a_dictionary_that_is_wrong_too_often_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_MOST_DOUBTS", 1000)
    sound = explicit(0x00081140, "UN", item(implicit(0x00081155, b"1.2\0")))
    broken = explicit(0x00081111, "UN", item() * 100 + b"broken")
    ids = identified()
    assert metadata(read(sound + broken + ids))["00081140"]["vr"] == "SQ"
    after = metadata(read(broken * 2 + sound + ids))
    assert (after["00081111"]["vr"], after["00081140"]["vr"]) == ("UN", "UN")


def test_unknown_public_tags_are_cheap() -> None:
    began = time.process_time()
    for tag in range(0x23000001, 0x23000001 + 50_000):
        assert public_vr(tag, Choice()) == "UN"
    assert time.process_time() - began < 0.5
    assert public_vr(0x60023000, Choice()) == "OW"
    assert public_vr(0x60020000, Choice()) == "UL"


def test_the_offset_table_may_come_in_the_smallest_pieces() -> None:
    table = struct.pack("<I", 0) + bytes(2000)
    value = item(table) + item(b"\xff\xd8\xff\xd9") + SEQUENCE_END
    data_set = identified(after=explicit(0x7FE00010, "OB", value, UNDEFINED))
    assert read(data_set, EXPLICIT_VR_LITTLE_ENDIAN, 1) == read(data_set)
