"""De-identified data sets, read by pydicom: what Table E.1-1 names is gone, nothing of the patient is in any byte."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, UID_dictionary

from archive.dicom.deidentifying.actions import Options
from archive.dicom.deidentifying.eligible import obstacle
from archive.dicom.deidentifying.replacing import Replacements
from archive.dicom.deidentifying.rewriting import deidentified
from archive.dicom.deidentifying.table import BASIC, DEVICE_IDENTITY, MODIFIED_DATES, PATIENT_CHARACTERISTICS
from archive.dicom.errors import NotAcceptable
from archive.dicom.writing.recoding import Copy

CANARY = "CANARY"
ORIGINAL = "1.2.3.4.55555"
SECRET = Replacements(b"s" * 32)
CT = "1.2.840.10008.5.1.4.1.1.2"
NO_OPTIONS = Options()
_VALUES = {
    "AE": CANARY, "AS": "047Y", "CS": CANARY, "DA": "19870615", "DS": "87.0615", "DT": "19870615061504", "IS": "870615",
    "LO": CANARY, "LT": CANARY, "PN": f"{CANARY}^X", "SH": CANARY, "ST": CANARY, "TM": "061504", "UC": CANARY,
    "UI": ORIGINAL, "UR": f"http://{CANARY}", "UT": CANARY, "OB": CANARY.encode(), "UN": CANARY.encode(),
    "OW": CANARY.encode(), "FD": 87.0615, "FL": 2.5, "US": 870, "UL": 870615, "SS": 870, "SL": 870615, "AT": 0x00100010,
}  # fmt: skip


def encoded(data_set: Dataset) -> bytes:
    buffer = io.BytesIO()
    buffer_writer = pydicom.filebase.DicomFileLike(buffer)
    buffer_writer.is_implicit_VR, buffer_writer.is_little_endian = False, True
    write_dataset(buffer_writer, data_set)
    return buffer.getvalue()


def bytes_of(raw: bytes, options: Options = NO_OPTIONS) -> bytes:
    def read(offset: int, length: int) -> bytes:
        return raw[offset : offset + length]

    segments = deidentified(read, len(raw), SECRET, "ANON-1", options)
    return b"".join(read(one.offset, one.length) if isinstance(one, Copy) else one for one in segments)


def rewritten(data_set: Dataset, options: Options = NO_OPTIONS) -> Dataset:
    made = bytes_of(encoded(data_set), options)
    return pydicom.dcmread(io.BytesIO(made), force=True)


def of_table() -> Dataset:
    """Every attribute of the table, with a value that names the patient."""
    data_set = Dataset()
    for tag in BASIC:
        vr = DicomDictionary[tag][0]
        if vr == "SQ":
            inner = Dataset()
            inner.PatientName, inner.TextString, inner.ReferencedSOPInstanceUID = CANARY, CANARY, ORIGINAL
            data_set.add(DataElement(tag, "SQ", Sequence([inner])))
        elif tag >> 16 not in (0, 2):
            data_set.add(DataElement(tag, vr, _VALUES[vr]))
    return data_set


def told(data_set: Dataset) -> Iterator[DataElement]:
    """All elements, at whatever depth, but for what is said by us."""
    for element in data_set:
        if element.tag in (0x00100010, 0x00100020, 0x00120062, 0x00120063, 0x00120064, 0x00280303):
            continue
        yield element
        for item in element.value if element.VR == "SQ" else ():
            yield from told(item)


def test_the_whole_table() -> None:
    original = of_table()
    raw = bytes_of(encoded(original))
    assert CANARY.encode() not in raw
    assert ORIGINAL.encode() not in raw
    made = rewritten(original)
    for tag, action in BASIC.items():
        was, now = original.get(tag), made.get(tag)
        if was is None or tag in (0x00100010, 0x00100020):
            continue
        if action == "X":
            assert now is None, hex(tag)
        elif action == "Z" or (action == "X/Z" and was.VR != "SQ"):
            assert now is not None, hex(tag)
            assert not now.value, hex(tag)
        elif action == "D" and was.VR != "SQ":
            assert now is not None, hex(tag)
            assert now.value, hex(tag)
            assert now.VR == was.VR, hex(tag)
            assert now.value != was.value, hex(tag)
        elif action == "U":
            assert now is not None, hex(tag)
            assert UID(now.value).is_valid, hex(tag)
            assert now.value != was.value, hex(tag)
        elif now is not None and was.VR != "SQ":
            assert now.value != was.value, hex(tag)


def test_it_says_how_it_was_done() -> None:
    made = rewritten(of_table(), Options(modified_dates=True, device_identity=True))
    assert (made.PatientName, made.PatientID) == ("ANON-1", "ANON-1")
    assert made.PatientIdentityRemoved == "YES"
    assert made.DeidentificationMethod
    codes = [item.CodeValue for item in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107", "113109"]
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    assert rewritten(of_table()).LongitudinalTemporalInformationModified == "REMOVED"
    assert [element.tag for element in made] == sorted(element.tag for element in made)


def test_dates_are_moved_together() -> None:
    data_set = Dataset()
    data_set.StudyDate, data_set.SeriesDate, data_set.StudyTime = "20200301", "20200302", "101112"
    data_set.AcquisitionDateTime, data_set.ContentDate = "20200301101112.5+0100", "00010101"
    data_set.PatientBirthDate = "19870615"
    made = rewritten(data_set, Options(modified_dates=True))
    assert made.StudyDate < "2019"
    assert made.StudyTime == "101112"
    assert made.ContentDate != "00010101"
    assert made.AcquisitionDateTime == f"{made.StudyDate}101112.5+0100"
    assert int(made.SeriesDate) > int(made.StudyDate)
    assert not made.PatientBirthDate


def test_the_options_keep_what_they_name_and_no_more() -> None:
    original, every = of_table(), Options(True, True, True)
    made = rewritten(original, every)
    for tag in (PATIENT_CHARACTERISTICS | DEVICE_IDENTITY) - MODIFIED_DATES:
        was = original.get(tag)
        if was is not None and was.VR != "SQ":
            assert made.get(tag) is not None, hex(tag)
            assert made[tag].value == was.value, hex(tag)
    for tag in MODIFIED_DATES - PATIENT_CHARACTERISTICS:
        was, now = original.get(tag), made.get(tag)
        assert now is None or now.value != was.value or was.VR == "TM", hex(tag)
    kept = PATIENT_CHARACTERISTICS | DEVICE_IDENTITY
    named = [
        one.tag for one in told(made) if CANARY in str(one.value) and one.tag not in kept and one.VR != "SQ"
    ]
    assert not named


def test_private_curves_overlays_and_the_unknown_go() -> None:
    data_set = Dataset()
    data_set.private_block(0x0009, "ACME", create=True).add_new(1, "LO", CANARY)
    item = Dataset()
    item.private_block(0x0009, "ACME", create=True).add_new(1, "LO", CANARY)
    item.CodeMeaning = "Head"
    data_set.ProcedureCodeSequence = [item]
    for tag, vr, value in (
        (0x50000005, "US", 1), (0x50003000, "OW", CANARY.encode()), (0x60003000, "OW", CANARY.encode()),
        (0x60000010, "US", 1), (0x60224000, "LT", CANARY), (0x00091001, "UN", CANARY.encode()),
        (0x00080FFF, "LO", CANARY), (0x00181030, "UN", CANARY.encode()), (0x00280010, "LO", CANARY),
    ):  # fmt: skip
        data_set.add_new(tag, vr, value)
    raw = bytes_of(encoded(data_set))
    assert CANARY.encode() not in raw
    assert b"ACME" not in raw
    assert b"Head" in raw


def test_uids_are_replaced_alike_and_not_by_another_share() -> None:
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID, data_set.DeviceUID = CT, ORIGINAL, "1.2.840.10008.99"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, ORIGINAL
    data_set.SourceImageSequence = [item]
    made = rewritten(data_set)
    assert made.SOPClassUID == CT
    assert made.SOPInstanceUID == SECRET.uid(ORIGINAL) != ORIGINAL
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == made.SOPInstanceUID
    assert Replacements(b"t" * 32).uid(ORIGINAL) != made.SOPInstanceUID
    assert made.SOPInstanceUID.startswith("2.25.")
    assert UID(made.SOPInstanceUID).is_valid


@pytest.mark.parametrize("frames", [[b"\xff\xd8" + b"x" * 9000, b"\xff\xd8y"], [b"ab"]])
def test_compressed_frames_pass_as_they_are(frames: list[bytes]) -> None:
    data_set = Dataset()
    data_set.PatientName, data_set.Rows = CANARY, 4
    data_set.add_new(0x7FE00010, "OB", encapsulate(frames))
    data_set["PixelData"].is_undefined_length = True
    raw = encoded(data_set)
    made = bytes_of(raw)
    start = raw.index(b"\xe0\x7f\x10\x00OB")
    assert made.endswith(raw[start:])
    assert CANARY.encode() not in made


def test_long_native_pixels_are_copied_and_not_read() -> None:
    data_set = Dataset()
    data_set.PatientName = CANARY
    data_set.add_new(0x7FE00010, "OW", b"pixels!!" * 100_000)
    raw, asked = encoded(data_set), []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return raw[offset : offset + length]

    segments = list(deidentified(read, len(raw), SECRET, "ANON-1", Options()))
    assert sum(asked) <= 70_000
    assert [one.length for one in segments if isinstance(one, Copy)] == [800_000]


def test_what_cannot_be_said_is_refused() -> None:
    inner = Dataset()
    inner.add_new(0x7FE00010, "OB", encapsulate([b"xx"]))
    inner["PixelData"].is_undefined_length = True
    data_set = Dataset()
    data_set.ProcedureCodeSequence = [inner]
    with pytest.raises(NotAcceptable):
        rewritten(data_set)


_TAGS = sorted(
    tag
    for tag, row in DicomDictionary.items()
    if tag >> 16 > 8
    and tag >> 16 < 0x7FE0
    and row[0] in _VALUES
    and row[0] not in ("CS", "DS", "IS", "LO", "SH")
)
_elements = st.sampled_from(sorted({*_TAGS, *BASIC} - {tag for tag in BASIC if tag >> 16 < 8}))


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 3) -> Dataset:
    """Of attributes of the table, and of others whose VR says that somebody may be named; sequences of any kind."""
    data_set = Dataset()
    for tag in draw(st.lists(_elements, max_size=8)):
        vr = DicomDictionary[tag][0]
        if vr in _VALUES and vr not in ("OB", "OW", "UN", "FD", "FL", "US", "UL", "SS", "SL", "AT"):
            data_set.add_new(tag, vr, _VALUES[vr])
    sequences = (0x00081032, 0x00081140, 0x52009229, 0x00400260, 0x00081115, 0x00400275, 0x00089215)
    for tag in draw(st.lists(st.sampled_from(sequences), max_size=3)) if depth else ():
        items = draw(st.lists(data_sets(depth - 1), max_size=2))
        data_set.add_new(tag, "SQ", Sequence(items))
    return data_set


@given(data_sets(), st.builds(Options, st.booleans(), st.just(False), st.just(False)))
def test_nothing_is_told_at_any_depth(data_set: Dataset, options: Options) -> None:
    raw = bytes_of(encoded(data_set), options)
    for said in (CANARY, ORIGINAL, "19870615", *(() if options.modified_dates else ("061504",))):
        assert said.encode() not in raw
    for element in told(pydicom.dcmread(io.BytesIO(raw), force=True)):
        if element.VR == "UI" and element.value:
            assert element.value.startswith("2.25.") or element.value in UID_dictionary
        assert BASIC.get(int(element.tag)) != "X" or options.modified_dates


@given(st.binary(max_size=80))
def test_whatever_comes_the_patient_is_replaced(garbage: bytes) -> None:
    """A text of any bytes, in any place of which the table knows."""
    data_set = Dataset()
    data_set.add_new(0x00104000, "UN", garbage + CANARY.encode())
    data_set.add_new(0x00081030, "UN", garbage + CANARY.encode())
    assert CANARY.encode() not in bytes_of(encoded(data_set))


@pytest.mark.parametrize(
    ("uid", "said", "goes_in"),
    [
        (CT, {}, True),
        (CT, {"00280301": "YES"}, False),
        (CT, {"00280302": "YES"}, False),
        (CT, {"00080060": "SC"}, False),
        (CT, {"00080060": "SC", "00280301": "NO"}, True),
        ("1.2.840.10008.5.1.4.1.1.7", {}, False),
        ("1.2.840.10008.5.1.4.1.1.7", {"00280301": "NO"}, True),
        ("1.2.840.10008.5.1.4.1.1.6.1", {}, False),
        ("1.2.840.10008.5.1.4.1.1.88.11", {"00280301": "NO"}, False),
        ("1.2.840.10008.5.1.4.1.1.104.1", {"00280301": "NO"}, False),
        ("1.2.840.10008.5.1.4.1.1.11.1", {}, False),
        ("1.2.3.4", {}, False),
    ],
)
def test_what_goes_in(uid: str, said: dict[str, str], goes_in: bool) -> None:
    metadata = {tag: {"vr": "CS", "Value": [value]} for tag, value in said.items()}
    assert (obstacle(uid, metadata) == "") is goes_in


def test_pictures_of_a_console_and_overlays_within_pixels_stay_out() -> None:
    for kinds in (
        ["DERIVED", "SECONDARY", "SCREEN SAVE"],
        ["ORIGINAL", "SECONDARY"],
        ["ORIGINAL", "PRIMARY", "CSA REPORT"],
    ):
        assert obstacle(CT, {"00080008": {"vr": "CS", "Value": kinds}})
    assert obstacle(CT, {"60000010": {"vr": "US", "Value": [1]}})
    assert not obstacle(CT, {"60000010": {"vr": "US", "Value": [1]}, "60003000": {"vr": "OW"}})
