"""`archive reindex`: the index made again from the files.

    plan       every blob, in the order in which they came
    take over  what only the former index knows (AE titles, worklist, decisions …), as far as that can be read; else
               what the notes beside the blobs tell of it
    enter      each object is read whole, compared with its digest where one is known, and entered
    swap       the new index takes the place of the former one, which is kept

The files are the truth: what patient, study and series say comes from their objects, in the order in which they came.
Which of several blobs is what is stored, the former index says, else their notes (`index.standing`). A blob that
nothing is known of was simply stored; where something else has its place it is kept aside, and a person decides. What
is no object, or not what it was, goes to the quarantine. Interrupted, it goes on where it was, unless somebody has
opened the archive since.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import orjson

from archive.dicom.errors import ArchiveError, ConfigurationError, NotFound, OutOfResources
from archive.index import reentering, standing
from archive.index.database import Connection, Database
from archive.index.rebuild_plan import WAITING, Plan
from archive.index.rebuilding import Beside
from archive.index.reentering import TAKEN_OVER, Fate, Found
from archive.index.standing import Entry
from archive.services import reading_back
from archive.storage.base import BlobStore
from archive.storage.notes import Notes

AT_ONCE = 64
THREADS = 4
NAMED = 20
_KNOWN_ORDER = -1e12
"""In front of every moment: of what is known it is known in which order it came."""

HELD, ASIDE, GONE, UNREAD, LEFT = "held", "aside", "gone", "unread", "left"
_NOTHING_POINTED = "nothing pointed to it: it was deleted, dropped, or never finished"
_SAME = "the same object is stored under another key"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the blobs: how many were `entered`, are `held` as something else than a stored instance (kept
    aside, replaced, rejected …), are `in_doubt`, or were set `aside`, each with the reason; `unread` could not be read
    now. `missing` are SOP Instance UIDs that the former index had and no file has. `lost` are tables that could not be
    taken over, `*` where there was no former index. `former` is where that is kept."""

    entered: int
    held: int
    in_doubt: int
    aside: Sequence[tuple[str, str]]
    number_aside: int
    unread: Sequence[tuple[str, str]]
    missing: Sequence[str]
    number_missing: int
    lost: Sequence[str]
    former: str

    @property
    def is_whole(self) -> bool:
        """Whether everything is as it was."""
        return not (self.in_doubt or self.number_aside or self.unread or self.number_missing or self.lost)


