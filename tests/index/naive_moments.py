"""Dates and times as the standard says it (PS3.4 C.2.2.2.5), for the naive matcher: with datetimes, not with texts."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from archive.dicom.attributes import BY_KEYWORD, BY_TAG
from archive.dicom.query import Matching, Query, Range, SingleValue

PAIRS = {"PatientBirthDate": "PatientBirthTime", "StudyDate": "StudyTime", "ContentDate": "ContentTime"}
_DAY = datetime.timedelta(days=1)
_INSTANT = datetime.timedelta(microseconds=1)


def moments_match(query: Query, value: Callable[[int], str]) -> bool:
    """Whether all the keys of dates and times match; `value` tells what the entity has under a tag."""
    asked = {
        BY_TAG[key.path[0]].keyword: key.matching
        for key in query.keys
        if len(key.path) == 1 and isinstance(key.matching, SingleValue | Range)
    }
    return all(
        _pair_matches(
            query,
            asked.get(date),
            asked.get(time),
            *(value(BY_KEYWORD[one].tag) for one in (date, time)),
            value,
        )
        for date, time in PAIRS.items()
    )


def _pair_matches(
    query: Query,
    on_date: Matching | None,
    at_time: Matching | None,
    date: str,
    time: str,
    value: Callable[[int], str],
) -> bool:
    if on_date is None and at_time is None:
        return True
    day = datetime.date.fromisoformat(date.replace(".", "")) if date else None
    clock = _clock(time)[0] if time else None
    east = _east_of_the_key(query, value)
    if query.combined and _same_form(on_date, at_time):
        return _within(day, clock, on_date, at_time, east)
    return (on_date is None or _is_on(day, clock, on_date, east)) and (
        at_time is None or _is_at(clock, at_time, east)
    )


def _east_of_the_key(query: Query, value: Callable[[int], str]) -> datetime.timedelta:
    zone = value(0x00080201)
    if query.timezone is None or not zone:
        return datetime.timedelta()
    minutes = int(zone[1:3]) * 60 + int(zone[3:])
    return datetime.timedelta(minutes=(-minutes if zone[0] == "-" else minutes) - query.timezone)


def _within(day, clock, on_date, at_time, east) -> bool:  # type: ignore[no-untyped-def]
    """One range of moments. An entity without a time has to have a day that lies between as a whole."""
    if day is None:
        return False
    begins = ends = None
    if on_date.first:
        begins = _at(on_date.first, _clock(at_time.first)[0]) + east
    if on_date.last:
        ends = _at(on_date.last, _clock(at_time.last)[1]) + east
    if clock is None:
        return (begins is None or day > begins.date()) and (ends is None or day < ends.date())
    moment = datetime.datetime.combine(day, datetime.time()) + clock
    return (begins is None or moment >= begins) and (ends is None or moment <= ends)


def _is_on(day, clock, on_date, east) -> bool:  # type: ignore[no-untyped-def]
    """The day in the key's zone; without a time it is the day as it stands."""
    if day is None:
        return False
    first, last = _ends(on_date)
    if clock is not None:
        day = (datetime.datetime.combine(day, datetime.time()) + clock - east).date()
    return (not first or day >= _at(first).date()) and (not last or day <= _at(last).date())


def _is_at(clock, at_time, east) -> bool:  # type: ignore[no-untyped-def]
    if clock is None:
        return False
    first, last = _ends(at_time)
    clock = (clock - east) % _DAY
    return (not first or clock >= _clock(first)[0]) and (not last or clock <= _clock(last)[1])


def _same_form(one: Matching | None, other: Matching | None) -> bool:
    if not isinstance(one, Range) or not isinstance(other, Range):
        return False
    return (bool(one.first), bool(one.last)) == (bool(other.first), bool(other.last))


def _ends(matching: Matching) -> tuple[str, str]:
    return (
        (matching.value, matching.value)
        if isinstance(matching, SingleValue)
        else (matching.first, matching.last)
    )


def _at(date: str, clock: datetime.timedelta = datetime.timedelta()) -> datetime.datetime:
    return datetime.datetime.fromisoformat(date.replace(".", "")) + clock


def _clock(text: str) -> tuple[datetime.timedelta, datetime.timedelta]:
    """The first and the last moment of the day that a time may mean."""
    digits, _, fraction = text.replace(":", "").partition(".")
    first = datetime.timedelta(
        hours=int(digits[:2]), minutes=int(digits[2:4] or 0), seconds=int(digits[4:6] or 0),
        microseconds=int(fraction.ljust(6, "0")),
    )  # fmt: skip
    units = {2: 3600, 4: 60, 6: 1}
    span = datetime.timedelta(seconds=units[len(digits)])
    if fraction:
        span = datetime.timedelta(microseconds=10 ** (6 - len(fraction)))
    return first, first + span - _INSTANT
