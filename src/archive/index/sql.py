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
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Join

from archive.index import schema
from archive.index.prepared import Prepared

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


FEW = 500


def insert_unless_there(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> Any:
    """The new row's key, or None when a unique constraint found the place taken."""
    key = _prepared(connection.dialect.name, table, tuple(values)).row(connection, values)
    return None if key is None else key[0]


@functools.cache
def _prepared(dialect: str, table: sa.Table, columns: tuple[str, ...]) -> Prepared:
    return Prepared(_insert_unless_there(dialect, table), columns)


def _insert_unless_there(dialect: str, table: sa.Table) -> sa.Executable:
    insert = _INSERTS[dialect](table)
    if dialect == "sqlite" and table in schema.HIERARCHY:
        insert = insert.values(id=_next_key(table))
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(*table.primary_key)
    return statement


def retire_keys(connection: sa.Connection, table: sa.Table, keys: Sequence[int]) -> None:
    """These keys of a level are deleted, and must not be given out again: who reads by keys that were found before
    would get something else. PostgreSQL never does; SQLite takes the highest key that there is, and adds one."""
    if connection.dialect.name != "sqlite":
        return
    insert = sqlite.insert(schema.retired_key).values(level=table.name, highest=max(keys))
    highest = sa.func.max(schema.retired_key.c.highest, insert.excluded.highest)
    connection.execute(insert.on_conflict_do_update(index_elements=["level"], set_={"highest": highest}))


def _next_key(table: sa.Table) -> sa.ScalarSelect[int]:
    retired = sa.select(schema.retired_key.c.highest).where(schema.retired_key.c.level == table.name)
    known = sa.union_all(sa.select(sa.func.max(table.c.id).label("key")), retired).subquery()
    return sa.select(sa.func.coalesce(sa.func.max(known.c.key), 0) + 1).scalar_subquery()


def among(column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """The column has one of these values. Many are one parameter, as SQLite bears only 32,766 of them; few are
    not, as it then makes better plans."""
    if len(values) == 1:
        return column == values[0]
    if len(values) <= FEW:
        return column.in_(values)
    return among_these(column, values)


def among_these(column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """The column has one of these values, which are one parameter: what is the same for few and for many."""
    return _Among(column, sa.literal(orjson.dumps(list(dict.fromkeys(values))).decode()))


def among_listed(column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """The column has one of the values of a parameter, which is a JSON array."""
    return _Among(column, sa.bindparam(name, type_=sa.Text()))


def among_keys(column: sa.ColumnElement[int], name: str) -> sa.ColumnElement[bool]:
    """The column has one of the numbers of a parameter, which is a JSON array."""
    return _AmongKeys(column, sa.bindparam(name, type_=sa.Text()))


def like(column: sa.ColumnElement[str], pieces: Sequence[str]) -> sa.ColumnElement[bool]:
    """The column matches a pattern: literal pieces at even places, `*` or `?` between them at odd ones.

    GLOB on SQLite, whose LIKE takes ASCII capitals and small letters for the same."""
    glob = _pattern(pieces, _GLOB_ESCAPES, {"*": "*", "?": "?"})
    sql_like = _pattern(pieces, _LIKE_ESCAPES, {"*": "%", "?": "_"})
    matches = _Like(column, sa.literal(glob), sa.literal(sql_like))
    return sa.and_(*begins_with(column, pieces[0]), matches)


def begins_with(column: sa.ColumnElement[str], prefix: str) -> list[sa.ColumnElement[bool]]:
    """The part of an index that holds the texts with this beginning: neither engine works it out from a bound
    parameter. Both order by UTF-8 bytes, which is the order of code points."""
    if not prefix:
        return []
    last = ord(prefix[-1])
    if last == 0x10FFFF:
        return [column >= prefix]
    after = prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
    return [column >= prefix, column < after]


def not_by_index(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column, as something that is sorted by: SQLite then does not walk the index that has this order."""
    return _NotByIndex(column)


def either(sqlite: sa.ColumnElement[Any], postgresql: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """What is asked of the one engine and of the other."""
    return _Either(sqlite, postgresql)


def distinct_texts(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """An aggregate: the distinct values of a text column as a JSON array; NULL or empty when there is none."""
    return _DistinctTexts(column)


_GLOB_ESCAPES = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})
_LIKE_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


def _pattern(pieces: Sequence[str], escapes: dict[int, str], wildcards: dict[str, str]) -> str:
    return "".join(
        wildcards[piece] if place % 2 else piece.translate(escapes) for place, piece in enumerate(pieces)
    )


class _Comparison(FunctionElement[bool]):
    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002 - as SQLAlchemy calls it
        """As it is: SQLAlchemy would make `(…) = 1` of it for SQLite, for which no index is used."""
        return self


class _Among(_Comparison):
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, values = (compiler.process(part, **kwargs) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, values = (compiler.process(part, **kwargs) for part in element.clauses)
    return f"{column} IN (SELECT jsonb_array_elements_text(CAST({values} AS jsonb)))"


class _AmongKeys(_Among):
    inherit_cache = True


@compiles(_AmongKeys, "postgresql")
def _among_keys_postgresql(element: _AmongKeys, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, values = (compiler.process(part, **kwargs) for part in element.clauses)
    return f"{column} IN (SELECT CAST(jsonb_array_elements_text(CAST({values} AS jsonb)) AS bigint))"


class _Like(_Comparison):
    inherit_cache = True


@compiles(_Like, "sqlite")
def _like_sqlite(element: _Like, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, glob, _ = element.clauses
    return f"{compiler.process(column, **kwargs)} GLOB {compiler.process(glob, **kwargs)}"


@compiles(_Like, "postgresql")
def _like_postgresql(element: _Like, compiler: SQLCompiler, **kwargs: Any) -> str:
    column, _, sql_like = element.clauses
    return f"{compiler.process(column, **kwargs)} LIKE {compiler.process(sql_like, **kwargs)}"


class _NotByIndex(FunctionElement[Any]):
    inherit_cache = True


@compiles(_NotByIndex, "sqlite")
def _not_by_index_sqlite(element: _NotByIndex, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"+{compiler.process(element.clauses, **kwargs)}"


@compiles(_NotByIndex, "postgresql")
def _not_by_index_postgresql(element: _NotByIndex, compiler: SQLCompiler, **kwargs: Any) -> str:
    return str(compiler.process(element.clauses, **kwargs))


class _Either(FunctionElement[Any]):
    inherit_cache = True


@compiles(_Either, "sqlite")
def _either_sqlite(element: _Either, compiler: SQLCompiler, **kwargs: Any) -> str:
    of_sqlite, _ = element.clauses
    return str(compiler.process(of_sqlite, **kwargs))


@compiles(_Either, "postgresql")
def _either_postgresql(element: _Either, compiler: SQLCompiler, **kwargs: Any) -> str:
    _, of_postgresql = element.clauses
    return str(compiler.process(of_postgresql, **kwargs))


class _DistinctTexts(FunctionElement[str]):
    type = sa.Text()
    inherit_cache = True


@compiles(_DistinctTexts, "sqlite")
def _distinct_sqlite(element: _DistinctTexts, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"json_group_array(DISTINCT {compiler.process(element.clauses, **kwargs)})"


@compiles(_DistinctTexts, "postgresql")
def _distinct_postgresql(element: _DistinctTexts, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"CAST(json_agg(DISTINCT {compiler.process(element.clauses, **kwargs)}) AS TEXT)"


class DownwardJoin(Join):
    """An inner join that SQLite carries out as it is written: CROSS JOIN keeps it from changing the order, as it
    would if it liked to begin with the larger table and sort. PostgreSQL knows the sizes and is left to choose."""

    inherit_cache = True


@compiles(DownwardJoin, "sqlite")
def _downward_sqlite(element: DownwardJoin, compiler: SQLCompiler, **kwargs: Any) -> str:
    left, right = (
        compiler.process(side, **{**kwargs, "asfrom": True}) for side in (element.left, element.right)
    )
    assert element.onclause is not None
    return f"{left} CROSS JOIN {right} ON {compiler.process(element.onclause, **kwargs)}"


@compiles(DownwardJoin, "postgresql")
def _downward_postgresql(element: DownwardJoin, compiler: SQLCompiler, **kwargs: Any) -> str:
    return str(compiler.visit_join(element, **kwargs))  # type: ignore[no-untyped-call]
