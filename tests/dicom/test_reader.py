"""The reader as a whole: identity, index attributes, delivery in pieces, agreement with pydicom on made-up objects."""

from __future__ import annotations

import json
import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from archive.dicom.attributes import ATTRIBUTES
from archive.dicom.errors import InvalidUID, MissingAttribute, UnsupportedSOPClass
from archive.dicom.instance import Element
from archive.dicom.part10 import file_meta
from archive.dicom.reading.metadata import Metadata
from archive.dicom.reading.reader import WANTED, DataSetReader
from archive.dicom.reading.structure import Structure
from archive.dicom.sop_classes import is_storage, sop_class_name
from archive.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from dicom_files import split
from encoded_bytes import SOP_CLASS, SOP_INSTANCE, STUDY, explicit, identified, item, metadata, read
from metadata_oracle import compare, pydicom_json
from objects import ct, encoded

NATIVE = [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]


def test_the_identity_of_an_object() -> None:
    instance = read(identified())
    assert (instance.SOPClassUID, instance.SOPInstanceUID) == ("1.2.840.10008.5.1.4.1.1.7", "1.2.3")
    assert (instance.StudyInstanceUID, instance.SeriesInstanceUID) == ("1.2.4", "1.2.5")
    assert instance.length == len(identified())
    assert instance.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize("position", range(4))
def test_a_uid_that_is_missing_or_wrong(position: int) -> None:
    tags = (0x00080016, 0x00080018, 0x0020000D, 0x0020000E)
    for value, error in ((None, MissingAttribute), (b"", MissingAttribute), (b"../../x ", InvalidUID)):
        elements = [explicit(tag, "UI", b"1.2\0") for tag in tags]
        elements[position] = b"" if value is None else explicit(tags[position], "UI", value)
        with pytest.raises(error) as refused:
            read(b"".join(elements))
        assert refused.value.tag == tags[position]


def test_the_identity_is_known_before_the_end() -> None:
    reader = DataSetReader(EXPLICIT_VR_LITTLE_ENDIAN)
    assert reader.identity == ("", "")
    reader.feed(SOP_CLASS + SOP_INSTANCE + STUDY[:5])
    assert reader.identity == ("1.2.840.10008.5.1.4.1.1.7", "1.2.3")


@pytest.mark.parametrize(
    ("uid", "taken"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", True),
        ("1.2.840.10008.5.1.4.1.1.88.11", True),
        ("1.2.3.4.5", True),
        ("1.2.840.10008.5.1.4.1.1.999999", True),
        ("1.2.840.10008.5.1.1.29", True),
        ("1.2.840.10008.5.1.4.38.1", False),
        ("1.2.840.10008.1.3.10", False),
        ("1.2.840.10008.1.1", False),
        ("1.2.840.10008.5.1.4.31", False),
        ("1.2.840.10008.1.20.1", False),
        ("1.2.840.10008.1.2.1", False),
    ],
)
def test_which_sop_classes_are_taken(uid: str, taken: bool) -> None:
    assert is_storage(uid) is taken
    data_set = (
        explicit(0x00080016, "UI", uid.encode() + b"\0" * (len(uid) % 2)) + identified()[len(SOP_CLASS) :]
    )
    if taken:
        read(data_set)
    else:
        with pytest.raises(UnsupportedSOPClass, match=sop_class_name(uid)[:20]):
            read(data_set)


def test_the_attributes_for_the_index() -> None:
    requests = explicit(0x00400275, "SQ", item(explicit(0x00400009, "SH", b"S1")))
    instance = read(
        identified(
            explicit(0x00080020, "DA", b"20240102"),
            explicit(0x00080050, "SH"),
            explicit(0x00080060, "CS", b"CT"),
            explicit(0x00100010, "PN", b"A^B "),
            after=explicit(0x00280010, "US", b"\0\2") + requests,
        )
    )
    attributes = instance.attributes
    assert attributes[0x00080020] == Element("DA", ("20240102",), '{"vr":"DA","Value":["20240102"]}')
    assert attributes[0x00080050] == Element("SH", (), '{"vr":"SH"}')
    assert attributes[0x00280010] == Element("US", ("512",), '{"vr":"US","Value":[512]}')
    assert attributes[0x00100010].json == '{"vr":"PN","Value":[{"Alphabetic":"A^B"}]}'
    assert json.loads(attributes[0x00400275].json) == metadata(instance)["00400275"]
    assert attributes.keys() <= WANTED


def test_only_what_is_wanted_and_only_from_the_top() -> None:
    inside = explicit(0x00400275, "SQ", item(explicit(0x00080060, "CS", b"MR")))
    reader = DataSetReader(EXPLICIT_VR_LITTLE_ENDIAN, wanted=frozenset({0x00080060}))
    reader.feed(identified(after=inside))
    assert reader.finish().attributes == {}


def test_a_long_sequence_for_the_index_is_only_named() -> None:
    many = item(explicit(0x00400009, "SH", b"S1")) * 20_000
    instance = read(identified(after=explicit(0x00400275, "SQ", many)))
    assert instance.attributes[0x00400275].json == '{"vr":"SQ"}'
    assert len(metadata(instance)["00400275"]["Value"]) == 20_000


def test_every_indexed_attribute_is_wanted() -> None:
    assert {attribute.tag for attribute in ATTRIBUTES if not attribute.computed} <= WANTED


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_pieces_make_the_same_instance(data: st.DataObject, pydicom_data: Path) -> None:
    name = data.draw(
        st.sampled_from(["CT_small.dcm", "MR_small_RLE.dcm", "rtplan.dcm", "image_dfl.dcm", "reportsi.dcm"])
    )
    meta, data_set = split((pydicom_data / "test_files" / name).read_bytes())
    cuts = data.draw(st.lists(st.integers(0, len(data_set)), max_size=30).map(sorted))
    reader = DataSetReader(meta.transfer_syntax_uid)
    for start, end in zip([0, *cuts], [*cuts, len(data_set)], strict=True):
        kind = data.draw(st.sampled_from([bytes, bytearray, memoryview]))
        reader.feed(kind(data_set[start:end]))
    assert reader.finish() == read(data_set, meta.transfer_syntax_uid)


