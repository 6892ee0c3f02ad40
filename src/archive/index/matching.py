"""Queries of both doors, answered from the index, in an order that is the same for every page.

In two steps, so that no transaction lasts as long as a slow receiver takes: `keys` finds which rows match, in their
order, and `find` makes the answers for some of them at a time.

Patients come in the order in which they were first stored, studies the latest first (StudyDate, StudyTime), series
and instances by their number within what holds them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.attributes import BY_TAG
from archive.dicom.instance import Level
from archive.dicom.query import Key, Match, Query, Universal
from archive.index import kept
from archive.index.answers import needs_metadata, plan
from archive.index.conditions import conditions, facts, is_indexed, is_selective
from archive.index.database import Connection
from archive.index.examining import Examination, check_number
from archive.index.prepared import Prepared
from archive.index.schema import instance, patient, series, study
from archive.index.sql import DownwardJoin, among_keys

BATCH = 100
BATCH_WITH_METADATA = 10
_MOST_NAMED = 100
"""Attributes that a query may name for what it wants to be remembered."""

_STUDY_ORDER = (study.c.StudyDate.desc(), study.c.StudyTime.desc(), study.c.id)
_SERIES_ORDER = (*_STUDY_ORDER, series.c.SeriesNumber, series.c.id)
_ORDER: dict[Level, tuple[sa.ColumnElement[Any], ...]] = {
    Level.PATIENT: (patient.c.id,),
    Level.STUDY: _STUDY_ORDER,
    Level.SERIES: _SERIES_ORDER,
    Level.IMAGE: (*_SERIES_ORDER, instance.c.InstanceNumber, instance.c.id),
}
_KEY = {
    Level.PATIENT: patient.c.id,
    Level.STUDY: study.c.id,
    Level.SERIES: series.c.id,
    Level.IMAGE: instance.c.id,
}


def keys(connection: Connection, query: Query) -> list[int]:
    """Which patients, studies, series or instances match, in their order, `limit` and `offset` applied. Raises
    InvalidQuery. Of a query that has to be examined these are the candidates: see `candidates`."""
    statement = _matching(connection, query).limit(query.limit)
    if query.offset:
        statement = statement.offset(query.offset)
    return list(connection.execute(statement).scalars())


def candidates(connection: Connection, query: Query, examined: Examination, maximum: int) -> list[int]:
    """What the index leaves to be examined, in its order. Raises InvalidQuery; TooBroad for more than may be."""
    most = examined.most(maximum)
    statement = _matching(connection, query).where(*examined.conditions()).limit(most + 1)
    found = list(connection.execute(statement).scalars())
    check_number(len(found), most)
    return found


def _matching(connection: Connection, query: Query) -> sa.Select[Any]:
    key = _KEY[query.level]
    statement = sa.select(key).select_from(_rows(query.level, _walk(query)))
    statement = statement.where(*conditions(query, facts(connection, query)))
    if query.by_record_key:
        return statement.where(key > query.after_record_key).order_by(key)
    return statement.order_by(*_ORDER[query.level])


def batch_size(query: Query) -> int:
    """How many answers to read together: few where each brings its metadata along."""
    return BATCH_WITH_METADATA if needs_metadata(query) else BATCH


def find(connection: Connection, query: Query, keys: Sequence[int]) -> Iterator[Match]:
    """The answers for these of the query's keys, in this order; a row that has been deleted is left out. All is read
    at once, so the connection may be given back before the first answer is taken."""
    answering = _answering(query)
    values = {"keys": orjson.dumps(keys).decode(), "longest": kept.MAXIMUM_COMPRESSED}
    found = answering.statement.rows(connection, values)
    rows = {row[0]: row[1:] for row in found}
    return (answering.assemble(one, rows.pop(one)) for one in keys if one in rows)


@dataclass(frozen=True, slots=True)
class _Answering:
    """How the answers to queries of one kind are read and put together."""

    statement: Prepared
    assemble: Callable[[int, Sequence[Any]], Match]


def _answering(query: Query) -> _Answering:
    """Worked out once for queries that differ only in the values of their keys, unless they name very much."""
    kind = replace(
        query,
        keys=tuple(Key(path, Universal()) for path in dict.fromkeys(key.path for key in query.keys)),
        limit=None,
        offset=0,
        fuzzy=False,
        combined=False,
        timezone=None,
        after_record_key=0,
    )
    named = len(kind.keys) + len(kind.include) + len(kind.include_parts) + len(kind.creators)
    return _remembered(kind) if named <= _MOST_NAMED else _remembered.__wrapped__(kind)


@functools.lru_cache(maxsize=128)
def _remembered(kind: Query) -> _Answering:
    planned, key = plan(kind), _KEY[kind.level]
    statement = sa.select(key, *planned.columns).select_from(_rows(kind.level, sa.join))
    return _Answering(Prepared(statement.where(among_keys(key, "keys"))), planned.assemble)


def count(connection: Connection, query: Query) -> int:
    """How many matches there are, whatever `limit` and `offset` say. Raises InvalidQuery."""
    counted = sa.select(sa.func.count()).select_from(_rows(query.level, sa.join))
    counted = counted.where(*conditions(query, facts(connection, query)))
    if query.after_record_key:
        counted = counted.where(_KEY[query.level] > query.after_record_key)
    return int(connection.execute(counted).scalar_one())


def _rows(level: Level, join: Callable[..., sa.FromClause]) -> sa.FromClause:
    """The rows of a level, joined with those above it."""
    if level is Level.PATIENT:
        return patient
    rows: sa.FromClause = study
    if level >= Level.SERIES:
        rows = join(rows, series, series.c.study_id == study.c.id)
    if level is Level.IMAGE:
        rows = join(rows, instance, instance.c.series_id == series.c.id)
    return rows


def _walk(query: Query) -> Callable[..., sa.FromClause]:
    """How to join for an ordered answer. Unless a key finds few series or instances, the studies are walked in
    their order and the levels below looked up, so that the first page costs no more than itself."""
    indexed = [key for key in query.keys if is_indexed(key)]
    selective = [BY_TAG[key.path[0]].level for key in indexed if is_selective(key)]
    found_below = query.by_record_key or any(level >= Level.SERIES for level in selective)
    return sa.join if found_below else DownwardJoin
