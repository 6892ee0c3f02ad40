"""Identifiers come out of their bytes as text, whatever the VR, the padding and the character set."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.dicom.errors import CannotUnderstand, InvalidQuery
from archive.dimse.identifier import MAXIMUM_BYTES, MAXIMUM_ELEMENTS, collected, read
from identifiers import data_set, encoded, identifier

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@pytest.mark.parametrize("implicit", [True, False])
def test_values_by_vr(implicit: bool) -> None:
    found = identifier(
        "STUDY",
        implicit=implicit,
        PatientID=" 4711 ",
        StudyInstanceUID=["1.2.3", "1.2.34"],
        ModalitiesInStudy=["CT", "MR"],
        StudyDescription="a, b",
        Rows=512,
        AccessionNumber="",
    )
    assert found.level == "STUDY"
    assert found.values(0x00100020) == ("4711",)
    assert found.values(0x0020000D) == ("1.2.3", "1.2.34")
    assert found.values(0x00080061) == ("CT", "MR")
    assert found.values(0x00081030) == ("a, b",)
    assert found.values(0x00280010) == ("512",)
    assert found.values(0x00080050) == ()
    assert 0x00080050 in found.elements


@pytest.mark.parametrize("implicit", [True, False])
def test_a_sequence_shows_its_first_item(implicit: bool) -> None:
    item = data_set(None, ScheduledProcedureStepID="S1", RequestedProcedureID="")
    found = identifier("SERIES", implicit=implicit, RequestAttributesSequence=[item])
    inner = found.elements[0x00400275].item
    assert inner is not None
    assert inner[0x00400009].values == ("S1",)
    assert inner[0x00401001].values == ()


@pytest.mark.parametrize("implicit", [True, False])
def test_a_sequence_without_item(implicit: bool) -> None:
    found = identifier("SERIES", implicit=implicit, RequestAttributesSequence=[])
    assert found.elements[0x00400275].item is None
    assert found.elements[0x00400275].vr == "SQ"


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Müller^Zoë"),
        ("ISO_IR 100", "Müller^Zoë"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("GB18030", "王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
    ],
)
def test_text_is_decoded_with_the_request_s_character_set(charset: str | list[str], name: str) -> None:
    found = identifier("PATIENT", SpecificCharacterSet=charset, PatientName=name)
    assert found.values(0x00100010) == (name,)
    assert found.specific_character_set == (tuple(charset) if isinstance(charset, list) else (charset,))
    assert 0x00080005 not in found.elements


def test_bytes_that_are_no_data_set() -> None:
    whole = encoded(data_set("STUDY", PatientID="4711"))
    with pytest.raises(CannotUnderstand):
        read(whole[:-1], ExplicitVRLittleEndian)


def test_no_identifier() -> None:
    with pytest.raises(InvalidQuery):
        collected(None)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_more_elements_than_anybody_asks_for(syntax: str) -> None:
    header = Struct("<HHI") if syntax == ImplicitVRLittleEndian else Struct("<HH2sH")
    vr = () if syntax == ImplicitVRLittleEndian else (b"SH",)
    keys = [header.pack(0x0009 + 2 * (n >> 12), n & 0xFFF, *vr, 0) for n in range(1, MAXIMUM_ELEMENTS + 2)]
    assert len(read(b"".join(keys[:-1]), syntax).elements) == MAXIMUM_ELEMENTS
    with pytest.raises(InvalidQuery, match="more than 1000 elements"):
        read(b"".join(keys), syntax)


def test_more_items_than_anybody_asks_for() -> None:
    items = Struct("<HHI").pack(0xFFFE, 0xE000, 0) * 100_000
    with pytest.raises(InvalidQuery, match="more than 1000 elements"):
        read(Struct("<HHI").pack(0x0040, 0x0275, len(items)) + items, ImplicitVRLittleEndian)


def test_a_long_list_of_uids_passes() -> None:
    uids = [f"2.25.{number}" for number in range(10**38, 10**38 + 20_000)]
    found = identifier("STUDY", implicit=True, StudyInstanceUID=uids)
    assert found.values(0x0020000D) == tuple(uids)


def test_a_text_that_is_too_long() -> None:
    name = Struct("<HHI").pack(0x0010, 0x0010, 70_000) + b"\xff" * 70_000
    with pytest.raises(InvalidQuery, match="70000 bytes"):
        read(name, ImplicitVRLittleEndian)


def test_what_is_longer_is_not_held() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1 << 16
            yield bytes(1 << 16)

    with pytest.raises(InvalidQuery, match="longer than"):
        collected(endless())
    assert taken <= MAXIMUM_BYTES + (1 << 16)


def test_sequences_without_end() -> None:
    bomb = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 400
    with pytest.raises(CannotUnderstand):
        read(bomb, ExplicitVRLittleEndian)


@given(garbage=st.binary(max_size=200), syntax=st.sampled_from(SYNTAXES))
def test_garbage_is_refused_or_read(garbage: bytes, syntax: str) -> None:
    try:
        found = read(garbage, syntax)
    except (CannotUnderstand, InvalidQuery):
        return
    assert all(isinstance(value, str) for element in found.elements.values() for value in element.values)


@given(cut=st.integers(min_value=0, max_value=120), flip=st.integers(min_value=0, max_value=255))
def test_a_damaged_identifier_is_refused_or_read(cut: int, flip: int) -> None:
    whole = bytearray(
        encoded(
            data_set("SERIES", PatientName="A^B", RequestAttributesSequence=[data_set(None, StudyID="1")])
        )
    )
    position = cut % len(whole)
    whole[position] = flip
    try:
        read(bytes(whole), ExplicitVRLittleEndian)
    except (CannotUnderstand, InvalidQuery):
        return


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    return Struct("<HH2sHI").pack(tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value


@pytest.mark.parametrize("vr", [b"OB", b"OW", b"UN", b"OD"])
def test_public_attribute_has_its_values_whatever_vr_it_was_sent_with(vr: bytes) -> None:
    """A PatientID in OB once was a key without value: the answer was every patient."""
    found = read(_element(0x00100020, vr, b"PAT12345"), ExplicitVRLittleEndian)
    assert found.values(0x00100020) == ("PAT12345",)


def test_sequence_as_un_has_items_in_implicit_vr() -> None:
    """PS3.5 6.2.2 note 2."""
    inner = Struct("<HHI").pack(0x0008, 0x0050, 4) + b"ACC "
    item = Struct("<HHI").pack(0xFFFE, 0xE000, len(inner)) + inner
    after = _element(0x00400280, b"UT", b"text")
    found = read(_element(0x00400275, b"UN", item) + after, ExplicitVRLittleEndian)
    assert (found.elements[0x00400275].item or {})[0x00080050].values == ("ACC",)
    assert found.values(0x00400280) == ("text",)


def test_attribute_that_is_there_twice_is_refused() -> None:
    """Either of them may be the one that was meant."""
    twice = _element(0x00100020, b"UT", b"1234") + _element(0x00100020, b"UT", b"")
    with pytest.raises(InvalidQuery) as refusal:
        read(twice, ExplicitVRLittleEndian)
    assert refusal.value.tag == 0x00100020
