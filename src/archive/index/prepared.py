"""Statements that every object takes, made into SQL once; on SQLite the driver runs them without anybody between.

SQLAlchemy's way from a statement to the driver takes longer than SQLite takes for the statement itself. Errors are
SQLAlchemy's as everywhere. PostgreSQL, where each statement waits for a server, is asked as ever.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

_SQLITE = sqlite.dialect(paramstyle="named")
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as SQLite takes it, and the values that are its own."""

    sql: str
    own: Mapping[str, Any]


class Prepared:
    """A statement. All values that change are given by name; `columns` names those of an INSERT."""

    def __init__(self, statement: sa.Executable, columns: Iterable[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        self._text: _Text | None = None

    def row(
        self, connection: sa.Connection, values: Mapping[str, Any] = _NOTHING, *, alone: bool = False
    ) -> tuple[Any, ...] | None:
        """The first row of its answer, if it has any."""
        return next(iter(self.rows(connection, values, alone=alone)), None)

    def rows(
        self, connection: sa.Connection, values: Mapping[str, Any] = _NOTHING, *, alone: bool = False
    ) -> Sequence[tuple[Any, ...]]:
        """All rows of its answer. `alone`: nothing else is asked that has to be of the same moment, so SQLite is spared
        the transaction around it, which takes longer than a short answer."""
        if connection.dialect.name != "sqlite":
            return [tuple[Any, ...](row) for row in connection.execute(self._statement, values)]
        cursor = self._run(connection, values, alone=alone)
        try:
            return cursor.fetchall()
        except sqlite3.Error as error:
            raise _adapted(connection, "", error) from error

    def change(self, connection: sa.Connection, values: Mapping[str, Any] = _NOTHING) -> int:
        """How many rows it has changed."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, values).rowcount
        return self._run(connection, values).rowcount

    def _run(
        self, connection: sa.Connection, values: Mapping[str, Any], *, alone: bool = False
    ) -> sqlite3.Cursor:
        text = self._text
        if text is None:
            text = self._text = _compiled(self._statement, self._columns)
        if not alone and not connection.in_transaction():
            connection.begin()
        return at_driver(connection, text.sql, {**text.own, **values})


def at_driver(connection: sa.Connection, sql: str, values: Mapping[str, Any] = _NOTHING) -> sqlite3.Cursor:
    """Let SQLite run SQL. Raises what SQLAlchemy would."""
    driver: Any = connection.connection.driver_connection
    try:
        cursor: sqlite3.Cursor = driver.execute(sql, values)
    except sqlite3.Error as error:
        raise _adapted(connection, sql, error) from error
    return cursor


def _adapted(connection: sa.Connection, sql: str, error: sqlite3.Error) -> BaseException:
    return DBAPIError.instance(
        sql, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
    )


def _compiled(statement: Any, columns: list[str] | None) -> _Text:
    made = statement.compile(dialect=_SQLITE, column_keys=columns)
    return _Text(str(made), {name: value for name, value in made.params.items() if value is not None})
