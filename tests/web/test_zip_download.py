"""A study, a series, an instance as a zip file with a DICOMDIR."""

from __future__ import annotations

import io
import shutil
import subprocess
import tracemalloc
import zipfile
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from archive.web.http.media_types import ZIP
from file_sets import file_set
from objects import ct, mr, part10, secondary_capture, series
from web_door import Door

ACCEPT = {"Accept": ZIP}


def store(door: Door, *data_sets: Dataset) -> str:
    """Store these; the path of their study."""
    assert door.store(*map(part10, data_sets)).status_code == 200
    return f"/dicom-web/studies/{data_sets[0].StudyInstanceUID}"


def opened(answer: httpx.Response) -> zipfile.ZipFile:
    """The zip file, which is whole."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ZIP
    assert int(answer.headers["content-length"]) == len(answer.content)
    file = zipfile.ZipFile(io.BytesIO(answer.content))
    assert file.testzip() is None
    return file


def two_series() -> list[Dataset]:
    """A study of CT and MR slices."""
    slices = series(mr, 3)
    return slices + series(ct, 2, StudyInstanceUID=slices[0].StudyInstanceUID)


def test_a_study_is_a_file_set(door: Door, tmp_path: Path) -> None:
    """R8, PS3.10 8: pydicom reads what Info-ZIP has unpacked."""
    study = two_series()
    answer = door.client.get(store(door, *study), headers=ACCEPT)
    disposition = f'attachment; filename="{study[0].StudyInstanceUID}.zip"'
    assert answer.headers["content-disposition"] == disposition
    with opened(answer) as file:
        names = file.namelist()
    assert names[0] == "DICOMDIR"
    assert all(
        len(part) <= 8 and part.isupper() and part.isalnum() and part.isascii()
        for name in names
        for part in name.split("/")
    )
    (tmp_path / "study.zip").write_bytes(answer.content)
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not installed (Debian package unzip)")
    subprocess.run(["unzip", "-q", "study.zip", "-d", "media"], cwd=tmp_path, check=True)
    with file_set(tmp_path / "media") as found:
        assert {(each.SOPInstanceUID, each.SeriesInstanceUID) for each in found} == {
            (each.SOPInstanceUID, each.SeriesInstanceUID) for each in study
        }
        originals = {each.SOPInstanceUID: each for each in study}
        for each in found:
            assert each.load() == originals[each.SOPInstanceUID]


def test_every_level_has_its_own(door: Door) -> None:
    study = two_series()
    path = store(door, *study)
    of_series = f"{path}/series/{study[0].SeriesInstanceUID}"
    instance = f"{of_series}/instances/{study[0].SOPInstanceUID}"
    for resource, expected in ((path, study), (of_series, study[:3]), (instance, study[:1])):
        with opened(door.client.get(resource, headers=ACCEPT)) as file:
            assert len(file.namelist()) == 1 + len(expected)
            uids = {dcmread(io.BytesIO(file.read(name))).SOPInstanceUID for name in file.namelist()[1:]}
            assert uids == {each.SOPInstanceUID for each in expected}


@pytest.mark.parametrize(
    ("parameters", "header"),
    [
        ({"accept": ZIP}, "text/html,application/xhtml+xml,*/*;q=0.8"),
        ({}, f"{ZIP}, application/json;q=0.5"),
        ({}, f'multipart/related; type="application/dicom"; q=0.4, {ZIP}'),
        ({}, f"{ZIP};transfer-syntax=*"),
    ],
)
def test_asked_for_in_other_ways(door: Door, parameters: dict[str, str], header: str) -> None:
    answer = door.client.get(store(door, secondary_capture()), params=parameters, headers={"Accept": header})
    assert answer.headers["content-type"] == ZIP


@pytest.mark.parametrize(
    "header", ["*/*", 'multipart/related; type="application/dicom", application/zip;q=0.5']
)
def test_nobody_gets_it_who_likes_something_else(door: Door, header: str) -> None:
    answer = door.client.get(store(door, secondary_capture()), headers={"Accept": header})
    assert answer.headers["content-type"].startswith("multipart/related")


def test_transfer_syntaxes(door: Door, pydicom_data: Path) -> None:
    """N5: native objects in Explicit VR Little Endian, compressed ones as they are, unless something else is asked."""
    image = mr()
    compressed = (pydicom_data / "test_files" / "JPEG2000.dcm").read_bytes()
    jpeg = dcmread(io.BytesIO(compressed))
    assert door.store(compressed).status_code in (200, 409)
    implicit = part10(image, ImplicitVRLittleEndian)
    assert door.store(implicit).status_code == 200
    of_image = f"/dicom-web/studies/{image.StudyInstanceUID}"
    of_jpeg = f"/dicom-web/studies/{jpeg.StudyInstanceUID}/series/{jpeg.SeriesInstanceUID}/instances/"
    of_jpeg += jpeg.SOPInstanceUID
    explicit, stored = "1.2.840.10008.1.2.1", str(jpeg.file_meta.TransferSyntaxUID)
    for path, wanted, expected in (
        (of_image, "", explicit),
        (of_image, "*", str(ImplicitVRLittleEndian)),
        (of_jpeg, "", stored),
        (of_jpeg, "*", stored),
        (of_jpeg, stored, stored),
        (of_jpeg, explicit, explicit),
    ):
        accept = ZIP + (f"; transfer-syntax={wanted}" if wanted else "")
        with opened(door.client.get(path, headers={"Accept": accept})) as file:
            directory = dcmread(io.BytesIO(file.read("DICOMDIR")))
            (content,) = (file.read(name) for name in file.namelist()[1:])
        assert dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID == expected
        assert directory.DirectoryRecordSequence[-1].ReferencedTransferSyntaxUIDInFile == expected
        assert wanted != "*" or content in (implicit, compressed)
    refused = door.client.get(of_jpeg, headers={"Accept": f"{ZIP}; transfer-syntax=1.2.840.10008.1.2.5"})
    assert refused.status_code == 406
    assert explicit in refused.text


def test_the_same_study_is_the_same_file(door: Door) -> None:
    path = store(door, *two_series())
    assert door.client.get(path, headers=ACCEPT).content == door.client.get(path, headers=ACCEPT).content


def test_what_is_not_there(door: Door) -> None:
    assert door.client.get("/dicom-web/studies/1.2.3", headers=ACCEPT).status_code == 404


def test_head_tells_the_length_only(door: Door) -> None:
    path = store(door, secondary_capture())
    length = len(door.client.get(path, headers=ACCEPT).content)
    head = door.client.head(path, headers=ACCEPT)
    assert (int(head.headers["content-length"]), head.content) == (length, b"")


def test_memory_does_not_grow_with_the_objects(door: Door) -> None:
    """Sixteen megabytes of pixels in four instances, sent with less than four at a time."""
    several = series(secondary_capture, 4, Rows=2048, Columns=2048, PixelData=bytes(2048 * 2048))
    path = store(door, *several)
    length = 0
    tracemalloc.start()
    try:
        with door.client.stream("GET", path, headers=ACCEPT) as answer:
            for piece in answer.iter_raw():
                length += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length > 16 << 20
    assert peak < 9 << 20
