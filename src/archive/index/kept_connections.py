"""Connections to a SQLite file that stay open, as SQLAlchemy's pool takes longer to hand one out, and to take it back,
than most questions take."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

WAIT_SECONDS = 30.0
MOST_IDLE = 8


class KeptConnections:
    """At most so many connections of an engine, of which each is lent to one thread at a time."""

    def __init__(self, engine: sa.Engine, path: Path, most: int) -> None:
        self.engine = engine
        self._path = path
        self._places = threading.BoundedSemaphore(most)
        self._idle: deque[tuple[tuple[int, int], sa.Connection]] = deque()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sa.Connection]:
        """A connection; what was not committed when it is given back is undone. Raises SQLAlchemyError: also when there
        is none for so long."""
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise sa.exc.TimeoutError("all connections to the index are in use")
        try:
            file, connection = self._take()
            try:
                yield connection
                connection.rollback()  # nothing, where all was committed
            except BaseException:
                connection.close()
                raise
            self._give_back(file, connection)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close those that nobody uses; the others are closed when they are given back."""
        self._closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].close()
        self.engine.dispose()

    def _take(self) -> tuple[tuple[int, int], sa.Connection]:
        """The one that was used last, unless the file under this path is another by now."""
        file = file_at(self._path)
        with suppress(IndexError):
            while True:
                of, connection = self._idle.pop()
                if of == file:
                    return file, connection
                connection.close()
        return file, self.engine.connect()

    def _give_back(self, file: tuple[int, int], connection: sa.Connection) -> None:
        if self._closed or len(self._idle) >= MOST_IDLE:
            connection.close()
        else:
            self._idle.append((file, connection))


def file_at(path: Path) -> tuple[int, int]:
    """Which file there is now under this path. A connection keeps the one that it opened, even after that has been
    deleted or replaced: what it wrote into that would be lost."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
