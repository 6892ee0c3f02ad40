"""The index as it is at one moment, in one SQLite file whatever engine it is on: for backups.

On SQLite it is the copy that SQLite makes of itself while others write. On PostgreSQL it is the rows, read in one
transaction: so a backup of the one can be restored to the other.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.index import copying
from archive.index.database import Connection, Database
from archive.index.referenced import HOLDERS

Told = Callable[[int, int], object]
"""Hears how much is done, and how much there is."""

_PAGES = 4096
_ENDS = ("", "-wal", "-shm", "-journal", ".lock")


@dataclass(frozen=True, slots=True)
class Pointed:
    """A blob that something points to, and what is known of it."""

    key: str
    data_set_offset: int
    data_set_length: int
    sha256: str

    @property
    def length(self) -> int:
        """Bytes of the whole PS3.10 file."""
        return self.data_set_offset + self.data_set_length


def take(database: Database, path: Path, told: Told = lambda _done, _all: None) -> None:
    """Write the index into a new file, which is durable then. Raises OutOfResources."""
    remove(path)
    try:
        with database.moment() as connection:
            if database.is_server:
                _copy_rows(connection, path, told)
            else:
                _copy_pages(connection, path, told)
        _make_one_file(path)
    except sqlite3.Error as error:
        raise OutOfResources(f"the copy of the index cannot be written ({error})") from None
    except copying.Unreadable as error:
        raise OutOfResources(f"the index cannot be read ({error})") from None


def remove(path: Path) -> None:
    """The file, and what SQLite and we put beside it."""
    for end in _ENDS:
        path.with_name(path.name + end).unlink(missing_ok=True)


def pointed(path: Path) -> Iterator[Pointed]:
    """Every blob that something in a snapshot points to, once, in the order of keys. Raises OutOfResources."""
    with _reading(), contextlib.closing(_opened(path)) as connection:
        last = ""
        for row in connection.execute(f"{_pointed()} ORDER BY 1"):
            if row[0] != last:
                last = row[0]
                yield Pointed(*row)


def number_pointed(path: Path) -> int:
    """How many blobs these are. Raises OutOfResources."""
    with _reading(), contextlib.closing(_opened(path)) as connection:
        asked = f"SELECT count(DISTINCT blob_key) FROM ({_pointed()})"
        return int(connection.execute(asked).fetchone()[0])


def restore(path: Path, database: Database, told: Told = lambda _done, _all: None) -> None:
    """Put the rows of a snapshot into an index on PostgreSQL that is new; all or nothing. The file is brought up to
    date for that. Raises OutOfResources, and ConfigurationError where there is something in the index."""
    if not database.is_new():
        raise ConfigurationError("the index holds something already: name an empty database with index.url")
    snapshot = Database.in_file(path)
    try:
        snapshot.migrate()
        database.migrate()
        with snapshot.read() as source:
            database.write(lambda target: _copy_all(source, target, told))
    except copying.Unreadable as error:
        raise OutOfResources(f"the index of the backup cannot be read ({error})") from None
    finally:
        snapshot.close()


def _copy_pages(connection: Connection, path: Path, told: Told) -> None:
    """All of one moment, as the connection is in a transaction that reads."""
    source: Any = connection.connection.driver_connection
    connection.exec_driver_sql("SELECT count(*) FROM alembic_version")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(path)) as target:
        source.backup(target, pages=_PAGES, progress=lambda _status, left, pages: told(pages - left, pages))


def _copy_rows(connection: Connection, path: Path, told: Told) -> None:
    made = Database.in_file(path)
    try:
        made.migrate()
        made.write(lambda target: _copy_all(connection, target, told))
    finally:
        made.close()


def _copy_all(source: Connection, target: Connection, told: Told) -> None:
    number, done = copying.count(source), 0

    def hear(some: int) -> None:
        nonlocal done
        done += some
        told(done, number)

    for table in copying.TABLES:
        target.execute(sa.delete(table))
    for table in copying.TABLES:
        copying.copy(source, target, table, hear)
    copying.finish(target, copying.TABLES)


def _make_one_file(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """SQLite sorts millions of keys in a file of its own."""
    try:
        yield
    except sqlite3.Error as error:
        raise OutOfResources(
            f"the copy of the index cannot be read ({error}); if there is no room for sorting it, name a folder that "
            "has some in SQLITE_TMPDIR"
        ) from None


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)


def _pointed() -> str:
    held = (
        f"SELECT blob_key, data_set_offset, data_set_length, {_digest(table)} "
        f"FROM \"{table.name}\" WHERE blob_key <> ''"
        for table in HOLDERS
    )
    return " UNION ALL ".join(held)


def _digest(table: sa.Table) -> str:
    return next(name for name in ("kept_sha256", "sha256") if name in table.c)
