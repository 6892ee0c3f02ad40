"""From the Identifier of a C-FIND to the `Query` that it asks, by the rules of PS3.4 C.4.1 read leniently where real
SCUs are sloppy and the meaning stays clear.

- What the values ask for is decided in `dicom.matching.asking`, as it is for QIDO-RS. Combined dates and times, fuzzy
  names, empty and multiple values are asked only where SOP class extended negotiation agreed upon them (C.5.1.1).
- Keys of the levels above may be left out or matched, as C.4.1.2.2.1 allows after negotiation: the search is then
  relational. For an AE whose rules say so, it has to be negotiated, and is else refused with A900.
- A key that cannot be matched does not restrict the answer; the responses then say so with the status FF01, as the
  standard asks for optional keys.
- A unique key of a level below with a value is refused: leaving it out would turn one object into all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archive.dicom.attribute_ids import path_name
from archive.dicom.attribute_levels import TIMEZONE_OFFSET_FROM_UTC, level_of
from archive.dicom.attributes import BY_TAG, UNIQUE_KEYS
from archive.dicom.errors import InvalidQuery, InvalidRecordKey
from archive.dicom.instance import Level
from archive.dicom.matching import asking, moments
from archive.dicom.matching.asking import Values
from archive.dicom.query import Path, Query
from archive.dimse.extended import BASELINE, Agreed
from archive.dimse.identifier import Identifier, RequestElement
from archive.dimse.keys import level_asked, refuse_lower_unique_keys

RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY = 0x00080054, 0x00080056
_ANSWERED_BY_THE_DOOR = frozenset({RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY, 0x00880130, 0x00880140})
"""With Storage Media File-Set ID and UID: facts about the archive (PS3.4 C.3.4), no attributes of objects."""

_QUERY_RETRIEVE_VIEW = 0x00080053
_RECORD_KEY, _PRIOR_RECORD_KEY, _MAXIMUM_NUMBER_OF_RECORDS = 0x0008041B, 0x0008041C, 0x00080429
_RECORD_KEY_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms an Identifier is read. `relational`: whether keys of the levels above may be anything.
    `retrieve_ae_title` is what we say of ourselves; `limit` the most matches to answer. `records`: of the Repository
    Query SOP Class, which can go on where it was broken off (PS3.4 C.6.4)."""

    root: Level
    limit: int
    agreed: Agreed = BASELINE
    relational: bool = True
    retrieve_ae_title: str = ""
    records: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A C-FIND request: the query, which looks for one match more than the `limit` that is answered, and the keys with
    values that we do not match."""

    query: Query
    limit: int
    unsupported_keys: tuple[Path, ...]


def question(identifier: Identifier, terms: Terms) -> Question:
    """What a C-FIND asks. Raises InvalidQuery, InvalidUID."""
    level = level_asked(identifier, terms.root)
    refuse_lower_unique_keys(identifier, level)
    if not (terms.relational or terms.agreed.relational):
        _check_hierarchy(identifier, terms.root, level)
    agreed = terms.agreed
    attributes = dict(_attributes(identifier.elements, ()))
    found = asking.asked(asking.Manner(level, agreed.empty, agreed.multiple), attributes)
    by_record_key, after, limit = _records(identifier, terms)
    query = Query(
        level,
        keys=found.keys,
        include=found.include | _zone_asked(identifier) | _of_one_instance(attributes, level),
        include_parts=found.include_parts,
        creators=found.creators,
        limit=limit + 1,
        fuzzy=agreed.fuzzy,
        combined=agreed.combined,
        timezone=_timezone(identifier),
        by_record_key=by_record_key,
        after_record_key=after,
        only_named=True,
    )
    unread = _unread(identifier.elements, ())
    return Question(query, limit, (*found.ignored, *unread, *_facts_not_matched(identifier, terms)))


def _attributes(elements: Mapping[int, RequestElement], above: Path) -> Iterator[tuple[Path, Values]]:
    """The attributes with their values, those of a sequence's item instead of the sequence."""
    for tag, element in elements.items():
        if not above and tag in _NO_ATTRIBUTES:
            continue
        if element.item:
            yield from _attributes(element.item, (*above, tag))
        else:
            yield (*above, tag), element.values


def _unread(elements: Mapping[int, RequestElement], above: Path) -> Iterator[Path]:
    """What has bytes that are no values of its VR, and so does not restrict the answer."""
    for tag, element in elements.items():
        if element.item:
            yield from _unread(element.item, (*above, tag))
        elif element.raw and (above or tag not in _NO_ATTRIBUTES):
            yield (*above, tag)


