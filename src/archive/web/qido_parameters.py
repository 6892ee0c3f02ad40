"""The query string of a search, read (PS3.18 8.3.4).

Lenient where viewers are and the meaning is clear: unknown parameters are ignored, as are attributes of a level
below the resource's (OHIF includes Modality in a search for studies); UID lists come with commas or with
backslashes. An attribute that cannot be matched does not restrict the answer, and a Warning says so. What is
malformed or repeated is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from archive.dicom.attribute_ids import attribute_path, path_name
from archive.dicom.attributes import BY_TAG, REQUEST_ATTRIBUTES
from archive.dicom.errors import InvalidQuery
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Level
from archive.dicom.key_matching import matching
from archive.dicom.query import Key, Matching, Query, Universal

LARGEST_OFFSET = 1 << 53
MAXIMUM_INCLUDED = 500

_UNSUPPORTED = {
    "fuzzymatching": "Only literal matching has been performed.",
    "emptyvaluematching": "Empty Value Matching has not been performed.",
    "multiplevaluematching": "Multiple Value Matching has not been performed.",
}
"""Parameters that have to be read although we do not do what they ask, and the standard's words for it (8.3.4.2,
8.3.4.5, 8.3.4.6)."""

_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
_TIMEZONE_OFFSET_FROM_UTC = 0x00080201
_UNSIGNED = re.compile(r"[0-9]{1,30}", re.ASCII)


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
    offset: int = 0
    keys: dict[tuple[int, ...], Matching] = field(default_factory=dict)
    include: set[int] = field(default_factory=set)
    include_all: bool = False
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def parse(parameters: Iterable[tuple[str, str]], level: Level, maximum: int) -> Search:
    """The search that the parameters mean; its limit is never above `maximum`. Raises InvalidQuery, InvalidUID."""
    reading = _Reading(level, limit=maximum)
    for name, value in parameters:
        special = _SPECIAL.get(name.lower())
        if special is not None:
            special(reading, name.lower(), value)
            continue
        path = attribute_path(name)
        if path is not None:
            _attribute(reading, path, value)
    query = Query(
        level=level,
        keys=tuple(Key(path, kind) for path, kind in reading.keys.items()),
        include=frozenset(reading.include),
        include_all=reading.include_all,
        limit=reading.limit,
        offset=reading.offset,
    )
    return Search(query, tuple(reading.warnings + _about_ignored(reading.ignored)))


def _attribute(reading: _Reading, path: tuple[int, ...], value: str) -> None:
    name = path_name(path)
    if name in reading.seen:
        raise InvalidQuery(f"the attribute {name} is given more than once")
    reading.seen.add(name)
    if path == (_TIMEZONE_OFFSET_FROM_UTC,):
        return
    vr = _matched_vr(path, reading.level)
    if vr is not None:
        reading.keys[path] = matching(vr, _values(vr, value, path[-1]))
        return
    _include(reading, path)
    if not isinstance(matching("LO", (value,)), Universal):
        reading.ignored.append(name)


def _matched_vr(path: tuple[int, ...], level: Level) -> str | None:
    """The VR of an attribute that can be matched at this level; None for others."""
    if len(path) == 2 and path[0] == _REQUEST_ATTRIBUTES_SEQUENCE and path[1] in REQUEST_ATTRIBUTES:
        return "SH" if level >= Level.SERIES else None
    row = BY_TAG.get(path[0]) if len(path) == 1 else None
    return row.vr if row is not None and row.matched and row.vr != "SQ" and row.level <= level else None


def _values(vr: str, value: str, tag: int) -> tuple[str, ...]:
    """The values of a key: a list where one is allowed, with the standard's comma or DICOM's own backslash."""
    if vr not in ("UI", "CS"):
        return (value,)
    values = tuple(part.strip() for part in re.split(r"[,\\]", value))
    present = tuple(part for part in values if part)
    if vr == "UI" and present != ("*",):
        for uid in present:
            check_uid(uid, tag)
    return present


def _include(reading: _Reading, path: tuple[int, ...]) -> None:
    row = BY_TAG.get(path[0])
    if row is None or row.level <= reading.level:
        reading.include.add(path[0])
    if len(reading.include) > MAXIMUM_INCLUDED:
        raise InvalidQuery(f"more than {MAXIMUM_INCLUDED} attributes are included: use includefield=all")


def _includefield(reading: _Reading, _name: str, value: str) -> None:
    for part in (part.strip() for part in value.split(",")):
        if part.lower() == "all":
            reading.include_all = True
        elif part:
            path = attribute_path(part)
            if path is None:
                raise InvalidQuery("includefield holds something else than tags, keywords and all")
            _include(reading, path)


def _limit(reading: _Reading, name: str, value: str) -> None:
    reading.limit = min(_unsigned(reading, name, value), reading.limit)


def _offset(reading: _Reading, name: str, value: str) -> None:
    reading.offset = min(_unsigned(reading, name, value), LARGEST_OFFSET)


def _unsigned(reading: _Reading, name: str, value: str) -> int:
    _once(reading, name)
    if not _UNSIGNED.fullmatch(value):
        raise InvalidQuery(f"{name} is no unsigned integer")
    return int(value)


def _flag(reading: _Reading, name: str, value: str) -> None:
    _once(reading, name)
    if value.lower() not in ("true", "false"):
        raise InvalidQuery(f"{name} is neither true nor false")
    if value.lower() == "true":
        reading.warnings.append(f"The {name} parameter is not supported. {_UNSUPPORTED[name]}")


def _once(reading: _Reading, name: str) -> None:
    if name in reading.seen:
        raise InvalidQuery(f"the parameter {name} is given more than once")
    reading.seen.add(name)


def _ignore(_reading: _Reading, _name: str, _value: str) -> None:
    """Read elsewhere (`exchange.Asked.accept`), or not at all."""


def _about_ignored(names: list[str]) -> list[str]:
    shown = ", ".join(names[:20])
    return (
        [f"These attributes are not matched here and did not restrict the results: {shown}"] if names else []
    )


_SPECIAL: dict[str, Callable[[_Reading, str, str], None]] = {
    "includefield": _includefield,
    "limit": _limit,
    "offset": _offset,
    **dict.fromkeys(_UNSUPPORTED, _flag),
    "accept": _ignore,
    "charset": _ignore,
}
