"""Connections to a SQLite file that stay open, as SQLAlchemy's pool takes longer to hand one out, and to take it back,
than most questions take.

Those of one process share what SQLite has open of the index of the log. Where that could be opened only to be read, as
for a moment there were too many open files, none of them can write, and none that is opened later, until all have been
closed. So where one cannot write, all are closed at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from archive.dicom.errors import OutOfResources

WAIT_SECONDS = 30.0
MOST_IDLE = 8
GATHER_SECONDS = 2.0
"""How long those that are lent are waited for, where all are to be closed; as long again nobody waits after that."""

_NONE = 0, 0
_LOG_GONE = "the index's write-ahead log was taken away: end the archive and start it again"


class OfProcess:
    """All connections that this process has to one file. Safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept: list[KeptConnections] = []
        self._lent = 0
        self._doubted = False
        self._trusted_until = float("-inf")

    def add(self, kept: KeptConnections) -> None:
        """These are among them."""
        self._kept.append(kept)

    def lend(self) -> None:
        """One is about to be used. First all are closed, where one could not write."""
        with self._changed:
            if self._doubted:
                self._close_all()
            self._lent += 1

    def give_back(self) -> None:
        """It is not used any more."""
        with self._changed:
            self._lent -= 1
            if not self._lent:
                self._changed.notify_all()

    def doubt(self) -> None:
        """One could not write."""
        with self._changed:
            self._doubted = time.monotonic() >= self._trusted_until

    def _close_all(self) -> None:
        """Once none is lent; where that takes too long, they go on as they are."""
        if not self._changed.wait_for(lambda: not (self._doubted and self._lent), GATHER_SECONDS):
            self._trusted_until = time.monotonic() + GATHER_SECONDS
        elif self._doubted:
            for kept in self._kept:
                kept.close_idle()
        self._doubted = False
        self._changed.notify_all()


class KeptConnections:
    """At most so many connections of an engine, of which each is lent to one thread at a time. `begun`: within a
    transaction, so that it is known to write where that is what the engine's begin with."""

    def __init__(
        self,
        engine: sa.Engine,
        path: Path,
        most: int,
        of_process: OfProcess | None = None,
        *,
        begun: bool = False,
    ) -> None:
        self.engine = engine
        self._path = path
        self._of_process = of_process or OfProcess()
        self._of_process.add(self)
        self._begun = begun
        self._places = threading.BoundedSemaphore(most)
        self._idle: deque[tuple[Files, sa.Connection]] = deque()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sa.Connection]:
        """A connection; what was not committed when it is given back is undone. Raises SQLAlchemyError: also when there
        is none for so long."""
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise sa.exc.TimeoutError("all connections to the index are in use")
        try:
            of, connection = self._lend()
            try:
                try:
                    yield connection
                    connection.rollback()  # nothing, where all was committed
                except BaseException as error:
                    self._end(connection, error)
                    raise
                self._give_back(of, connection)
            finally:
                self._of_process.give_back()
        finally:
            self._places.release()

    def close(self) -> None:
        """Close those that nobody uses; the others are closed when they are given back."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close those that nobody uses; others are opened when they are wanted."""
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].close()
        self.engine.dispose()

    def _lend(self, *, again: bool = True) -> tuple[Files, sa.Connection]:
        """One that is ready. Where it cannot write it was the fault of another, so it is tried once more."""
        self._of_process.lend()
        try:
            return self._ready()
        except BaseException as error:
            self._of_process.give_back()
            if again and _says_read_only(error):
                return self._lend(again=False)
            raise

    def _ready(self) -> tuple[Files, sa.Connection]:
        of, connection = self._take()
        try:
            if self._begun:
                connection.begin()
        except BaseException as error:
            self._end(connection, error)
            raise
        return of, connection

    def _take(self) -> tuple[Files, sa.Connection]:
        """The one that was used last, unless the file under this path is another by now."""
        with suppress(IndexError):
            while True:
                of, connection = self._idle.pop()
                # Not before: a log that another thread made in between would look as if it had been taken away.
                files = Files.at(self._path)
                if of.index == files.index:
                    if of.is_without_log(files):
                        self._idle.append((of, connection))
                        raise OutOfResources(_LOG_GONE)
                    return of, connection
                connection.close()
        return Files(file_at(self._path), _NONE, _NONE), self.engine.connect()

    def _give_back(self, of: Files, connection: sa.Connection) -> None:
        """With the files that it is known to have open; that they are there still is looked at when it is taken."""
        files = of if of.is_whole else Files.at(self._path)
        if self._closed or len(self._idle) >= MOST_IDLE or files.index != of.index:
            connection.close()
        else:
            self._idle.append((files, connection))

    def _end(self, connection: sa.Connection, error: BaseException) -> None:
        """After an error of the engine the connection is not used again: one that was opened while the disk was
        read-only would be so for good."""
        if _says_read_only(error):
            self._of_process.doubt()
        if isinstance(error, sa.exc.DBAPIError | OutOfResources):
            connection.invalidate()
        connection.close()


@dataclass(frozen=True, slots=True)
class Files:
    """Which files there are under a path: that of the index, and its log and the index of that, which SQLite keeps
    there as long as anybody has the index open. A connection that is opened when they were taken away makes new ones,
    and then two write without seeing each other."""

    index: tuple[int, int]
    log: tuple[int, int]
    index_of_log: tuple[int, int]

    @staticmethod
    def at(path: Path) -> Files:
        """Now."""
        name = str(path)
        return Files(file_at(name), file_at(name + "-wal"), file_at(name + "-shm"))

    @property
    def is_whole(self) -> bool:
        """Whether all are there: who has seen them keeps them open, and never has others."""
        return self.log != _NONE and self.index_of_log != _NONE

    def is_without_log(self, now: Files) -> bool:
        """Whether the log that was there is gone, or another. Who has asked nothing yet has seen none."""
        return self.log not in (_NONE, now.log) or self.index_of_log not in (_NONE, now.index_of_log)


def _says_read_only(error: BaseException) -> bool:
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return isinstance(name, str) and name.startswith("SQLITE_READONLY")


def file_at(path: Path | str) -> tuple[int, int]:
    """Which file there is now under this path. A connection keeps the one that it opened, even after that has been
    deleted or replaced: what it wrote into that would be lost."""
    try:
        found = os.stat(path)
    except OSError:
        return _NONE
    return found.st_dev, found.st_ino