_NO_ATTRIBUTES = _ANSWERED_BY_THE_DOOR | {
    TIMEZONE_OFFSET_FROM_UTC,
    _QUERY_RETRIEVE_VIEW,
    _RECORD_KEY,
    _PRIOR_RECORD_KEY,
    _MAXIMUM_NUMBER_OF_RECORDS,
}


def _of_one_instance(attributes: Mapping[Path, Values], level: Level) -> frozenset[int]:
    """Attributes that are asked for of a series, though its instances have them, each its own perhaps: the first one's
    are answered, as workstations like to know what a series is about. They are not matched (FF01)."""
    if level is not Level.SERIES:
        return frozenset()
    return frozenset(
        path[0]
        for path in attributes
        if len(path) == 1 and path[0] not in BY_TAG and level_of(path[0]) is Level.IMAGE
    )


def _facts_not_matched(identifier: Identifier, terms: Terms) -> Iterator[Path]:
    """Facts about the archive that are asked for with other values than ours: nothing is left out for that, as what
    workstations write there is often about themselves."""
    ours = {RETRIEVE_AE_TITLE: terms.retrieve_ae_title, INSTANCE_AVAILABILITY: "ONLINE"}
    facts = _ANSWERED_BY_THE_DOOR | {_QUERY_RETRIEVE_VIEW}
    facts |= {_RECORD_KEY} if terms.records else {_RECORD_KEY, _PRIOR_RECORD_KEY, _MAXIMUM_NUMBER_OF_RECORDS}
    for tag in facts & set(identifier.elements):
        values = set(identifier.values(tag)) - {"*"}
        if (values or identifier.elements[tag].raw) and ours.get(tag) not in values:
            yield (tag,)


# --- time zones ---


def _timezone(identifier: Identifier) -> int | None:
    """The zone of the dates and times in the Identifier (PS3.4 C.2.2.2.5)."""
    values = identifier.values(TIMEZONE_OFFSET_FROM_UTC)
    if not values or values == ("*",):
        return None
    minutes = moments.utc_offset(values[0]) if len(values) == 1 else None
    if minutes is None:
        raise InvalidQuery(
            "TimezoneOffsetFromUTC is not like +0100 (PS3.3 C.12.1.1.8)", TIMEZONE_OFFSET_FROM_UTC
        )
    return minutes


def _zone_asked(identifier: Identifier) -> frozenset[int]:
    return frozenset({TIMEZONE_OFFSET_FROM_UTC}) & frozenset(identifier.elements)


# --- the hierarchical search method ---


def _check_hierarchy(identifier: Identifier, root: Level, level: Level) -> None:
    """One unique key of each level above and no other key there (PS3.4 C.4.1.2.1)."""
    above = [UNIQUE_KEYS[at] for at in Level if root <= at < level]
    for tag in above:
        values = identifier.values(tag)
        if len(values) != 1 or "*" in values[0] or "?" in values[0]:
            raise InvalidQuery(f"{path_name((tag,))} needs one value: relational queries not agreed", tag)
    for tag in identifier.elements:
        at = level_of(tag)
        if at is None or max(at, root) >= level or tag in above or tag in _NO_ATTRIBUTES:
            continue
        if _is_asked(identifier.elements[tag]):
            raise InvalidQuery(f"{path_name((tag,))} is above the level: relational queries not agreed", tag)


def _is_asked(element: RequestElement) -> bool:
    if element.item:
        return any(_is_asked(inner) for inner in element.item.values())
    return any(value.strip("* ") for value in element.values)


# --- Repository Query ---


def _records(identifier: Identifier, terms: Terms) -> tuple[bool, int, int]:
    """Whether answers come in the order of RecordKey, the record that they come after, and the most of them."""
    if not terms.records:
        return False, 0, terms.limit
    prior = identifier.elements.get(_PRIOR_RECORD_KEY, RequestElement("OB")).raw
    asked = _RECORD_KEY in identifier.elements
    return asked or bool(prior), _record_number(prior) if prior else 0, _most_records(identifier, terms.limit)


def _most_records(identifier: Identifier, limit: int) -> int:
    values = identifier.values(_MAXIMUM_NUMBER_OF_RECORDS)
    if not values:
        return limit
    if len(values) != 1 or not (values[0].isascii() and values[0].isdecimal()):
        raise InvalidQuery("Maximum Number of Records is no number", _MAXIMUM_NUMBER_OF_RECORDS)
    return min(limit, int(values[0]))


def _record_number(raw: bytes) -> int:
    number = int.from_bytes(raw, "big") if len(raw) == _RECORD_KEY_LENGTH else -1
    if not 0 <= number < 1 << 63:
        raise InvalidRecordKey("Prior Record Key is none that was given out here", _PRIOR_RECORD_KEY)
    return number
