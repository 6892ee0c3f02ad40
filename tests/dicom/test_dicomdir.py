"""DICOMDIR: read by pydicom and by DCMTK, and compared with the one that DCMTK makes of the same files."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID_dictionary

from archive.dicom.sop_classes import is_storage
from archive.dicom.writing.dicomdir import PRIVATE_RECORD_UID, Directory, ReferencedFile
from archive.dicom.writing.directory_records import KEYS, record_type
from file_sets import file_set
from objects import ct, mr, multi_frame, part10, secondary_capture, series

EXPLICIT = "1.2.840.10008.1.2.1"


def as_json(data_set: Dataset) -> dict[str, Any]:
    """The metadata."""
    return data_set.to_json_dict(bulk_data_threshold=64, bulk_data_element_handler=lambda _: "bulk")


def written(several: Iterable[Dataset]) -> bytes:
    """The DICOMDIR of these."""
    directory = Directory()
    for number, data_set in enumerate(several, start=1):
        name = ("DICOM", f"I{number:07d}")
        directory.add(
            as_json(data_set), ReferencedFile(name, data_set.SOPClassUID, data_set.SOPInstanceUID, EXPLICIT)
        )
    length, pieces = directory.encoded()
    file = b"".join(pieces)
    assert len(file) == length
    return file


def records(file: bytes) -> list[Dataset]:
    """Its records, flat."""
    return list(dcmread(io.BytesIO(file)).DirectoryRecordSequence)


def below(file: bytes, first: int) -> Iterator[Dataset]:
    """The records of one entity, by following the offsets."""
    by_offset = {record.seq_item_tell: record for record in records(file)}
    while first:
        yield by_offset[first]
        first = by_offset[first].OffsetOfTheNextDirectoryRecord


def lower(record: Dataset) -> int:
    """Where the records below it begin."""
    return int(record.OffsetOfReferencedLowerLevelDirectoryEntity)


def report(**keywords: Any) -> Dataset:
    """A structured report whose title is modified."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "18782-3", "LN", "Study report"
    modifier, finding = Dataset(), Dataset()
    modifier.RelationshipType, modifier.ValueType, modifier.ConceptNameCodeSequence = (
        "HAS CONCEPT MOD",
        "CODE",
        [code],
    )
    finding.RelationshipType, finding.ValueType, finding.TextValue = "CONTAINS", "TEXT", "a secret finding"
    made = secondary_capture(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
        Modality="SR",
        Rows=None,
        PixelData=None,
        ContentDate="20240311",
        ContentTime="101112",
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        **keywords,
    )
    made.ConceptNameCodeSequence, made.ContentSequence = [code], [modifier, finding]
    return made


def document() -> Dataset:
    """An encapsulated PDF."""
    return secondary_capture(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        Modality="DOC",
        Rows=None,
        PixelData=None,
        ContentDate="20240311",
        ContentTime="101112",
        DocumentTitle="Letter",
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=b"%PDF-1.4",
    )


def presentation(image: Dataset) -> Dataset:
    """A presentation state of an image."""
    instance, of_series = Dataset(), Dataset()
    instance.ReferencedSOPClassUID = image.SOPClassUID
    instance.ReferencedSOPInstanceUID = image.SOPInstanceUID
    of_series.SeriesInstanceUID = image.SeriesInstanceUID
    of_series.ReferencedImageSequence = [instance]
    made = secondary_capture(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
        Modality="PR",
        Rows=None,
        PixelData=None,
        PresentationCreationDate="20240311",
        PresentationCreationTime="101112",
        ContentLabel="SOFT",
        ContentDescription="Soft tissue",
        ContentCreatorName="Reader^Rita",
    )
    made.ReferencedSeriesSequence = [of_series]
    return made


def test_the_hierarchy_follows_from_the_offsets() -> None:
    """PS3.3 F.3.2.2; the study comes apart into its series, each with its own instances."""
    slices = series(mr, 3)
    others = series(ct, 2, StudyInstanceUID=slices[0].StudyInstanceUID)
    file = written([*slices, *others, secondary_capture(PatientID="OTHER")])
    root = dcmread(io.BytesIO(file))
    first, last = (
        root.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity,
        root.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity,
    )
    one, other = below(file, first)
    assert other.PatientID == "OTHER"
    assert other.seq_item_tell == last
    (study,) = below(file, lower(one))
    assert study.StudyInstanceUID == slices[0].StudyInstanceUID
    found = list(below(file, lower(study)))
    assert [each.Modality for each in found] == ["MR", "CT"]
    images = [[each.ReferencedSOPInstanceUIDInFile for each in below(file, lower(each))] for each in found]
    assert images == [[each.SOPInstanceUID for each in several] for several in (slices, others)]
    assert not any(lower(each) for each in below(file, lower(found[0])))


