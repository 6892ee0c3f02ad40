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
from archive.index.answers import needs_metadata, plan, tells_of_others
from archive.index.conditions import Facts, conditions, facts, is_indexed, is_selective
from archive.index.database import Connection
from archive.index.examining import Examination, check_number
from archive.index.prepared import Prepared
from archive.index.schema import instance, patient, series, study
from archive.index.sql import DownwardJoin, among_keys, not_by_index
from archive.index.views import at_level
from archive.security.views import View

BATCH = 100
BATCH_WITH_METADATA = 10
_MOST_NAMED = 100
"""Attributes that a query may name for what it wants to be remembered."""

FAR = 10_000
"""An offset that takes long enough to come by that it is worth to know how many there are altogether."""
MOST_SORTED = 100_000
"""Matches among which those of a page are looked for; when there are more, they are met soon on a walk through all."""

STUDY_ORDER = (study.c.StudyDate.desc(), study.c.StudyTime.desc(), study.c.id)
SORTED_STUDIES = (
    not_by_index(study.c.StudyDate).desc(),
    not_by_index(study.c.StudyTime).desc(),
    not_by_index(study.c.id),
)
_FROM_THE_LAST_STUDY = (study.c.StudyDate, study.c.StudyTime, study.c.id.desc())
_SERIES_ORDER = (*STUDY_ORDER, series.c.SeriesNumber, series.c.id)
_ORDER: dict[Level, tuple[sa.ColumnElement[Any], ...]] = {
    Level.PATIENT: (patient.c.id,),
    Level.STUDY: STUDY_ORDER,
    Level.SERIES: _SERIES_ORDER,
    Level.IMAGE: (*_SERIES_ORDER, instance.c.InstanceNumber, instance.c.id),
}
_KEY = {
    Level.PATIENT: patient.c.id,
    Level.STUDY: study.c.id,
    Level.SERIES: series.c.id,
    Level.IMAGE: instance.c.id,
}


@dataclass(frozen=True, slots=True)
class Page:
    """The keys of the matches that `limit` and `offset` allow, in their order; `remaining` match too, after them."""

    keys: list[int]
    remaining: int


def page(connection: Connection, query: Query, view: View | None = None) -> Page:
    """Which patients, studies, series or instances match, and how many more do. Raises InvalidQuery."""
    known = facts(connection, query)
    where = _where(query, known, view)
    total = _count(connection, query, where) if _is_counted_first(query, known) else None
    if total is not None and query.offset >= total:
        return Page([], 0)
    found = _keys(connection, query, where, _way(query, known, total))
    if len(found) != query.limit:
        return Page(found, 0)
    if total is None:
        total = _count(connection, query, where)
    return Page(found, max(0, total - query.offset - len(found)))


def keys(connection: Connection, query: Query, view: View | None = None) -> list[int]:
    """Which patients, studies, series or instances match, in their order, `limit` and `offset` applied. Raises
    InvalidQuery. Of a query that has to be examined these are the candidates: see `candidates`."""
    known = facts(connection, query)
    where = _where(query, known, view)
    total = _count(connection, query, where) if known.in_column else None
    return _keys(connection, query, where, _way(query, known, total))


def candidates(
    connection: Connection, query: Query, examined: Examination, maximum: int, view: View | None = None
) -> list[int]:
    """What the index leaves to be examined, in its order. Raises InvalidQuery; TooBroad for more than may be."""
    most = examined.most(maximum)
    where = [*_where(query, facts(connection, query), view), *examined.conditions()]
    found = _keys(connection, replace(query, limit=most + 1, offset=0), where, _Walk())
    check_number(len(found), most)
    return found


def _where(query: Query, known: Facts, view: View | None) -> list[sa.ColumnElement[bool]]:
    return [*conditions(query, known), *at_level(view, query.level)]


@dataclass(frozen=True, slots=True)
class _Walk:
    """Through all studies in their order, or from the last one on, looking for what matches; `total` do."""

    backwards: bool = False
    total: int = 0


class _Sort:
    """Through what matches, which is sorted then."""


