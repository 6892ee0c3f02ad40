"""The outbox door over a real index: run, retry, give up, recur."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from archive.bootstrap.building import Archive, build
from archive.bootstrap.preparing import prepare
from archive.dicom.errors import OutOfResources
from archive.index import outbox
from archive.jobs import worker
from archive.jobs.retry import RetryPolicy
from archive.jobs.table import SPOOL_AGE_SECONDS, Recurring
from archive.settings.whole import Settings

HOUR = 3600.0


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive of this process's own."""
    settings = dataclasses.replace(Settings(), data=tmp_path / "data")
    prepare(settings)
    opened = build(settings)
    yield opened
    opened.close()


def put(archive: Archive, event: str, **payload: Any) -> None:
    archive.database.write(lambda connection: outbox.put(connection, event, payload))


def claimable(archive: Archive, now: float) -> list[outbox.Job]:
    return archive.database.write(
        lambda connection: outbox.claim(connection, now=now, lease_seconds=1, limit=10)
    )


def test_a_job_runs_once_with_its_payload(archive: Archive) -> None:
    ran: list[Mapping[str, Any]] = []
    put(archive, "Event", key="k")
    jobs = {"Event": lambda _archive, payload: ran.append(payload)}
    assert worker.work(archive, jobs=jobs) == 1
    assert worker.work(archive, jobs=jobs) == 0
    assert ran == [{"key": "k"}]
    assert not claimable(archive, time.time() + 24 * HOUR)


def test_an_event_that_no_job_wants_is_forgotten(archive: Archive) -> None:
    put(archive, "Nothing")
    assert worker.work(archive, jobs={}) == 1
    assert not claimable(archive, time.time() + 24 * HOUR)


@pytest.mark.parametrize("error", [OutOfResources("no room"), ValueError("Doe^Jane")])
def test_a_failed_job_is_retried_later_and_given_up_in_the_end(
    archive: Archive, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = []

    def fail(_archive: Archive, _payload: Mapping[str, Any]) -> None:
        attempts.append(1)
        raise error

    policy = RetryPolicy(first_seconds=100, longest_seconds=100, attempts=3)
    put(archive, "Event")
    now = time.time()
    work = {"jobs": {"Event": fail}, "policy": policy}
    assert worker.work(archive, now=lambda: now, **work) == 1
    assert worker.work(archive, now=lambda: now + 49, **work) == 0
    assert worker.work(archive, now=lambda: now + 101, **work) == 1
    assert worker.work(archive, now=lambda: now + HOUR, **work) == 1
    assert worker.work(archive, now=lambda: now + 24 * HOUR, **work) == 0
    assert len(attempts) == 3
    assert "Doe^Jane" not in caplog.text


def test_a_failing_job_does_not_stop_the_others(archive: Archive) -> None:
    ran = []
    put(archive, "Bad")
    put(archive, "Good")

    def fail(_archive: Archive, _payload: Mapping[str, Any]) -> None:
        raise ValueError

    worker.work(archive, jobs={"Bad": fail, "Good": lambda *_: ran.append(1)})
    assert ran == [1]


def test_a_claim_of_a_dead_worker_comes_due_again(archive: Archive) -> None:
    put(archive, "Event")
    now = time.time()
    assert len(claimable(archive, now)) == 1
    ran = []
    jobs = {"Event": lambda *_: ran.append(1)}
    assert worker.work(archive, jobs=jobs, now=lambda: now) == 0
    assert worker.work(archive, jobs=jobs, now=lambda: now + 2) == 1
    assert ran == [1]


def test_jobs_that_were_not_begun_are_given_back_at_the_stop(archive: Archive) -> None:
    """A restart does not make them wait for the end of the lease, nor counts as an attempt."""
    for _ in range(3):
        put(archive, "Event")
    now, stop = time.time(), threading.Event()
    worker.work(archive, jobs={"Event": lambda *_: stop.set()}, stop=stop, now=lambda: now)
    assert [job.attempts for job in claimable(archive, now)] == [1, 1]


def test_jobs_behind_long_ones_are_given_back_before_the_lease_ends(archive: Archive) -> None:
    """Else another worker would begin them too."""
    for _ in range(3):
        put(archive, "Event")
    start = time.time()
    clock = [start]

    def take_long(_archive: Archive, _payload: Mapping[str, Any]) -> None:
        clock[0] += worker.BEGIN_SECONDS

    worker.work(archive, jobs={"Event": take_long}, now=lambda: clock[0])
    assert clock[0] < start + worker.LEASE_SECONDS
    assert len(claimable(archive, clock[0])) == 2


def test_abandoned_bytes_are_deleted(archive: Archive) -> None:
    writer = archive.store.create()
    writer.write(b"bytes")
    writer.publish()
    put(archive, "BlobAbandoned", key=writer.key)
    put(archive, "BlobAbandoned", key=writer.key)
    assert worker.work(archive) == 2
    assert writer.key not in set(archive.store.keys())


def test_the_loop_beats_sweeps_and_stops(archive: Archive) -> None:
    """What a reception left a long time ago is removed at the start."""
    left = archive.settings.data / "spool" / "left.part"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"x")
    long_ago = time.time() - SPOOL_AGE_SECONDS - HOUR
    os.utime(left, (long_ago, long_ago))
    stop, beats = threading.Event(), []

    def beat() -> None:
        beats.append(1)
        if len(beats) > 1:
            stop.set()

    put(archive, "Nothing")
    worker.run(archive, beat, stop)
    assert len(beats) >= 2
    assert not left.exists()


def test_recurring_work_that_fails_unforeseen_keeps_nothing_else_from_being_done(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end every worker at its start, and no commitment would be told any more."""
    ran, stop = [], threading.Event()

    def fail(_: Archive) -> None:
        raise ValueError("a fault of ours")

    recurring = (Recurring("fails", HOUR, fail), Recurring("works", HOUR, lambda _: ran.append(1)))
    monkeypatch.setattr(worker, "RECURRING", recurring)
    worker.run(archive, lambda: stop.set() if ran else None, stop)
    assert ran == [1]
