"""Rows from one index into another, whichever engine each is on: for backups, and for an index that is made again.

Keys stay as they are, so that what refers to a row still does. What an engine keeps for itself alone is left out: on
SQLite triggers make it again from the rows that come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from archive.index import schema
from archive.index.database import Connection

ROWS = 500


class Unreadable(Exception):
    """The index that rows were to come from is damaged there."""


TABLES: tuple[sa.Table, ...] = tuple(
    table for table in schema.metadata.sorted_tables if table is not schema.study_text
)
"""All that is copied, each table behind those that it refers to."""


def copy(
    source: Connection, target: Connection, table: sa.Table, told: Callable[[int], None] = lambda _: None
) -> int:
    """Copy all rows of a table; how many. `told` hears of each lot. Raises Unreadable."""
    number = 0
    for some in _lots(source, table):
        target.execute(sa.insert(table), some)
        number += len(some)
        told(len(some))
    return number


def finish(target: Connection, tables: Iterable[sa.Table]) -> None:
    """Let keys that are given out from now on be new ones. SQLite sees to that itself."""
    if target.dialect.name != "postgresql":
        return
    for table in tables:
        column = table.autoincrement_column
        if column is not None:
            sequence = sa.func.pg_get_serial_sequence(f'"{table.name}"', column.name)
            highest = sa.select(sa.func.max(column)).scalar_subquery()
            target.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(highest, 0) + 1, False)))


def count(connection: Connection, tables: Iterable[sa.Table] = TABLES) -> int:
    """How many rows there are."""
    return sum(
        connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables
    )


def _lots(source: Connection, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    asked = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=ROWS)
    try:
        for rows in source.execute(asked).mappings().partitions(ROWS):
            yield [_moved(table, dict(row)) for row in rows]
    except DBAPIError as error:
        raise Unreadable(type(error.orig).__name__) from None


def _moved(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    if table is schema.study:
        row["modalities"] = ""
    return row
