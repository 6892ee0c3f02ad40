"""What is encoded for a C-FIND answer is what pydicom encodes for the same attributes, and reads back."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import encode

from archive.dicom.charsets import decoder
from archive.dicom.reading.json_model import CONVERTERS, WrongLengthError
from archive.dicom.writing.encoder import encode_element


def whole(data_set: dict[str, Any], *, implicit: bool, charset: tuple[str, ...] = ()) -> bytes:
    return b"".join(
        encode_element(int(tag, 16), data_set[tag], implicit=implicit, specific_character_set=charset)
        for tag in sorted(data_set)
    )


def every_vr() -> Dataset:
    made = Dataset()
    made.RetrieveAETitle = "ARCHIVE"
    made.PatientAge = "042Y"
    made.FrameIncrementPointer = 0x00181063
    made.ModalitiesInStudy = ["CT", "MR"]
    made.StudyDate = "20240101"
    made.PatientWeight = "71.5"
    made.AcquisitionDateTime = "20240101120000.5"
    made.SliceProgressionDirection = "BASE_TO_APEX"
    made.RecommendedDisplayFrameRateInFloat = 1.5
    made.SeriesNumber = "7"
    made.StudyDescription = "odd"
    made.PatientComments = "one\r\ntwo"
    made.RedPaletteColorLookupTableData = b"\x01\x02"
    made.PatientName = "Doe^Jane"
    made.AccessionNumber = "A1"
    made.ReferencePixelX0 = -5
    made.TagAngleSecondAxis = -3
    made.StudyTime = "1200"
    made.StudyInstanceUID = "1.2.3"
    made.SimpleFrameList = [1, 2]
    made.Rows = 512
    made.ExtendedOffsetTable = b"\0" * 8
    made.TextValue = "long"
    made.LongCodeValue = "code"
    made.PatientID = None
    return made


@pytest.mark.parametrize("implicit", [True, False])
def test_same_bytes_as_pydicom(implicit: bool) -> None:
    made = every_vr()
    assert whole(made.to_json_dict(), implicit=implicit) == encode(made, implicit, True)


@pytest.mark.parametrize("implicit", [True, False])
def test_sequences_read_back(implicit: bool) -> None:
    inner = Dataset()
    inner.ScheduledProcedureStepID = "S1"
    made = Dataset()
    made.RequestAttributesSequence = Sequence([inner, Dataset()])
    made.ReferencedStudySequence = Sequence()
    raw = whole(made.to_json_dict(), implicit=implicit)
    found = read_dataset(BytesIO(raw), implicit, True)
    assert found.RequestAttributesSequence[0].ScheduledProcedureStepID == "S1"
    assert len(found.RequestAttributesSequence) == 2
    assert len(found.ReferencedStudySequence) == 0


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (("ISO_IR 192",), {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}),
        (("GB18030",), {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}),
        (("ISO_IR 100",), {"Alphabetic": "Müller^Zoë"}),
        (
            ("", "ISO 2022 IR 87"),
            {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ"},
        ),
        (
            ("", "ISO 2022 IR 149"),
            {"Alphabetic": "Hong^Gildong", "Ideographic": "洪^吉洞", "Phonetic": "홍^길동"},
        ),
    ],
)
def test_names_in_their_character_set(charset: tuple[str, ...], name: dict[str, str]) -> None:
    raw = whole({"00100010": {"vr": "PN", "Value": [name]}}, implicit=True, charset=charset)
    declared = Dataset()
    declared.SpecificCharacterSet = list(charset)
    head = encode(declared, True, True)
    assert head is not None
    found = read_dataset(BytesIO(head + raw), True, True)
    assert found.PatientName == "=".join(name.values())


def test_a_name_that_the_set_does_not_hold() -> None:
    with pytest.raises(UnicodeEncodeError):
        whole(
            {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "王"}]}},
            implicit=True,
            charset=("ISO_IR 100",),
        )


@pytest.mark.parametrize("value", [0.1 + 0.2, -1.23456789012345678e-30, 7, "71.50"])
def test_decimal_strings_fit(value: float | str) -> None:
    raw = whole({"00101030": {"vr": "DS", "Value": [value]}}, implicit=True)[8:]
    assert len(raw) <= 16
    assert float(raw) == pytest.approx(float(value))


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("CS", "GESÄß", b"GES?? "),
        ("AE", "王", b"? "),
        ("UI", "1.2.²", b"1.2.?\0"),
        ("UR", "http://ä", b"http://?"),
        ("DA", "ää", b"??"),
        ("IS", "abc", b"abc "),
        ("DS", "not measured, unknown", b"not measured, unknown "),
        ("DS", "1e999", b"1e999 "),
        ("DS", "1_0000000000000000000", b"1_0000000000000000000 "),
        ("DS", "nür", b"n?r "),
        ("CS", "A" * 17, b"A" * 17 + b" "),
    ],
)
@pytest.mark.parametrize("charset", [(), ("ISO_IR 100",), ("ISO_IR 192",)])
def test_what_a_sender_got_wrong_is_said_as_well_as_can_be(
    vr: str, value: str, expected: bytes, charset: tuple[str, ...]
) -> None:
    assert whole({"00091001": {"vr": vr, "Value": [value]}}, implicit=True, charset=charset)[8:] == expected


@given(
    vr=st.sampled_from(sorted(CONVERTERS)), raw=st.binary(max_size=40), names=st.sampled_from(["", "GB18030"])
)
def test_any_stored_value_can_be_answered(vr: str, raw: bytes, names: str) -> None:
    try:
        text = CONVERTERS[vr](raw, decoder((names,)), "<")
    except WrongLengthError:
        return
    stored = orjson.loads(f'{{"vr":"{vr}"{text}}}')
    whole({"00091001": stored}, implicit=False, charset=("ISO_IR 192",))


def test_empty_values_and_bulk() -> None:
    assert whole({"00080061": {"vr": "CS", "Value": ["CT", None, "MR"]}}, implicit=True)[8:] == b"CT\\\\MR"
    assert whole({"7FE00010": {"vr": "OW", "BulkDataURI": "x"}}, implicit=False)[8:] == bytes(4)
    assert whole({"00100010": {"vr": "PN", "Value": [None]}}, implicit=False)[8:] == b""


def test_too_long_for_two_bytes_of_length() -> None:
    raw = whole({"00104000": {"vr": "LT", "Value": ["x" * 70_000]}}, implicit=False)
    assert raw[4:6] == b"UN"
    assert len(raw) == 12 + 70_000
