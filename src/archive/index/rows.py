"""From an object's attributes to the values of its rows."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Container, Mapping
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.attributes import ATTRIBUTES, BY_KEYWORD, REQUEST_ATTRIBUTES, Attribute
from archive.dicom.instance import Instance, Level, Source
from archive.dicom.matching import moments
from archive.index import schema, terms
from archive.index.database import Connection

_COLUMNS = {
    Level.PATIENT: schema.PATIENT_COLUMNS,
    Level.STUDY: schema.STUDY_COLUMNS,
    Level.SERIES: schema.SERIES_COLUMNS,
    Level.IMAGE: schema.INSTANCE_COLUMNS,
}
TERM_TABLES: Mapping[Level, sa.Table] = {
    Level.PATIENT: schema.patient_term,
    Level.STUDY: schema.study_term,
    Level.SERIES: schema.series_term,
}
WORD_TABLES: Mapping[Level, sa.Table] = {Level.STUDY: schema.study_word, Level.SERIES: schema.series_word}
_INSERT_WORDS = {level: sa.insert(table) for level, table in WORD_TABLES.items()}
_NAMED = {level: tuple((schema.column_name(one), one) for one in found) for level, found in _COLUMNS.items()}
_WITH_TERMS = {level: tuple(filter(schema.has_terms, found)) for level, found in _COLUMNS.items()}
_NAMES = {level: tuple(one for one in found if one.vr == "PN") for level, found in _COLUMNS.items()}
_PATIENT_ID = BY_KEYWORD["PatientID"].tag
_ISSUER = BY_KEYWORD["IssuerOfPatientID"].tag
_REQUESTS = BY_KEYWORD["RequestAttributesSequence"].tag


def uid(value: str) -> str:
    """A UID, or another identifier, as it is compared."""
    return terms.text(value)


def values_of(instance: Instance, tag: int) -> tuple[str, ...]:
    """The values of an attribute; none if it is absent."""
    element = instance.attributes.get(tag)
    return element.values if element else ()


def patient(instance: Instance) -> tuple[str, str]:
    """PatientID and IssuerOfPatientID, as they are compared; empty where there is none."""
    return _identifier(instance, _PATIENT_ID), _identifier(instance, _ISSUER)


def identity(patient_id: str, issuer: str, study_instance_uid: str = "") -> str:
    """What one patient is told from all others by; without a PatientID a study is its own patient. A digest, as the
    values may be longer than what an index entry holds."""
    parts = [patient_id, issuer] if patient_id else ["", study_instance_uid]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def matched(
    instance: Instance, level: Level, attributes: Container[Attribute] | None = None
) -> dict[str, Any]:
    """The columns of the level's row that are matched, of these attributes, or of all."""
    return {
        name: _column_value(one, instance)
        for name, one in _NAMED[level]
        if attributes is None or one in attributes
    }


def prepared(instance: Instance, *levels: Level) -> str:
    """The DICOM JSON of these levels' attributes, as far as the object has them, in ascending order."""
    found = instance.attributes
    members = [f'"{name}":{terms.clean(found[tag].json)}' for name, tag in _of_levels(levels) if tag in found]
    return "{" + ",".join(members) + "}"


@functools.cache
def _of_levels(levels: tuple[Level, ...]) -> tuple[tuple[str, int], ...]:
    """Tags as text and as numbers, in ascending order."""
    found = (one for one in ATTRIBUTES if one.level in levels and not one.computed)
    return tuple(sorted((one.tag_hex, one.tag) for one in found))


def add_terms(
    connection: Connection,
    instance: Instance,
    level: Level,
    key: int,
    attributes: Container[Attribute] | None = None,
) -> None:
    """Enter the values and component groups of these attributes, or of all, for which a column has no place, and the
    words of names."""
    if level in WORD_TABLES:
        _add_words(connection, instance, level, key, attributes)
    table = TERM_TABLES[level]
    found = [
        {
            table.columns.keys()[0]: key,
            "tag": one.tag,
            "value_number": term.value_number,
            "component_group": term.component_group,
            "text": term.text,
        }
        for one in _WITH_TERMS[level]
        if attributes is None or one in attributes
        for term in terms.terms(one.vr, values_of(instance, one.tag))
        if (term.value_number, term.component_group) != (0, terms.ALPHABETIC)
    ]
    if found:
        connection.execute(sa.insert(table), found)


def _add_words(
    connection: Connection,
    instance: Instance,
    level: Level,
    key: int,
    attributes: Container[Attribute] | None,
) -> None:
    table = WORD_TABLES[level]
    found = [
        {table.columns.keys()[0]: key, "tag": one.tag, **word}
        for one in _NAMES[level]
        if attributes is None or one in attributes
        for word in terms.words(values_of(instance, one.tag))
    ]
    if found:
        connection.execute(_INSERT_WORDS[level], found)


def requests(instance: Instance, series_id: int) -> list[dict[str, Any]]:
    """One row for each item of RequestAttributesSequence, as far as they are matched. With another VR than SQ it has
    none."""
    element = instance.attributes.get(_REQUESTS)
    items = orjson.loads(element.json).get("Value", []) if element and element.vr == "SQ" else []
    return [
        {
            "series_id": series_id,
            "item_number": number,
            **{keyword: _member(item, tag) for tag, keyword in REQUEST_ATTRIBUTES.items()},
        }
        for number, item in enumerate(items[: terms.MAXIMUM_VALUES])
    ]


def source(sender: Source) -> dict[str, str]:
    """Where an object came from."""
    return {
        "door": sender.door,
        "address": terms.text(sender.address),
        "calling_ae_title": terms.text(sender.calling_ae_title),
        "called_ae_title": terms.text(sender.called_ae_title),
    }


def _member(item: Mapping[str, Any], tag: int) -> str:
    values = item.get(f"{tag:08X}", {}).get("Value") or [""]
    return terms.text(values[0]) if isinstance(values[0], str) else ""


def _identifier(instance: Instance, tag: int) -> str:
    """All values as one text; what is no text stands as it is in JSON, as it still tells one patient from another."""
    element = instance.attributes.get(tag)
    if element is None:
        return ""
    if element.values:
        return terms.text("\\".join(element.values) if any(element.values) else "")
    return "" if element.json == f'{{"vr":"{element.vr}"}}' else terms.text(element.json)


def _column_value(attribute: Attribute, instance: Instance) -> Any:
    if schema.identifies_patient(attribute):
        return _identifier(instance, attribute.tag)
    value = next(iter(values_of(instance, attribute.tag)), "")
    match attribute.vr:
        case "PN":
            return terms.name_groups(value)[0]
        case "DA":
            return moments.date(value)
        case "TM":
            return moments.time(value)
        case "IS":
            number = terms.number(value)
            return schema.ABSENT_NUMBER if number is None else number
        case _:
            return terms.text(value)
