"""Where the copies of de-identified shares are: a folder for each below `deidentified`, with a store and an index.

Who comes by such a share is given an archive over these (`Archive.shown_to`), in the one place where others are given
one that is narrowed to what they see. The folder is named by a digest: names of files tell no secret.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archive.dicom.errors import Gone
from archive.index.database import Database
from archive.security.shares import Deidentified, Share
from archive.services.deidentifying import Copying, LeftOut
from archive.services.retrieve import Retrieve
from archive.settings.whole import Settings
from archive.storage.folders import make_folder, sync_folder
from archive.storage.local import LocalStore

FOLDER = "deidentified"
MOST_OPEN = 16
KEPT_UP_SECONDS = 1.0
"""So long a copy may outlive what it was made of."""
ABANDONED_SECONDS = 86_400.0
"""What nobody knows and was not touched for so long was left by a process that was killed while it copied."""


@dataclass(slots=True)
class Room:
    """One copy, open."""

    store: LocalStore
    database: Database
    kept_up_at: float = -KEPT_UP_SECONDS
    lock: threading.Lock = field(default_factory=threading.Lock)


class Rooms:
    """Those of one archive. Safe for threads."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data / FOLDER
        self._minimum_free_bytes = settings.storage.minimum_free_bytes
        self._open: OrderedDict[str, Room] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, seen: Retrieve, studies: Sequence[str], how: Deidentified) -> list[LeftOut]:
        """Copy what is seen of these studies; what was left out. Leaves nothing behind where it raises: InvalidEntry,
        NotFound, OutOfResources."""
        folder = self._folder / how.room
        try:
            make_folder(folder)
            database = Database.in_file(folder / "index.sqlite")
            (folder / "index.sqlite").touch(mode=0o600)
            try:
                database.migrate()
                left = Copying(self._store(folder, make=True), database).make(seen, studies, how)
            finally:
                database.close()
            sync_folder(self._folder)
        except BaseException:
            self.discard(how)
            raise
        return left

    def room(self, how: Deidentified, studies: Sequence[str], seen: Retrieve) -> Room:
        """The copy of a share that has these studies still, with nothing in it that is not in the archive. Raises
        Gone where it is not here, OutOfResources."""
        found = self._opened(how)
        with found.lock:
            if time.monotonic() - found.kept_up_at >= KEPT_UP_SECONDS:
                Copying(found.store, found.database).keep_up(seen, studies, how)
                found.kept_up_at = time.monotonic()
        return found

    def discard(self, how: Deidentified) -> None:
        """Remove a copy for good."""
        with self._lock:
            self._open.pop(how.room, None)
        shutil.rmtree(self._folder / how.room, ignore_errors=True)

    def sweep(self, standing: Iterable[Share], ended: Iterable[Share], seen: Retrieve) -> None:
        """Remove the copies of shares that have ended, and what nobody knows; and of those that stand what is no more
        in the archive. Raises OutOfResources."""
        for one in ended:
            if one.deidentified is not None:
                self.discard(one.deidentified)
        known = set()
        for one in standing:
            if one.deidentified is not None:
                known.add(one.deidentified.room)
                if (self._folder / one.deidentified.room).is_dir():
                    self.room(one.deidentified, one.studies, seen)
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.name not in known and time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of all that are open."""
        with self._lock:
            rooms, self._open = list(self._open.values()), OrderedDict()
        for room in rooms:
            room.database.close()

    def _opened(self, how: Deidentified) -> Room:
        with self._lock:
            found = self._open.get(how.room)
            if found is None:
                found = self._open[how.room] = self._entered(self._folder / how.room)
            self._open.move_to_end(how.room)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)  # whoever reads there still has it
        return found

    def _entered(self, folder: Path) -> Room:
        if not (folder / "index.sqlite").is_file():
            raise Gone("the de-identified copy is not here any more: ask who sent this share for another")
        database = Database.in_file(folder / "index.sqlite")
        database.migrate()
        return Room(self._store(folder, make=False), database)

    def _store(self, folder: Path, *, make: bool) -> LocalStore:
        return LocalStore(folder, minimum_free_bytes=self._minimum_free_bytes, index_folder=folder, make=make)
