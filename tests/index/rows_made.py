"""Rows of any table of the index, with what they hang on."""

from __future__ import annotations

import itertools
from typing import Any

import sqlalchemy as sa

from archive.index.database import Connection

_numbers = itertools.count(1)


def new_key() -> str:
    return f"00/00/{next(_numbers):032x}"


def row(connection: Connection, table: sa.Table, **values: Any) -> Any:
    """A row with these values, and anything in the other columns; what it is part of is made with it. Its first key."""
    for column in table.columns:
        if column.name in values or column.server_default is not None:
            continue
        if column.foreign_keys:
            [parent] = column.foreign_keys
            values[column.name] = row(connection, parent.column.table)
        elif isinstance(column.type, sa.LargeBinary):
            values[column.name] = b""
        elif isinstance(column.type, sa.Boolean):
            values[column.name] = False
        elif not (column.primary_key and column.name == "id"):
            number = next(_numbers)
            values[column.name] = number if isinstance(column.type, sa.Numeric | sa.Integer) else str(number)
    return connection.execute(sa.insert(table).values(**values)).inserted_primary_key[0]
