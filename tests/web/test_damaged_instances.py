"""Who retrieves a study of which some stored files are missing, cut or longer gets the rest, and is told (PS3.18 Table
10.4.3-1); of which all are, an error."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.dicom.instance import Scope
from archive.web.http.media_types import ZIP
from objects import multi_frame, part10, secondary_capture, series
from rendered_objects import content, report
from test_store_and_fetch import instance_path
from web_door import Door, parts

AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
EXPLICIT = {"Accept": 'multipart/related; type="application/dicom"'}

LARGE = 12_000_000
"""More bytes than a connection holds, so that what follows is not opened while they are read."""

DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
}


def file_of(door: Door, data_set: Dataset) -> Path:
    stored = door.archive.retrieve.instance(Scope(sop_instance_uids=(data_set.SOPInstanceUID,)))
    return door.archive.settings.data / "objects" / stored.blob_key


def stored(door: Door, data_sets: list[Dataset], transfer_syntax_uid: str = ExplicitVRLittleEndian) -> str:
    """The path of their study."""
    files = [part10(one, transfer_syntax_uid) for one in data_sets]
    assert door.store(*files).status_code == 200
    return f"/dicom-web/studies/{data_sets[0].StudyInstanceUID}"


def assert_told(answer: httpx.Response, lost: Dataset, status: int = 206) -> None:
    assert answer.status_code == status
    assert lost.SOPInstanceUID in answer.headers["warning"]
    assert "etag" not in answer.headers, "whoever has this does not have the study"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_rest_of_a_study_comes(door: Door, damage: str, syntax: str) -> None:
    """As stored, and re-encoded; the first, one in the middle, the last."""
    for place in range(3):
        slices = series(secondary_capture, 3)
        path = stored(door, slices, syntax)
        asked = [
            (path, AS_STORED),
            (path, EXPLICIT),
            (f"{path}/series/{slices[0].SeriesInstanceUID}", AS_STORED),
        ]
        whole = [parts(door.client.get(url, headers=headers)) for url, headers in asked]
        DAMAGES[damage](file_of(door, slices[place]))
        for (url, headers), before in zip(asked, whole, strict=True):
            answer = door.client.get(url, headers=headers)
            assert_told(answer, slices[place])
            assert len(before) == 3
            assert parts(answer) == before[:place] + before[place + 1 :]


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_nothing_is_left_it_is_not_found(door: Door, damage: str) -> None:
    [lost] = series(lambda **same: multi_frame(2, **same), 1)
    path = stored(door, [lost])
    DAMAGES[damage](file_of(door, lost))
    instance = instance_path(lost)
    asked = {
        path: AS_STORED,
        instance: AS_STORED,
        f"{instance}?accept=application/dicom": {},
        f"{instance}/frames/1,2": {},
        f"{instance}/frames/2/rendered": {},
        f"{instance}/bulkdata/7FE00010": {},
        f"{path}/pixeldata": {},
        f"{path}/bulkdata": {},
        f"{path}/rendered": {},
        f"{instance}/rendered": {},
        f"{path}?accept={ZIP}": {},
        f"{instance}?accept={ZIP}": {},
        f"/wado?requestType=WADO&studyUID={lost.StudyInstanceUID}&seriesUID={lost.SeriesInstanceUID}"
        f"&objectUID={lost.SOPInstanceUID}&contentType=application/dicom": {},
    }
    for url, headers in asked.items():
        answer = door.client.get(url, headers=headers)
        assert (url, answer.status_code) == (url, 404)
        assert answer.headers["content-type"].startswith("text/plain")


def test_metadata_is_whole(door: Door) -> None:
    """It was made when the object came."""
    slices = series(secondary_capture, 2)
    path = stored(door, slices)
    file_of(door, slices[0]).unlink()
    answer = door.client.get(f"{path}/metadata")
    assert answer.status_code == 200
    assert len(answer.json()) == 2


def test_pixel_data_of_the_rest(door: Door) -> None:
    slices = series(secondary_capture, 3)
    path = stored(door, slices)
    DAMAGES["cut"](file_of(door, slices[1]))
    for name in ("pixeldata", "bulkdata"):
        answer = door.client.get(f"{path}/{name}")
        assert_told(answer, slices[1])
        found = parts(answer)
        assert [body for _, body in found] == [slices[0].PixelData, slices[2].PixelData]
        assert slices[2].SOPInstanceUID in found[1][0]["Content-Location"]


def test_a_notice_stands_where_a_picture_would(door: Door) -> None:
    """A text is made of metadata, and is not missed."""
    text = report([content("TEXT", "A", TextValue="b")])
    slices = series(secondary_capture, 2, StudyInstanceUID=text.StudyInstanceUID)
    path = stored(door, [*slices, text])
    file_of(door, text).unlink()
    assert door.client.get(f"{path}/rendered").status_code == 200
    file_of(door, slices[0]).unlink()
    answer = door.client.get(f"{path}/rendered")
    assert_told(answer, slices[0])
    assert text.SOPInstanceUID not in answer.headers["warning"]
    assert len(parts(answer)) == 3


def test_a_zip_file_names_what_it_lacks(door: Door) -> None:
    """With 200: a browser gives up a download that is answered with 206, and nobody would get anything."""
    slices = series(secondary_capture, 3)
    path = stored(door, slices)
    DAMAGES["longer"](file_of(door, slices[1]))
    answer = door.client.get(path, headers={"Accept": ZIP})
    assert_told(answer, slices[1], status=200)
    assert "-incomplete.zip" in answer.headers["content-disposition"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.testzip() is None
        directory, missing, *instances = file.namelist()
        assert (directory, missing, len(instances)) == ("DICOMDIR", "MISSING.TXT", 2)
        assert slices[1].SOPInstanceUID in file.read(missing).decode()
        assert slices[1].SOPInstanceUID.encode() not in file.read(directory)


def test_no_condition_and_no_range_mixes_it_with_the_whole(door: Door) -> None:
    """Who held the whole study and asks for more of it must get no bytes of the rest instead."""
    slices = series(secondary_capture, 2)
    path = stored(door, slices)
    whole = door.client.get(path, headers=AS_STORED)
    assert whole.status_code == 200
    file_of(door, slices[0]).unlink()
    etag = whole.headers["etag"]
    assert_told(door.client.get(path, headers=AS_STORED | {"If-None-Match": etag}), slices[0])
    for condition in ({}, {"If-Range": etag}):
        answer = door.client.get(path, headers=AS_STORED | {"Range": "bytes=100-"} | condition)
        assert answer.status_code == 416
        assert slices[0].SOPInstanceUID in answer.headers["warning"]
    assert_told(door.client.head(path, headers=AS_STORED), slices[0])


def test_a_header_names_some_of_very_many(door: Door) -> None:
    slices = series(secondary_capture, 14)
    path = stored(door, slices)
    for one in slices[:13]:
        file_of(door, one).unlink()
    answer = door.client.get(path, headers=AS_STORED)
    assert_told(answer, slices[9])
    assert "13 stored instances" in answer.headers["warning"]
    assert "and 3 more" in answer.headers["warning"]
    assert len(parts(answer)) == 1


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_what_goes_while_it_is_sent_breaks_the_answer_off(door: Door, syntax: str) -> None:
    """Passed on as stored, with a length, and re-encoded, without: neither comes to a well-formed end."""
    large, lost = series(secondary_capture, 2)
    large.Rows, large.Columns, large.PixelData = 3000, 4000, bytes(LARGE)
    path = stored(door, [large, lost], syntax)
    received = b""

    def receive(answer: httpx.Response) -> None:
        nonlocal received
        for piece in answer.iter_raw():
            received += piece

    with door.client.stream("GET", path, headers=EXPLICIT) as answer:
        assert answer.status_code == 200
        file_of(door, lost).unlink()
        with pytest.raises(httpx.RemoteProtocolError):
            receive(answer)
    assert len(received) > LARGE // 2, "it broke off before anything could"
    assert answer.headers["content-type"].rpartition("boundary=")[2].encode() + b"--" not in received


def test_bytes_that_changed_are_not_noticed(door: Door) -> None:
    """To compare the digest would take reading everything twice; `archive verify` and the scrubber do."""
    slices = series(secondary_capture, 2)
    path = stored(door, slices)
    file = file_of(door, slices[0])
    changed = file.read_bytes()[:-1] + b"\xff"
    file.write_bytes(changed)
    answer = door.client.get(path, headers=AS_STORED)
    assert answer.status_code == 200
    assert changed in [body for _, body in parts(answer)]
