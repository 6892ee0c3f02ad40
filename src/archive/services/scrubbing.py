"""The scrubber: reads everything that is stored again and again, slowly, and says what is not what it was any more.

It is called every second or so and reads as much as `storage.scrub_bytes_per_second` allows; a pass over everything
begins once a day, or when the last one has ended. How far it has come is noted in the index, so that a restart costs
half a minute of it and not a pass. What came within the last day is only looked at: it may be wanted soon, and to read
it from the disk means to take it out of the memory of the system.

At the end of a pass files that nothing points to are looked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import structlog

from archive.dicom.errors import NotFound, OutOfResources
from archive.index import verification
from archive.index.database import Database
from archive.index.verification import BEGINNING, Fault, Held, Pass
from archive.services.orphans import Orphans
from archive.services.verification import Examined, Level, Verification
from archive.storage.base import BlobStore

_log = structlog.get_logger()

DAY = 86_400.0
STEP_SECONDS = 0.25
"""So long one step keeps other jobs waiting, and one read more."""
NOTE_SECONDS = 30.0
SAVED_SECONDS = 2.0
"""Of a time without a step, so much is made up for."""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of everything that is stored: how much is damaged, and since when each object was read. `since`
    is 0 before the first pass has ended."""

    missing: int
    corrupt: int
    since: float


class Scrubbing:
    """One pass after the other. For one thread."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        bytes_per_second: int,
        *,
        young_seconds: float = DAY,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._database = database
        self._verification = Verification(store, database)
        self._orphans = Orphans(store, database, now, clock)
        self._bytes_per_second = bytes_per_second
        self._young_seconds = young_seconds
        self._now = now
        self._clock = clock
        self._last_step = clock()
        self._work: Generator[int, None, None] | None = None
        self._pass: Pass | None = None
        self._verified = 0

    def step(self) -> int:
        """Go on for a moment; how many objects were read to their end. Raises OutOfResources: it goes on from where it
        was noted last."""
        begun = self._clock()
        budget = self._bytes_per_second * min(begun - self._last_step, SAVED_SECONDS)
        self._last_step, self._verified = begun, 0
        try:
            while budget > 0 and self._clock() - begun < STEP_SECONDS:
                self._work = self._work or self._run()
                budget -= next(self._work)
        except StopIteration:
            self._work = None
        except BaseException:
            self._work = self._pass = None
            raise
        return self._verified

    def state(self) -> State:
        """What is known now. Raises OutOfResources."""
        counts = self._verification.counts()
        with self._database.read() as connection:
            since = verification.scrubbed(connection).last_begun_at
        missing = counts.get(Fault.MISSING, 0)
        return State(missing, sum(counts.values()) - missing, since)

    def _run(self) -> Generator[int, None, None]:
        """One pass, or what is left of it, if its time has come; in steps, each told in bytes."""
        now = self._pass or self._read_pass()
        if not now.is_going_on:
            if 0.0 <= self._now() - now.last_begun_at < DAY:
                self._pass = now
                return
            now = self._noted(replace(now, place=BEGINNING, begun_at=self._now(), verified=0))
        noted_at = self._clock()
        for some in self._verification.held(now.place):
            found: list[Examined] = []
            for one in some:
                found.append((yield from self._examine(one)))
            self._settle(found)
            now = replace(now, place=some[-1].place, verified=now.verified + len(some))
            if self._clock() - noted_at >= NOTE_SECONDS:
                now, noted_at = self._noted(now), self._clock()
        self._end(now)
        for _ in self._orphans.sweep():
            yield 0

    def _read_pass(self) -> Pass:
        with self._database.read() as connection:
            return verification.scrubbed(connection)

    def _noted(self, now: Pass) -> Pass:
        self._database.write(lambda connection: verification.note_scrubbed(connection, now))
        self._pass = now
        return now

    def _examine(self, one: Held) -> Generator[int, None, Examined]:
        level = Level.SIZE if self._is_young(one) else Level.CHECKSUM
        examined = yield from self._verification.examine(one, level)
        self._verified += level is Level.CHECKSUM and examined.fault not in (Fault.MISSING, Fault.UNREADABLE)
        return examined

    def _is_young(self, one: Held) -> bool:
        try:
            return self._now() - self._store.stat(one.blob_key).changed_at < self._young_seconds
        except (NotFound, OutOfResources):
            return False

    def _settle(self, found: list[Examined]) -> None:
        """What is missing may be in the quarantine."""
        for one in self._verification.note(found):
            if one.fault is Fault.MISSING and self._verification.recover(one.held):
                self._verification.note([Examined(one.held, None, Level.CHECKSUM)])

    def _end(self, now: Pass) -> None:
        self._verification.forget_what_went()
        _log.info("scrubbing_pass_ended", objects=now.verified, seconds=round(self._now() - now.begun_at))
        ended = Pass(last_begun_at=now.begun_at, last_ended_at=self._now(), verified=now.verified)
        self._noted(ended)
