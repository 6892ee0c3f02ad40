"""The newest studies that match any of several questions, without counting how many there are.

For lists that people read, of which a page is shown: `matching.page` says how many remain, and that takes as long as
they are many. On SQLite there are three ways to the newest of those with a name or a modality, each the shortest for
some question: through all studies in their order, until there are enough; through those with the name, whose index
holds what they are sorted by; through those with a modality that few have. How long each would take is reckoned from
how many studies have such names (`study_text`), and from how many of the newest have the modality. That only decides
the way: what is found is the same by each. PostgreSQL reckons for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.attributes import BY_KEYWORD, BY_TAG
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.query import Key, Query, Wildcard
from archive.index.conditions import (
    Condition,
    Facts,
    conditions,
    facts,
    is_indexed,
    is_selective,
    modalities_of,
    tests_of,
)
from archive.index.database import Connection
from archive.index.matching import SORTED_STUDIES, STUDY_ORDER
from archive.index.schema import series, study, study_term, study_text
from archive.index.sql import among_keys, not_by_index
from archive.index.views import at_level
from archive.security.views import View

Moment = tuple[str, str, int]
"""StudyDate, StudyTime and key: what studies are sorted by, the latest first, then the lowest key."""

_NAME, _MODALITIES = BY_KEYWORD["PatientName"].tag, BY_KEYWORD["ModalitiesInStudy"].tag
_IDS = {BY_KEYWORD["PatientID"].tag, BY_KEYWORD["AccessionNumber"].tag}
_DAYS = {BY_KEYWORD["StudyDate"].tag, BY_KEYWORD["StudyTime"].tag}
_MOMENT = (study.c.StudyDate, study.c.StudyTime, study.c.id)

SAMPLE = 1_000
"""Of the newest studies, by which the share of a modality is guessed."""
SPARE = 200
"""More than should be enough."""
RARE = 0.01
MOST_COUNTED = 20_000
"""Studies of a rare modality, or of a span of days, are counted up to here."""
STEP, ENTRY, ROW = 0.2, 0.5, 4.0
"""Microseconds: of an entry of the index of all studies; of one of the index of names, sorted; of a study's row."""


def keys(
    connection: Connection, queries: Sequence[Query], number: int, view: View | None = None
) -> list[int]:
    """The keys of the `number` newest studies that match any of the queries, at the study level and by keys of the
    index alone; their `limit` and `offset` are of no account. Raises InvalidQuery."""
    found: set[Moment] = set()
    for query in queries:
        if query.level is not Level.STUDY or not all(map(is_indexed, query.keys)):
            raise InvalidQuery("the newest are found among studies, by keys that the index has")
        found.update(_of_one(connection, query, number, view))
    by_key = sorted(found, key=lambda moment: moment[2])
    return [key for _, _, key in sorted(by_key, key=lambda moment: moment[:2], reverse=True)][:number]


def _of_one(connection: Connection, query: Query, number: int, view: View | None) -> Sequence[Moment]:
    known = facts(connection, query)
    if _is_of_names_or_modalities(query, known):
        return _Search(connection, query, known, number, view).newest()
    shown = at_level(view, Level.STUDY)
    found = _with_beginning(connection, query, number, shown) if known.with_triggers else None
    if found is not None:
        return found
    where = [*conditions(query, known), *shown]
    order = SORTED_STUDIES if known.in_column else STUDY_ORDER
    return _run(connection, _select(where).order_by(*order).limit(number))