def _json_of(data_set: bytes, uid: str) -> dict[str, Any]:
    """The metadata of a data set that need not have an identity."""
    row, listener = transfer_syntax(uid), Metadata(frozenset())
    structure = Structure(listener, implicit=row.implicit, big_endian=row.big_endian)
    structure.feed(data_set)
    structure.finish()
    return json.loads(zstandard.decompress(listener.finish()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", ["priv_SQ.dcm", "nested_priv_SQ.dcm", "UN_sequence.dcm", "empty_charset_LEI.dcm"]
)
def test_odd_files_without_identity_are_read_like_pydicom(name: str, pydicom_data: Path) -> None:
    path = pydicom_data / "test_files" / name
    meta, data_set = split(path.read_bytes())
    assert compare(_json_of(data_set, meta.transfer_syntax_uid), pydicom_json(dcmread(path))) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["chrSQEncoding.dcm", "chrSQEncoding1.dcm"])
def test_items_have_character_sets_of_their_own(name: str, pydicom_data: Path) -> None:
    path = pydicom_data / "charset_files" / name
    meta, data_set = split(path.read_bytes())
    assert compare(_json_of(data_set, meta.transfer_syntax_uid), pydicom_json(dcmread(path))) == []


_TEXT = st.text(
    st.characters(codec="latin-1", min_codepoint=0x21, exclude_characters="\\=^\x7f"), min_size=1, max_size=12
)
_VALUES: dict[str, tuple[int, st.SearchStrategy[Any]]] = {
    "PatientID": (0x00100020, _TEXT),
    "PatientName": (0x00100010, st.lists(_TEXT, min_size=1, max_size=3).map("=".join)),
    "OtherPatientNames": (0x00101001, st.lists(_TEXT, min_size=2, max_size=3)),
    "ImageType": (
        0x00080008,
        st.lists(st.sampled_from(["ORIGINAL", "PRIMARY", "AXIAL"]), min_size=1, max_size=4),
    ),
    "ImageComments": (0x00204000, _TEXT),
    "SliceThickness": (0x00180050, st.decimals(-1000, 1000, places=3, allow_nan=False).map(str)),
    "InstanceNumber": (0x00200013, st.integers(-(2**31), 2**31 - 1)),
    "Rows": (0x00280010, st.integers(0, 65535)),
    "RedPaletteColorLookupTableDescriptor": (0x00281101, st.tuples(*[st.integers(0, 100)] * 3).map(list)),
    "FrameIncrementPointer": (0x00280009, st.sampled_from([0x00181063, 0x00181065])),
    "SimpleFrameList": (0x00081161, st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3)),
    "ReferencePixelX0": (0x00186020, st.integers(-(2**31), 2**31 - 1)),
    "RealWorldValueSlope": (0x00409225, st.floats(allow_nan=False, allow_infinity=False)),
    "RecommendedDisplayFrameRateInFloat": (
        0x00089459,
        st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    "OverlayData": (0x60003000, st.binary(min_size=2, max_size=20).map(lambda raw: raw[: len(raw) // 2 * 2])),
    "InstanceCreatorUID": (0x00080014, st.sampled_from(["1.2.840.10008", "2.25.1"])),
}
_IN_WORDS = {"OverlayData": "OW"}


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """A data set of a few attributes of most VRs, with sequences in sequences."""
    data_set = Dataset()
    for keyword in draw(st.lists(st.sampled_from(sorted(_VALUES)), unique=True, max_size=6)):
        value = draw(_VALUES[keyword][1])
        vr = "US" if keyword.startswith("Red") else _IN_WORDS.get(keyword)
        if vr is None:
            setattr(data_set, keyword, value)
        else:
            data_set.add_new(_VALUES[keyword][0], vr, value)
    if depth and draw(st.booleans()):
        data_set.ReferencedImageSequence = Sequence(draw(st.lists(data_sets(depth - 1), max_size=3)))
        data_set["ReferencedImageSequence"].is_undefined_length = draw(st.booleans())
        for inner in data_set.ReferencedImageSequence:
            inner.is_undefined_length_sequence_item = draw(st.booleans())
    return data_set


@settings(max_examples=60, deadline=None)
@given(data_set=data_sets(), uid=st.sampled_from(NATIVE))
def test_made_up_data_sets_are_read_like_pydicom(data_set: Dataset, uid: str) -> None:
    data_set.SpecificCharacterSet = "ISO_IR 100"
    row = transfer_syntax(uid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = DicomBytesIO()
        stream.is_implicit_VR, stream.is_little_endian = row.implicit, not row.big_endian
        write_dataset(stream, data_set)
        again = dcmread(BytesIO(_with_header(stream.getvalue(), uid)))
        theirs = pydicom_json(again)
    assert compare(_json_of(stream.getvalue(), uid), theirs, big_endian=row.big_endian) == []


def _with_header(data_set: bytes, uid: str) -> bytes:
    return file_meta("1.2", "1.3", uid) + data_set


@pytest.mark.parametrize("uid", NATIVE)
def test_an_object_as_a_scanner_writes_it(uid: str) -> None:
    data_set = encoded(ct(), uid)
    instance = read(data_set, uid, 16384)
    assert instance.attributes[0x00080060].values == ("CT",)
    assert struct.calcsize("H") * 512 * 512 == instance.bulk_values[0].length
