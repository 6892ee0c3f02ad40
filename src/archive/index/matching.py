"""Queries of both doors, answered from the index, streamed and in an order that is the same for every page.

Patients come in the order in which they were first stored, studies the latest first (StudyDate, StudyTime), series
and instances by their number within what holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from archive.dicom.instance import Level
from archive.dicom.query import Match, Query
from archive.index.answers import Plan, plan
from archive.index.conditions import conditions
from archive.index.database import Connection
from archive.index.schema import instance, patient, series, study

_STUDY_AND_SERIES = study.join(series, series.c.study_id == study.c.id)
_FROM: dict[Level, sa.FromClause] = {
    Level.PATIENT: patient,
    Level.STUDY: study,
    Level.SERIES: _STUDY_AND_SERIES,
    Level.IMAGE: _STUDY_AND_SERIES.join(instance, instance.c.series_id == series.c.id),
}
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
    statement = sa.select(*planned.columns).select_from(_FROM[query.level]).where(*conditions(query))
    statement = statement.order_by(*_ORDER[query.level]).limit(query.limit)
    if query.offset:
        statement = statement.offset(query.offset)
    return _stream(connection, statement, planned)


def count(connection: Connection, query: Query) -> int:
    """How many matches there are, whatever `limit` and `offset` say. Raises InvalidQuery."""
    counted = sa.select(sa.func.count()).select_from(_FROM[query.level]).where(*conditions(query))
    return int(connection.execute(counted).scalar_one())


def _stream(connection: Connection, statement: sa.Select[Any], planned: Plan) -> Iterator[Match]:
    with connection.execute(statement.execution_options(yield_per=256)) as rows:
        for row in rows:
            yield planned.assemble(row)
