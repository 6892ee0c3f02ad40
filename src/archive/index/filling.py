"""What the first object of a patient, study or series did not say, and a later one does.

A structured report without StudyDate or AccessionNumber may arrive before the images: the study must be found by both
all the same. A value that is there is never replaced, and what identifies the patient is never filled in.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import orjson
import sqlalchemy as sa

from archive.dicom.attributes import ATTRIBUTES, Attribute
from archive.dicom.instance import Instance, Level
from archive.index import rows, terms
from archive.index.database import Connection, Raced
from archive.index.schema import identifies_patient, patient, request, series, study

_TABLES = {Level.PATIENT: patient, Level.STUDY: study, Level.SERIES: series}
_FILLED = {
    level: tuple(
        (one.tag_hex, one)
        for one in ATTRIBUTES
        if one.level is level and not one.computed and not identifies_patient(one)
    )
    for level in _TABLES
}

_REMEMBERED = 16 << 10
"""Characters of what a row has prepared, at most, for which it is remembered what is missing."""


def fill_patient(connection: Connection, key: int, known: str, instance: Instance) -> None:
    """Complete the row of the object's own patient. `known` is what the row has prepared. Raises Raced."""
    _fill(connection, Level.PATIENT, key, known, instance, _missing(instance, known, Level.PATIENT))


def fill_study(
    connection: Connection, key: int, known: str, instance: Instance, *, same_patient: bool
) -> None:
    """Complete a study; its patient only from objects that name the same one. Raises Raced."""
    missing = _missing(instance, known, Level.STUDY)
    of_patient = _missing(instance, known, Level.PATIENT) if same_patient else []
    _fill(connection, Level.STUDY, key, known, instance, [*of_patient, *missing])
    if of_patient:
        owner = sa.select(study.c.patient_id).where(study.c.id == key).scalar_subquery()
        found = connection.execute(sa.select(patient.c.id, patient.c.attributes).where(patient.c.id == owner))
        fill_patient(connection, *found.one(), instance)


def fill_series(connection: Connection, key: int, known: str, instance: Instance) -> None:
    """Complete a series. Raises Raced."""
    missing = _missing(instance, known, Level.SERIES)
    _fill(connection, Level.SERIES, key, known, instance, missing)
    if any(one.vr == "SQ" for one in missing):
        requested = rows.requests(instance, key)
        if requested:
            connection.execute(sa.insert(request), requested)


def _missing(instance: Instance, known: str, level: Level) -> list[Attribute]:
    """The attributes of which the object has a value and the row has none."""
    absent = _absent if len(known) <= _REMEMBERED else _absent.__wrapped__
    return [
        one
        for one in absent(known, level)
        if (element := instance.attributes.get(one.tag)) is not None and '"Value"' in element.json
    ]


@functools.lru_cache(maxsize=64)
def _absent(known: str, level: Level) -> tuple[Attribute, ...]:
    """The attributes of which a row has no value. Objects of one series come together, so the answer is remembered."""
    there = orjson.loads(known)
    return tuple(one for tag, one in _FILLED[level] if "Value" not in there.get(tag, ()))


def _fill(
    connection: Connection,
    level: Level,
    key: int,
    known: str,
    instance: Instance,
    attributes: Sequence[Attribute],
) -> None:
    if not attributes:
        return
    table = _TABLES[level]
    # Of members that stand there twice the last counts.
    members = [f'"{one.tag_hex}":{terms.clean(instance.attributes[one.tag].json)}' for one in attributes]
    members = [known[1:-1], *members] if known != "{}" else members
    values = {**rows.matched(instance, level, attributes), "attributes": "{" + ",".join(members) + "}"}
    unchanged = sa.and_(table.c.id == key, table.c.attributes == known)
    if not connection.execute(sa.update(table).where(unchanged).values(values)).rowcount:
        raise Raced
    rows.add_terms(connection, instance, level, key, attributes)
