"""A SQLite index on a disk that takes nothing more: full, or mounted read-only. It is read, and no file is made for it.

SQLite usually opens an index in WAL mode with two files beside it. What was closed in good order has none: then it is
read as a file that does not change. After a crash there is a log, with the last transactions in it: it is read with
the file, and its index is made in each process's own memory. Neither heeds a writer, so there must be none: whoever
opens an index so sees to it, and closes it before anybody writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event

from archive.dicom.errors import OutOfResources
from archive.index.prepared import at_driver

REASON = "the archive is read-only until there is room on its disk again"


class NoWriter:
    """Takes no change."""

    def write(self, _change: Callable[[sa.Connection], Any]) -> NoReturn:
        """Raises OutOfResources."""
        raise OutOfResources(REASON)

    def write_each(
        self, _changes: Sequence[Callable[[sa.Connection], Any]], _subjects: Sequence[str]
    ) -> NoReturn:
        """Raises OutOfResources."""
        raise OutOfResources(REASON)

    def close(self) -> None:
        """There is nothing to be closed."""


def engine(path: Path, most: int) -> sa.Engine:
    """For reading only."""
    made = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        creator=lambda: _connect(path),
        poolclass=sa.pool.QueuePool,
        pool_size=min(most, 8),
        max_overflow=max(most - 8, 0),
        hide_parameters=True,
    )

    @event.listens_for(made, "begin")
    def _begin(connection: sa.Connection) -> None:
        at_driver(connection, "BEGIN")

    return made


def _connect(path: Path) -> sqlite3.Connection:
    log = path.with_name(path.name + "-wal")
    has_log = log.exists() and log.stat().st_size > 0
    how = "vfs=unix-none" if has_log else "immutable=1"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro&{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    for pragma in ("locking_mode = EXCLUSIVE", "query_only = ON", "cache_size = -16384"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
