"""The connection to the index: SQLite or PostgreSQL by URL, durable, and committed in groups.

`write` returns only after COMMIT. On SQLite callers that come together share one transaction: the first leads
and runs what has queued up, each change in its own savepoint; the others wait for it. Processes take turns by
a lock on a file beside the database, because SQLite's own busy handler sleeps up to 0.8 s under contention
and the lock hands over at once. On PostgreSQL every change is a transaction of its own: the server itself
groups the commits of its sessions, and short transactions that lock patient, study, series in this order
cannot deadlock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError, SQLAlchemyError

from archive.dicom.errors import ConfigurationError, OutcomeUnknown, OutOfResources
from archive.index.prepared import at_driver
from archive.index.schema import ae_title

T = TypeVar("T")
Connection = sa.Connection

BUSY_TIMEOUT_MS = 10_000
ATTEMPTS = 20
FOREIGN_KEY_VIOLATION = "23503"
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size = -16384",
)
_log = structlog.get_logger()


class Raced(Exception):
    """A change found that another was faster between its look and its write: run it again, it will see."""


class Database:
    """The index's database. Safe for threads; after a fork, open another."""

    def __init__(self, engine: sa.Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

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

    def migrate(self) -> None:
        """Bring the schema up to date; once, before workers start.

        Raises OutOfResources, ConfigurationError."""
        from archive.index import migrate  # alembic, which the workers need not load

        with _adapted():
            migrate.upgrade(self._engine)

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run `change` in a transaction and return its result once that is durable.

        A change does nothing but SQL, as it may be run more than once. Its exceptions reach its caller, with
        nothing of it done. Raises OutOfResources (nothing done) or OutcomeUnknown (COMMIT failed half way).
        """
        return self._writer.write(change)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for questions: never blocks a writer, but is one of few, so nobody waits for others within the
        block. On SQLite all its answers are of one moment, on PostgreSQL each is."""
        with _adapted(), self._engine.connect() as connection:
            yield connection

    def check(self) -> None:
        """Raises OutOfResources unless a table of the index can be read now (for readiness)."""
        with self.read() as connection:
            connection.execute(sa.select(ae_title.c.title).limit(1))

    def close(self) -> None:
        """Give all connections back."""
        self._writer.close()
        self._engine.dispose()


class Writer(Protocol):
    """How changes reach the disk."""

    def write(self, change: Callable[[Connection], T]) -> T: ...

    def close(self) -> None: ...


class _Ticket(Generic[T]):
    """A change in the queue, and what became of it."""

    def __init__(self, change: Callable[[Connection], T]) -> None:
        self.change = change
        self.woken = threading.Event()
        self.done = False
        self.error: BaseException | None = None
        self._results: list[T] = []

    def run(self, connection: Connection) -> None:
        self._results = [self.change(connection)]

    def finish(self, error: BaseException | None = None) -> None:
        self.error = self.error or error
        self.done = True
        self.woken.set()

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self._results[0]


class GroupWriter:
    """Group commit for SQLite: one leader at a time runs the queue in one transaction."""

    def __init__(self, engine: sa.Engine, turnstile: Path) -> None:
        self._engine = engine
        self._turnstile = turnstile
        self._lock = threading.Lock()
        self._queue: list[_Ticket[Any]] = []
        self._led = False

    def write(self, change: Callable[[Connection], T]) -> T:
        ticket = _Ticket(change)
        if not self._enqueue(ticket):
            ticket.woken.wait()
        if not ticket.done:
            self._lead()
        return ticket.result()

    def close(self) -> None:
        self._engine.dispose()

    def _enqueue(self, ticket: _Ticket[Any]) -> bool:
        """True for the one who has to lead."""
        with self._lock:
            self._queue.append(ticket)
            first, self._led = not self._led, True
            return first

    def _lead(self) -> None:
        group: list[_Ticket[Any]] = []
        error: BaseException | None = None
        committed = False
        try:
            with _adapted(), _turn(self._turnstile), self._engine.connect() as connection:
                group = self._take_queue()
                _commit_group(connection, group)
                committed = True
        except BaseException as caught:  # noqa: BLE001 - raised to every caller of the group
            error = _unless(committed, caught)
        group = group or self._take_queue()
        self._appoint_next()
        for ticket in group:
            ticket.finish(error)

    def _take_queue(self) -> list[_Ticket[Any]]:
        with self._lock:
            group, self._queue = self._queue, []
            return group

    def _appoint_next(self) -> None:
        with self._lock:
            if self._queue:
                self._queue[0].woken.set()
            else:
                self._led = False


class SessionWriter:
    """PostgreSQL: a transaction for each change, again when another was faster or the server broke a
    deadlock."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def write(self, change: Callable[[Connection], T]) -> T:
        for _ in range(ATTEMPTS):
            try:
                with _adapted():
                    return self._attempt(change)
            except Raced:
                continue
        raise OutOfResources("the index is too busy with the same patient, study or series")

    def close(self) -> None:
        """The engine is the database's."""

    def _attempt(self, change: Callable[[Connection], T]) -> T:
        results: list[T] = []
        try:
            with self._engine.connect() as connection:
                result = _run(change, connection)
                _commit(connection)
                results = [result]
        except Exception as error:
            if _unless(bool(results), error):
                raise
        return results[0]


def _run(change: Callable[[Connection], T], connection: Connection) -> T:
    try:
        return change(connection)
    except DBAPIError as error:
        # Also when a row that it has seen, and hangs another on, was deleted in the meantime.
        if _sqlstate(error).startswith("40") or _sqlstate(error) == FOREIGN_KEY_VIOLATION:
            raise Raced from None
        raise


def _unless(committed: bool, error: BaseException) -> BaseException | None:
    """The error, unless it came after COMMIT, in putting things away: then all that was asked for is done, and whoever
    heard otherwise would delete the bytes that the index points to."""
    if not committed:
        return error
    _log.warning("index_untidy_after_commit", reason=type(error).__name__)
    return None


def _commit_group(connection: Connection, group: list[_Ticket[Any]]) -> None:
    """Each change in a savepoint, unless it is alone: then its failure is that of the transaction. An OperationalError
    (disk full, I/O) may have undone the whole transaction: it ends the group."""
    alone = len(group) == 1
    for ticket in group:
        try:
            with _adapted_unless_operational(), nullcontext() if alone else connection.begin_nested():
                ticket.run(connection)
        except OperationalError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised in its caller's thread
            ticket.error = error
    if not alone or group[0].error is None:
        _commit(connection)


def _commit(connection: Connection) -> None:
    """Raises OutcomeUnknown unless the engine said that nothing was committed."""
    try:
        connection.commit()
    except SQLAlchemyError as error:
        if isinstance(error, DBAPIError) and _sqlstate(error).startswith("40"):
            raise Raced from None
        raise OutcomeUnknown(f"the index did not confirm its commit ({_described(error)})") from None


@contextlib.contextmanager
def _turn(turnstile: Path) -> Iterator[None]:
    """This process's turn to write; the kernel ends it even if the process is killed."""
    descriptor = os.open(turnstile, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _adapted() -> Iterator[None]:
    """The engine's errors become ours, without statement and values: they may speak about patients."""
    try:
        yield
    except SQLAlchemyError as error:
        raise OutOfResources(f"the index cannot be used now ({_described(error)})") from None
    except OSError as error:
        raise OutOfResources(f"the index cannot be used now ({error.strerror})") from None


@contextlib.contextmanager
def _adapted_unless_operational() -> Iterator[None]:
    try:
        yield
    except OperationalError:
        raise
    except SQLAlchemyError as error:
        raise OutOfResources(f"the index refused a change ({_described(error)})") from None


def _described(error: SQLAlchemyError) -> str:
    """The kind of the error and the engine's code for it."""
    original = getattr(error, "orig", None)
    code = _sqlstate(error) or getattr(original, "sqlite_errorname", "")
    return " ".join(filter(None, (type(original or error).__name__, code)))


def _sqlstate(error: SQLAlchemyError) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _open_sqlite(path: Path) -> Database:
    reader = _sqlite_engine(path, "BEGIN", pool_size=8, max_overflow=56)
    writer = _sqlite_engine(path, "BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
    return Database(reader, GroupWriter(writer, path.with_name(path.name + ".lock")))


def _sqlite_engine(path: Path, begin: str, *, pool_size: int, max_overflow: int) -> sa.Engine:
    """The driver's own idea of transactions is off (isolation_level None): BEGIN is ours. Nor may it make a file: an
    index that has gone must not be replaced by an empty one."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        creator=lambda: sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        ),
        poolclass=sa.pool.QueuePool,
        pool_size=pool_size,
        max_overflow=max_overflow,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        record.info["file"] = _file(path)
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "checkout")
    def _check_file(_connection: Any, record: Any, _proxy: object) -> None:
        if record.info["file"] != _file(path):
            raise DisconnectionError("the index file has been replaced")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        at_driver(connection, begin)

    return engine


def _file(path: Path) -> tuple[int, int]:
    """Which file there is now under this path. A connection keeps the one that it opened, even after that has been
    deleted or replaced: what it wrote into that would be lost."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _open_postgresql(url: sa.URL) -> Database:
    engine = sa.create_engine(
        url,
        connect_args={"connect_timeout": 10},
        pool_size=8,
        max_overflow=24,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine, "first_connect", _warn_unless_durable)
    return Database(engine, SessionWriter(engine))


def _warn_unless_durable(connection: Any, _record: object) -> None:
    """A server that does not sync answers COMMIT too early: our promise is then only as good as its power
    supply."""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        value = connection.execute(f"SHOW {setting}").fetchone()[0]
        if value == "off":
            _log.warning("index_not_durable", setting=setting, value=value)
    connection.rollback()
