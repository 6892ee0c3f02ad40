"""Queries of both doors, answered from the index, streamed and in an order that is the same for every page.

Patients come in the order in which they were first stored, studies the latest first (StudyDate, StudyTime), series
and instances by their number within what holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from archive.dicom.attributes import BY_TAG
from archive.dicom.instance import Level
from archive.dicom.query import Match, Query
from archive.index.answers import Plan, plan
from archive.index.conditions import conditions, is_selective
from archive.index.database import Connection
from archive.index.schema import instance, patient, series, study
from archive.index.sql import DownwardJoin

_STUDY_ORDER = (study.c.StudyDate.desc(), study.c.StudyTime.desc(), study.c.id)
_SERIES_ORDER = (*_STUDY_ORDER, series.c.SeriesNumber, series.c.id)
_ORDER: dict[Level, tuple[sa.ColumnElement[Any], ...]] = {
    Level.PATIENT: (patient.c.id,),
    Level.STUDY: _STUDY_ORDER,
    Level.SERIES: _SERIES_ORDER,
    Level.IMAGE: (*_SERIES_ORDER, instance.c.InstanceNumber, instance.c.id),
}


def find(connection: Connection, query: Query) -> Iterator[Match]:
    """The matches, read while they are taken. Raises InvalidQuery at once, not with the first match."""
    planned = plan(query)
    restrictions = list(conditions(query))
    statement = sa.select(*planned.columns).select_from(_rows(query.level, _walk(query)))
    statement = statement.where(*restrictions)
    statement = statement.order_by(*_ORDER[query.level]).limit(query.limit)
    if query.offset:
        statement = statement.offset(query.offset)
    return _stream(connection, statement, planned)


def count(connection: Connection, query: Query) -> int:
    """How many matches there are, whatever `limit` and `offset` say. Raises InvalidQuery."""
    counted = sa.select(sa.func.count()).select_from(_rows(query.level, sa.join))
    return int(connection.execute(counted.where(*conditions(query))).scalar_one())


def _stream(connection: Connection, statement: sa.Select[Any], planned: Plan) -> Iterator[Match]:
    with connection.execute(statement.execution_options(yield_per=256)) as rows:
        for row in rows:
            yield planned.assemble(row)


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
    selective = [BY_TAG[key.path[0]].level for key in query.keys if is_selective(key)]
    return sa.join if any(level >= Level.SERIES for level in selective) else DownwardJoin
