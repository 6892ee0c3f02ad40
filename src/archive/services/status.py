"""What the archive is doing, for who runs it: workers, disks, the index, what waits and what is damaged. Nothing of
patients, so whoever may observe may see all of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from archive.dicom.errors import OutOfResources
from archive.index import standing_of_work, verification
from archive.index.conflicts import WAITING
from archive.index.database import Database
from archive.index.standing_of_work import Queue
from archive.index.verification import Pass
from archive.settings.whole import Settings
from archive.storage.base import BlobStore, SetAside

COUNT_SECONDS = 2.0
"""So long things are counted in the index, and then not: of very many the number is not worth it."""
FRESH_SECONDS = 30.0
MOST_ASIDE = 1000
_PREFIX = "archive-"


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that the archive writes to; below `minimum_bytes` nothing new is taken."""

    what: str
    free_bytes: int
    total_bytes: int
    minimum_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """How it stands. `counts` is None where there is too much to be counted soon."""

    version: str
    index_kind: str
    workers: tuple[str, ...]
    disks: tuple[Disk, ...]
    counts: dict[str, int] | None
    queues: tuple[Queue, ...]
    conflicts: dict[str, int]
    quarantined: int
    damaged: dict[str, int]
    scrubber: Pass


class StatusOfAll:
    """Who asks for it. Safe for threads: of those who ask within half a minute, one has things counted."""

    def __init__(
        self,
        settings: Settings,
        store: BlobStore,
        database: Database,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._counted_at = float("-inf")
        self._counts: dict[str, int] | None = None

    def now(self) -> Status:
        """How it stands now. Raises OutOfResources."""
        with self._database.read() as connection:
            queues = tuple(standing_of_work.queues(connection))
            conflicts = standing_of_work.conflicts(connection, WAITING)
            damaged = verification.counts(connection)
            scrubber = verification.scrubbed(connection)
        return Status(
            version("dicom-archive"),
            "PostgreSQL" if self._database.is_server else "SQLite",
            _workers(),
            tuple(self._disks()),
            self._counted(),
            queues,
            conflicts,
            sum(1 for _, _one in zip(range(MOST_ASIDE), self._store.aside(), strict=False)),
            damaged,
            scrubber,
        )

    def aside(self, limit: int) -> list[SetAside]:
        """The first files of the quarantine, by name. Raises OutOfResources."""
        return list(islice(self._store.aside(), limit))

    def _counted(self) -> dict[str, int] | None:
        with self._lock:
            if self._clock() - self._counted_at >= FRESH_SECONDS:
                self._counts = None
                with suppress(OutOfResources), self._database.read() as connection:
                    self._counts = standing_of_work.counts(connection, COUNT_SECONDS)
                self._counted_at = self._clock()
            return self._counts

    def _disks(self) -> list[Disk]:
        """That of the objects, and that of the index where it is in a file on another one."""
        folders = {"objects": self._settings.data}
        if self._database.folder is not None and _device(self._database.folder) != _device(
            self._settings.data
        ):
            folders["index"] = self._database.folder
        return [self._disk(what, folder) for what, folder in folders.items()]

    def _disk(self, what: str, folder: Path) -> Disk:
        try:
            room = os.statvfs(folder)
        except OSError as error:
            raise OutOfResources(f"the free space of the {what} is unknown: {error.strerror}") from None
        size = room.f_frsize
        minimum = self._settings.storage.minimum_free_bytes
        return Disk(what, room.f_bavail * size, room.f_blocks * size, minimum)


def _workers() -> tuple[str, ...]:
    """The workers that run beside this one, by their names. The supervisor ends those that have fallen silent, and
    starts others in their place. Empty where there is no supervisor, or the system tells of no processes."""
    supervisor, found = os.getppid(), []
    try:
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text()
    except OSError:
        return ()
    for pid in children.split():
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            if name.startswith(_PREFIX):
                found.append(name.removeprefix(_PREFIX))
    return tuple(sorted(found))


def _device(folder: Path) -> int:
    try:
        return folder.stat().st_dev
    except OSError:
        return 0
