"""dicomweb-client of npm, which OHIF, Slim and many web pages speak with: store, search, page, retrieve.

It takes only 200, 202, 204 and 206 for success, splits multipart answers with a parser of its own, and cannot name a
transfer syntax for whole objects.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from archive_process import ArchiveServer
from npm_packages import PackageMissing, package
from objects import data_set_bytes, mr, multi_frame, part10, series

SCRIPT = Path(__file__).with_name("npm_client.js")
CLIENT, REQUESTS = ("dicomweb-client", "0.11.3"), ("xhr2", "0.2.1")


@dataclass(frozen=True)
class Client:
    """The client, and the archive it speaks to."""

    node: str
    folders: tuple[Path, Path]
    url: str
    settings: dict[str, str] = field(default_factory=dict)

    def call(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """What these methods gave, one after the other."""
        command = [self.node, str(SCRIPT), *map(str, self.folders), self.url, json.dumps(self.settings)]
        done = subprocess.run(
            command, input=json.dumps(calls).encode(), capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        results: list[Any] = json.loads(done.stdout)
        assert len(results) == len(calls)
        return results

    def one(self, method: str, **options: Any) -> Any:
        """What one method gave."""
        (result,) = self.call((method, options))
        return result


@pytest.fixture(scope="module")
def client(module_archive: Callable[..., ArchiveServer], node: str) -> Client:
    """The client with an archive of its own."""
    try:
        folders = tuple(package(*each) / "package" for each in (CLIENT, REQUESTS))
    except PackageMissing as missing:
        pytest.skip(str(missing))
    return Client(node, (folders[0], folders[1]), module_archive().dicomweb_url)


@pytest.fixture(scope="module")
def stored(client: Client) -> list[Dataset]:
    """Five slices and a multi-frame object in one study, stored by the client."""
    slices = series(mr, 5)
    everything = [*slices, multi_frame(3, StudyInstanceUID=slices[0].StudyInstanceUID)]
    datasets = [base64.b64encode(part10(each)).decode() for each in everything]
    answer = client.one("storeInstances", datasets=datasets)
    assert answer is None or "error" not in answer, answer
    return everything


def of_study(data_set: Dataset) -> dict[str, str]:
    """The client's name of a study."""
    return {"studyInstanceUID": data_set.StudyInstanceUID}


def of_series(data_set: Dataset) -> dict[str, str]:
    """The client's name of a series."""
    return of_study(data_set) | {"seriesInstanceUID": data_set.SeriesInstanceUID}


def of_instance(data_set: Dataset) -> dict[str, str]:
    """The client's name of an instance."""
    return of_series(data_set) | {"sopInstanceUID": data_set.SOPInstanceUID}


def raw(result: Any) -> bytes:
    """The bytes of an ArrayBuffer."""
    assert isinstance(result, dict), result
    assert "base64" in result, result
    return base64.b64decode(result["base64"])


def uids(results: list[Any]) -> list[str]:
    """The SOP Instance UIDs of matches or metadata."""
    return [each["00080018"]["Value"][0] for each in results]


def test_search_at_every_level(client: Client, stored: list[Dataset]) -> None:
    studies, of_it, instances, nothing = client.call(
        (
            "searchForStudies",
            {"queryParams": {"PatientName": "Phantom*", "includefield": "StudyDescription"}},
        ),
        ("searchForSeries", of_study(stored[0])),
        ("searchForInstances", of_series(stored[0])),
        ("searchForStudies", {"queryParams": {"PatientName": "Nobody"}}),
    )
    assert [each["0020000D"]["Value"] for each in studies] == [[stored[0].StudyInstanceUID]]
    assert len(of_it) == 2
    assert sorted(uids(instances)) == sorted(each.SOPInstanceUID for each in stored[:5])
    assert nothing == []


def test_paging_gives_everything_once(client: Client, stored: list[Dataset]) -> None:
    pages = client.call(
        *(
            ("searchForInstances", of_study(stored[0]) | {"queryParams": {"limit": 4, "offset": offset}})
            for offset in (0, 4, 8)
        )
    )
    assert [len(page) for page in pages] == [4, 2, 0]
    assert sorted(uids(pages[0] + pages[1])) == sorted(each.SOPInstanceUID for each in stored)


