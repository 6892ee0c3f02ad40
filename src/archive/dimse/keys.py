"""From an Identifier to what it asks: a `Query` for C-FIND, a `Scope` for C-MOVE and C-GET.

The rules are those of PS3.4 C.4.1.1.3 (hierarchical search), read leniently where real SCUs are sloppy and
the meaning stays clear:

- Unique keys of the levels above may be missing, or be lists: the search is then relational, as PS3.4
  C.4.1.2.2.1 allows after negotiation.
- A key that cannot be matched at this level, or that the index does not match at all, does not restrict the
  answer; the responses then say so with the status FF01, as the standard asks for optional keys.
- A unique key of a level below with a value is refused: leaving it out would turn one object into all of
  them.
- For a retrieve the unique key of the level must have a value: nobody gets everything for want of a key.

The kind of matching follows from the VR and the value: `dicom.key_matching`.
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.attributes import ATTRIBUTES, BY_TAG, REQUEST_ATTRIBUTES, UNIQUE_KEYS
from archive.dicom.errors import InvalidQuery
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Level, Scope
from archive.dicom.matching import moments
from archive.dicom.matching.key_matching import matching
from archive.dicom.query import Key, Query, Universal
from archive.dimse.identifier import Identifier, RequestElement

ANSWERED_BY_THE_DOOR = frozenset({0x00080054, 0x00080056, 0x00880130, 0x00880140})
"""Retrieve AE Title, Instance Availability, Storage Media File-Set ID and UID: facts about the archive, no
keys."""

_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
_TIMEZONE = 0x00080201


@dataclass(frozen=True, slots=True)
class Question:
    """A C-FIND request: the query, and whether it holds keys with values that we do not match."""

    query: Query
    unsupported_keys: bool


def question(identifier: Identifier, root: Level, limit: int | None = None) -> Question:
    """What a C-FIND in an information model with this root asks. Raises InvalidQuery."""
    level = _level(identifier, root)
    _refuse_lower_unique_keys(identifier, level)
    keys: list[Key] = []
    unsupported = False
    for tag, element in identifier.elements.items():
        made, understood = _keys(tag, element, level)
        keys += made
        unsupported = unsupported or not understood
    matched = {key.path[0] for key in keys}
    include = frozenset(identifier.elements) - ANSWERED_BY_THE_DOOR - matched
    include = frozenset(tag for tag in include if not _is_below(tag, level))
    timezone = _timezone(identifier)
    return Question(Query(level, tuple(keys), include, limit=limit, timezone=timezone), unsupported)


def _timezone(identifier: Identifier) -> int | None:
    """The zone of the dates and times in the Identifier (PS3.4 C.2.2.2.5); what is none says nothing."""
    return next((moments.utc_offset(value) for value in identifier.values(_TIMEZONE)), None)


def scope(identifier: Identifier, root: Level) -> Scope:
    """What a C-MOVE or C-GET asks for. Raises InvalidQuery, InvalidUID."""
    level = _level(identifier, root)
    _refuse_lower_unique_keys(identifier, level)
    values = {at: _unique_values(identifier, at) for at in Level if root <= at <= level}
    if not values[level]:
        raise InvalidQuery(f"the unique key of level {level.name} has no value")
    return Scope(
        patient_ids=values.get(Level.PATIENT, ()),
        study_instance_uids=values.get(Level.STUDY, ()),
        series_instance_uids=values.get(Level.SERIES, ()),
        sop_instance_uids=values.get(Level.IMAGE, ()),
    )


def _level(identifier: Identifier, root: Level) -> Level:
    try:
        level = Level[identifier.level]
    except KeyError:
        raise InvalidQuery(
            "Query/Retrieve Level is missing or none of PATIENT, STUDY, SERIES, IMAGE"
        ) from None
    if level < root:
        raise InvalidQuery(f"there is no level {level.name} in this information model")
    return level


def _refuse_lower_unique_keys(identifier: Identifier, level: Level) -> None:
    for below, tag in UNIQUE_KEYS.items():
        if below > level and any(value != "*" for value in identifier.values(tag)):
            raise InvalidQuery(f"{BY_TAG[tag].keyword} has a value, but is below level {level.name}")


def _unique_values(identifier: Identifier, level: Level) -> tuple[str, ...]:
    tag = UNIQUE_KEYS[level]
    values = identifier.values(tag)
    if level is not Level.PATIENT:
        return tuple(check_uid(value, tag) for value in values)
    if any("*" in value or "?" in value for value in values):
        raise InvalidQuery("PatientID of a retrieve is a wildcard")
    # PatientID has one value (PS3.6): a backslash in it is part of the ID, and not two other patients.
    return ("\\".join(identifier.elements[tag].values),) if values else ()


def _keys(tag: int, element: RequestElement, level: Level) -> tuple[list[Key], bool]:
    """The matching keys of one attribute, and whether all that it asks to be matched is matched."""
    if tag in ANSWERED_BY_THE_DOOR or tag == _TIMEZONE:
        return [], True
    if tag == _REQUEST_ATTRIBUTES_SEQUENCE and level >= Level.SERIES:
        return _sequence_keys(element)
    if element.vr == "SQ":
        return [], not any(inner.values for inner in (element.item or {}).values())
    attribute = BY_TAG.get(tag)
    if attribute is None or not attribute.matched or attribute.level > level:
        return [], not any(value not in ("", "*") for value in element.values)
    return [Key((tag,), matching(attribute.vr, element.values))], True


def _sequence_keys(element: RequestElement) -> tuple[list[Key], bool]:
    keys, understood = [], True
    for tag, inner in (element.item or {}).items():
        if tag in REQUEST_ATTRIBUTES:
            kind = matching("SH", inner.values)
            if not isinstance(kind, Universal):
                keys.append(Key((_REQUEST_ATTRIBUTES_SEQUENCE, tag), kind))
        else:
            understood = understood and not inner.values
    return keys, understood


def _is_below(tag: int, level: Level) -> bool:
    attribute = BY_TAG.get(tag)
    return attribute is not None and attribute.level > level


def supported_keys(root: Level) -> dict[Level, tuple[str, ...]]:
    """The keywords that can be matched at each level of an information model, for the conformance
    statement."""
    levels = [level for level in Level if level >= root]
    return {
        level: tuple(a.keyword for a in ATTRIBUTES if a.matched and max(a.level, root) == level)
        for level in levels
    }
