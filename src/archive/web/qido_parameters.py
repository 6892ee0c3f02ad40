"""The query string of a search, read (PS3.18 8.3.4).

Lenient where viewers are and the meaning is clear, unless the settings are strict: UID lists come with commas or with
backslashes, codes in lists, `includefield=all` beside others, private attributes without their private creator. Ignored
without a word are unknown parameters, and attributes of a level below the resource's that are to be included (OHIF
includes Modality in a search for studies). An attribute that cannot be matched at this level does not restrict the
answer, and a Warning says so, as it does of a parameter that looks like a keyword and is none: who mistypes PatientName
gets everybody. What is malformed or repeated is refused.

What a value asks for depends on parameters that may come after it, so the attributes are gathered first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from archive.dicom.attribute_ids import attribute_path, path_name
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.matching.moments import utc_offset
from archive.dicom.query import Path, Query
from archive.web import qido_keys

LARGEST_OFFSET = 1 << 53
MAXIMUM_INCLUDED = 500

_TIMEZONE_OFFSET_FROM_UTC: Path = (0x00080201,)
_RECORD_KEY: Path = (0x0008041B,)
_PRIOR_RECORD_KEY: Path = (0x0008041C,)
_MAXIMUM_NUMBER_OF_RECORDS: Path = (0x00080429,)
_UNSIGNED = re.compile(r"[0-9]{1,30}", re.ASCII)
_LIKE_A_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9.]{2,63}", re.ASCII)
_MOST_NAMED = 20
_MOST_CHARACTERS = 1000
"""Of the names in one Warning: proxies take four or eight kilobytes of headers, and answer 502 to more."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search as asked: the query, and what has to be said in Warning headers."""

    query: Query
    warnings: tuple[str, ...]


@dataclass
class _Reading:
    """What has been read of a query string so far."""

    level: Level
    limit: int
    strict: bool
    offset: int = 0
    attributes: dict[Path, str] = field(default_factory=dict)
    included: list[Path] = field(default_factory=list)
    include_all: bool = False
    flags: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def parse(
    parameters: Iterable[tuple[str, str]], level: Level, maximum: int, *, strict: bool = False
) -> Search:
    """The search that the parameters mean; its limit is never above `maximum`. Raises InvalidQuery, InvalidUID."""
    reading = _Reading(level, maximum, strict)
    for name, value in parameters:
        special = _SPECIAL.get(name.lower())
        if special is not None:
            special(reading, name.lower(), value)
        elif (path := attribute_path(name)) is not None:
            _once(reading, path_name(path), "attribute")
            reading.attributes[path] = value
        elif _LIKE_A_KEYWORD.fullmatch(name):
            reading.unknown.append(name)
    _check_included(reading)
    return _search(reading)


def _search(reading: _Reading) -> Search:
    timezone = _timezone(reading)
    prior, by_record_key = _records(reading)
    keys = qido_keys.keys(
        qido_keys.Manner(
            reading.level,
            strict=reading.strict,
            empty="emptyvaluematching" in reading.flags,
            multiple="multiplevaluematching" in reading.flags,
        ),
        reading.attributes,
        reading.included,
    )
    query = Query(
        level=reading.level,
        keys=keys.keys,
        include=keys.include,
        include_parts=keys.include_parts,
        creators=keys.creators,
        include_all=reading.include_all,
        limit=reading.limit,
        offset=reading.offset,
        fuzzy="fuzzymatching" in reading.flags,
        combined=True,
        timezone=timezone,
        by_record_key=by_record_key,
        after_record_key=prior,
    )
    return Search(query, tuple(_warnings(keys.ignored, reading.unknown)))