class Reindexing:
    """One run. `plan` says where it is, `beside` where the new index is made."""

    def __init__(
        self, store: BlobStore, notes: Notes, plan: Plan, beside: Beside, *, from_files: bool = False
    ) -> None:
        self._store = store
        self._plan = plan
        self._beside = beside
        self._resumes = plan.noted("begun") == "yes" and beside.exists()
        if not self._resumes:
            beside.discard()
        self._former = None if from_files else beside.former()
        self._notes: Mapping[str, Entry] = {
            subject: orjson.loads(text) for subject, text in notes.all().items()
        }

    def close(self) -> None:
        """Let go of the former index."""
        if self._former is not None:
            self._former.close()

    def prepare(self) -> int:
        """Make the plan, and take over what the files do not know; how many blobs are still to be read. Raises
        OutOfResources."""
        if not self._resumes:
            self._plan.forget()
        self._list()
        if not self._resumes:
            self._order()
            database = self._beside.open()
            try:
                lost = [table.name for table in TAKEN_OVER if not self._take_over(database, table)]
                self._restore(database, lost)
            finally:
                database.close()
            self._plan.note("lost", orjson.dumps(lost if self._former is not None else ["*"]).decode())
            self._plan.note("begun", "yes")
        return self._plan.counts().get(WAITING, 0)

    def run(self, told: Callable[[int], object]) -> Report:
        """Enter all objects, and put the new index in its place; `told` hears of each lot. Raises OutOfResources, and
        ConfigurationError where the archive was used meanwhile."""
        stamp = time.strftime("%Y%m%dT%H%M%S")
        while True:
            database = self._beside.open()
            try:
                self._enter_all(database, told)
                database.write(reentering.complete)
            finally:
                database.close()
            missing = self._missing()
            self.close()
            kept = self._beside.take_place(stamp, self._is_whole)
            if kept is not None:
                return self._report(missing, kept)

    # --- before ---

    def _list(self) -> int:
        """Put all blobs into the plan that it does not know yet; how many."""
        keys, added = self._store.keys(), 0
        while some := list(islice(keys, 1000)):
            added += self._plan.add(filter(None, map(self._stat, some)))
        return added

    def _stat(self, key: str) -> tuple[str, float, int] | None:
        try:
            found = self._store.stat(key)
        except NotFound:
            return None
        return key, found.written_at, found.length

    def _order(self) -> None:
        noted = (
            (key, entry["instance"]["stored_at"]) for key, entry in self._notes.items() if "instance" in entry
        )
        self._plan.came(noted)
        if self._former is not None:
            self._plan.came((key, _KNOWN_ORDER + number) for key, number in reentering.came(self._former))

    def _take_over(self, database: Database, table: Any) -> bool:
        former = self._former
        if former is None:
            return False
        return database.write(lambda connection: reentering.take_over(former, connection, table))

    def _restore(self, database: Database, lost: Iterable[str]) -> None:
        """What the notes tell of tables that could not be taken over."""
        besides = {table.name for table in TAKEN_OVER}.difference(lost)

        def change(connection: Connection) -> None:
            standing.restore(connection, self._notes, besides, self._is_there)

        database.write(change)

    def _is_there(self, key: str) -> bool:
        return self._stat(key) is not None

    # --- objects ---

    def _enter_all(self, database: Database, told: Callable[[int], object]) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            while some := self._plan.next(AT_ONCE):
                self._check_alone()
                self._enter_some(database, threads, some)
                told(len(some))

    def _enter_some(
        self, database: Database, threads: ThreadPoolExecutor, some: Sequence[tuple[str, float, int]]
    ) -> None:
        entries = self._entries([key for key, _, _ in some])
        fates: dict[str, tuple[str, str]] = {}
        to_read = []
        for key, came, _ in some:
            fate = self._known_fate(entries.get(key))
            if fate is None:
                to_read.append((key, came, entries.get(key, {})))
            else:
                fates[key] = fate
        found = []
        for (key, _, _), one in zip(to_read, threads.map(self._read, to_read), strict=True):
            if isinstance(one, Found):
                found.append(one)
            else:
                fates[key] = one
        changes = [partial(_enter, one) for one in found]
        settled = database.write_each(changes, [""] * len(changes))
        for one, its in zip(found, settled, strict=True):
            fates[one.blob_key] = _fate(its.result)
        for key, (state, reason) in fates.items():
            if state == ASIDE:
                self._set_aside(key, reason)
        self._plan.settle((key, state, reason) for key, (state, reason) in fates.items())

    def _entries(self, keys: Sequence[str]) -> dict[str, Entry]:
        """What is known of these blobs: by the former index, else by their notes."""
        found = {key: self._notes[key] for key in keys if key in self._notes}
        if self._former is not None:
            known = reentering.standing_in(self._former, keys)
            found |= {key: entry for key, entry in known.items() if entry or key in found}
        return found

    def _known_fate(self, entry: Entry | None) -> tuple[str, str] | None:
        """What becomes of a blob that need not be read; None where it is, or may be, what is stored."""
        if entry is None or "instance" in entry:
            return None
        if entry.get("rows"):
            return HELD, ""
        if self._former is not None and "staged" not in entry:
            return LEFT, ""  # to the jobs, which have been taken over
        return (HELD, "") if self._former is not None else (ASIDE, _NOTHING_POINTED)

    def _read(self, one: tuple[str, float, Entry]) -> Found | tuple[str, str]:
        key, came, entry = one
        try:
            with self._store.open(key) as blob:
                return reading_back.read(key, blob, max(came, 0.0), entry)
        except NotFound:
            return GONE, ""
        except OutOfResources as error:
            return UNREAD, error.reason
        except ArchiveError as error:
            return ASIDE, error.reason

    def _set_aside(self, key: str, reason: str) -> None:
        try:
            self._store.set_aside(key, reason)
        except NotFound:
            return  # done before a crash

    # --- after ---

    def _check_alone(self) -> None:
        if self._plan.is_void():
            raise ConfigurationError(
                "the archive was used while it was reindexed: run `archive reindex` again, and nothing beside it"
            )

    def _is_whole(self) -> bool:
        self._check_alone()
        return not self._list()

    def _missing(self) -> list[str]:
        return [] if self._former is None else list(reentering.missing(self._former, self._plan.knows))

    def _report(self, missing: Sequence[str], kept: str) -> Report:
        counts = self._plan.counts()
        return Report(
            entered=counts.get(Fate.ENTERED, 0),
            held=counts.get(HELD, 0) + counts.get(LEFT, 0),
            in_doubt=counts.get(Fate.IN_DOUBT, 0),
            aside=self._plan.told(ASIDE, NAMED),
            number_aside=counts.get(ASIDE, 0),
            unread=self._plan.told(UNREAD, NAMED),
            missing=missing[:NAMED],
            number_missing=len(missing),
            lost=orjson.loads(self._plan.noted("lost")),
            former=kept,
        )


def _enter(one: Found, connection: Connection) -> Fate:
    return reentering.enter(connection, one)


def _fate(result: Callable[[], Fate]) -> tuple[str, str]:
    try:
        fate = result()
    except OutOfResources:
        raise
    except ArchiveError as error:
        return ASIDE, error.reason
    return (ASIDE, _SAME) if fate is Fate.SAME else (fate.value, "")
