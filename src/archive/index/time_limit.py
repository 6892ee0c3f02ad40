"""How long the index looks for matches: a question that nobody can answer soon ends with an error, lest it keep a
thread, a connection and a core from all others.

SQLite asks now and then whether to go on; PostgreSQL has a limit of its own for each statement. The limit is set for
the one question and taken back after it: what the archive asks for itself may take its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from archive.dicom.errors import OutOfResources
from archive.index.transactions import sqlstate

STEPS = 20_000
"""Of SQLite's machine between two looks at the clock, well below a millisecond: a question of a few milliseconds does
not feel it."""

_CANCELLED = "57014"
_LIMIT = sa.text("SELECT set_config('statement_timeout', :milliseconds, true)")
"""Until the end of the transaction."""


@contextmanager
def limited(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """What is asked within has so long. Raises OutOfResources."""
    driver = _driver(connection)
    if driver is None:
        connection.execute(_LIMIT, {"milliseconds": str(round(seconds * 1000))})
    else:
        ends = monotonic() + seconds
        driver.set_progress_handler(lambda: monotonic() > ends, STEPS)
    try:
        yield
    except SQLAlchemyError as error:
        if not _is_late(error):
            raise
        raise OutOfResources(
            f"the search took longer than limits.search_seconds ({seconds:g}): add a narrower key, such as PatientID "
            "or StudyDate, or ask again later"
        ) from None
    finally:
        if driver is not None:
            driver.set_progress_handler(None, 0)


def _driver(connection: sa.Connection) -> Any:
    """SQLite's own connection; None on PostgreSQL."""
    return connection.connection.driver_connection if connection.dialect.name == "sqlite" else None


def _is_late(error: SQLAlchemyError) -> bool:
    interrupted = getattr(getattr(error, "orig", None), "sqlite_errorname", "") == "SQLITE_INTERRUPT"
    return interrupted or sqlstate(error) == _CANCELLED