def _is_counted_first(query: Query, known: Facts) -> bool:
    return query.level is Level.STUDY and bool(known.in_column or query.offset >= FAR)


def _way(query: Query, known: Facts, total: int | None) -> _Walk | _Sort:
    """How to come by the matches in their order, of which there are so many, unless that is not known."""
    if total is None or query.by_record_key:
        return _Walk()
    if known.in_column and total <= MOST_SORTED:
        return _Sort()
    return _Walk(backwards=query.offset > max(FAR, total // 2), total=total)


def _keys(
    connection: Connection, query: Query, where: Sequence[sa.ColumnElement[bool]], way: _Walk | _Sort
) -> list[int]:
    key = _KEY[query.level]
    statement = sa.select(key).select_from(_rows(query.level, _walk(query))).where(*where)
    if query.by_record_key:
        statement = statement.where(key > query.after_record_key).order_by(key)
    elif isinstance(way, _Sort):
        statement = statement.order_by(*SORTED_STUDIES)
    elif way.backwards:
        return _last_keys(connection, query, statement, way.total)
    else:
        statement = statement.order_by(*_ORDER[query.level])
        if way.total:  # or SQLite might sort them all
            statement = statement.with_hint(study, "INDEXED BY study_order", "sqlite")
    statement = statement.limit(query.limit)
    if query.offset:
        statement = statement.offset(query.offset)
    return list(connection.execute(statement).scalars())


def _last_keys(connection: Connection, query: Query, statement: sa.Select[Any], total: int) -> list[int]:
    """A page that is nearer to the last of the matches than to the first."""
    left = max(0, total - query.offset)
    wanted = left if query.limit is None else min(query.limit, left)
    backwards = statement.order_by(*_FROM_THE_LAST_STUDY).limit(wanted).offset(left - wanted)
    return list(connection.execute(backwards).scalars())[::-1]


def batch_size(query: Query) -> int:
    """How many answers to read together: few where each brings its metadata along."""
    return _answering(query).batch_size


def find(
    connection: Connection, query: Query, keys: Sequence[int], view: View | None = None
) -> Iterator[Match]:
    """The answers for these of the query's keys, in this order; a row that has been deleted is left out. All is read
    at once, so the connection may be given back before the first answer is taken. The keys are of what the view shows;
    what an answer says of others, such as how many studies the patient has, keeps to it as well."""
    answering = _answering(query, view)
    values = {"keys": orjson.dumps(keys).decode(), "longest": kept.MAXIMUM_COMPRESSED}
    found = answering.statement.rows(connection, values)
    rows = {row[0]: row[1:] for row in found}
    return (answering.assemble(one, rows.pop(one)) for one in keys if one in rows)


@dataclass(frozen=True, slots=True)
class _Answering:
    """How the answers to queries of one kind are read and put together."""

    statement: Prepared
    assemble: Callable[[int, Sequence[Any]], Match]
    batch_size: int


def _answering(query: Query, view: View | None = None) -> _Answering:
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
    made = _remembered if named <= _MOST_NAMED else _remembered.__wrapped__
    return made(kind, view if tells_of_others(kind) else None)


@functools.lru_cache(maxsize=128)
def _remembered(kind: Query, view: View | None) -> _Answering:
    planned, key = plan(kind, view), _KEY[kind.level]
    statement = sa.select(key, *planned.columns).select_from(_rows(kind.level, sa.join))
    size = BATCH_WITH_METADATA if needs_metadata(kind) else BATCH
    return _Answering(Prepared(statement.where(among_keys(key, "keys"))), planned.assemble, size)


def count(connection: Connection, query: Query, view: View | None = None) -> int:
    """How many matches there are, whatever `limit` and `offset` say. Raises InvalidQuery."""
    return _count(connection, query, _where(query, facts(connection, query), view))


def _count(connection: Connection, query: Query, where: Sequence[sa.ColumnElement[bool]]) -> int:
    counted = sa.select(sa.func.count()).select_from(_rows(query.level, sa.join)).where(*where)
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