def _is_of_names_or_modalities(query: Query, known: Facts) -> bool:
    """Whether that is all that is asked, beside days, and the indexes of all studies and of names can tell."""
    tags = {key.path[0] for key in query.keys}
    if not known.with_triggers or not tags & {_NAME, _MODALITIES} or tags - {_NAME, _MODALITIES} - _DAYS:
        return False
    return all(
        modalities_of(key) if key.path[0] == _MODALITIES else key in known.in_column
        for key in query.keys
        if key.path[0] not in _DAYS
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """How to come by the newest: what it should take, in microseconds; and what it finds, or None where there may be
    newer ones, or more."""

    cost: float
    take: Callable[[], Sequence[Moment] | None]


def shortest(ways: Sequence[_Way]) -> list[_Way]:
    """In the order in which they are to be tried."""
    return sorted(ways, key=lambda way: way.cost)


@dataclass(frozen=True)
class _Search:
    """One question of names, modalities and days, on SQLite."""

    connection: Connection
    query: Query
    known: Facts
    number: int
    view: View | None

    def newest(self) -> Sequence[Moment]:
        """By the shortest way; where that was misjudged, by the next one."""
        for way in shortest(self._ways()):
            found = way.take()
            if found is not None:
                return found
        return self._walk()

    def _ways(self) -> list[_Way]:
        share, few = self._share, self._studies
        dense = share * (self._named / self._studies if self._names else 1.0)
        if self._days:
            few = _counted(self.connection, _select(self._days), MOST_COUNTED) or few
        steps = min(few, self.number / max(dense, 1e-9))
        each = STEP + (share * ROW if self._names or self.view else 0.0)
        ways = [_Way(steps * each, lambda: self._walk_as_far_as(int(2 * steps) + SPARE))]
        if self._names:
            looked = min(self._named, 1.25 * self.number / max(share, RARE)) if self._others else 0
            ways.append(_Way(self._named * ENTRY + looked * ROW, lambda: self._by_name(share)))
        if self._rare is not None:
            ways.append(_Way(2 * self._rare * ROW, self._by_modality))
        return ways

    def _walk_as_far_as(self, most: int) -> Sequence[Moment] | None:
        """Through the studies in their order, no further than the day of the one at `most`."""
        day = _day_at(self.connection, most, self._days)
        if day is None:
            return self._walk()
        found = self._walk(study.c.StudyDate >= day)
        return found if len(found) == self.number else None

    def _walk(self, *within: Condition) -> Sequence[Moment]:
        where = [*within, *self._days, *self._others, *self._name_tests]
        statement = _select(where).order_by(*STUDY_ORDER)
        return _run(self.connection, statement.limit(self.number))

    def _by_name(self, share: float) -> Sequence[Moment]:
        """Through those with the name. What only their rows tell is asked of the newest, and of all where these do not
        suffice."""
        if not self._others:
            return self._sorted([*self._with_name, *self._days], self.number)
        some = max(1, int(1.25 * self.number / max(share, RARE)) + SPARE)
        first = self._sorted([*self._with_name, *self._days], some)
        asked = _select([among_keys(study.c.id, "keys"), *self._others])
        listed = {"keys": orjson.dumps([key for _, _, key in first]).decode()}
        left = {(day, time, key) for day, time, key in self.connection.execute(asked, listed)}
        if len(left) >= self.number or len(first) < some:
            return [one for one in first if one in left][: self.number]
        return self._sorted([*self._with_name, *self._days, *self._others], self.number)

    def _by_modality(self) -> Sequence[Moment]:
        having = sa.select(series.c.study_id).where(series.c.Modality.in_(self._codes))
        where = [study.c.id.in_(having), *self._days, *self._others, *self._name_tests]
        return self._sorted(where, self.number)

    def _sorted(self, where: Sequence[Condition], number: int) -> Sequence[Moment]:
        return _run(self.connection, _select(where).order_by(*SORTED_STUDIES).limit(number))

    # --- what is asked ---

    @cached_property
    def _names(self) -> list[Key]:
        return [key for key in self.query.keys if key.path[0] == _NAME]

    @cached_property
    def _codes(self) -> set[str]:
        """All that are named, of which each key has to have one."""
        found = [set(modalities_of(key)) for key in self.query.keys if key.path[0] == _MODALITIES]
        return set[str]().union(*found)

    @cached_property
    def _days(self) -> list[Condition]:
        return self._conditions(_DAYS)

    @cached_property
    def _others(self) -> list[Condition]:
        """What the index of names does not tell."""
        return [*self._conditions({_MODALITIES}), *at_level(self.view, Level.STUDY)]

    def _conditions(self, tags: AbstractSet[int]) -> list[Condition]:
        named = tuple(key for key in self.query.keys if key.path[0] in tags)
        return list(conditions(replace(self.query, keys=named), self.known))

    @cached_property
    def _name_tests(self) -> list[Condition]:
        return self._tests(not_by_index(study.c.PatientName_search))

    @cached_property
    def _with_name(self) -> list[Condition]:
        if all(is_selective(key) for key in self._names):
            return self._tests(study.c.PatientName_search)
        texts = sa.select(study_text.c.text).where(*self._of_texts)
        return [study.c.PatientName_search.in_(texts)]

    @cached_property
    def _of_texts(self) -> list[Condition]:
        return [study_text.c.tag == _NAME, *self._tests(study_text.c.text)]

    def _tests(self, column: sa.ColumnElement[str]) -> list[Condition]:
        tests = [tests_of(BY_TAG[_NAME], key.matching)[0] for key in self._names]
        return [test(column) for test in tests if test is not None]

    # --- how many there are ---

    @cached_property
    def _named(self) -> int:
        """Studies with such a name."""
        total = sa.select(sa.func.coalesce(sa.func.sum(study_text.c.number), 0)).where(*self._of_texts)
        return int(self.connection.execute(total).scalar_one())

    @cached_property
    def _studies(self) -> int:
        return _about_all(self.connection)

    @cached_property
    def _share(self) -> float:
        """Of those with the modality, about."""
        if self._among_newest >= RARE:
            return self._among_newest
        return RARE if self._rare is None else self._rare / self._studies

    @cached_property
    def _among_newest(self) -> float:
        if not self._codes:
            return 1.0
        having = sa.case((sa.and_(*self._conditions({_MODALITIES})), 1), else_=0)
        newest = sa.select(having.label("has")).where(*self._days)
        some = newest.order_by(*STUDY_ORDER).limit(SAMPLE).subquery()
        share = sa.select(sa.func.coalesce(sa.func.avg(some.c.has), 0.0))
        return float(self.connection.execute(share).scalar_one())

    @cached_property
    def _rare(self) -> int | None:
        """How many have the modality, where they are few."""
        if self._among_newest >= RARE:
            return None
        return _counted(
            self.connection,
            sa.select(series.c.study_id).where(series.c.Modality.in_(self._codes)),
            MOST_COUNTED,
        )


def _with_beginning(
    connection: Connection, query: Query, number: int, shown: Sequence[Condition]
) -> Sequence[Moment] | None:
    """Those with an ID that begins so, where they are so many that the newest are met on a walk sooner than all of them
    are sorted; None where they are fewer, or something else is asked."""
    [key] = query.keys if len(query.keys) == 1 else [None]
    if (
        key is None
        or key.path[0] not in _IDS
        or not isinstance(key.matching, Wildcard)
        or not is_selective(key)
    ):
        return None
    attribute = BY_TAG[key.path[0]]
    [test] = tests_of(attribute, key.matching)
    of_term = study_term.c.tag == attribute.tag
    if (
        test is None
        or _counted(connection, sa.select(study_term).where(of_term, test(study_term.c.text)), 0) is None
    ):
        return None
    all_of_them = _about_all(connection)
    most = math.isqrt(number * all_of_them)
    column = study.c[attribute.keyword]
    if _counted(connection, sa.select(study.c.id).where(test(column)), most) is not None:
        return None
    day = _day_at(connection, 2 * number * all_of_them // max(most, 1) + SPARE, ())
    within = [] if day is None else [study.c.StudyDate >= day]
    walked = _select([*within, test(not_by_index(column)), *shown]).order_by(*STUDY_ORDER)
    found = _run(connection, walked.limit(number))
    return found if day is None or len(found) == number else None


def _about_all(connection: Connection) -> int:
    """About as many studies as there are: more, where some were deleted."""
    return max(1, connection.execute(sa.select(sa.func.max(study.c.id))).scalar() or 0)


def _counted(connection: Connection, statement: sa.Select[Any], most: int) -> int | None:
    """How many there are; None for more than that."""
    some = statement.limit(most + 1).subquery()
    count = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return None if count > most else int(count)


def _day_at(connection: Connection, place: int, days: Sequence[Condition]) -> str | None:
    """Of the study at this place in the order of all within those days; None beyond the last one."""
    ordered = sa.select(study.c.StudyDate).where(*days).order_by(*STUDY_ORDER)
    found: str | None = connection.execute(ordered.limit(1).offset(max(0, place))).scalar()
    return found


def _select(where: Sequence[Condition]) -> sa.Select[Any]:
    return sa.select(*_MOMENT).where(*where)


def _run(connection: Connection, statement: sa.Select[Any]) -> list[Moment]:
    return [(day, time, key) for day, time, key in connection.execute(statement)]
