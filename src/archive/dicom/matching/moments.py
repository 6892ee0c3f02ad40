"""Dates and times as matching compares them: normalised texts, spans of limited precision, shifts between time zones
(PS3.4 C.2.2.2.1.2 and C.2.2.2.5, PS3.3 C.12.1.1.8).

What a date key and the time key beside it ask for becomes a few limits on a date and a time, which `index` makes SQL
of and `value_matching` tests on one object. A time zone never changes what an object says: the key is moved into the
object's zone. Objects that do not tell their zone are compared as they stand.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

from archive.dicom.errors import InvalidQuery
from archive.dicom.query import Matching, Range, SingleValue, UIDList

MIDNIGHT, LAST_MOMENT = "000000.000000", "235959.999999"
_DAY = 24 * 60
_FIRST_DAY, _LAST_DAY = "00010101", "99991231"

_DATE = re.compile(r"([0-9]{4})\.?([0-9]{2})\.?([0-9]{2})", re.ASCII)
_TIME = re.compile(r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.([0-9]{1,6}))?)?)?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2})([0-5]\d)", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?",
    re.ASCII,
)
_EARLIEST, _LATEST = -12 * 60, 14 * 60


def date(value: str) -> str:
    """yyyymmdd, also from the retired yyyy.mm.dd; empty for anything else."""
    found = _DATE.fullmatch(value.strip(" "))
    return "".join(found.groups()) if found else ""


def time(value: str) -> str:
    """hhmmss.ffffff, also from the retired hh:mm:ss; parts not given are zero. Empty for anything else."""
    return _padded_time(value, ("00", "00", "000000"))


def last_time(value: str) -> str:
    """The last instant that a time of limited precision may mean: `10` is up to 10:59:59.999999."""
    return _padded_time(value, ("59", "59", "999999"))


def _padded_time(value: str, missing: tuple[str, str, str]) -> str:
    found = _TIME.fullmatch(value.strip(" "))
    if not found:
        return ""
    hours, minutes, seconds, fraction = found.groups()
    if fraction:
        fraction += missing[2][len(fraction) :]
    return f"{hours}{minutes or missing[0]}{seconds or missing[1]}.{fraction or missing[2]}"


def utc_offset(value: str) -> int | None:
    """A TimezoneOffsetFromUTC in minutes east; None for what is none (PS3.3 C.12.1.1.8: -1200 to +1400)."""
    found = _OFFSET.fullmatch(value.strip(" "))
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    minutes = -minutes if found[1] == "-" else minutes
    return minutes if _EARLIEST <= minutes <= _LATEST else None


@dataclass(frozen=True, slots=True)
class Days:
    """The date is one of these, whatever the time; an empty end is open."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of day is one of these. With `first` after `last` the span goes over midnight."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Between:
    """Date and time together are not before `first` and not after `last` (date and time each); an empty date is open.
    Without a time it counts whether the day as a whole lies between: by `days` where there are such, else by days that
    are neither the first nor the last one."""

    first: tuple[str, str]
    last: tuple[str, str]
    days: Days | None = None


Limit = Days | Clock | Between


def limits(
    on_date: Matching | None, at_time: Matching | None, shift: int = 0, *, combined: bool
) -> Iterator[Limit]:
    """What a date key and the time key that belongs to it ask of an object whose zone is `shift` minutes east of the
    keys'. All of the limits have to hold. Raises InvalidQuery."""
    days = _days(on_date) if on_date is not None else None
    clock = _clock(at_time) if at_time is not None else None
    if days and clock and combined and _same_form(on_date, at_time):
        first = (days.first, clock.first) if days.first else ("", "")
        last = (days.last, clock.last) if days.last else ("", "")
        yield Between(_shifted(first, shift), _shifted(last, shift))
        return
    if days:
        yield days if not shift else _whole_days(days, shift)
    if clock and clock.first > clock.last:
        yield Clock("9", "9")  # PS3.4 C.2.2.2.5: a range does not cross midnight, so nothing is in this one
    elif clock:
        yield Clock(_turned(clock.first, shift), _turned(clock.last, shift))


def holds(limit: Limit, on_date: str, at_time: str) -> bool:
    """Whether an object's date and time, normalised as by `date` and `time`, keep to the limit."""
    match limit:
        case Days(first, last):
            return bool(on_date) and first <= on_date and (not last or on_date <= last)
        case Clock(first, last):
            if not at_time:
                return False
            return first <= at_time <= last if first <= last else at_time >= first or at_time <= last
        case Between(first_moment, last_moment, days):
            if not at_time:
                return _whole_day_holds(limit, on_date, days)
            moment = (on_date, at_time)
            return bool(on_date) and moment >= first_moment and (not last_moment[0] or moment <= last_moment)


