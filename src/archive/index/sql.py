"""The few places where SQLite and PostgreSQL want different SQL for the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def insert_unless_there(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> int | None:
    """The new row's key, or None when a unique constraint found the place taken."""
    insert = _INSERTS[connection.dialect.name]
    statement = insert(table).on_conflict_do_nothing().returning(table.c.id)
    key: int | None = connection.execute(statement, values).scalar_one_or_none()
    return key


class Among(sa.ColumnElement[bool]):
    """A text column has one of many values: one parameter, as SQLite bears only 32,766 of them."""

    inherit_cache = False

    def __init__(self, column: sa.ColumnElement[str], values: Sequence[str]) -> None:
        self.column = column
        self.values = list(dict.fromkeys(values))
        self.type = sa.Boolean()


def among(column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """The column has one of these values."""
    if len(values) == 1:
        return column == values[0]
    return Among(column, values)


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    members = sa.func.json_each(orjson.dumps(element.values).decode()).table_valued("value")
    return compiler.process(element.column.in_(sa.select(members.c.value)), **kwargs)


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    members = sa.literal(element.values, sa.ARRAY(sa.Text()))
    return compiler.process(element.column == sa.func.any(members), **kwargs)
