"""Work with other application entities: beside the other jobs, one talk at a time with each AE, given back at the stop
(dimse.md 2 (8): one stuck destination must not freeze the rest)."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from archive.bootstrap.building import Archive, build
from archive.bootstrap.preparing import prepare
from archive.dicom.errors import OutOfResources, PeerUnreachable
from archive.index import outbox
from archive.jobs import worker
from archive.jobs.destinations import BUSY_SECONDS, REST_SECONDS, Destinations, Waiting
from archive.jobs.remote import RemoteJob
from archive.settings.whole import Settings

DAYS = 86_400.0
SECONDS = 20.0
Run = Callable[[str], None]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    settings = dataclasses.replace(Settings(), data=tmp_path / "data")
    prepare(settings)
    opened = build(settings)
    yield opened
    opened.close()


def put(archive: Archive, *destinations: str) -> None:
    for name in destinations:
        archive.database.write(lambda connection, to=name: outbox.put(connection, "Tell", {"to": to}))


def left(archive: Archive, now: float) -> list[outbox.Job]:
    return archive.database.write(
        lambda connection: outbox.claim(connection, now=now, lease_seconds=1, limit=100)
    )


class Talked:
    """What was said to whom, and what was noted of failures."""

    def __init__(self, run: Run = lambda name: None) -> None:
        self.to: list[str] = []
        self.failures: list[tuple[str, str, bool]] = []
        self._run = run

    @property
    def jobs(self) -> dict[str, RemoteJob]:
        return {"Tell": RemoteJob(lambda _, payload: payload["to"], self._say, self._fail)}

    def talks(self, archive: Archive, *, threads: bool = False, **options: Any) -> worker.Talks:
        if not threads:
            options["begin"] = lambda work: work()
        return worker.Talks(archive, self.jobs, **options)

    def _say(self, _: Archive, payload: Mapping[str, Any]) -> None:
        self.to.append(payload["to"])
        self._run(payload["to"])

    def _fail(self, _: Archive, payload: Mapping[str, Any], reason: str, given_up: bool) -> None:
        self.failures.append((payload["to"], reason, given_up))


def fail(name: str) -> None:
    raise PeerUnreachable("switched off")


def until(true: Callable[[], Any]) -> None:
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(0.01)


def test_what_is_due_is_said_once(archive: Archive) -> None:
    talked = Talked()
    put(archive, "A", "B")
    assert talked.talks(archive).begin(time.time()) == 2
    assert talked.talks(archive).begin(time.time()) == 0
    assert sorted(talked.to) == ["A", "B"]
    assert not left(archive, time.time() + DAYS)


def test_other_jobs_leave_it_alone(archive: Archive) -> None:
    """An event that no job wants is forgotten; these are no such."""
    archive.database.write(
        lambda connection: outbox.put(connection, "CommitmentReportDue", {"id": 1, "turn": 1})
    )
    assert worker.work(archive) == 0
    assert len(left(archive, time.time())) == 1


def test_a_failure_is_noted_and_tried_again_for_days(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First after seconds, in the end once an hour; given up when the settings say so, and noted as that."""
    talked, now = Talked(fail), time.time
    put(archive, "A")
    assert talked.talks(archive).begin(now()) == 1
    assert talked.failures == [("A", "switched off", False)]
    assert talked.talks(archive).begin(now() + 1) == 0
    assert talked.talks(archive).begin(now() + 6) == 1
    for hour in range(1, 100, 2):
        moment = now() + hour * 3600.0
        monkeypatch.setattr(time, "time", lambda at=moment: at)
        assert talked.talks(archive).begin(moment) == 1, "at least once in two hours"
        monkeypatch.setattr(time, "time", now)
    assert not any(given_up for _, _, given_up in talked.failures)
    monkeypatch.setattr(time, "time", lambda: now() + 8 * DAYS)
    assert talked.talks(archive).begin(time.time()) == 1
    assert talked.failures[-1] == ("A", "switched off", True)
    assert not left(archive, time.time() + DAYS)


def test_who_could_not_be_reached_is_left_alone_for_a_while(archive: Archive) -> None:
    """Fifty reports for a console that is off cost one attempt now and then, not fifty; and no attempt is counted."""
    talked, destinations = Talked(fail), Destinations()
    talks = talked.talks(archive, destinations=destinations)
    put(archive, *["A"] * 10, "B")
    while talks.begin(time.time()):
        pass
    assert sorted(talked.to) == ["A", "B"]
    waiting = left(archive, time.time() + REST_SECONDS + 1)
    assert len(waiting) == 11
    assert sorted(job.attempts for job in waiting) == [1] * 9 + [2] * 2


