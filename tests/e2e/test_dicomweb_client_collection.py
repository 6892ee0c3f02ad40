"""dicomweb-client over an archive full of real devices' objects: page to the end, follow every BulkDataURI, fetch every
first frame with its own defaults (`type="*/*"`), every object whole."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread

import dicomweb
from archive_process import ArchiveServer
from files import File, compatible, files, rarest_first
from objects import part10, series
from objects import secondary_capture as small
from refused_files import REFUSED

BROKEN = "JPEG2000-embedded-sequence-delimiter.dcm"
"""Its codestream says it is three thousand million pixels wide: nobody decodes it, and only as stored it can be had."""
LITTLE_ENDIAN = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*", "ignore::UserWarning:test_.*")


@dataclass(frozen=True)
class Collection:
    """The client, and the files that the archive has."""

    client: DICOMwebClient
    files: tuple[File, ...]


@pytest.fixture(scope="module")
def collection(
    module_archive: Callable[..., ArchiveServer], shared_data: Path, pydicom_data: Path
) -> Collection:
    """Every file of two collections that can be stored beside the others."""
    server = module_archive()
    candidates = [*files(shared_data), *files(pydicom_data / "test_files")]
    accepted = [file for file in candidates if file.path.name not in REFUSED]
    chosen = tuple(compatible(rarest_first(accepted)))
    for file in chosen:
        answer = dicomweb.store(server.dicomweb_url, file.path.read_bytes())
        assert answer.status_code in (200, 202), (file.path.name, answer.text)
    for study in range(7):
        more = series(small, 5, PatientID=f"PAGE{study}")
        assert dicomweb.store(server.dicomweb_url, *map(part10, more)).status_code == 200
    return Collection(DICOMwebClient(server.dicomweb_url), chosen)


@pytest.mark.parametrize("limit", [3, 10, 1000])
@pytest.mark.parametrize(
    ("search", "tag", "least"),
    [
        ("search_for_studies", "0020000D", 40),
        ("search_for_series", "0020000E", 60),
        ("search_for_instances", "00080018", 100),
    ],
)
def test_paging_to_the_end_gives_everything_once(
    collection: Collection, search: str, tag: str, least: int, limit: int
) -> None:
    """The client goes on until a page is empty."""
    found = getattr(collection.client, search)(limit=limit, get_remaining=True)
    uids = [each[tag]["Value"][0] for each in found]
    assert len(uids) == len(set(uids)) >= least
    keyword = {"0020000D": "StudyInstanceUID", "0020000E": "SeriesInstanceUID", "00080018": "SOPInstanceUID"}[
        tag
    ]
    assert {getattr(file, keyword) for file in collection.files} <= set(uids)


def uris(element_path: str, data_set: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and BulkDataURI of every value that the metadata names."""
    for tag, element in data_set.items():
        if "BulkDataURI" in element:
            yield f"{element_path}{tag}", element["BulkDataURI"]
        if element["vr"] == "SQ":
            for number, item in enumerate(element.get("Value") or ()):
                yield from uris(f"{element_path}{tag}/{number}/", item or {})


def value(data_set: Dataset, path: str) -> bytes | None:
    """What pydicom reads there, if it is plain bytes."""
    *above, last = path.split("/")
    for tag, number in zip(above[::2], above[1::2], strict=True):
        data_set = data_set[int(tag, 16)].value[int(number)]
    found = data_set[int(last, 16)].value
    return found if isinstance(found, bytes) else None


def test_every_bulk_data_uri(collection: Collection) -> None:
    compared = 0
    for file in collection.files:
        metadata = collection.client.retrieve_instance_metadata(
            file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID
        )
        stored = dcmread(file.path)
        as_stored = (("application/octet-stream", "*"),) if file.path.name == BROKEN else None
        for path, uri in uris("", metadata):
            parts = list(collection.client.retrieve_bulkdata(uri, media_types=as_stored))
            assert parts, (file.path.name, path)
            if file.transfer_syntax_uid in LITTLE_ENDIAN and (expected := value(stored, path)) is not None:
                assert [bytes(part) for part in parts] == [expected], (file.path.name, path)
                compared += 1
    assert compared > 30


def test_the_first_frame_with_the_clients_defaults(collection: Collection) -> None:
    """`multipart/related; type="*/*"`: whatever comes, it comes."""
    for file in collection.files:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = dcmread(file.path).get("PixelData")
        if pixels is None or file.path.name == BROKEN:
            continue
        place = (file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID)
        (frame,) = collection.client.retrieve_instance_frames(*place, [1])
        assert frame, file.path.name


def test_every_object_whole(collection: Collection) -> None:
    """In Explicit VR Little Endian, which the client asks for by asking for nothing, or as stored where asked."""
    for file in collection.files:
        place = (file.StudyInstanceUID, file.SeriesInstanceUID, file.SOPInstanceUID)
        found = collection.client.retrieve_instance(*place, media_types=(("application/dicom", "*"),))
        assert found.SOPInstanceUID == file.SOPInstanceUID
        assert found.file_meta.TransferSyntaxUID == file.transfer_syntax_uid
