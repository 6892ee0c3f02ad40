"""Matching as the standard says it (PS3.4 C.2.2.2), over a list of instances in memory and without any index.

Slow and plain on purpose: it shares nothing with the SQL but the table of attributes and the folding of names, of
which the standard leaves the extent to us (PS3.4 C.2.2.2.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from archive.dicom.attributes import BY_TAG, UNIQUE_KEYS
from archive.dicom.charsets import fold
from archive.dicom.instance import Instance, Level
from archive.dicom.query import Key, Matching, Query, Range, SingleValue, UIDList, Universal, Wildcard


def matches(stored: Iterable[Instance], query: Query) -> set[str]:
    """The unique keys of the entities that match; patients need a PatientID here."""
    stored = list(stored)
    return {
        _first(one, UNIQUE_KEYS[query.level])
        for one in stored
        if all(
            _key_matches(key, stored, _representative(stored, one, key, query.level))
            for key in query.keys
            if len(key.path) == 1
        )
        and _request_matches(
            query, _representative(stored, one, Key((0x00400275,), Universal()), query.level)
        )
    }


def _representative(stored: list[Instance], one: Instance, key: Key, level: Level) -> Instance:
    """The instance whose value speaks for the entity: the first one stored of the patient, study or series that has a
    value, else the first."""
    attribute = BY_TAG[key.path[0]]
    at = attribute.level
    if at is Level.PATIENT and level > Level.PATIENT:
        at = Level.STUDY
    unique = UNIQUE_KEYS[at]
    same = [other for other in stored if _first(other, unique) == _first(one, unique)]
    return next((other for other in same if _has_value(other, key.path[0])), same[0])


def _key_matches(key: Key, stored: list[Instance], one: Instance) -> bool:
    attribute = BY_TAG[key.path[0]]
    matching = key.matching
    if _is_universal(attribute.vr, matching):
        return True
    if attribute.keyword in ("ModalitiesInStudy", "SOPClassesInStudy"):
        values = _of_study(stored, one, attribute.keyword)
        return any(_value_matches("CS", value, matching) for value in values)
    return any(
        _value_matches(attribute.vr, value, matching)
        for value in _values(one, attribute.tag)
        if value.strip(" ")
    )


def _is_universal(vr: str, matching: Matching) -> bool:
    match matching:
        case Universal():
            return True
        case Wildcard(pattern):
            return not pattern.strip("^= *" if vr == "PN" else " *")
        case SingleValue(value):
            return not (fold(value).strip("^= ") if vr == "PN" else value.strip(" "))
        case UIDList(values):
            return not any(value.strip(" *") for value in values)
        case _:
            return False


def _of_study(stored: list[Instance], one: Instance, keyword: str) -> set[str]:
    same = [other for other in stored if other.StudyInstanceUID == one.StudyInstanceUID]
    if keyword == "SOPClassesInStudy":
        return {other.SOPClassUID for other in same}
    speaking = (
        _representative(stored, other, Key((0x00080060,), Universal()), Level.SERIES) for other in same
    )
    return {value for other in speaking for value in _values(other, 0x00080060)[:1]}


def _request_matches(query: Query, one: Instance) -> bool:
    keys = [key for key in query.keys if len(key.path) == 2 and not _is_universal("SH", key.matching)]
    if not keys:
        return True
    element = one.attributes.get(0x00400275)
    items = orjson.loads(element.json).get("Value", []) if element else []
    return any(all(_item_matches(item, key) for key in keys) for item in items)


def _item_matches(item: Mapping[str, Any], key: Key) -> bool:
    value = item.get(f"{key.path[1]:08X}", {}).get("Value", [""])[0]
    return bool(value.strip(" ")) and _value_matches("SH", value, key.matching)


def _value_matches(vr: str, value: str, matching: Matching) -> bool:
    if vr == "PN":
        return _name_matches(value, matching)
    match matching:
        case Range(first, last):
            return (not first or _moments(vr, value)[0] >= _moments(vr, first)[0]) and (
                not last or _moments(vr, value)[0] <= _moments(vr, last)[1]
            )
        case SingleValue(wanted) if vr in ("DA", "TM"):
            first, last = _moments(vr, wanted)
            return first <= _moments(vr, value)[0] <= last
        case SingleValue(wanted):
            return _plain(vr, value) == _plain(vr, wanted)
        case UIDList(listed):
            return any(_plain(vr, value) == _plain(vr, wanted) for wanted in listed)
        case Wildcard(pattern):
            return _like(value.strip(" "), pattern.strip(" "), lambda text: text)
    raise AssertionError(matching)


def _name_matches(value: str, matching: Matching) -> bool:
    assert isinstance(matching, SingleValue | Wildcard)
    key = matching.value if isinstance(matching, SingleValue) else matching.pattern
    groups = [_group(group) for group in value.split("=")]
    wild = isinstance(matching, Wildcard)
    wanted = [group.strip(" ").rstrip("^ ") for group in key.split("=")[:3]]
    if len(wanted) == 1:
        return any(group and _group_matches(group, wanted[0], wild) for group in groups)
    return all(
        not (want.strip("*") if wild else _group(want))
        or (number < len(groups) and _group_matches(groups[number], want, wild))
        for number, want in enumerate(wanted)
    )


def _group(text: str) -> str:
    return fold(text).strip(" ").rstrip("^ ")


def _group_matches(group: str, wanted: str, wild: bool) -> bool:
    if wild and ("*" in wanted or "?" in wanted):
        return bool(group) and _like(group, wanted, fold)
    return group == _group(wanted)


def _like(value: str, pattern: str, prepare: Callable[[str], str]) -> bool:
    spelled = {"*": "(?s:.*)", "?": "(?s:.)"}
    pieces = re.split(r"([*?])", pattern)
    return (
        re.fullmatch("".join(spelled.get(piece, re.escape(prepare(piece))) for piece in pieces), value)
        is not None
    )


def _moments(vr: str, value: str) -> tuple[str, str]:
    """The first and the last moment that a date or time may mean."""
    digits = value.strip(" ").replace(":", "") if vr == "TM" else value.strip(" ").replace(".", "")
    if vr == "DA":
        return digits, digits
    clock, _, fraction = digits.partition(".")
    return clock.ljust(6, "0") + fraction.ljust(6, "0"), (clock + "595959"[len(clock) :]) + fraction.ljust(
        6, "9"
    )


def _plain(vr: str, value: str) -> str:
    return str(int(value)) if vr == "IS" else value.strip(" ")


def _values(one: Instance, tag: int) -> tuple[str, ...]:
    element = one.attributes.get(tag)
    return element.values if element else ()


def _has_value(one: Instance, tag: int) -> bool:
    element = one.attributes.get(tag)
    return element is not None and "Value" in orjson.loads(element.json)


def _first(one: Instance, tag: int) -> str:
    return _values(one, tag)[0].strip(" ")
