"""Synthetic objects are whole, have the headers of devices, and are the same in every run."""

from __future__ import annotations

import itertools
from collections import Counter
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian

from benchmarks.synthetic.large import FRAME_BYTES, Large
from benchmarks.synthetic.objects import CT, MR, Kind, Series
from benchmarks.synthetic.population import DAYS, Population


@pytest.mark.parametrize("kind", [CT, MR])
def test_a_slice_is_what_a_scanner_would_write(kind: Kind) -> None:
    series = Series(kind, "some", 3)
    found = pydicom.dcmread(BytesIO(series.file(2)))
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID == series.SOPInstanceUID(2)
    assert found.StudyInstanceUID == series.StudyInstanceUID
    assert found.InstanceNumber == 3
    assert found.InstitutionName == "Hôpital de Test"
    assert found.pixel_array.shape == (kind.size, kind.size)
    assert sum(1 for _ in found.iterall()) > 200


def test_the_bytes_of_a_slice_hang_on_its_name_alone() -> None:
    assert Series(CT, "one", 2).file(1) == Series(CT, "one", 9).file(1)
    files = [Series(MR, name, 2).file(number) for name, number in itertools.product("ab", (0, 1))]
    assert len(set(files)) == len(files)


def test_no_two_slices_have_the_same_pixels() -> None:
    pictures = {pydicom.dcmread(BytesIO(file)).PixelData for file in Series(MR, "many", 40).files()}
    assert len(pictures) == 40


def test_each_study_of_a_population_is_made_from_its_number() -> None:
    people = Population(1000)
    found = [pydicom.dcmread(BytesIO(file)) for file in people.files(0, 1000)]
    assert [each.StudyInstanceUID for each in found] == [people.StudyInstanceUID(n) for n in range(1000)]
    assert (
        len({each.StudyInstanceUID for each in found}) == len({each.SOPInstanceUID for each in found}) == 1000
    )
    assert [each.AccessionNumber for each in found] == [people.AccessionNumber(n) for n in range(1000)]
    assert {found[6].PatientID, found[7].PatientID} == {people.PatientID(6)}
    assert found[6].PatientName == found[7].PatientName
    assert all(each.pixel_array.size for each in found[:5])


def test_a_population_is_spread_over_days_names_and_modalities() -> None:
    values = [Population(8000).values(number) for number in range(8000)]
    by_year = Counter(each["StudyDate"][:4] for each in values)
    assert 0.8 < by_year["2020"] / (8000 * 366 / DAYS) < 1.2
    assert all(count > 8000 / 10 for count in Counter(each["Modality"] for each in values).values())
    assert len({each["PatientName"] for each in values}) > 2000


def test_the_large_object_gets_another_name_without_being_written_again(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    Large("first", 3).write(path)
    before = path.read_bytes()
    inode = path.stat().st_ino
    Large("second", 3).write(path)
    after = path.read_bytes()
    assert path.stat().st_ino == inode
    assert after[-3 * FRAME_BYTES :] == before[-3 * FRAME_BYTES :]
    found = pydicom.dcmread(BytesIO(after))
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID
    assert found.SOPInstanceUID == Large("second", 3).series.SOPInstanceUID(0)
    assert found.SOPClassUID == EnhancedCTImageStorage
    assert found.pixel_array.shape == (3, 512, 512)
    assert len(found.PerFrameFunctionalGroupsSequence) == found.NumberOfFrames == 3
