"""Metadata as clients write them, back to the bytes that they came from (S3): JSON and XML, pydicom as the oracle."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_dataset

from archive.dicom.errors import ArchiveError, CannotUnderstand, ObjectTooLarge
from archive.dicom.reading import xml_model
from archive.dicom.receiving import assembly, json_reader, received, xml_reader
from archive.dicom.receiving.assembly import Bulk
from encoded_bytes import SEQUENCE_END, UNDEFINED, explicit, identified, item, read

_PLAIN = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=12)
_ANY = st.text(
    st.characters(codec="utf-8", exclude_characters="\\\0\x1b^=", exclude_categories=("Cc", "Cs", "Zs")),
    min_size=1,
    max_size=12,
).filter(lambda text: text.isprintable())
_NAME = st.lists(_ANY, min_size=1, max_size=5).map("^".join)
_NUMBER = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.decimals(-1000, 1000, places=3).map(lambda number: f"{number:.3f}".replace("-0.000", "0.000")),
)
_REPERTOIRE: dict[str, st.SearchStrategy[str]] = {
    **dict.fromkeys(("AE", "CS", "SH", "UC"), _PLAIN),
    "LO": _ANY,
    "DS": _NUMBER,
    "IS": st.integers(-(2**31), 2**31 - 1).map(str),
    "DA": st.dates().map(lambda day: f"{day:%Y%m%d}".zfill(8)),
    "PN": st.lists(_NAME, min_size=1, max_size=3).map("=".join),
    "UI": st.lists(st.integers(1, 10**6).map(str), min_size=2, max_size=6).map(".".join),
}
_ONE_TEXT = {"LT": _ANY, "ST": _ANY, "UT": st.lists(_ANY, max_size=4).map("\r\n".join), "UR": _PLAIN}
_WORDS = {"OB": 1, "OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8, "UN": 1}
_PACKED = {"SS": "h", "US": "H", "SL": "i", "UL": "I", "SV": "q", "UV": "Q", "FL": "f", "FD": "d", "AT": "I"}


def _padded(raw: bytes, vr: str) -> bytes:
    return raw + (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(raw) % 2)


@st.composite
def _values(draw: st.DrawFn, vr: str) -> bytes:
    """The bytes of a value that is as PS3.5 wants it."""
    if vr in _REPERTOIRE:
        several = draw(st.lists(_REPERTOIRE[vr], max_size=4))
        return _padded("\\".join(several).encode(), vr)
    if vr in _ONE_TEXT:
        return _padded(draw(_ONE_TEXT[vr]).encode(), vr)
    if vr in _PACKED:
        size = struct.calcsize(_PACKED[vr])
        raw = draw(st.binary(max_size=4 * size))
        raw = raw[: len(raw) // size * size]
        return (
            b""
            if vr in ("FL", "FD")
            and any(map(math.isnan, struct.unpack(f"<{len(raw) // size}{_PACKED[vr]}", raw)))
            else raw
        )
    raw = draw(st.binary(max_size=40))
    return _padded(raw, vr) if _WORDS[vr] == 1 else raw[: len(raw) // _WORDS[vr] * _WORDS[vr]]


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> bytes:
    """Private attributes of every VR, in order, with sequences of undefined length."""
    vrs = (*_REPERTOIRE, *_ONE_TEXT, *_PACKED, *_WORDS, *(("SQ",) if depth else ()))
    chosen = draw(st.lists(st.sampled_from(vrs), max_size=6))
    raw = b""
    for number, vr in enumerate(chosen):
        tag = 0x00431001 + number
        if vr != "SQ":
            raw += explicit(tag, vr, draw(_values(vr)))
            continue
        items = draw(st.lists(data_sets(depth - 1), max_size=3))
        content = b"".join(item(inner, UNDEFINED) for inner in items)
        raw += explicit(tag, vr, content + SEQUENCE_END, UNDEFINED) if items else explicit(tag, vr)
    return explicit(0x00430010, "LO", b"ACME") + raw


def as_json(text: bytes) -> dict[str, Any]:
    """Our own metadata, with every digit, cut anywhere."""
    [found] = json_reader.data_sets(text[at : at + 7] for at in range(0, len(text), 7))
    assert isinstance(found, dict)
    return found


def as_xml(text: bytes) -> dict[str, Any]:
    """The same as XML; numbers go through floats."""
    return xml_reader.data_set([xml_model.document(json.loads(text))])


def encoded(found: dict[str, Any]) -> bytes:
    """As Explicit VR Little Endian."""
    data_set = received.data_set(found)
    return b"".join(assembly.encoded(data_set, {}, assembly.character_set(data_set)))


@given(data_sets())
@pytest.mark.parametrize("through", [as_json, as_xml])
def test_bytes_to_model_to_bytes(through: Callable[[bytes], dict[str, Any]], raw: bytes) -> None:
    whole = explicit(0x00080005, "CS", b"ISO_IR 192") + identified(after=raw)
    again = encoded(through(zstandard.decompress(read(whole).metadata)))
    sent, found = (read_dataset(BytesIO(each), False, True) for each in (whole, again))
    assert found.to_json_dict() == sent.to_json_dict()
    assert again == whole or through is as_xml


@given(data_sets())
def test_pydicoms_json_is_understood(raw: bytes) -> None:
    sent = read_dataset(BytesIO(explicit(0x00080005, "CS", b"ISO_IR 192") + raw), False, True)
    made = as_json(json.dumps([sent.to_json_dict()]).encode())
    found = read_dataset(BytesIO(encoded(made)), False, True)
    assert found.to_json_dict() == sent.to_json_dict()


@pytest.mark.parametrize("digits", ["1.50", "-0.0", "1e5", "0.1234567890123", "100000000000000"])
def test_digits_stay_as_they_were_written(digits: str) -> None:
    text = f'[{{"00101030":{{"vr":"DS","Value":[{digits}]}}}}]'.encode()
    [found] = json_reader.data_sets([text])
    assert encoded(found)[8:].strip() == digits.encode()  # type: ignore[arg-type]


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but our own errors, and the same ones however it is cut."""
    outcomes = set()
    for size in (1, 5, 1000):
        raw = text.encode("utf-8", "surrogatepass")
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        outcomes.add(repr(list(_read_all(pieces))))
        with contextlib.suppress(ArchiveError):
            received.data_set(xml_reader.data_set(pieces))
    assert len(outcomes) == 1