def _timezone(reading: _Reading) -> int | None:
    """The zone of the dates and times in the request (8.3.4.1.1). A plus sign that nobody encoded is a space here."""
    value = reading.attributes.get(_TIMEZONE_OFFSET_FROM_UTC, "").rstrip()
    if not value.strip("* "):
        return None
    del reading.attributes[_TIMEZONE_OFFSET_FROM_UTC]
    minutes = utc_offset(f"+{value.strip()}" if value.startswith(" ") else value)
    if minutes is None:
        raise InvalidQuery("TimezoneOffsetFromUTC is not like +0100 (PS3.3 C.12.1.1.8)")
    return minutes


def _records(reading: _Reading) -> tuple[int, bool]:
    """The record that the answers come after, and whether they come in the order of their RecordKey (10.6.1.2.4)."""
    most = reading.attributes.pop(_MAXIMUM_NUMBER_OF_RECORDS, "")
    if most:
        reading.limit = min(_number("MaximumNumberOfRecords", most), reading.limit)
    prior = reading.attributes.pop(_PRIOR_RECORD_KEY, "")
    asked = _RECORD_KEY in reading.included or reading.attributes.pop(_RECORD_KEY, None) is not None
    return qido_keys.record_number(prior) if prior else 0, asked or bool(prior)


def _check_included(reading: _Reading) -> None:
    if len(set(reading.included)) > MAXIMUM_INCLUDED:
        raise InvalidQuery(f"more than {MAXIMUM_INCLUDED} attributes are included: use includefield=all")
    if reading.strict and reading.include_all and reading.included:
        raise InvalidQuery("includefield=all stands beside other includefields (PS3.18 8.3.4.3)")


def _includefield(reading: _Reading, _name: str, value: str) -> None:
    for part in (part.strip() for part in value.split(",")):
        if part.lower() == "all":
            reading.include_all = True
        elif part:
            path = attribute_path(part)
            if path is None:
                raise InvalidQuery("includefield holds something else than tags, keywords and all")
            reading.included.append(path)


def _limit(reading: _Reading, name: str, value: str) -> None:
    _once(reading, name, "parameter")
    reading.limit = min(_number(name, value), reading.limit)


def _offset(reading: _Reading, name: str, value: str) -> None:
    _once(reading, name, "parameter")
    reading.offset = min(_number(name, value), LARGEST_OFFSET)


def _number(name: str, value: str) -> int:
    if not _UNSIGNED.fullmatch(value):
        raise InvalidQuery(f"{name} is no unsigned integer")
    return int(value)


def _flag(reading: _Reading, name: str, value: str) -> None:
    _once(reading, name, "parameter")
    if value.lower() not in ("true", "false"):
        raise InvalidQuery(f"{name} is neither true nor false")
    if value.lower() == "true":
        reading.flags.add(name)


def _once(reading: _Reading, name: str, what: str) -> None:
    if name in reading.seen:
        raise InvalidQuery(f"the {what} {name} is given more than once")
    reading.seen.add(name)


def _ignore(_reading: _Reading, _name: str, _value: str) -> None:
    """Read elsewhere (`exchange.Asked.accept`), or not at all."""


def _warnings(not_matched: Sequence[str], unknown: Sequence[str]) -> Iterator[str]:
    """What PS3.18 8.3 lets a server say of what it ignored."""
    if not_matched:
        yield f"These attributes are not matched here and did not restrict the results: {_listed(not_matched)}"
    if unknown:
        yield f"These are no keywords of attributes and did not restrict the results: {_listed(unknown)}"


def _listed(names: Sequence[str]) -> str:
    """The first few of these names."""
    named, room = [], _MOST_CHARACTERS
    for name in names[:_MOST_NAMED]:
        room -= len(name) + 2
        if room < 0:
            break
        named.append(name)
    left = len(names) - len(named)
    return ", ".join(named) + (f" and {left} more" if left else "")


_SPECIAL: dict[str, Callable[[_Reading, str, str], None]] = {
    "includefield": _includefield,
    "limit": _limit,
    "offset": _offset,
    "fuzzymatching": _flag,
    "emptyvaluematching": _flag,
    "multiplevaluematching": _flag,
    "accept": _ignore,
    "charset": _ignore,
}
