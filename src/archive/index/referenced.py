"""Which bytes anything points to: every table with a blob key, and every job in the outbox that names one.

The tables are found in the schema, not listed, so that a new one cannot be forgotten. Each answer comes from one
statement: a key that moves from one table to another in one transaction (a copy that is accepted, a replaced version)
is seen in one of them on PostgreSQL too, where each statement sees its own moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson
import sqlalchemy as sa

from archive.index import schema
from archive.index.database import Connection
from archive.index.schema import outbox
from archive.index.sql import among as among_values

_ROWS = 2000

HOLDERS: tuple[sa.Table, ...] = tuple(
    table for table in schema.metadata.sorted_tables if "blob_key" in table.c and "data_set_length" in table.c
)
"""The tables whose rows point to bytes that they need."""


def keys(connection: Connection) -> Iterator[str]:
    """Every key that something points to, perhaps more than once, and in no order."""
    for key, payload in connection.execute(_ALL.execution_options(yield_per=_ROWS)):
        yield from (key,) if key else named_in(orjson.loads(payload))


def among(connection: Connection, wanted: Collection[str]) -> set[str]:
    """Those of the keys that something points to."""
    if not wanted:
        return set()
    asked = set(wanted)
    held = [
        _held(table).where(among_values(table.c.blob_key, sorted(asked))).order_by(None) for table in HOLDERS
    ]
    found = connection.execute(sa.union_all(*held, _JOBS))
    named = (((key,) if key else named_in(orjson.loads(payload))) for key, payload in found)
    return asked.intersection(itertools.chain.from_iterable(named))


def named_in(payload: Mapping[str, Any]) -> list[str]:
    """The keys of blobs that a job is about."""
    return [*payload.get("keys", ()), *([payload["key"]] if "key" in payload else ())]


def _held(table: sa.Table) -> sa.Select[tuple[str, str]]:
    no_payload: sa.ColumnElement[str] = sa.literal("", sa.Text())
    return sa.select(table.c.blob_key, no_payload.label("payload")).where(table.c.blob_key != "")


_JOBS = sa.select(sa.literal("", sa.Text()).label("blob_key"), outbox.c.payload).where(
    sa.or_(*(outbox.c.payload.contains(f'"{name}":', autoescape=True) for name in ("key", "keys")))
)
_ALL = sa.union_all(*(_held(table) for table in HOLDERS), _JOBS)