def test_what_a_report_tells_in_the_directory() -> None:
    """F.5.25: of its content what modifies the title, and no finding."""
    file = written([report()])
    (record,) = (each for each in records(file) if each.DirectoryRecordType == "SR DOCUMENT")
    assert record.ConceptNameCodeSequence[0].CodeValue == "18782-3"
    assert [item.RelationshipType for item in record.ContentSequence] == ["HAS CONCEPT MOD"]
    assert b"secret finding" not in file


def test_names_of_any_script() -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    patient, *_ = records(written([mr(PatientName=name, SpecificCharacterSet="ISO_IR 192")]))
    assert patient.SpecificCharacterSet == "ISO_IR 192"
    assert patient.PatientName == name
    assert "SpecificCharacterSet" not in records(written([mr()]))[0]


def test_keys_of_type_1_that_an_instance_lacks() -> None:
    """Dates from a neighbour, numbers by counting; a reader that insists on them reads the rest."""
    bare = dict.fromkeys(("StudyID", "StudyDate", "StudyTime", "SeriesNumber", "PatientID"))
    several = [
        secondary_capture(**bare, InstanceNumber=None, SeriesDate="20240101", StudyInstanceUID="1.2.3"),
        secondary_capture(**bare, InstanceNumber=None, StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4"),
        secondary_capture(**bare, InstanceNumber=None, StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4"),
    ]
    for each in several:
        for keyword in ("AcquisitionDate", "ContentDate", "InstanceCreationDate"):
            if keyword in each:
                delattr(each, keyword)
    found = records(written(several))
    (study,) = (each for each in found if each.DirectoryRecordType == "STUDY")
    assert (study.StudyDate, study.StudyID) == ("20240101", "UNKNOWN")
    assert [each.SeriesNumber for each in found if each.DirectoryRecordType == "SERIES"] == [1, 2]
    assert [each.InstanceNumber for each in found if each.DirectoryRecordType == "IMAGE"] == [1, 1, 2]


def test_patients_are_told_apart_as_in_the_archive() -> None:
    """One ID of two issuers is of two patients, and so are two names without an ID; the instances of one study are of
    one patient, although one of them does not name the issuer."""
    first = mr(PatientID="7", IssuerOfPatientID="NORTH", PatientName="North^Nora")
    several = [
        first,
        mr(PatientID="7", StudyInstanceUID=first.StudyInstanceUID),
        mr(PatientID="7", IssuerOfPatientID="SOUTH", PatientName="South^Sam"),
        mr(PatientID=None, PatientName="Doe^Jane"),
        mr(PatientID=None, PatientName="Roe^Rick"),
        mr(PatientID=None, PatientName=None),
        mr(PatientID=None, PatientName=None),
    ]
    patients = [each for each in records(written(several)) if each.DirectoryRecordType == "PATIENT"]
    assert [(each.PatientID, each.PatientName) for each in patients] == [
        ("7", "North^Nora"),
        ("7", "South^Sam"),
        *(("UNKNOWN3", "Doe^Jane"), ("UNKNOWN4", "Roe^Rick"), ("UNKNOWN5", ""), ("UNKNOWN6", "")),
    ]
    assert [each.get("IssuerOfPatientID") for each in patients[:2]] == ["NORTH", "SOUTH"]


def test_every_sop_class_has_the_record_type_that_pydicom_knows() -> None:
    from pydicom.fileset import _FOUR_LEVEL_SOP_CLASSES

    assert {uid: record_type({}, str(uid)) for uid in _FOUR_LEVEL_SOP_CLASSES} == _FOUR_LEVEL_SOP_CLASSES


def test_every_sop_class_that_is_stored_has_a_record_type() -> None:
    pixels = {"00280010": {"vr": "US", "Value": [1]}}
    for uid in UID_dictionary:
        if is_storage(uid):
            assert record_type(pixels, uid) in KEYS
    assert record_type(pixels, "1.2.3.4") == "IMAGE"
    (private,) = records(written([secondary_capture(SOPClassUID="1.2.3.4", Rows=None, PixelData=None)]))[3:]
    assert (private.DirectoryRecordType, private.PrivateRecordUID) == ("PRIVATE", PRIVATE_RECORD_UID)


def test_an_empty_directory_is_one() -> None:
    assert dcmread(io.BytesIO(written([]))).OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity == 0


def test_the_same_instances_make_the_same_directory() -> None:
    several = series(mr, 2)
    assert written(several) == written(several)
    assert written(several) != written(several[:1])


def test_little_is_kept_of_an_instance() -> None:
    (image,) = series(mr, 1)
    metadata = as_json(image)
    directory = Directory()
    tracemalloc.start()
    try:
        for number in range(5000):
            file = ReferencedFile(("DICOM", f"I{number:07d}"), image.SOPClassUID, f"1.2.3.{number}", EXPLICIT)
            directory.add(metadata, file)
        length, pieces = directory.encoded()
        assert sum(map(len, pieces)) == length
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / 5000 < 1500


# --- beside DCMTK ---

DEVICES = (
    "reportsi.dcm",
    "test-SR.dcm",
    "rtdose.dcm",
    "rtplan.dcm",
    "waveform_ecg.dcm",
    "CT_small.dcm",
)


@pytest.fixture
def media(tmp_path: Path, pydicom_data: Path) -> Path:
    """A file-set of ours and of devices' objects, with the DICOMDIR that we write."""
    for tool in ("dcmmkdir", "dcmdump"):
        if dcmtk_tool(tool) is None:
            pytest.skip(f"{tool} is not installed (Debian package dcmtk)")
    image = mr()
    files = [
        part10(each)
        for each in (image, *series(ct, 2), multi_frame(2), report(), document(), presentation(image))
    ]
    files += [(pydicom_data / "test_files" / name).read_bytes() for name in DEVICES]
    (tmp_path / "DICOM").mkdir()
    directory = Directory()
    for number, file in enumerate(files, start=1):
        name = ("DICOM", f"I{number:07d}")
        (tmp_path / "/".join(name)).write_bytes(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data_set = dcmread(io.BytesIO(file))
            metadata = as_json(data_set)
        uid = data_set.file_meta.TransferSyntaxUID
        directory.add(metadata, ReferencedFile(name, data_set.SOPClassUID, data_set.SOPInstanceUID, uid))
    (tmp_path / "DICOMDIR").write_bytes(b"".join(directory.encoded()[1]))
    return tmp_path


def dcmtk_tool(name: str) -> str | None:
    """pydicom's friends install tools of the same names into the Python environment."""
    return shutil.which(name, path="/usr/bin:/usr/local/bin")


def run(name: str, *arguments: str, cwd: Path) -> str:
    """What a DCMTK tool said."""
    done = subprocess.run(
        [str(dcmtk_tool(name)), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def by_instance(file: bytes) -> dict[str, Dataset]:
    """The records that refer to files."""
    return {
        record.ReferencedSOPInstanceUIDInFile: record
        for record in records(file)
        if "ReferencedFileID" in record
    }


def test_dcmtk_reads_what_we_write(media: Path) -> None:
    said = run("dcmdump", "DICOMDIR", cwd=media)
    assert not re.findall(r"^[EWF]: .*", said, re.MULTILINE)
    assert "=MediaStorageDirectoryStorage" in said


def test_pydicom_finds_every_file(media: Path) -> None:
    with file_set(media) as found:
        assert len(found) == 7 + len(DEVICES)
        for each in found:
            assert each.load().SOPInstanceUID == each.SOPInstanceUID


def test_dcmtk_appends_to_what_we_wrote(media: Path) -> None:
    """It checks every record and file of a DICOMDIR that it changes."""
    (media / "MORE").write_bytes(part10(mr()))
    run("dcmmkdir", "+A", "-nb", "+I", "-Nxc", "-Pgp", "+D", "DICOMDIR", "MORE", cwd=media)
    assert len(by_instance((media / "DICOMDIR").read_bytes())) == 8 + len(DEVICES)


def test_the_same_types_and_keys_as_dcmtk(media: Path) -> None:
    """Every record has the type that DCMTK gives it, and every key of type 1 that it takes from the instance."""
    ours = by_instance((media / "DICOMDIR").read_bytes())
    run("dcmmkdir", "+I", "-Nxc", "+Nrs", "-Pgp", "+r", "+D", "THEIRS", "DICOM", cwd=media)
    theirs = by_instance((media / "THEIRS").read_bytes())
    assert theirs.keys() == ours.keys()
    assert len(Counter(each.DirectoryRecordType for each in theirs.values())) >= 7
    for uid, record in theirs.items():
        assert ours[uid].DirectoryRecordType == record.DirectoryRecordType
        original = dcmread(media.joinpath(*record.ReferencedFileID))
        for element in record:
            if element.keyword != "SpecificCharacterSet" and original.get(element.keyword):
                assert ours[uid].get(element.keyword) == element.value, (uid, element)
