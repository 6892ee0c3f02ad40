"""The few places where SQLite and PostgreSQL want different SQL for the same thing."""

from __future__ import annotations

import functools
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
    statement = _insert_unless_there(connection.dialect.name, table)
    key: int | None = connection.execute(statement, values).scalar_one_or_none()
    return key


@functools.cache
def _insert_unless_there(dialect: str, table: sa.Table) -> sa.Executable:
    """Made once: making a statement costs as much as running it."""
    statement: sa.Executable = _INSERTS[dialect](table).on_conflict_do_nothing().returning(table.c.id)
    return statement


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


class Like(sa.ColumnElement[bool]):
    """A text column matches a pattern: literal pieces at even places, `*` or `?` between them at odd ones.

    Not SQL's LIKE as such, because that of SQLite takes ASCII capitals and small letters for the same."""

    inherit_cache = False

    def __init__(self, column: sa.ColumnElement[str], pieces: Sequence[str]) -> None:
        self.column = column
        self.pieces = pieces
        self.type = sa.Boolean()

    def pattern(self, escapes: dict[int, str], wildcards: dict[str, str]) -> str:
        """The pattern, with wildcards and escapes as one engine spells them."""
        return "".join(
            wildcards[piece] if place % 2 else piece.translate(escapes)
            for place, piece in enumerate(self.pieces)
        )


_GLOB_ESCAPES = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})
_LIKE_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


@compiles(Like, "sqlite")
def _like_sqlite(element: Like, compiler: SQLCompiler, **kwargs: Any) -> str:
    pattern = element.pattern(_GLOB_ESCAPES, {"*": "*", "?": "?"})
    return compiler.process(element.column.op("GLOB")(pattern), **kwargs)


@compiles(Like, "postgresql")
def _like_postgresql(element: Like, compiler: SQLCompiler, **kwargs: Any) -> str:
    pattern = element.pattern(_LIKE_ESCAPES, {"*": "%", "?": "_"})
    return compiler.process(element.column.like(pattern), **kwargs)


class DistinctTexts(sa.ColumnElement[str]):
    """An aggregate: the distinct values of a text column as a JSON array; NULL or empty when there is none."""

    inherit_cache = False

    def __init__(self, column: sa.ColumnElement[str]) -> None:
        self.column = column
        self.type = sa.Text()


@compiles(DistinctTexts, "sqlite")
def _distinct_sqlite(element: DistinctTexts, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(sa.func.json_group_array(sa.distinct(element.column)), **kwargs)


@compiles(DistinctTexts, "postgresql")
def _distinct_postgresql(element: DistinctTexts, compiler: SQLCompiler, **kwargs: Any) -> str:
    return compiler.process(sa.cast(sa.func.json_agg(sa.distinct(element.column)), sa.Text()), **kwargs)