def test_a_stuck_one_keeps_nobody_else_waiting(archive: Archive) -> None:
    """One thread is with it, whatever there is to be said to it; the others go on."""
    stuck, entered = threading.Event(), threading.Event()

    def run(name: str) -> None:
        if name == "STUCK":
            entered.set()
            stuck.wait(SECONDS)

    talked = Talked(run)
    talks = talked.talks(archive, threads=True)
    put(archive, *["STUCK"] * 20)
    assert talks.begin(time.time())
    assert entered.wait(SECONDS)
    put(archive, "A", "B", "C", "D", "E", "F")

    def others() -> bool:
        talks.begin(time.time())
        return sorted(set(talked.to)) == ["A", "B", "C", "D", "E", "F", "STUCK"]

    until(others)
    assert talked.to.count("STUCK") == 1
    stuck.set()
    talks.part()


def test_many_reports_for_one_that_is_slow_leave_the_index_alone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is known that they wait, they are not claimed again before their turn; and then in their order."""
    talked, destinations = Talked(), Destinations()
    talks = talked.talks(archive, destinations=destinations)
    put(archive, *["SLOW"] * 25)
    assert destinations.enter("SLOW") == 0  # as if somebody talked to it
    while talks.begin(time.time()):
        pass
    given_back: list[object] = []
    give_back = outbox.give_back
    monkeypatch.setattr(
        outbox, "give_back", lambda *one, **more: (given_back.append(one), give_back(*one, **more))
    )
    for seconds in range(20):
        assert talks.begin(time.time() + seconds) == 0
    put(archive, "A")
    assert talks.begin(time.time()) == 1
    assert (talked.to, given_back) == (["A"], [])
    destinations.leave("SLOW", failed=False)
    while talks.begin(time.time()):
        pass
    assert talked.to == ["A", *["SLOW"] * 25]
    assert not left(archive, time.time() + DAYS)


def test_more_that_wait_than_are_remembered(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come later, and none is lost; so is none that another worker has done meanwhile."""
    monkeypatch.setattr(worker, "Waiting", functools.partial(Waiting, most=5))
    talked, destinations = Talked(), Destinations()
    talks = talked.talks(archive, destinations=destinations)
    put(archive, *["SLOW"] * 9)
    destinations.enter("SLOW")
    while talks.begin(time.time()):
        pass
    (first, *_) = left(archive, time.time())
    archive.database.write(lambda connection: outbox.finish(connection, first.id))
    archive.database.write(lambda connection: outbox.give_back(connection, range(100), now=0))
    destinations.leave("SLOW", failed=False)
    while talks.begin(time.time()) or talks.begin(time.time()):
        pass
    while talks.begin(time.time() + DAYS):
        pass
    assert talked.to == ["SLOW"] * 8


def test_what_is_not_over_at_the_stop_is_given_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next worker need not wait for the end of the lease."""
    monkeypatch.setattr(worker, "PARTING_SECONDS", 0.1)
    stuck, entered = threading.Event(), threading.Event()

    def run(name: str) -> None:
        entered.set()
        stuck.wait(SECONDS)

    talks = Talked(run).talks(archive, threads=True)
    put(archive, "A")
    talks.begin(time.time())
    assert entered.wait(SECONDS)
    talks.part()
    assert [job.attempts for job in left(archive, time.time())] == [1]
    stuck.set()
    talks.part()


def test_an_index_that_is_away_ends_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise OutOfResources("the index is away")

    talked = Talked()
    put(archive, "A")
    with monkeypatch.context() as patched:
        patched.setattr(type(archive.database), "write", away)
        assert talked.talks(archive).begin(time.time()) == 0
    assert talked.talks(archive).begin(time.time()) == 1
    assert talked.to == ["A"]


def test_one_that_fails_unforeseen_ends_no_talk_with_others(archive: Archive) -> None:
    """Whatever it is: who it is for cannot be told, or there is no further thread."""
    talked = Talked()
    jobs = talked.jobs
    jobs["Tell"] = dataclasses.replace(
        jobs["Tell"], destination=lambda _, payload: payload.get("to") or 1 / 0
    )
    threads = [RuntimeError("can't start new thread")]

    def begin(work: Callable[[], None]) -> None:
        if threads:
            raise threads.pop()
        work()

    destinations = Destinations()
    talks = worker.Talks(archive, jobs, destinations, begin)
    put(archive, "", "A", "B")
    assert talks.begin(time.time()) == 3
    assert (talked.to, destinations.busy) == (["B"], 0)
    later = time.time() + DAYS
    assert talks.begin(later) == 2
    assert talked.to == ["B", "A"]


def test_destinations() -> None:
    now = [0.0]
    destinations = Destinations(lambda: now[0])
    assert destinations.enter("A") == 0
    assert destinations.enter("A") == BUSY_SECONDS
    assert destinations.enter("B") == 0
    assert destinations.busy == 2
    destinations.leave("A", failed=True)
    now[0] = 10
    assert destinations.enter("A") == REST_SECONDS - 10
    now[0] = REST_SECONDS
    assert destinations.enter("A") == 0
    destinations.leave("A", failed=False)
    assert destinations.enter("A") == 0
