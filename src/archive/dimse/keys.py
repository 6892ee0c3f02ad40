"""From the Identifier of a C-MOVE or C-GET to its `Scope`, and what all Identifiers share: their level.

The rules are those of PS3.4 C.4.2.1.4.1, read leniently where real SCUs are sloppy and the meaning stays clear:

- Unique keys of the levels above may be missing, or be lists, as C.4.2.2.2.1 allows after negotiation.
- A unique key of a level below with a value is refused: leaving it out would turn one object into all of them.
- The unique key of the level must have a value: nobody gets everything for want of a key.

What a C-FIND asks is in `find_keys`.
"""

from __future__ import annotations

from archive.dicom.attributes import ATTRIBUTES, BY_TAG, UNIQUE_KEYS
from archive.dicom.errors import InvalidQuery
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Level, Scope
from archive.dimse.identifier import Identifier

_ISSUER_OF_PATIENT_ID = 0x00100021


def scope(identifier: Identifier, root: Level) -> Scope:
    """What a C-MOVE or C-GET asks for. Raises InvalidQuery, InvalidUID."""
    level = level_asked(identifier, root)
    refuse_lower_unique_keys(identifier, level)
    values = {at: _unique_values(identifier, at) for at in Level if root <= at <= level}
    if not values[level]:
        raise InvalidQuery(f"the unique key of level {level.name} has no value")
    return Scope(
        patient_ids=values.get(Level.PATIENT, ()),
        issuers_of_patient_id=_issuers(identifier) if values.get(Level.PATIENT) else (),
        study_instance_uids=values.get(Level.STUDY, ()),
        series_instance_uids=values.get(Level.SERIES, ()),
        sop_instance_uids=values.get(Level.IMAGE, ()),
    )


def level_asked(identifier: Identifier, root: Level) -> Level:
    """The level that is asked at. Raises InvalidQuery."""
    try:
        level = Level[identifier.level]
    except KeyError:
        raise InvalidQuery(
            "Query/Retrieve Level is missing or none of PATIENT, STUDY, SERIES, IMAGE"
        ) from None
    if level < root:
        raise InvalidQuery(f"there is no level {level.name} in this information model")
    return level


def refuse_lower_unique_keys(identifier: Identifier, level: Level) -> None:
    """Raises InvalidQuery for a unique key with a value below the level."""
    for below, tag in UNIQUE_KEYS.items():
        if below > level and any(value != "*" for value in identifier.values(tag)):
            raise InvalidQuery(f"{BY_TAG[tag].keyword} has a value, but is below level {level.name}", tag)


def _unique_values(identifier: Identifier, level: Level) -> tuple[str, ...]:
    tag = UNIQUE_KEYS[level]
    values = identifier.values(tag)
    if level is not Level.PATIENT:
        return tuple(check_uid(value, tag) for value in values)
    return _one_value(identifier, tag)


def _issuers(identifier: Identifier) -> tuple[str, ...]:
    """Not among the unique keys of PS3.4 Table C.6-1, but said by requestors who got two patients of the same PatientID
    from C-FIND and mean one of them."""
    said = [value for value in identifier.values(_ISSUER_OF_PATIENT_ID) if value != "*"]
    return _one_value(identifier, _ISSUER_OF_PATIENT_ID) if said else ()


def _one_value(identifier: Identifier, tag: int) -> tuple[str, ...]:
    """PatientID and its issuer have one value (PS3.6): a backslash in it is part of it, and not two other patients."""
    values = identifier.values(tag)
    if any("*" in value or "?" in value for value in values):
        raise InvalidQuery(f"{BY_TAG[tag].keyword} of a retrieve is a wildcard", tag)
    return ("\\".join(identifier.elements[tag].values),) if values else ()


def supported_keys(root: Level) -> dict[Level, tuple[str, ...]]:
    """The keywords that can be matched at each level of an information model, for the conformance
    statement."""
    levels = [level for level in Level if level >= root]
    return {
        level: tuple(a.keyword for a in ATTRIBUTES if a.matched and max(a.level, root) == level)
        for level in levels
    }
