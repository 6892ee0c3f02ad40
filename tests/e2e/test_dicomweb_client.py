"""dicomweb-client, the Python library behind 3D Slicer and many scripts: store, search, page, retrieve.

It sends bodies over 1 MB in chunks without Content-Length, pages until an answer is empty, and sends a Host
header without the port: three things on which servers have failed it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from archive_process import ArchiveServer
from objects import ct, mr, multi_frame, part10, secondary_capture, series

OCTETS = (("application/octet-stream", "*"),)


@dataclass(frozen=True)
class Study:
    """What was stored: the client, and two series of one study."""

    client: DICOMwebClient
    ct: list[Dataset]
    mr: list[Dataset]

    @property
    def uid(self) -> str:
        """The Study Instance UID."""
        return str(self.ct[0].StudyInstanceUID)


def as_file(data_set: Dataset) -> Dataset:
    """With File Meta Information, as the client wants it."""
    return dcmread(BytesIO(part10(data_set)))


def place(data_set: Dataset) -> tuple[str, str, str]:
    """Study, series and instance UIDs."""
    return data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPInstanceUID


@pytest.fixture(scope="module")
def study(module_archive: Callable[..., ArchiveServer]) -> Study:
    """A study of four CT slices, stored in one body over 1 MB, and three MR slices, in one below it."""
    server = module_archive()
    client = DICOMwebClient(server.dicomweb_url)
    slices = series(ct, 4)
    shared = {"StudyInstanceUID": slices[0].StudyInstanceUID, "StudyDescription": "Thorax phantom"}
    others = series(mr, 3, **shared)
    for several in (slices, others):
        answer = client.store_instances([as_file(each) for each in several])
        stored = {item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence}
        assert stored == {each.SOPInstanceUID for each in several}
        assert not answer.get("FailedSOPSequence")
    return Study(client, slices, others)


def test_search_at_every_level(study: Study) -> None:
    (found,) = study.client.search_for_studies(search_filters={"StudyInstanceUID": study.uid})
    match = Dataset.from_json(found)
    assert match.PatientName == "Phantom^Paula"
    assert match.ModalitiesInStudy == ["CT", "MR"]
    assert (match.NumberOfStudyRelatedSeries, match.NumberOfStudyRelatedInstances) == (2, 7)

    several = map(Dataset.from_json, study.client.search_for_series(study.uid))
    assert {(each.Modality, each.NumberOfSeriesRelatedInstances) for each in several} == {
        ("CT", 4),
        ("MR", 3),
    }
    instances = study.client.search_for_instances(study.uid)
    assert len(instances) == 7
    inside = study.client.search_for_instances(study.uid, study.ct[0].SeriesInstanceUID)
    assert {Dataset.from_json(each).SOPInstanceUID for each in inside} == {
        each.SOPInstanceUID for each in study.ct
    }


def test_search_without_a_parent_finds_the_same(study: Study) -> None:
    filters = {"StudyInstanceUID": study.uid}
    assert len(study.client.search_for_series(search_filters=filters)) == 2
    assert len(study.client.search_for_instances(search_filters=filters)) == 7
    assert len(study.client.search_for_instances(search_filters={**filters, "Modality": "MR"})) == 3


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_paging_ends_and_gives_everything_once(study: Study, limit: int) -> None:
    pages = study.client.search_for_instances(study.uid, limit=limit, get_remaining=True)
    uids = [Dataset.from_json(each).SOPInstanceUID for each in pages]
    assert sorted(uids) == sorted(each.SOPInstanceUID for each in study.ct + study.mr)


def test_retrieve_study_series_and_instance(study: Study) -> None:
    native = (("application/dicom", ExplicitVRLittleEndian),)
    assert len(study.client.retrieve_study(study.uid)) == 7
    inside = study.client.retrieve_series(study.uid, study.mr[0].SeriesInstanceUID)
    assert {each.SOPInstanceUID for each in inside} == {each.SOPInstanceUID for each in study.mr}
    one = study.client.retrieve_instance(*place(study.ct[0]), media_types=native)
    assert one == study.ct[0]


def test_metadata_is_the_object_without_its_pixels(study: Study) -> None:
    metadata = study.client.retrieve_study_metadata(study.uid)
    by_uid = {each["00080018"]["Value"][0]: each for each in metadata}
    assert len(by_uid) == 7
    for original in study.ct + study.mr:
        found = by_uid[original.SOPInstanceUID]
        pixels = found.pop("7FE00010")
        assert pixels["BulkDataURI"].startswith("http://")
        without_pixels = copy.deepcopy(original)
        del without_pixels.PixelData
        without_pixels.SpecificCharacterSet = "ISO_IR 192"  # JSON is UTF-8
        assert Dataset.from_json(found) == without_pixels


def test_bulk_data_and_frames_are_the_pixels(study: Study) -> None:
    original = multi_frame(5)
    study.client.store_instances([as_file(original)])
    uri = study.client.retrieve_instance_metadata(*place(original))["7FE00010"]["BulkDataURI"]
    assert b"".join(study.client.retrieve_bulkdata(uri)) == original.PixelData
    frames = study.client.retrieve_instance_frames(*place(original), [4, 1], media_types=OCTETS)
    size = original.Rows * original.Columns * 2
    assert frames == [original.PixelData[3 * size : 4 * size], original.PixelData[:size]]


@pytest.mark.parametrize(("media_type", "pillow"), [("image/jpeg", "JPEG"), ("image/png", "PNG")])
def test_rendered_frames_are_pictures(study: Study, media_type: str, pillow: str) -> None:
    original = ct()
    study.client.store_instances([as_file(original)])
    for body in (
        study.client.retrieve_instance_rendered(*place(original), media_types=(media_type,)),
        study.client.retrieve_instance_frames_rendered(*place(original), [1], media_types=(media_type,)),
    ):
        picture = Image.open(BytesIO(body))
        assert (picture.format, picture.size) == (pillow, (512, 512))
        shades = np.asarray(picture.convert("L"))
        assert shades[256, 130] < 10, "lungs are black in a soft tissue window"
        assert shades[364, 256] > 245, "bone is white"
        assert 100 < shades[150, 256] < 160, "soft tissue is grey"


def test_an_object_of_another_study_fails_alone(study: Study) -> None:
    stranger, resident = secondary_capture(), secondary_capture()
    answer = study.client.store_instances(
        [as_file(stranger), as_file(resident)], study_instance_uid=resident.StudyInstanceUID
    )
    (failed,) = answer.FailedSOPSequence
    assert failed.ReferencedSOPInstanceUID == stranger.SOPInstanceUID
    assert failed.FailureReason & 0xFF00 == 0xA900
    (stored,) = answer.ReferencedSOPSequence
    assert stored.ReferencedSOPInstanceUID == resident.SOPInstanceUID
