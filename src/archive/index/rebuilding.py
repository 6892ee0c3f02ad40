"""An index that is made beside the one in use, and takes its place when it is whole: until then nobody sees it.

SQLite: in a folder `reindex` beside the file; the files change names, and the former one is kept beside it. PostgreSQL:
in a schema of the same database; the tables change schemas in one transaction, and the former ones are kept in a schema
of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from archive.dicom.errors import ArchiveError, ConfigurationError, OutOfResources
from archive.index import schema, transactions
from archive.index.database import Database

SCHEMA = "archive_reindex"
FOLDER = "reindex"
_TABLES = (*(table.name for table in schema.metadata.sorted_tables), "alembic_version")


class Beside(Protocol):
    """The place beside the index in use."""

    def exists(self) -> bool:
        """Whether something is there, from an earlier run."""

    def open(self) -> Database:
        """The index that is being made, with its tables. Raises OutOfResources, ConfigurationError."""

    def discard(self) -> None:
        """Leave nothing there. Raises OutOfResources."""

    def former(self) -> Database | None:
        """The index in use, with its schema up to date; None where there is none, or none that can be read."""

    def take_place(self, stamp: str, is_whole: Callable[[], bool]) -> str | None:
        """Put it in the place of the index in use; where that is kept, or nothing where there was none. None, and
        nothing is done, unless it is whole: that is asked while nobody changes the index in use. Nobody has either
        open. Raises OutOfResources."""


def beside(url: str) -> Beside:
    """For an index of this URL. Raises ConfigurationError."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return BesideSqlite(Path(str(parsed.database)))
    return BesidePostgresql(parsed.set(drivername="postgresql"))


class BesideSqlite:
    """Two files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made = path.parent / FOLDER / path.name

    def exists(self) -> bool:
        return self._made.exists()

    def open(self) -> Database:
        return _migrated(Database.in_file(self._made))

    def discard(self) -> None:
        with transactions.adapted():
            for end in ("", "-wal", "-shm", ".lock"):
                self._made.with_name(self._made.name + end).unlink(missing_ok=True)

    def former(self) -> Database | None:
        return _readable(Database.in_file(self._path)) if self._path.exists() else None

    def take_place(self, stamp: str, is_whole: Callable[[], bool]) -> str | None:
        with transactions.adapted(), self._nobody_writes():
            if not is_whole():
                return None
            _fold(self._made)
            kept = self._path.with_name(f"{self._path.name}.before-{stamp}") if self._path.exists() else None
            if kept is not None:
                with contextlib.suppress(OutOfResources):  # it may be too damaged for that
                    _fold(self._path)
                for end in ("-wal", "-shm", ""):
                    with contextlib.suppress(FileNotFoundError):
                        self._path.with_name(self._path.name + end).rename(kept.with_name(kept.name + end))
            self._made.rename(self._path)
            _sync_folder(self._path.parent)
            return str(kept or "")

    @contextlib.contextmanager
    def _nobody_writes(self) -> Iterator[None]:
        """As those who write take turns by this lock."""
        path = self._path.with_name(self._path.name + ".lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class BesidePostgresql:
    """Two schemas."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        options = f"{url.query.get('options', '')} -csearch_path={SCHEMA}".strip()
        self._made = url.update_query_dict({"options": options})

    def exists(self) -> bool:
        with self._administering() as connection:
            return SCHEMA in sa.inspect(connection).get_schema_names()

    def open(self) -> Database:
        with self._administering() as connection:
            connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        return _migrated(Database.open(_text(self._made)))

    def discard(self) -> None:
        with self._administering() as connection:
            connection.execute(sa.schema.DropSchema(SCHEMA, cascade=True, if_exists=True))

    def former(self) -> Database | None:
        database = Database.open(_text(self._url))
        if not _is_new(database):
            return _readable(database)
        database.close()
        return None

    def take_place(self, stamp: str, is_whole: Callable[[], bool]) -> str | None:
        kept = f"archive_before_{stamp.lower().replace('-', '_')}"
        with self._administering() as connection:
            there = set(sa.inspect(connection).get_table_names())
            if "instance" in there:
                connection.exec_driver_sql("LOCK TABLE instance IN ACCESS EXCLUSIVE MODE")
            if not is_whole():
                return None
            here = connection.execute(sa.select(sa.func.current_schema())).scalar_one()
            if there:
                connection.execute(sa.schema.CreateSchema(kept))
            for name in _TABLES:
                if name in there:
                    _move(connection, here, name, kept)
                _move(connection, SCHEMA, name, here)
            connection.execute(sa.schema.DropSchema(SCHEMA))
        return f"schema {kept}" if there else ""

    @contextlib.contextmanager
    def _administering(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self._url.set(drivername="postgresql+psycopg"), hide_parameters=True)
        try:
            with transactions.adapted(), engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()


def _move(connection: sa.Connection, schema_name: str, table: str, to: str) -> None:
    connection.exec_driver_sql(f'ALTER TABLE "{schema_name}"."{table}" SET SCHEMA "{to}"')


def _text(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


def _is_new(database: Database) -> bool:
    try:
        return database.is_new()
    except BaseException:
        database.close()
        raise


def _migrated(database: Database) -> Database:
    try:
        database.migrate()
    except BaseException:
        database.close()
        raise
    return database


def _readable(database: Database) -> Database | None:
    """None where it is damaged, or of another version of the archive."""
    try:
        return _migrated(database)
    except ConfigurationError:
        return None
    except ArchiveError:
        # SQLite says so of a file that is torn; of a server that is away it would be wrong to go on without its rows.
        if database.is_server:
            raise
        return None


def _fold(path: Path) -> None:
    """Let a SQLite file hold all that its write-ahead log does. Raises OutOfResources."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise OutOfResources(f"the index cannot be closed ({error})") from None
    if busy:
        raise OutOfResources("the index is in use: end all other `archive` commands")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
