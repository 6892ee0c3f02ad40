"""DELETE over HTTP: 204, then 410 from every resource; the bytes go by a job; the setting."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from archive.dicom.instance import Scope
from archive.index import outbox
from archive.jobs import worker
from archive.services import delete
from objects import ct, part10
from web_door import Door


def urls(data_set: Dataset) -> tuple[str, str, str]:
    """Of the study, the series and the instance."""
    study = f"/dicom-web/studies/{data_set.StudyInstanceUID}"
    series = f"{study}/series/{data_set.SeriesInstanceUID}"
    return study, series, f"{series}/instances/{data_set.SOPInstanceUID}"


def stored(door: Door, number: int = 1) -> list[Dataset]:
    first = ct()
    made = [first]
    for _ in range(number - 1):
        other = ct(StudyInstanceUID=first.StudyInstanceUID, SeriesInstanceUID=first.SeriesInstanceUID)
        made.append(other)
    assert door.store(*map(part10, made)).status_code == 200
    return made


LATER = 1e9


def run_jobs(door: Door) -> int:
    """Everything that is to be done some day."""
    return worker.work(door.archive, now=lambda: time.time() + LATER)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_n15_what_was_deleted_is_gone(door: Door, level: int) -> None:
    """410 from every resource of it, and from DELETE the second time; search does not know it."""
    (data_set,) = stored(door)
    study, series, instance = urls(data_set)
    answer = door.client.delete((study, series, instance)[level])
    assert (answer.status_code, answer.content) == (204, b"")
    resources = [study, series, instance, f"{instance}/frames/1", f"{instance}/frames/1/rendered"]
    resources += [f"{instance}/bulkdata/7FE00010", f"{instance}/frames/1/thumbnail"]
    for below in ("metadata", "rendered", "thumbnail", "bulkdata", "pixeldata"):
        resources += [f"{one}/{below}" for one in (study, series, instance)]
    statuses = {url: door.client.get(url).status_code for url in resources}
    assert set(statuses.values()) == {410}, statuses
    assert door.client.delete((study, series, instance)[level]).status_code == 410
    wado = f"/wado?requestType=WADO&studyUID={data_set.StudyInstanceUID}"
    wado += f"&seriesUID={data_set.SeriesInstanceUID}&objectUID={data_set.SOPInstanceUID}"
    assert door.client.get(wado).status_code == 410
    assert door.client.get(study, headers={"Accept": "application/zip"}).status_code == 410
    for search in ("/studies", "/series", "/instances"):
        found = door.client.get(f"/dicom-web{search}?StudyInstanceUID={data_set.StudyInstanceUID}")
        assert found.status_code == 204


def test_the_rest_stays(door: Door) -> None:
    first, second = stored(door, 2)
    study, series, instance = urls(first)
    assert door.client.delete(instance).status_code == 204
    assert door.client.get(instance).status_code == 410
    (found,) = door.client.get(f"/dicom-web/studies?StudyInstanceUID={first.StudyInstanceUID}").json()
    assert found["00201208"]["Value"] == [1]
    (left,) = door.client.get(f"{series}/metadata").json()
    assert left["00080018"]["Value"] == [second.SOPInstanceUID]
    assert door.client.get(study).status_code == 200


@pytest.mark.parametrize("level", [0, 1, 2])
def test_what_was_never_there_is_not_found(door: Door, level: int) -> None:
    url = urls(ct())[level]
    assert door.client.delete(url).status_code == 404
    assert door.client.get(url).status_code == 404


def test_a_uid_that_cannot_be(door: Door) -> None:
    assert door.client.delete("/dicom-web/studies/1..2").status_code == 400


def test_the_bytes_go_with_a_job_and_open_readers_end(empty_door: Door) -> None:
    """The blob is there until the job has run, and whoever has it open reads on."""
    door = empty_door
    (data_set,) = stored(door)
    uids = (data_set.SOPInstanceUID,)
    (instance,) = door.archive.retrieve.instances(Scope(sop_instance_uids=uids))
    blob = door.archive.settings.data / "objects" / instance.blob_key
    with door.archive.retrieve.open(instance) as opened:
        assert door.client.delete(urls(data_set)[0]).status_code == 204
        assert worker.work(door.archive) == 1, "only the note about it is made at once"
        assert blob.exists()
        assert run_jobs(door) == 1
        assert not blob.exists()
        assert len(opened.read(0, instance.blob_length)) == instance.blob_length
    assert run_jobs(door) == 0


def test_a_deleted_object_can_be_stored_again(empty_door: Door) -> None:
    """With other content too; the job of the deletion does not touch the new bytes."""
    door = empty_door
    (data_set,) = stored(door)
    study, _, instance = urls(data_set)
    assert door.client.delete(study).status_code == 204
    data_set.PatientName = "Another^Name"
    assert door.store(part10(data_set)).status_code == 200
    run_jobs(door)
    assert door.client.get(instance).status_code == 200
    assert door.client.get(f"{study}/metadata").json()[0]["00100010"]["Value"] == [
        {"Alphabetic": "Another^Name"}
    ]


def test_many_blobs_are_a_few_jobs(empty_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete, "KEYS_PER_JOB", 2)
    (first, *_) = stored(empty_door, 5)
    assert empty_door.client.delete(urls(first)[0]).status_code == 204
    with empty_door.archive.database.read() as connection:
        jobs = outbox.claim(connection, now=time.time() + LATER, lease_seconds=1, limit=10)
    assert [len(job.payload["keys"]) for job in jobs if job.event == delete.BLOBS_DELETED] == [2, 2, 1]


def test_the_administrator_may_forbid_it(open_door: Callable[..., Door]) -> None:
    door = open_door(http__deletion=False)
    (data_set,) = stored(door)
    answer = door.client.delete(urls(data_set)[0])
    assert answer.status_code == 403
    assert "http.deletion" in answer.text
    assert door.client.get(urls(data_set)[0]).status_code == 200