def _whole_day_holds(limit: Between, on_date: str, days: Days | None) -> bool:
    if days is not None:
        return holds(days, on_date, "")
    after = on_date > limit.first[0]
    return bool(on_date) and after and (not limit.last[0] or on_date < limit.last[0])


def _days(matching: Matching) -> Days:
    first, last = _ends(matching, "DA")
    found = Days(date(first), date(last))
    if (first and not found.first) or (last and not found.last):
        raise InvalidQuery("a date is none of PS3.5 6.2")
    return found


def _clock(matching: Matching) -> Clock:
    first, last = _ends(matching, "TM")
    found = Clock(time(first) if first else MIDNIGHT, last_time(last) if last else LAST_MOMENT)
    if not found.first or not found.last:
        raise InvalidQuery("a time is none of PS3.5 6.2")
    return found


def _ends(matching: Matching, vr: str) -> tuple[str, str]:
    match matching:
        case SingleValue(value) | UIDList((value,)) if value.strip(" "):
            return value, value
        case Range(first, last) if first.strip(" ") or last.strip(" "):
            return first.strip(" "), last.strip(" ")
        case _:
            raise InvalidQuery(f"a key of VR {vr} is matched by a value or a range of values")


def _same_form(one: Matching | None, other: Matching | None) -> bool:
    """PS3.4 C.2.2.2.5: a date and a time are one where both are ranges with the same ends."""
    if not isinstance(one, Range) or not isinstance(other, Range):
        return False
    return bool(one.first.strip()) == bool(other.first.strip()) and bool(one.last.strip()) == bool(
        other.last.strip()
    )


def _whole_days(days: Days, shift: int) -> Between:
    first = _shifted((days.first, MIDNIGHT), shift) if days.first else ("", "")
    last = _shifted((days.last, LAST_MOMENT), shift) if days.last else ("", "")
    return Between(first, last, days)


def _shifted(moment: tuple[str, str], minutes: int) -> tuple[str, str]:
    """A date and a time of day, so many minutes later."""
    if not moment[0] or not minutes:
        return moment
    try:
        day = datetime.date.fromisoformat(moment[0])
        minute = int(moment[1][:2]) * 60 + int(moment[1][2:4]) + minutes
        day += datetime.timedelta(days=minute // _DAY)
    except OverflowError:
        return (_FIRST_DAY, MIDNIGHT) if minutes < 0 else (_LAST_DAY, LAST_MOMENT)
    except ValueError:
        return moment
    return f"{day.year:04}{day.month:02}{day.day:02}", _turned(moment[1], minutes)


def _turned(clock: str, minutes: int) -> str:
    """A time of day, so many minutes later, on whatever day."""
    if not clock[:4].isdigit() or len(clock) < 6:
        return clock
    minute = (int(clock[:2]) * 60 + int(clock[2:4]) + minutes) % _DAY
    return f"{minute // 60:02}{minute % 60:02}{clock[4:]}"


# --- date and time in one value ---

Span = tuple[datetime.datetime, datetime.datetime, int | None]
"""The first and last moment that a DT may mean, and its offset from UTC in minutes where it is known."""


def date_time_span(value: str) -> Span | None:
    """What a DT value says (PS3.5 6.2), whatever its precision; None for what is none."""
    found = _DATE_TIME.fullmatch(value.strip(" "))
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        first = datetime.datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
            min(int(second or 0), 59), int((fraction or "0").ljust(6, "0")),
        )  # fmt: skip
        last = _last_moment(first, (month, day, hour, minute, second, fraction))
    except (ValueError, OverflowError):
        return None
    return first, last, utc_offset(offset) if offset else None


def _last_moment(first: datetime.datetime, parts: tuple[str | None, ...]) -> datetime.datetime:
    """The end of the year, month, day, hour, minute, second that is the last part given."""
    precision = next((number for number, part in enumerate(parts) if not part), len(parts))
    if precision == 0:
        return first.replace(month=12, day=31, hour=23, minute=59, second=59, microsecond=999999)
    if precision == 1:
        later = first.replace(day=28) + datetime.timedelta(days=4)
        return later.replace(day=1) - datetime.timedelta(microseconds=1)
    if precision == len(parts):
        width = 10 ** (6 - len(parts[-1] or ""))
        return first + datetime.timedelta(microseconds=width - 1)
    unit = {2: 86400, 3: 3600, 4: 60, 5: 1}[precision]
    return first + datetime.timedelta(seconds=unit) - datetime.timedelta(microseconds=1)
