"""The connection to the index: SQLite or PostgreSQL by URL, durable, and committed in groups.

`write` returns only after COMMIT. On SQLite callers that come together share one transaction (`group_commit`). On
PostgreSQL every change is a transaction of its own, or shares it with others about the same study: the server itself
groups the commits of its sessions, and short transactions that lock patient, study, series in this order cannot
deadlock.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

from archive.dicom.errors import ConfigurationError, OutcomeUnknown, OutOfResources
from archive.index import frozen, transactions
from archive.index.group_commit import GroupWriter
from archive.index.kept_connections import KeptConnections, OfProcess, file_at
from archive.index.prepared import at_driver
from archive.index.schema import ae_title
from archive.index.settled import Settled
from archive.index.transactions import Raced as Raced

T = TypeVar("T")
Connection = sa.Connection

BUSY_TIMEOUT_MS = 10_000
ATTEMPTS = 20
MOST_PAUSE = 0.2
"""Seconds, of a pause that grows with each attempt: who begins again at once meets the same others again."""
FOREIGN_KEY_VIOLATION = "23503"
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size = -16384",
    "PRAGMA secure_delete = ON",  # what is deleted is written over: it may be a patient's name
)
_CHANGE_NOTHING = sa.text("UPDATE alembic_version SET version_num = version_num")
"""Written to the log of the database and synced, as any change is."""
_log = structlog.get_logger()


class Database:
    """The index's database. Safe for threads; after a fork, open another."""

    def __init__(self, connections: Connections, writer: Writer, folder: Path | None = None) -> None:
        self._connections = connections
        self._writer = writer
        self.folder = folder
        """Where its file is; None where it is none of ours."""

    @staticmethod
    def open(url: str) -> Database:
        """`sqlite:///path` or `postgresql://…`. Raises ConfigurationError for any other URL. Connects when
        first used."""
        try:
            parsed = sa.make_url(url)
        except SQLAlchemyError as error:
            raise ConfigurationError("the index URL is not a database URL") from error
        if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
            return _open_sqlite(Path(parsed.database))
        if parsed.get_backend_name() == "postgresql":
            return _open_postgresql(parsed.set(drivername="postgresql+psycopg"))
        raise ConfigurationError("the index URL begins with sqlite:/// or postgresql://")

    @staticmethod
    def in_file(path: Path) -> Database:
        """SQLite in a file, whatever characters its path holds. Connects when first used."""
        return _open_sqlite(path)

    def frozen(self) -> Database:
        """The same, closed for changes and to be read on a disk that takes none; itself where it is on no disk of ours.
        Nobody may write to it meanwhile. Close this one first."""
        path = self._connections.engine.url.database
        if self.folder is None or not path:
            return self
        return Database(KeptConnections(frozen.engine(Path(path), 64), Path(path), 64), frozen.NoWriter())

    def migrate(self) -> None:
        """Bring the schema up to date; once, before workers start.

        Raises OutOfResources, ConfigurationError."""
        from archive.index import migrate  # alembic, which the workers need not load

        with transactions.adapted():
            migrate.upgrade(self._connections.engine)

    def check_schema(self) -> None:
        """Raises ConfigurationError unless the schema is up to date, OutOfResources if that cannot be read."""
        from archive.index import migrate

        with self.read() as connection:
            migrate.check(connection)

    def is_new(self) -> bool:
        """Whether there is nothing in it yet, not even a table."""
        from archive.index import migrate

        with transactions.adapted():
            return migrate.is_new(self._connections.engine)

    @property
    def is_server(self) -> bool:
        """Whether it is reached over a network: then that it cannot be used does not mean that it is damaged."""
        return self._connections.engine.dialect.name == "postgresql"

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run `change` in a transaction and return its result once that is durable.

        A change does nothing but SQL, as it may be run more than once. Its exceptions reach its caller, with
        nothing of it done. Raises OutOfResources (nothing done) or OutcomeUnknown (COMMIT failed half way).
        """
        return self._writer.write(change)

    def write_each(
        self, changes: Sequence[Callable[[Connection], T]], subjects: Sequence[str]
    ) -> list[Settled[T]]:
        """The same for several, in their order and in as few transactions as it takes: what came of each, which fails
        with no other unless its transaction does. `subjects` say what each is about, a study for example: changes
        whose subjects differ may lock the same rows in any order, and share no transaction where that matters."""
        return self._writer.write_each(changes, subjects) if changes else []

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for questions: never blocks a writer, but is one of few, so nobody waits for others within the
        block. On SQLite all its answers are of one moment, on PostgreSQL each is."""
        with transactions.adapted(), self._connections.one() as connection:
            yield connection

    @contextlib.contextmanager
    def moment(self) -> Iterator[Connection]:
        """The same, but all its answers are of one moment on either engine, however many and long."""
        with self.read() as connection:
            if self.is_server:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def empty_log(self) -> bool:
        """Have nothing in the log that is not in the database any more; False where that is not for us to do, or others
        read just now. Raises OutOfResources."""
        if self.is_server:
            return False
        with transactions.adapted():
            connection = self._connections.engine.raw_connection()
            try:
                busy, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.close()
        return not busy

    def check(self) -> None:
        """Raises OutOfResources unless the index can be read now, and takes a change (for readiness)."""
        if isinstance(self._writer, frozen.NoWriter):
            raise OutOfResources(frozen.REASON)
        with self.read() as connection:
            connection.execute(sa.select(ae_title.c.title).limit(1))
        self.write(lambda connection: connection.execute(_CHANGE_NOTHING) and None)

    def close(self) -> None:
        """Give all connections back."""
        self._writer.close()
        self._connections.close()


