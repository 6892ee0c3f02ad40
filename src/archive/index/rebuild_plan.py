"""What is to be read when an index is made again from the files: every blob, in the order in which they came; and how
far that is. A SQLite file of its own, so that it takes no memory, and an interrupted run is gone on with.

It is synced as the index is: after a power cut it must not say of a blob that it was entered, nor forget one.
It is no part of the index, and it is void as soon as somebody opens the archive: then files may have come and gone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from archive.dicom.errors import OutOfResources
from archive.index.kept_connections import file_at

_TABLES = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS blob (
        key TEXT PRIMARY KEY, came REAL NOT NULL, length INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS blob_order ON blob (state, came, key);
    CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
WAITING = "waiting"


class Plan:
    """The plan in a file, made when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.executescript(_TABLES)
            self._file = file_at(path)

    def is_void(self) -> bool:
        """Whether somebody has opened the archive since."""
        return file_at(self._path) != self._file

    def forget(self) -> None:
        """Begin anew."""
        with _told():
            self._connection.executescript("DELETE FROM blob; DELETE FROM note;")

    def noted(self, name: str) -> str:
        """What was noted under a name, or nothing."""
        with _told():
            row = self._connection.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def note(self, name: str, value: str) -> None:
        """Note something about the whole."""
        with _told():
            self._connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    def add(self, blobs: Iterable[tuple[str, float, int]]) -> int:
        """Add blobs that are not known yet: key, when it came, length; how many those were."""
        with _told(), self._transaction():
            before = self._connection.total_changes
            self._connection.executemany(
                f"INSERT OR IGNORE INTO blob VALUES (?, ?, ?, '{WAITING}', '')", blobs
            )
            return self._connection.total_changes - before

    def came(self, blobs: Iterable[tuple[str, float]]) -> None:
        """Of these it is known better when they came."""
        with _told(), self._transaction():
            self._connection.executemany(
                "UPDATE blob SET came = ? WHERE key = ?", ((came, key) for key, came in blobs)
            )

    def next(self, number: int) -> list[tuple[str, float, int]]:
        """The next blobs that are to be read."""
        asked = "SELECT key, came, length FROM blob WHERE state = ? ORDER BY came, key LIMIT ?"
        with _told():
            return self._connection.execute(asked, (WAITING, number)).fetchall()

    def settle(self, fates: Iterable[tuple[str, str, str]]) -> None:
        """Note what has become of blobs: key, state, reason."""
        with _told(), self._transaction():
            self._connection.executemany(
                "UPDATE blob SET state = ?, reason = ? WHERE key = ?",
                ((state, reason, key) for key, state, reason in fates),
            )

    def counts(self) -> dict[str, int]:
        """How many blobs are in each state."""
        with _told():
            return dict(self._connection.execute("SELECT state, count(*) FROM blob GROUP BY state"))

    def told(self, state: str, limit: int) -> list[tuple[str, str]]:
        """Key and reason of those in a state, so many at most."""
        asked = "SELECT key, reason FROM blob WHERE state = ? ORDER BY came, key LIMIT ?"
        with _told():
            return self._connection.execute(asked, (state, limit)).fetchall()

    def knows(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are in the plan."""
        with _told():
            return {
                key
                for key in keys
                if self._connection.execute("SELECT 1 FROM blob WHERE key = ?", (key,)).fetchone()
            }

    def close(self) -> None:
        """Keep it for the next run."""
        self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise OutOfResources(
            f"the plan of the reindex cannot be kept ({error}): make room on the disk, and run `archive reindex` "
            "again; if that does not help, remove the folder `reindex` in the data folder"
        ) from None
