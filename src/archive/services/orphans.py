"""Files that nothing points to: what a crash between the bytes and the index leaves. They are never deleted, but set
aside in the quarantine when they are old enough that nobody can be about to enter them.

Whether something points to a file is asked of the whole index at once, where the keys are not in order: of each that is
pointed to, 8 bytes of a digest are held in memory meanwhile, 80 MB for ten million objects. Two keys that share them
are no harm: a file then stays where it is. Before one is set aside, the index is asked for its very key.
"""

from __future__ import annotations

import array
import hashlib
import time
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from archive.dicom.errors import NotFound, OutOfResources
from archive.index import referenced
from archive.index.database import Database
from archive.storage.base import BlobStore

_log = structlog.get_logger()

DAY = 86_400.0
SECOND_LOOK_SECONDS = 3600.0
"""By a clock that nobody sets: a file may look old because the time of day was put right."""
MOST_BY_ITSELF = 1000
"""So many files without a row are no crash: the index is older than the store, or that of another."""
_AT_ONCE = 500
_KEYS_PER_STEP = 5000

REASON = "nothing in the index points to it: left by a crash, or by an index that was put back"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that nothing points to."""

    key: str
    length: int
    changed_at: float


class Orphans:
    """Looks for them, and sets them aside."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._database = database
        self._now = now
        self._clock = clock
        self._first_seen: dict[str, float] = {}

    def find(self, grace_seconds: float) -> Generator[None, None, list[Orphan]]:
        """Those that are older than this, in steps. Raises OutOfResources."""
        known = yield from self._pointed_to()
        found: list[Orphan] = []
        some: list[str] = []
        for key in self._store.keys():  # noqa: SIM118 - it is no mapping
            some.append(key)
            if len(some) == _KEYS_PER_STEP:
                found += self._old_among(_unknown(known, some), grace_seconds)
                some = []
                yield
        found += self._old_among(_unknown(known, some), grace_seconds)
        return found

    def found(self, grace_seconds: float) -> list[Orphan]:
        """The same at once."""
        steps = self.find(grace_seconds)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: list[Orphan] = end.value
                return result

    def set_aside(self, orphans: Iterable[Orphan]) -> list[Orphan]:
        """Set these aside unless something points to them by now; those that were. Raises OutOfResources."""
        left = list(orphans)
        taken = self._taken([one.key for one in left])
        done = []
        for one in left:
            if one.key in taken:
                continue
            try:
                self._store.set_aside(one.key, REASON)
            except NotFound:
                continue  # somebody else was faster
            done.append(one)
            _log.warning("file_set_aside", key=one.key, reason=REASON)
        return done

    def sweep(self) -> Generator[None, None, int]:
        """Set aside what was without a row for a day, and an hour ago too as this process has seen; how many. Raises
        OutOfResources, also where there are so many that the index itself must be looked at."""
        orphans = yield from self.find(DAY)
        if len(orphans) > MOST_BY_ITSELF:
            raise OutOfResources(
                f"{len(orphans)} files have no entry in the index: `archive reindex` enters them, "
                "`archive verify --repair` sets them aside"
            )
        seen, now = self._first_seen, self._clock()
        self._first_seen = {one.key: seen.get(one.key, now) for one in orphans}
        due = [one for one in orphans if now - self._first_seen[one.key] >= SECOND_LOOK_SECONDS]
        return len(self.set_aside(due))

    def _pointed_to(self) -> Generator[None, None, np.ndarray]:
        known = array.array("Q")
        with self._database.read() as connection:
            for number, key in enumerate(referenced.keys(connection)):
                known.append(_short(key))
                if number % _KEYS_PER_STEP == 0:
                    yield
        return np.sort(np.frombuffer(known, dtype=np.uint64)) if known else np.empty(0, np.uint64)

    def _old_among(self, keys: Collection[str], grace_seconds: float) -> list[Orphan]:
        found = []
        for key in keys:
            try:
                stat = self._store.stat(key)
            except NotFound:
                continue  # removed since, as it should be
            if self._now() - stat.changed_at >= grace_seconds:
                found.append(Orphan(key, stat.length, stat.changed_at))
        taken = self._taken([one.key for one in found])
        return [one for one in found if one.key not in taken]

    def _taken(self, keys: Sequence[str]) -> set[str]:
        taken: set[str] = set()
        for start in range(0, len(keys), _AT_ONCE):
            with self._database.read() as connection:
                taken |= referenced.among(connection, keys[start : start + _AT_ONCE])
        return taken


def _short(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


def _unknown(known: np.ndarray, keys: Sequence[str]) -> list[str]:
    if not len(known):
        return list(keys)
    shorts = np.array([_short(key) for key in keys], dtype=np.uint64)
    places = np.minimum(np.searchsorted(known, shorts), len(known) - 1)
    return [key for key, same in zip(keys, known[places] == shorts, strict=True) if not same]