def _read_all(pieces: list[bytes]) -> list[str]:
    found = []
    try:
        for one in json_reader.data_sets(pieces):
            found.append(repr(one))
            received.data_set(one)
    except ArchiveError as error:
        found.append(repr(error))
    return found


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["SQ", "PN", "1.2"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["vr", "Value", "BulkDataURI", "InlineBinary", "Alphabetic", "00081140", "00100010"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
_VRS = (*_REPERTOIRE, *_ONE_TEXT, *_PACKED, *_WORDS, "SQ", "AS", "TM", "DT")


@given(
    st.dictionaries(
        st.sampled_from(["00080005", "00100010", "00281201", "00091001", "7FE00010"]),
        st.fixed_dictionaries(
            {"vr": st.sampled_from(_VRS)},
            optional={"Value": _JSON | st.lists(_JSON, max_size=3), "InlineBinary": _JSON},
        ),
    )
)
def test_any_model_is_encoded_or_refused(made: dict[str, Any]) -> None:
    """What passes the checks can be encoded, so that no request ends in a fault of ours."""
    try:
        data_set = received.data_set(made)
    except CannotUnderstand:
        return
    charset = assembly.character_set(data_set)
    assert b"".join(assembly.encoded(data_set, {}, charset)) is not None


def test_a_text_that_the_named_set_cannot_say_makes_it_utf_8() -> None:
    made = {"00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}, "00100020": {"vr": "LO", "Value": ["東京"]}}
    inner = {"00080005": {"vr": "CS", "Value": ["ISO_IR 87"]}, "00080104": {"vr": "LO", "Value": ["森"]}}
    found = read_dataset(BytesIO(encoded({**made, "00081140": {"vr": "SQ", "Value": [inner]}})), False, True)
    assert (found.SpecificCharacterSet, found.PatientID) == ("ISO_IR 192", "東京")
    assert found.ReferencedImageSequence[0].CodeMeaning == "森"
    latin = read_dataset(BytesIO(encoded(made | {"00100020": {"vr": "LO", "Value": ["Ä"]}})), False, True)
    assert (latin.SpecificCharacterSet, latin.PatientID) == ("ISO_IR 100", "Ä")


def test_more_than_may_be_in_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """One object too large does not take the next with it, as long as its end can be found."""
    monkeypatch.setattr(json_reader, "MAXIMUM_MARKS", 100)
    large, small = {"00081140": {"vr": "SQ", "Value": [{}] * 200}}, {"00100020": {"vr": "LO"}}
    first, second = json_reader.data_sets([json.dumps([large, small]).encode()])
    assert isinstance(first, ObjectTooLarge)
    assert second == small
    monkeypatch.setattr(json_reader, "MAXIMUM_BYTES", 100)
    pieces = itertools.repeat(b'{"a":"' + b"x" * 50, 10)
    with pytest.raises(ObjectTooLarge):
        list(json_reader.data_sets(pieces))


def test_xml_of_too_many_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_reader, "MAXIMUM_ELEMENTS", 10)
    text = (
        b"<NativeDicomModel>"
        + b"".join(b'<DicomAttribute tag="001000%d" vr="LO"/>' % number for number in range(20, 40))
        + b"</NativeDicomModel>"
    )
    with pytest.raises(ObjectTooLarge):
        xml_reader.data_set([text])


def test_bulk_values_pass_in_pieces() -> None:
    """No more than a piece is in memory, and odd lengths are padded."""
    read_lengths = []

    def pieces(offset: int, length: int) -> Any:
        read_lengths.append((offset, length))
        return (b"x" * 1000 for _ in range(length // 1000))

    data_set = received.data_set({"54001010": {"vr": "OB", "BulkDataURI": "a"}})
    out = list(assembly.encoded(data_set, {"a": Bulk(1_000_000, pieces)}, ()))
    assert sum(map(len, out)) == 1_000_012
    assert max(map(len, out)) < 70_000
    assert read_lengths == [(0, 1_000_000)]
    odd = b"".join(assembly.encoded(data_set, {"a": Bulk.of(b"abc")}, ()))
    assert odd.endswith(b"\4\0\0\0abc\0")


def test_values_too_long_for_their_place() -> None:
    data_set = received.data_set({"7FE00010": {"vr": "OW", "BulkDataURI": "a"}})
    endless = Bulk(1 << 32, lambda _, __: iter(()))
    for value in (endless, assembly.Encapsulated((endless,))):
        with pytest.raises(CannotUnderstand):
            list(assembly.encoded(data_set, {"a": value}, ()))


def test_many_small_objects_in_one_piece_take_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still to be read is not copied for each of them: 16 MB of `{},` took an hour."""
    copied = 0

    class Counting(bytearray):
        def strip(self, *arguments: Any) -> bytearray:
            nonlocal copied
            copied += len(self)
            return bytearray.strip(self, *arguments)

        def lstrip(self, *arguments: Any) -> bytearray:
            return Counting(bytearray.lstrip(self, *arguments))

        def removeprefix(self, *arguments: Any) -> bytearray:
            return Counting(bytearray.removeprefix(self, *arguments))

    monkeypatch.setattr(json_reader, "bytearray", Counting, raising=False)
    text = b"[" + b"{}," * 3000 + b"{}]"
    assert list(json_reader.data_sets([text])) == [{}] * 3001
    assert copied <= len(text)


@pytest.mark.parametrize("vr", [[], {}, ["SQ"], {"a": 1}, None, 5, True])
def test_a_vr_that_is_no_text(vr: Any) -> None:
    with pytest.raises(CannotUnderstand, match="vr"):
        received.data_set({"00100020": {"vr": vr, "Value": ["1"]}})


def test_values_left_out_in_xml_count_too() -> None:
    """A few bytes may not stand for thousands of values, many times over."""

    def pieces() -> Iterator[bytes]:
        yield b"<NativeDicomModel>"
        for number in range(5000):
            yield (b'<DicomAttribute tag="0009%04X" vr="LO"><Value number="1000"/></DicomAttribute>' % number)

    with pytest.raises(ObjectTooLarge):
        xml_reader.data_set(pieces())


def test_private_creators_in_xml_are_found_at_once() -> None:
    """Each creator has its block, however many there are and however often each is named."""
    attributes = [
        f'<DicomAttribute tag="0011{place}" vr="LO" privateCreator="{creator} "/>'
        for place in ("0001", "0002")
        for creator in range(240)
    ]
    text = "<NativeDicomModel>" + "".join(attributes) + "</NativeDicomModel>"
    found = xml_reader.data_set([text.encode()])
    assert len(found) == 3 * 240
    for creator in range(240):
        block = f"{0x10 + creator:02X}"
        assert found[f"001100{block}"]["Value"] == [str(creator)]
        assert {f"0011{block}01", f"0011{block}02"} <= found.keys()
