"""SQL for keys of dates and times (PS3.4 C.2.2.2.5), a date together with the time that belongs to it.

The limits come from `dicom.moments`. When the asker names a time zone, they are moved into that of each study: one
alternative for each zone that occurs in the index, of which there are few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sqlalchemy as sa

from archive.dicom.attribute_levels import date_beside, follows_the_timezone, time_beside
from archive.dicom.attributes import BY_TAG, Attribute
from archive.dicom.errors import TooBroad
from archive.dicom.instance import Level
from archive.dicom.matching import moments
from archive.dicom.matching.moments import Between, Clock, Days, Limit
from archive.dicom.query import Matching, Query
from archive.index.schema import TIMEZONE, column_name, study

Condition = sa.ColumnElement[bool]
MAXIMUM_ZONES = 100
"""Time zones of studies that one search tells apart, each by a condition of its own. There are some forty on Earth."""
_NEVER_BEFORE = "0"
"""Absent is '', which comes before any digit."""


def zones(connection: sa.Connection, query: Query) -> tuple[str, ...]:
    """The time zones of the studies, as far as the query needs them."""
    if query.timezone is None or query.level is Level.PATIENT:
        return ()
    column = study.c[TIMEZONE]
    return tuple(connection.execute(sa.select(column).where(column != "").distinct()).scalars())


def conditions(
    query: Query,
    keys: Mapping[Attribute, Matching],
    tables: Mapping[Attribute, sa.Table],
    zones: Sequence[str],
) -> Iterator[Condition]:
    """What the keys of dates and times ask, all of which have to hold; each in the table where its column is. Raises
    InvalidQuery, TooBroad."""
    for pair in dict.fromkeys(_pair(attribute) for attribute in keys):
        there = [one for one in pair if one is not None and one in keys]
        table = tables[there[0]]
        at = tuple(None if one is None else table.c.get(column_name(one)) for one in pair)
        asked = tuple(None if one is None else keys.get(one) for one in pair)
        yield _in_any_zone(query, zones, there[0], (asked[0], asked[1]), (at[0], at[1]))


_Asked = tuple[Matching | None, Matching | None]
_Columns = tuple[sa.ColumnElement[str] | None, sa.ColumnElement[str] | None]


def _pair(attribute: Attribute) -> tuple[Attribute | None, Attribute | None]:
    """The date and the time of which the attribute is one, as far as they are indexed."""
    if attribute.vr == "DA":
        beside = BY_TAG.get(time_beside(attribute.tag))
        return attribute, beside if beside is not None and beside.matched else None
    beside = BY_TAG.get(date_beside(attribute.tag))
    return beside if beside is not None and beside.matched else None, attribute


def _in_any_zone(
    query: Query, zones: Sequence[str], attribute: Attribute, asked: _Asked, at: _Columns
) -> Condition:
    shifts = _shifts(query, zones) if follows_the_timezone(attribute.tag) else {}
    plain = _limits(query, asked, at, 0)
    if not shifts:
        return plain
    zone = study.c[TIMEZONE]
    moved = {shift: [text for text, one in shifts.items() if one == shift] for shift in set(shifts.values())}
    if len(moved) > MAXIMUM_ZONES:
        raise TooBroad(
            f"the studies are of more than {MAXIMUM_ZONES} time zones: leave TimezoneOffsetFromUTC out of the search"
        )
    return sa.or_(
        sa.and_(zone.not_in(list(shifts)), plain),
        *(
            sa.and_(zone.in_(texts), _limits(query, asked, at, shift))
            for shift, texts in sorted(moved.items())
        ),
    )


def _shifts(query: Query, zones: Sequence[str]) -> dict[str, int]:
    """Zones of studies that are not the asker's: by how many minutes they are east of it."""
    if query.timezone is None:
        return {}
    known = {text: moments.utc_offset(text) for text in zones}
    return {text: zone - query.timezone for text, zone in known.items() if zone not in (None, query.timezone)}


def _limits(query: Query, asked: _Asked, at: _Columns, shift: int) -> Condition:
    wanted = moments.limits(*asked, shift, combined=query.combined)
    return sa.and_(sa.true(), *(_limit(one, *at) for one in wanted))


def _limit(limit: Limit, date: sa.ColumnElement[str] | None, time: sa.ColumnElement[str] | None) -> Condition:
    match limit:
        case Days(first, last):
            assert date is not None
            return _from_to(date, first, last)
        case Clock(first, last):
            assert time is not None
            if first <= last:
                return _from_to(time, first, last)
            return sa.or_(time >= first, sa.and_(time >= _NEVER_BEFORE, time <= last))
        case Between():
            assert date is not None
            return _between(limit, date, time)


def _from_to(column: sa.ColumnElement[str], first: str, last: str) -> Condition:
    begin = column >= (first or _NEVER_BEFORE)
    return sa.and_(begin, column <= last) if last else begin


def _between(limit: Between, date: sa.ColumnElement[str], time: sa.ColumnElement[str] | None) -> Condition:
    """Written with the days first, which an index serves."""
    first, last = limit.first, limit.last
    within = _from_to(date, first[0], last[0])
    if time is None:
        return within if limit.days is None else _limit(limit.days, date, None)
    timed = [within, time >= _NEVER_BEFORE]
    untimed = [within, time < _NEVER_BEFORE]
    if first[0]:
        timed.append(sa.or_(date > first[0], time >= first[1]))
        untimed.append(date > first[0])
    if last[0]:
        timed.append(sa.or_(date < last[0], time <= last[1]))
        untimed.append(date < last[0])
    if limit.days is not None:
        untimed = [_limit(limit.days, date, None), time < _NEVER_BEFORE]
    return sa.or_(sa.and_(*timed), sa.and_(*untimed))
