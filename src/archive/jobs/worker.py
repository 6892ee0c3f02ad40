"""The loop of a job worker: claim what is due, run it, note how it went; and what recurs, when its time has
come.

A claim is a lease: when the worker dies, its jobs come due again by themselves. Retrying lives here and
nowhere else in the archive. A job's failure never ends the loop, which is why everything is caught in one
place. Work with other application entities (`remote`) has threads of its own, as it may take long.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError
from archive.index import outbox
from archive.jobs import remote, retry
from archive.jobs.clock import Clock
from archive.jobs.destinations import FULL_SECONDS, Destinations, Waiting
from archive.jobs.remote import REMOTE, RemoteJob
from archive.jobs.retry import RetryPolicy
from archive.jobs.table import JOBS, RECURRING, Job, Recurring

LEASE_SECONDS = 180.0
"""So long nobody else takes the jobs of a worker that was killed."""
BEGIN_SECONDS = 120.0
"""After so long no claimed job is begun any more: its lease might end before it does."""
AT_ONCE = 100
IDLE_SECONDS = 1.0
TALKS_AT_ONCE = 4
"""With so many application entities the worker talks at a time."""
PARTING_SECONDS = 5.0
"""What a talk gets to end when the worker stops; another worker takes it up anew."""
POLICY = RetryPolicy()

log = structlog.get_logger()


def run(archive: Archive, heartbeat: Callable[[], None], stop: threading.Event) -> None:
    """Work until `stop`, and end after the job at hand."""
    recurring_due = dict.fromkeys(RECURRING, 0.0)
    clock = Clock(archive.settings.run_folder / "clock")
    talks = Talks(archive)
    threading.Thread(target=talks.run, args=(stop,), name="talks", daemon=True).start()
    while not stop.is_set():
        heartbeat()
        _recur(archive, recurring_due, time.monotonic(), clock.is_trusted())
        if not work(archive, heartbeat=heartbeat, stop=stop, now=clock.now):
            stop.wait(IDLE_SECONDS)
    talks.part()


def work(
    archive: Archive,
    *,
    heartbeat: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
    jobs: Mapping[str, Job] = JOBS,
    policy: RetryPolicy = POLICY,
    now: Callable[[], float] = time.time,
) -> int:
    """Claim and run what is due now; how many jobs were run. An index that is away counts as none."""
    begun = now()
    try:
        claimed = _claim(archive, begun)
        _dismiss(archive, [entry for entry in claimed if entry.event not in jobs])
    except ArchiveError as error:
        log.error("outbox not at hand", reason=error.reason)
        return 0
    for place, entry in enumerate(claimed):
        if entry.event not in jobs:
            continue
        if (stop is not None and stop.is_set()) or now() - begun >= BEGIN_SECONDS:
            _give_back(archive, claimed[place:], now())
            break
        heartbeat()
        failure = _attempt(archive, entry, jobs[entry.event], heartbeat)
        _settle(archive, entry, failure, policy, now())
    return len(claimed)


def _begin_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="talk", daemon=True).start()


class Talks:
    """The work with other application entities: claimed here, done in threads, one for each AE."""

    def __init__(
        self,
        archive: Archive,
        jobs: Mapping[str, RemoteJob] = REMOTE,
        destinations: Destinations | None = None,
        begin: Callable[[Callable[[], None]], object] = _begin_thread,
    ) -> None:
        self._archive = archive
        self._jobs = jobs
        self._destinations = destinations or Destinations()
        self._waiting = Waiting(self._destinations)
        self._begin = begin
        self._claimed: dict[int, outbox.Job] = {}
        self._policy = remote.policy(archive.settings.dimse)
        self._lease_seconds = remote.lease_seconds(archive.settings.dimse)

    def run(self, stop: threading.Event) -> None:
        """Begin what is due, until `stop`."""
        while not stop.is_set():
            if not self.begin(time.time()):
                stop.wait(IDLE_SECONDS)

    def begin(self, now: float) -> int:
        """Claim what is due now and begin it; how many jobs were due. An index that is away counts as none."""
        room = TALKS_AT_ONCE - len(self._claimed)
        if room <= 0:
            return 0
        self._waiting.let_go()
        try:
            due = self._archive.database.write(
                lambda connection: outbox.claim(
                    connection,
                    now=now,
                    lease_seconds=self._lease_seconds,
                    limit=room,
                    only=tuple(self._jobs),
                    besides=self._waiting.ids,
                )
            )
        except ArchiveError as error:
            log.error("outbox not at hand", reason=error.reason)
            return 0
        for entry in due:
            try:
                self._meet(entry, now)
            except (
                Exception
            ) as error:  # as for a job: the talks go on, and this one comes due again with its lease
                log.error("talk failed unforeseen", event_name=entry.event, job=entry.id, exc_info=error)
        return len(due)

    def part(self) -> None:
        """Give back what has not ended in a while."""
        deadline = time.monotonic() + PARTING_SECONDS
        while self._claimed and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._claimed:
            _give_back(self._archive, list(self._claimed.values()), time.time())

    def _meet(self, entry: outbox.Job, now: float) -> None:
        """Begin one job; or leave it for later when its AE is busy, or could not be reached a moment ago."""
        try:
            destination = self._jobs[entry.event].destination(self._archive, entry.payload)
        except ArchiveError:
            _give_back(self._archive, [entry], now + IDLE_SECONDS)
            return
        if destination and self._destinations.enter(destination):
            pause = 0.0 if self._waiting.put(entry.id, destination) else FULL_SECONDS
            _give_back(self._archive, [entry], now + pause)
            return
        self._claimed[entry.id] = entry
        try:
            self._begin(partial(self._talk, entry, destination))
        except BaseException:  # no further thread is to be had
            self._claimed.pop(entry.id, None)
            self._destinations.leave(destination, failed=False)
            raise

    def _talk(self, entry: outbox.Job, destination: str) -> None:
        failure = ""
        try:
            job = self._jobs[entry.event]
            failure = _attempt(self._archive, entry, job.run, lambda: None) if destination else ""
            self._settle(entry, failure)
        finally:
            self._destinations.leave(destination, failed=bool(failure))
            self._claimed.pop(entry.id, None)

    def _settle(self, entry: outbox.Job, failure: str) -> None:
        """What is given up is noted where it is shown, and leaves the outbox."""
        now = time.time()
        wait = retry.delay(self._policy, entry.attempts, random.random(), now - entry.put_at)
        try:
            if failure:
                self._jobs[entry.event].failed(self._archive, entry.payload, failure, wait is None)
            if failure and wait is not None:
                _fail(self._archive, entry, failure, wait, now)
            else:
                self._archive.database.write(lambda connection: outbox.finish(connection, entry.id))
        except ArchiveError as error:
            log.error("job not settled", job=entry.id, reason=error.reason)


def _claim(archive: Archive, now: float) -> list[outbox.Job]:
    return archive.database.write(
        lambda connection: outbox.claim(
            connection, now=now, lease_seconds=LEASE_SECONDS, limit=AT_ONCE, but=tuple(REMOTE)
        )
    )


def _dismiss(archive: Archive, entries: Sequence[outbox.Job]) -> None:
    """Events that no job wants, all in one transaction: another version of the archive left them."""

    def change(connection: Any) -> None:
        for entry in entries:
            outbox.finish(connection, entry.id)

    if entries:
        archive.database.write(change)


def _give_back(archive: Archive, entries: Sequence[outbox.Job], now: float) -> None:
    """Claimed, and not begun: for the next one, who need not wait for the lease to end."""
    try:
        archive.database.write(
            lambda connection: outbox.give_back(connection, [entry.id for entry in entries], now=now)
        )
    except ArchiveError as error:
        log.error("jobs not given back", jobs=len(entries), reason=error.reason)


def _attempt(archive: Archive, entry: outbox.Job, job: Job, heartbeat: Callable[[], None]) -> str:
    """Run one job; why it failed, or nothing."""
    try:
        for _ in job(archive, entry.payload) or ():
            heartbeat()
    except ArchiveError as error:
        return error.reason
    except Exception as error:  # one of the three places: a job must not end the worker
        log.error("job failed unforeseen", event_name=entry.event, job=entry.id, exc_info=error)
        return type(error).__name__
    return ""


def _settle(archive: Archive, entry: outbox.Job, failure: str, policy: RetryPolicy, now: float) -> None:
    """Note how a job went. When even that fails its lease runs out, and it is run again."""
    try:
        if failure:
            _fail(archive, entry, failure, retry.delay(policy, entry.attempts, random.random()), now)
        else:
            archive.database.write(lambda connection: outbox.finish(connection, entry.id))
    except ArchiveError as error:
        log.error("job not settled", job=entry.id, reason=error.reason)


def _fail(archive: Archive, entry: outbox.Job, reason: str, wait: float | None, now: float) -> None:
    retry_at = None if wait is None else now + wait
    archive.database.write(
        lambda connection: outbox.fail(connection, entry.id, retry_at=retry_at, reason=reason)
    )
    log.warning(
        "job given up" if wait is None else "job will be retried",
        event_name=entry.event,
        job=entry.id,
        attempts=entry.attempts,
        reason=reason,
    )


def _recur(archive: Archive, due: dict[Recurring, float], now: float, clock_is_trusted: bool) -> None:
    """Run what recurs and is due; a failure is for the next time."""
    for each, at in due.items():
        if at > now or (each.by_age and not clock_is_trusted):
            continue
        due[each] = now + each.every_seconds
        try:
            each.run(archive)
        except ArchiveError as error:
            log.error("recurring work failed", work=each.name, reason=error.reason)
        except (
            Exception
        ) as error:  # as for a job: it must not keep the worker from all others, at each start anew
            log.error("recurring work failed unforeseen", work=each.name, exc_info=error)
