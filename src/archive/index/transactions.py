"""What ends a transaction, and what its failures mean: shared by the ways in which changes reach the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from archive.dicom.errors import OutcomeUnknown, OutOfResources

_log = structlog.get_logger()

_DAMAGED = "it is damaged: end the archive, and make it anew from the files with `archive reindex`"
_REMEDIES = {
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_FULL": "make room on its disk",
    "SQLITE_READONLY": "its disk is read-only: see the system's log",
    "SQLITE_IOERR": "its disk fails: see the system's log",
    "SQLITE_BUSY": "another program keeps it locked",
}


class Raced(Exception):
    """A change found that another was faster between its look and its write: run it again, it will see."""


def commit(connection: sa.Connection) -> None:
    """Raises OutcomeUnknown unless the engine said that nothing was committed."""
    try:
        connection.commit()
    except SQLAlchemyError as error:
        if isinstance(error, DBAPIError) and sqlstate(error).startswith("40"):
            raise Raced from None
        raise OutcomeUnknown(f"the index did not confirm its commit ({_described(error)})") from None


def unless(committed: bool, error: BaseException) -> BaseException | None:
    """The error, unless it came after COMMIT, in putting things away: then all that was asked for is done, and whoever
    heard otherwise would delete the bytes that the index points to."""
    if not committed:
        return error
    _log.warning("index_untidy_after_commit", reason=type(error).__name__)
    return None


@contextlib.contextmanager
def adapted() -> Iterator[None]:
    """The engine's errors become ours, without statement and values: they may speak about patients."""
    try:
        yield
    except SQLAlchemyError as error:
        raise OutOfResources(f"the index cannot be used now ({_described(error)}){_remedy(error)}") from None
    except OSError as error:
        raise OutOfResources(f"the index cannot be used now ({error.strerror})") from None


@contextlib.contextmanager
def adapted_unless_operational() -> Iterator[None]:
    """The same for one change of several, but for what may have undone them all."""
    try:
        yield
    except OperationalError:
        raise
    except SQLAlchemyError as error:
        raise OutOfResources(f"the index refused a change ({_described(error)}){_remedy(error)}") from None


def sqlstate(error: SQLAlchemyError) -> str:
    """PostgreSQL's code for an error; empty where there is none."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _described(error: SQLAlchemyError) -> str:
    """The kind of the error and the engine's code for it."""
    original = getattr(error, "orig", None)
    code = sqlstate(error) or getattr(original, "sqlite_errorname", "")
    return " ".join(filter(None, (type(original or error).__name__, code)))


def _remedy(error: SQLAlchemyError) -> str:
    """What to do about it, where that is known."""
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return next((f"; {remedy}" for prefix, remedy in _REMEDIES.items() if name.startswith(prefix)), "")