class Connections(Protocol):
    """Where connections for questions come from."""

    @property
    def engine(self) -> sa.Engine: ...

    def one(self) -> AbstractContextManager[Connection]: ...

    def close(self) -> None: ...


class PooledConnections:
    """Those of SQLAlchemy's pool."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def one(self) -> AbstractContextManager[Connection]:
        """A connection for one thread; what was not committed when it is given back is undone."""
        return self.engine.connect()

    def close(self) -> None:
        """Close all that nobody uses."""
        self.engine.dispose()


class Writer(Protocol):
    """How changes reach the disk."""

    def write(self, change: Callable[[Connection], T]) -> T: ...

    def write_each(
        self, changes: Sequence[Callable[[Connection], T]], subjects: Sequence[str]
    ) -> list[Settled[T]]: ...

    def close(self) -> None: ...


class SessionWriter:
    """PostgreSQL: a transaction for each change, again when another was faster or the server broke a
    deadlock."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def write(self, change: Callable[[Connection], T]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                with transactions.adapted():
                    return self._attempt(change)
            except Raced:
                time.sleep(random.uniform(0, min(0.001 * 2**attempt, MOST_PAUSE)))
        raise OutOfResources("the index is too busy with the same patient, study or series")

    def write_each(
        self, changes: Sequence[Callable[[Connection], T]], subjects: Sequence[str]
    ) -> list[Settled[T]]:
        """Changes about one subject that follow each other share a transaction."""
        settled: list[Settled[T]] = []
        for _, group in itertools.groupby(zip(subjects, changes, strict=True), key=lambda pair: pair[0]):
            settled += self._write_together([change for _, change in group])
        return settled

    def _write_together(self, changes: Sequence[Callable[[Connection], T]]) -> list[Settled[T]]:
        """Where one change fails, or others are in the way, nothing is done, and each is run in a transaction of its
        own."""
        if len(changes) > 1:
            try:
                with transactions.adapted():
                    done = self._attempt(lambda connection: [change(connection) for change in changes])
                return [Settled((result,)) for result in done]
            except OutcomeUnknown as error:
                return [Settled((), error)] * len(changes)
            except Exception as error:  # noqa: BLE001 - raised again by the change that it is about
                _log.debug("index_changes_run_apart", reason=type(error).__name__)
        return [Settled.of(partial(self.write, change)) for change in changes]

    def close(self) -> None:
        """The engine is the database's."""

    def _attempt(self, change: Callable[[Connection], T]) -> T:
        results: list[T] = []
        try:
            with self._engine.connect() as connection:
                result = _run(change, connection)
                transactions.commit(connection)
                results = [result]
        except Exception as error:
            if transactions.unless(bool(results), error):
                raise
        return results[0]


def _run(change: Callable[[Connection], T], connection: Connection) -> T:
    try:
        return change(connection)
    except DBAPIError as error:
        # Also when a row that it has seen, and hangs another on, was deleted in the meantime.
        state = transactions.sqlstate(error)
        if state.startswith("40") or state == FOREIGN_KEY_VIOLATION:
            raise Raced from None
        raise


def _open_sqlite(path: Path) -> Database:
    here = OfProcess()
    readers = KeptConnections(_sqlite_engine(path, "BEGIN", most=64), path, 64, here)
    writer = KeptConnections(_sqlite_engine(path, "BEGIN IMMEDIATE", most=1), path, 1, here, begun=True)
    return Database(readers, GroupWriter(writer, path.with_name(path.name + ".lock")), path.parent)


def _sqlite_engine(path: Path, begin: str, *, most: int) -> sa.Engine:
    """The driver's own idea of transactions is off (isolation_level None): BEGIN is ours. Nor may it make a file: an
    index that has gone must not be replaced by an empty one."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        creator=lambda: sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        ),
        poolclass=sa.pool.QueuePool,
        pool_size=min(most, 8),
        max_overflow=max(most - 8, 0),
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        record.info["file"] = file_at(path)
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "checkout")
    def _check_file(_connection: Any, record: Any, _proxy: object) -> None:
        if record.info["file"] != file_at(path):
            raise DisconnectionError("the index file has been replaced")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        at_driver(connection, begin)

    return engine


def _open_postgresql(url: sa.URL) -> Database:
    from archive.index import patience  # psycopg, which SQLite does without

    engine = sa.create_engine(
        url,
        connect_args={"connect_timeout": patience.CONNECT_SECONDS},
        pool_size=8,
        max_overflow=24,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    patience.bound(engine)
    event.listen(engine, "first_connect", _warn_unless_durable)
    return Database(PooledConnections(engine), SessionWriter(engine))


def _warn_unless_durable(connection: Any, _record: object) -> None:
    """A server that does not sync answers COMMIT too early: our promise is then only as good as its power
    supply."""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        value = connection.execute(f"SHOW {setting}").fetchone()[0]
        if value == "off":
            _log.warning("index_not_durable", setting=setting, value=value)
    connection.rollback()