def test_metadata_at_every_level(client: Client, stored: list[Dataset]) -> None:
    study, of_it, instance = client.call(
        ("retrieveStudyMetadata", of_study(stored[0])),
        ("retrieveSeriesMetadata", of_series(stored[0])),
        ("retrieveInstanceMetadata", of_instance(stored[2])),
    )
    assert (len(study), len(of_it)) == (6, 5)
    assert uids(instance) == [stored[2].SOPInstanceUID]


def test_whole_objects(client: Client, stored: list[Dataset]) -> None:
    instance, of_it, study = client.call(
        ("retrieveInstance", of_instance(stored[0])),
        ("retrieveSeries", of_series(stored[0])),
        ("retrieveStudy", of_study(stored[0])),
    )
    assert data_set_bytes(raw(instance)) == data_set_bytes(part10(stored[0]))
    assert len(of_it) == 5
    found = {dcmread(BytesIO(raw(each))).SOPInstanceUID for each in study}
    assert found == {each.SOPInstanceUID for each in stored}


@pytest.mark.parametrize("transfer_syntax_uid", ["", "*", "1.2.840.10008.1.2.1"])
def test_frames(client: Client, stored: list[Dataset], transfer_syntax_uid: str) -> None:
    wanted = {"mediaType": "application/octet-stream"}
    if transfer_syntax_uid:
        wanted["transferSyntaxUID"] = transfer_syntax_uid
    frames = client.one(
        "retrieveInstanceFrames", frameNumbers="3,1", mediaTypes=[wanted], **of_instance(stored[5])
    )
    size = 64 * 64 * 2
    pixels = stored[5].PixelData
    assert [raw(each) for each in frames] == [pixels[2 * size :], pixels[:size]]


def test_every_bulk_data_uri(client: Client, stored: list[Dataset]) -> None:
    metadata = client.one("retrieveStudyMetadata", **of_study(stored[0]))
    by_uid = {each.SOPInstanceUID: each for each in stored}
    uris = {each["00080018"]["Value"][0]: each["7FE00010"]["BulkDataURI"] for each in metadata}
    values = client.call(*(("retrieveBulkData", {"BulkDataURI": uri}) for uri in uris.values()))
    for uid, (value,) in zip(uris, values, strict=True):
        assert raw(value) == by_uid[uid].PixelData


def test_bulk_data_as_a_single_part_and_a_range_of_it(client: Client, stored: list[Dataset]) -> None:
    """N8, N14: as OHIF sets the client up; it takes 206."""
    (metadata,) = client.one("retrieveInstanceMetadata", **of_instance(stored[0]))
    alone = replace(client, settings={"singlepart": "bulkdata"})
    single = {"BulkDataURI": metadata["7FE00010"]["BulkDataURI"]}
    accept = {"Accept": "application/octet-stream"}
    (whole,), (part,) = alone.call(
        ("retrieveBulkData", single | {"headers": accept}),
        ("retrieveBulkData", single | {"headers": accept | {"Range": "bytes=10-99"}}),
    )
    assert raw(whole) == stored[0].PixelData
    assert raw(part) == stored[0].PixelData[10:100]


def test_pictures(client: Client, stored: list[Dataset]) -> None:
    rendered, thumbnail, frame = client.call(
        ("retrieveInstanceRendered", of_instance(stored[0]) | {"mediaTypes": [{"mediaType": "image/png"}]}),
        ("retrieveInstanceThumbnail", of_instance(stored[0]) | {"mediaTypes": [{"mediaType": "image/jpeg"}]}),
        (
            "retrieveInstanceFramesRendered",
            of_instance(stored[5]) | {"frameNumbers": "2", "mediaTypes": [{"mediaType": "image/jpeg"}]},
        ),
    )
    found = [
        Image.open(BytesIO(raw(each[0] if isinstance(each, list) else each)))
        for each in (rendered, thumbnail, frame)
    ]
    assert [each.format for each in found] == ["PNG", "JPEG", "JPEG"]
    assert found[0].size == (128, 128)


def test_what_is_not_there_is_an_error_with_its_status(client: Client) -> None:
    nowhere = {"studyInstanceUID": "1.2", "seriesInstanceUID": "1.3", "sopInstanceUID": "1.4"}
    assert client.one("retrieveInstance", **nowhere)["status"] == 404
