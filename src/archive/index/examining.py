"""Keys that the index has no column for, tested on what the objects say: row by row, in bounded time.

The other keys are matched first, by SQL; what they leave is examined. Attributes that are prepared for answers are
read from there, others from the kept metadata: of an instance its own, of a series that of its first instance, of a
study or patient those of the first instance of each series, of which one has to match. Too many candidates are refused
at once (PS3.18 10.6.3.1: 413), with a word of what to add.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.attribute_ids import path_name
from archive.dicom.attribute_levels import is_at_or_above
from archive.dicom.attributes import BY_TAG
from archive.dicom.errors import InvalidQuery, TooBroad
from archive.dicom.instance import Level
from archive.dicom.matching.item_matching import DataSetTest
from archive.dicom.query import Empty, Key, Query
from archive.index import kept
from archive.index.conditions import REQUESTS, is_indexed, is_universal
from archive.index.schema import TIMEZONE, instance, instance_detail, patient, series, study
from archive.index.views import shown
from archive.security.views import View

BATCH = 50
PREPARED_FOR_ONE = 10
"""So many rows whose prepared attributes are examined cost as much as one whose metadata are."""
MAXIMUM_SECONDS = 20.0
"""However few the candidates: some metadata are megabytes."""

_PREPARED = {
    Level.PATIENT: (patient.c.attributes,),
    Level.STUDY: (study.c.attributes,),
    Level.SERIES: (study.c.attributes, series.c.attributes),
    Level.IMAGE: (study.c.attributes, series.c.attributes, instance.c.attributes),
}
_KEY = {
    Level.PATIENT: patient.c.id,
    Level.STUDY: study.c.id,
    Level.SERIES: series.c.id,
    Level.IMAGE: instance.c.id,
}


@dataclass
class Examination:
    """What is to be tested of the rows that the other keys leave. `unread` counts those of which the metadata are too
    long to be examined: they do not match."""

    query: Query
    prepared: DataSetTest | None
    metadata: DataSetTest | None
    needed: Sequence[Key]
    ends: float
    unread: int = 0
    view: View | None = None

    def most(self, maximum: int) -> int:
        """How many rows may be examined, if that many metadata may."""
        return maximum if self.metadata else maximum * PREPARED_FOR_ONE

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """What a row has to fulfil to be examined at all: that it has the attributes."""
        for key in self.needed:
            column = _PREPARED[min(_at(key), self.query.level)][-1]
            yield column.like(f'%"{key.path[0]:08X}"%')

    def keep(self, connection: sa.Connection, ids: Sequence[int]) -> list[int]:
        """Those of these rows that match, in their order. Raises TooBroad, InvalidQuery."""
        if time.monotonic() > self.ends:
            raise _too_broad(f"it took longer than {MAXIMUM_SECONDS:.0f} seconds")
        left = list(ids)
        if self.prepared is not None and left:
            found = set(self._by_what_is_prepared(connection, self.prepared, left))
            left = [one for one in left if one in found]
        if self.metadata is not None and left:
            found = set(self._by_metadata(connection, self.metadata, left))
            left = [one for one in left if one in found]
        return left

    def _by_what_is_prepared(
        self, connection: sa.Connection, test: DataSetTest, ids: Sequence[int]
    ) -> Iterator[int]:
        level = self.query.level
        rows = sa.select(_KEY[level], *_PREPARED[level]).select_from(_rows(level)).where(_KEY[level].in_(ids))
        for key, *texts in connection.execute(rows):
            data_set: dict[str, Any] = {}
            for text in texts:
                data_set.update(orjson.loads(text))
            if test.passes(data_set):
                yield key

    def _by_metadata(self, connection: sa.Connection, test: DataSetTest, ids: Sequence[int]) -> Iterator[int]:
        """An entity may have several; once one has matched, the others are not read."""
        rows = connection.execute(_metadata(self.query.level, ids, self.view))
        for key, compressed in itertools.groupby(rows, key=lambda row: row[0]):
            if any(self._matches(test, row[1], row[2]) for row in compressed):
                yield key

    def _matches(self, test: DataSetTest, compressed: bytes | None, zone: str) -> bool:
        if time.monotonic() > self.ends:
            raise _too_broad(f"it took longer than {MAXIMUM_SECONDS:.0f} seconds")
        with kept.parsed(compressed) as members:
            if members is None:
                self.unread += 1
                return False
            return test.passes(members, zone)


def examination(query: Query, view: View | None = None) -> Examination | None:
    """What has to be examined; None where the index knows it all. Raises InvalidQuery for what cannot be matched."""
    keys = [key for key in _left_over(query) if not is_universal(key.matching)]
    if not keys:
        return None
    for key in keys:
        _check(key, query.level)
    known = [key for key in keys if _is_prepared(key)]
    others = [key for key in keys if not _is_prepared(key)]
    return Examination(
        query,
        DataSetTest(query, known) if known else None,
        DataSetTest(query, others) if others else None,
        [key for key in known if not isinstance(key.matching, Empty)],
        time.monotonic() + MAXIMUM_SECONDS,
        view=view,
    )


def check_number(number: int, most: int) -> None:
    """Raises TooBroad for more candidates than may be examined."""
    if number > most:
        raise _too_broad(f"more than {most} candidates are left to it")


def _too_broad(why: str) -> TooBroad:
    # the next step first: Error Comment has room for 64 characters
    return TooBroad(
        "too broad: add a narrower PatientID, StudyDate, StudyInstanceUID, SeriesInstanceUID or Modality, as a key "
        f"that the index has no column for has to be looked up in each object, and {why}"
    )


def _left_over(query: Query) -> list[Key]:
    """The keys that SQL does not match; those of RequestAttributesSequence all together, as they are about one item."""
    left = [key for key in query.keys if not is_indexed(key)]
    if any(len(key.path) > 1 and key.path[0] == REQUESTS and not is_universal(key.matching) for key in left):
        left += [key for key in query.keys if len(key.path) > 1 and is_indexed(key)]
    return left


def _is_prepared(key: Key) -> bool:
    return key.path[0] in BY_TAG


def _check(key: Key, level: Level) -> None:
    row = BY_TAG.get(key.path[0])
    if not is_at_or_above(key.path[0], level):
        raise InvalidQuery(f"{path_name(key.path)} is below the level of the query")
    if row is not None and row.computed:
        raise InvalidQuery(f"{path_name(key.path)} cannot be matched")


def _at(key: Key) -> Level:
    """Below the patient level the patient is matched as in the study."""
    return max(BY_TAG[key.path[0]].level, Level.STUDY)


def _rows(level: Level) -> sa.FromClause:
    if level is Level.PATIENT:
        return patient
    rows: sa.FromClause = study
    if level >= Level.SERIES:
        rows = rows.join(series, series.c.study_id == study.c.id)
    return rows.join(instance, instance.c.series_id == series.c.id) if level is Level.IMAGE else rows


def _metadata(level: Level, ids: Sequence[int], view: View | None) -> sa.Select[Any]:
    """The key of each entity with the metadata of the instances that speak for it, and the time zone of the study. No
    study speaks for its patient that is not shown."""
    key = _KEY[level]
    short = sa.case(
        (sa.func.length(instance_detail.c.metadata) <= kept.MAXIMUM_COMPRESSED, instance_detail.c.metadata)
    )
    rows = (
        study.join(series, series.c.study_id == study.c.id)
        .join(instance, instance.c.series_id == series.c.id)
        .join(instance_detail, instance_detail.c.instance_id == instance.c.id)
    )
    if level is Level.PATIENT:
        rows = rows.join(patient, patient.c.id == study.c.patient_id)
    found = sa.select(key, short, study.c[TIMEZONE]).select_from(rows).where(key.in_(ids), *shown(view))
    if level is not Level.IMAGE:
        within = instance.alias()
        first = sa.select(sa.func.min(within.c.id)).where(within.c.series_id == series.c.id)
        found = found.where(instance.c.id == first.correlate(series).scalar_subquery())
    return found.order_by(key)
