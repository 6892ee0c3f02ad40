"""Bringing the index's schema up to date, from the migrations that are packaged beside this module.

Alembic is driven from here, without alembic.ini, so that an installed wheel migrates like a checkout does.
One process migrates at a time: on SQLite by a file lock, on PostgreSQL by an advisory lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.index import group_commit

_ADVISORY_LOCK = 0x44494344


def upgrade(engine: sa.Engine) -> None:
    """Every migration not yet applied, in one transaction.

    Raises ConfigurationError for what the administrator must change, else what the driver raises (SQLAlchemyError,
    OSError)."""
    with _explained(), _alone(engine), _at_leisure(engine), engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            _check_encoding(connection)
            connection.execute(
                sa.text("SET LOCAL lock_timeout = 0")
            )  # another node's migration may take long
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        _check_ours(connection)
        command.upgrade(_config(connection), "head")


def check(connection: sa.Connection) -> None:
    """Raises ConfigurationError unless every migration has been applied, for who may apply none."""
    head = ScriptDirectory.from_config(_config(connection)).get_current_head()
    if MigrationContext.configure(connection).get_current_revision() != head:
        raise ConfigurationError(
            "the index is of another version of the archive, and cannot be brought up to date on a disk that takes "
            "nothing: make room on it"
        )


def is_new(engine: sa.Engine) -> bool:
    """Whether there is no table yet; not where that cannot be told."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return True
    try:
        with engine.connect() as connection:
            return not sa.inspect(connection).get_table_names()
    except sa.exc.DBAPIError:
        return False


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What went wrong as one sentence with the next step, where there is one."""
    try:
        yield
    except CommandError:
        raise ConfigurationError(
            "the index was made by another version of the archive: run that one, or put back an older copy of the index"
        ) from None
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        vendor = getattr(error, "orig", error)
        if type(vendor) is sqlite3.DatabaseError:
            raise ConfigurationError(
                "the index file is damaged or no SQLite database: put back a copy, make it anew with "
                "`archive reindex`, or name another with index.url"
            ) from None
        raise


def _at_leisure(engine: sa.Engine) -> contextlib.AbstractContextManager[None]:
    if engine.dialect.name != "postgresql":
        return contextlib.nullcontext()
    from archive.index.patience import unbounded  # psycopg, which SQLite does without

    return unbounded()


def _check_ours(connection: sa.Connection) -> None:
    inspector = sa.inspect(connection)
    if inspector.get_table_names() and not inspector.has_table("alembic_version"):
        raise ConfigurationError("the index's database holds other tables: name an empty one with index.url")


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """On SQLite: the file is made for our eyes only, set to WAL, and locked against a second migration."""
    if engine.dialect.name != "sqlite":
        yield
        return
    path = Path(str(engine.url.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(lock)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _set_write_ahead_log(engine)
        yield
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    """Raises OutOfResources where another process does not end its turn. Waiting cannot be given up within the call
    that waits: a thread is left to it then, with a descriptor of its own, and lets go at once."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    waiting, taken = os.dup(lock), SimpleQueue[OSError | None]()

    def wait() -> None:
        try:
            fcntl.flock(waiting, fcntl.LOCK_EX)
            taken.put(None)
        except OSError as error:
            taken.put(error)
        finally:
            os.close(waiting)

    threading.Thread(target=wait, name="index turn", daemon=True).start()
    try:
        error = taken.get(timeout=group_commit.TURN_SECONDS)
    except Empty:
        raise OutOfResources(group_commit.NO_TURN) from None
    if error is not None:
        raise error


def _set_write_ahead_log(engine: sa.Engine) -> None:
    """The mode stays in the file. It cannot change inside a transaction, hence the bare driver connection."""
    raw = engine.raw_connection()
    try:
        mode = raw.cursor().execute("PRAGMA journal_mode = WAL").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise sa.exc.OperationalError("PRAGMA journal_mode", None, error) from None
    finally:
        raw.close()
    if mode != "wal":
        raise ConfigurationError(
            "the folder of the index does not bear a write-ahead log: is it on a network?"
        )


def _check_encoding(connection: sa.Connection) -> None:
    encoding = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the index's database has encoding {encoding}; create it with encoding UTF8"
        )
