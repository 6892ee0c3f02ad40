"""The reader of DICOMDIRs (PS3.3 F.3): in awkward pieces, beside pydicom, and with what strangers may write in it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from archive.dicom.errors import CannotUnderstand, InvalidObject, NotDicom
from archive.dicom.reading.directory import DirectoryReader, Listed, is_directory_name, plain_name
from archive.dicom.writing.dicomdir import Directory, ReferencedFile
from objects import mr, part10

MEDIA = ("DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-nopatient", "DICOMDIR-reordered")


def read(content: bytes, *sizes: int) -> list[Listed]:
    """The files that it names, read in pieces of these sizes in turn."""
    reader, position = DirectoryReader(), 0
    for size in [*sizes, len(content)]:
        reader.feed(content[position : position + size])
        position += size
    return reader.finish()


def written(*file_ids: tuple[str, ...]) -> bytes:
    """A directory of ours."""
    directory = Directory()
    for number, file_id in enumerate(file_ids):
        one = mr()
        metadata = one.to_json_dict(bulk_data_threshold=64, bulk_data_element_handler=lambda _: "bulk")
        directory.add(
            metadata, ReferencedFile(file_id, one.SOPClassUID, f"1.2.{number}", ExplicitVRLittleEndian)
        )
    return b"".join(directory.encoded()[1])


@pytest.mark.parametrize("name", MEDIA)
def test_the_same_files_as_pydicom(pydicom_data: Path, name: str) -> None:
    path = pydicom_data / "test_files" / "dicomdirtests" / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = dcmread(path).DirectoryRecordSequence
    expected = [
        Listed(
            tuple(record.ReferencedFileID),
            record.ReferencedSOPClassUIDInFile,
            record.ReferencedSOPInstanceUIDInFile,
        )
        for record in records
        if "ReferencedFileID" in record
    ]
    assert read(path.read_bytes()) == expected


OURS = written(("DICOM", "I1"), ("DICOM", "I2"), ("DICOM", "I3"))


@given(st.lists(st.integers(1, 400), max_size=60))
def test_pieces_of_any_size(sizes: list[int]) -> None:
    assert [one.file_id for one in read(OURS, *sizes)] == [("DICOM", f"I{n}") for n in (1, 2, 3)]


@given(st.integers(0, len(OURS) - 1), st.binary(min_size=1, max_size=4))
def test_damage_is_an_error_of_ours_or_harmless(position: int, other: bytes) -> None:
    damaged = OURS[:position] + other + OURS[position + len(other) :]
    try:
        read(damaged)
    except InvalidObject:
        return


@given(st.integers(0, len(OURS) - 1))
def test_a_directory_that_was_cut_off_is_none(length: int) -> None:
    with pytest.raises(InvalidObject):
        read(OURS[:length])


def changed(**attributes: object) -> list[Listed]:
    """What is read when the last record says something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = dcmread(io.BytesIO(OURS))
        for keyword, value in attributes.items():
            setattr(data_set.DirectoryRecordSequence[-1], keyword, value)
        out = io.BytesIO()
        data_set.save_as(out)
    return read(out.getvalue())


def test_a_record_that_is_not_in_use() -> None:
    assert len(changed(RecordInUseFlag=0)) == 2
    assert len(changed(RecordInUseFlag=0xFFFF)) == 3


@pytest.mark.parametrize(
    ("file_id", "expected"),
    [
        (["..", "..", "etc", "passwd"], ("..", "..", "etc", "passwd")),
        (["DICOM/../../X"], ("DICOM", "..", "..", "X")),
        (["", "DICOM", ".", "I1"], ("DICOM", "I1")),
        (["/DICOM/I1"], ("DICOM", "I1")),
    ],
)
def test_file_ids_that_are_none(file_id: list[str], expected: tuple[str, ...]) -> None:
    """Separators of any system count, and a way up is told (CVE-2026-32711)."""
    found = changed(ReferencedFileID=file_id)[-1]
    assert found.file_id == expected
    assert found.leads_out == (".." in expected)


def test_sequences_within_a_record_say_nothing_of_files() -> None:
    icon = Dataset()
    icon.ReferencedFileID = ["OTHER"]
    icon.DirectoryRecordType = "IMAGE"
    assert [one.file_id for one in changed(IconImageSequence=[icon])] == [
        ("DICOM", f"I{n}") for n in (1, 2, 3)
    ]


def test_what_is_no_directory() -> None:
    with pytest.raises(NotDicom):
        read(b"text" * 100)
    with pytest.raises(NotDicom):
        read(b"")
    for content in (part10(mr()), part10(mr(), DeflatedExplicitVRLittleEndian)):
        with pytest.raises(CannotUnderstand, match="another SOP class"):
            read(content)


def test_names_as_systems_show_them() -> None:
    for name in ("DICOMDIR", "dicomdir", "DICOMDIR;1", "dicomdir.;1", "Dicomdir."):
        assert is_directory_name(name)
    assert not is_directory_name("DICOMDIR1")
    assert plain_name("im1.dcm;12") == "IM1.DCM"
