"""Matching as the standard says it (PS3.4 C.2.2.2), over a list of instances in memory and without any index.

Slow and plain on purpose: it shares nothing with the SQL but the table of attributes and the folding of names, of
which the standard leaves the extent to us (PS3.4 C.2.2.2.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from archive.dicom.attributes import BY_KEYWORD, BY_TAG, UNIQUE_KEYS
from archive.dicom.charsets import fold
from archive.dicom.instance import Instance, Level
from archive.dicom.query import Empty, Key, Matching, Query, Range, SingleValue, UIDList, Universal, Wildcard
from naive_moments import moments_match
from naive_names import name_matches_fuzzily


def matches(stored: Iterable[Instance], query: Query) -> set[str]:
    """The unique keys of the entities that match; patients need a PatientID here."""
    stored = list(stored)
    plain = [key for key in query.keys if len(key.path) == 1 and not _is_of_a_moment(key)]
    return {
        _first(one, UNIQUE_KEYS[query.level])
        for one in stored
        if all(
            _key_matches(key, stored, _representative(stored, one, key, query.level))
            or (query.fuzzy and _name_resembles(key, _by_name(stored, one, key, query.level)))
            for key in plain
        )
        and moments_match(query, lambda tag, one=one: _speaking_value(stored, one, tag, query.level))
        and _request_matches(
            query, _representative(stored, one, Key((0x00400275,), Universal()), query.level)
        )
    }


def _is_of_a_moment(key: Key) -> bool:
    return BY_TAG[key.path[0]].vr in ("DA", "TM") and isinstance(key.matching, SingleValue | Range)


def _speaking_value(stored: list[Instance], one: Instance, tag: int, level: Level) -> str:
    values = _values(_representative(stored, one, Key((tag,), Universal()), level), tag)
    return values[0].strip(" ") if values else ""


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


def _by_name(stored: list[Instance], one: Instance, key: Key, level: Level) -> list[Instance]:
    """Whose names the entity is found by, fuzzily: those of a patient are the names in all the studies."""
    if level is not Level.PATIENT:
        return [_representative(stored, one, key, level)]
    unique = UNIQUE_KEYS[Level.PATIENT]
    same = [other for other in stored if _first(other, unique) == _first(one, unique)]
    return [_representative(stored, other, key, Level.STUDY) for other in same]


def _name_resembles(key: Key, speaking: Iterable[Instance]) -> bool:
    attribute = BY_TAG[key.path[0]]
    if attribute.vr != "PN" or isinstance(key.matching, Empty):
        return False
    return any(name_matches_fuzzily(_values(one, attribute.tag), key.matching) for one in speaking)


def _key_matches(key: Key, stored: list[Instance], one: Instance) -> bool:
    attribute = BY_TAG[key.path[0]]
    matching = key.matching
    if _is_universal(attribute.vr, matching):
        return True
    if isinstance(matching, Empty):
        return _is_empty(attribute.keyword, stored, one)
    if attribute.keyword in ("ModalitiesInStudy", "SOPClassesInStudy"):
        values = _of_study(stored, one, attribute.keyword)
        return any(_value_matches("CS", value, matching) for value in values)
    return any(
        _value_matches(attribute.vr, value, matching)
        for value in _values(one, attribute.tag)
        if value.strip(" ")
    )


def _is_empty(keyword: str, stored: list[Instance], one: Instance) -> bool:
    """PS3.4 C.2.2.2.7; what is no value of its VR is none."""
    if keyword in ("ModalitiesInStudy", "SOPClassesInStudy"):
        return not any(value.strip(" ") for value in _of_study(stored, one, keyword))
    if keyword == "RequestAttributesSequence":
        element = one.attributes.get(0x00400275)
        return not (element and orjson.loads(element.json).get("Value"))
    values = _values(one, BY_KEYWORD[keyword].tag)
    return not any(
        _group(value.replace("=", "")) if BY_KEYWORD[keyword].vr == "PN" else value.strip(" ")
        for value in values
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
    if isinstance(key.matching, Empty):
        return not value.strip(" ")
    return bool(value.strip(" ")) and _value_matches("SH", value, key.matching)


def _value_matches(vr: str, value: str, matching: Matching) -> bool:
    if vr == "PN":
        return _name_matches(value, matching)
    match matching:
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
        return bool(group) and any(_like(group, shorter, fold, "(?s:.|ss)") for shorter in _shorter(wanted))
    return group == _group(wanted)


def _shorter(pattern: str) -> list[str]:
    """Components at the end of a pattern that need not be there: `a^*` finds `a`, too."""
    pattern = re.sub(r"\*+", "*", pattern)
    found = [pattern]
    while found[-1].endswith("^*"):
        found.append(found[-1][:-2].rstrip("^"))
    return [one for one in found if one]


def _like(value: str, pattern: str, prepare: Callable[[str], str], one: str = "(?s:.)") -> bool:
    spelled = {"*": "(?s:.*)", "?": one}
    pieces = re.split(r"([*?])", pattern)
    return (
        re.fullmatch("".join(spelled.get(piece, re.escape(prepare(piece))) for piece in pieces), value)
        is not None
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
