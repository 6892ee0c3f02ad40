"""Objects that were written anew, and the one change of the index after which a study says something else.

What is written anew is kept in `rewritten` until all objects of the study are; then `change_over` puts everything in
its place in one transaction: where the bytes are, what is known of them, the rows of study and patient. Readers see the
study as it was, or as it is to be. A crash in between leaves what was written for the next attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.attributes import BY_TAG, Attribute
from archive.dicom.demographics import ISSUER, PATIENT_ID, tag_of
from archive.dicom.instance import Element, Instance, Level, StoredInstance
from archive.dicom.patient_key import PatientKey
from archive.index import corrected_objects, deletions, instances, rows, standing
from archive.index.corrections_schema import rewritten
from archive.index.database import Connection, Raced
from archive.index.schema import instance as instance_table
from archive.index.schema import instance_detail, patient, study
from archive.index.sql import insert_unless_there, retire_keys

_SAID = sa.select(rewritten.c.SOPInstanceUID, rewritten.c.blob_key, rewritten.c.after)


@dataclass(frozen=True, slots=True)
class Anew:
    """An object that was written anew: what it was, and what it is to be; `blob_key` is empty where nothing had to be
    changed. `before` is what it said of the attributes that were changed."""

    former: StoredInstance
    instance: Instance
    blob_key: str
    data_set_offset: int
    sha256: str
    before: Mapping[str, str]


def stage(connection: Connection, number: int, found: Iterable[Anew], keywords: Collection[str]) -> list[str]:
    """Keep objects that were written anew until their study is changed over; the keys of earlier attempts, which nobody
    points to then."""
    replaced: list[str] = []
    found = list(found)
    standing.changed(connection, [one.blob_key for one in found])
    for one in found:
        uid = rows.uid(one.former.SOPInstanceUID)
        mine = sa.and_(rewritten.c.correction_id == number, rewritten.c.SOPInstanceUID == uid)
        earlier = (
            connection.execute(sa.delete(rewritten).where(mine).returning(rewritten.c.blob_key))
            .scalars()
            .all()
        )
        replaced += [key for key in earlier if key]
        connection.execute(sa.insert(rewritten), _staged(number, one, keywords))
    return replaced


def _staged(number: int, one: Anew, keywords: Collection[str]) -> dict[str, Any]:
    made = one.instance
    after = {
        f"{tag:08X}": orjson.loads(made.attributes[tag].json)
        for tag in map(tag_of, keywords)
        if tag in made.attributes
    }
    bulk_values = orjson.dumps([[v.path, v.vr, v.offset, v.length] for v in made.bulk_values])
    return {
        "correction_id": number,
        "SOPInstanceUID": rows.uid(made.SOPInstanceUID),
        "SeriesInstanceUID": rows.uid(made.SeriesInstanceUID),
        "StudyInstanceUID": rows.uid(made.StudyInstanceUID),
        "former_key": one.former.blob_key,
        "blob_key": one.blob_key,
        "data_set_offset": one.data_set_offset,
        "data_set_length": made.length,
        "sha256": one.sha256,
        "metadata": made.metadata if one.blob_key else b"",
        "frames": made.frames if one.blob_key else b"",
        "bulk_values": bulk_values if one.blob_key else b"",
        "before": orjson.dumps(dict(one.before)).decode(),
        "after": orjson.dumps(after).decode(),
    }


def staged(connection: Connection, number: int, study_uid: str) -> dict[str, str]:
    """What of a study was written anew, by SOP Instance UID: from which bytes."""
    found = sa.select(rewritten.c.SOPInstanceUID, rewritten.c.former_key).where(_of_study(number, study_uid))
    return {row[0]: row[1] for row in connection.execute(found)}


def discard(connection: Connection, number: int, study_uid: str = "") -> list[str]:
    """Let go of what was written anew of a study, or of all, and is not needed; the keys of its bytes."""
    which = _of_study(number, study_uid) if study_uid else rewritten.c.correction_id == number
    found = connection.execute(sa.delete(rewritten).where(which).returning(rewritten.c.blob_key))
    return [key for key in found.scalars() if key]


@dataclass(frozen=True, slots=True)
class Changed:
    """What has become of a study. While there is a `rest`, which was not written anew from what is stored now, nothing
    was changed; `freed` are keys that nobody points to any more."""

    rest: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    former: tuple[PatientKey, ...] = ()
    is_gone: bool = False


def change_over(
    connection: Connection, number: int, study_uid: str, keywords: Collection[str], *, restores: bool = False
) -> Changed:
    """Let a study say what was written anew. `restores`: it is to say again what it said before. Raises Raced."""
    row = connection.execute(
        sa.select(study.c.id, study.c.patient_id, study.c[PATIENT_ID], study.c[ISSUER])
        .where(study.c.StudyInstanceUID == rows.uid(study_uid))
        .with_for_update()
    ).first()
    if row is None:
        return Changed(is_gone=True, freed=tuple(discard(connection, number, study_uid)))
    stored = {one.SOPInstanceUID: (key, one) for key, one in _instances(connection, row.id)}
    ready = staged(connection, number, study_uid)
    rest = [uid for uid, (_, one) in stored.items() if ready.get(uid) != one.blob_key]
    if rest:
        return Changed(rest=tuple(rest))
    after: dict[int, dict[str, Any]] = {}
    freed: list[str] = []
    for uid, key, said in connection.execute(_SAID.where(_of_study(number, study_uid))):
        if uid in stored:
            after[stored[uid][0]] = orjson.loads(said)
        elif key:
            freed.append(key)  # deleted since
    freed += corrected_objects.note_all(connection, number, study_uid)
    _replace(connection, _of_study(number, study_uid))
    _change_rows(connection, row, study_uid, _values(after, keywords), restores=restores)
    connection.execute(sa.delete(rewritten).where(_of_study(number, study_uid)))
    return Changed(freed=tuple(freed), former=(PatientKey(row[2], row[3]),))


def _of_study(number: int, study_uid: str) -> sa.ColumnElement[bool]:
    return sa.and_(rewritten.c.correction_id == number, rewritten.c.StudyInstanceUID == rows.uid(study_uid))


def _instances(connection: Connection, study_id: int) -> Iterator[tuple[int, StoredInstance]]:
    for key, *columns in connection.execute(instances.STORED_WITH_KEY, {"study_id": study_id}):
        yield key, StoredInstance(*columns)


def _replace(connection: Connection, which: sa.ColumnElement[bool]) -> None:
    """The objects in their places: a statement for all, as everybody else waits meanwhile."""
    is_its = sa.and_(
        which,
        rewritten.c.blob_key != "",
        rewritten.c.SOPInstanceUID == instance_table.c.SOPInstanceUID,
        rewritten.c.former_key == instance_table.c.blob_key,
    )
    detail = {name: rewritten.c[name] for name in ("metadata", "frames", "bulk_values")}
    its_detail = sa.and_(is_its, instance_detail.c.instance_id == instance_table.c.id)
    connection.execute(sa.update(instance_detail).where(its_detail).values(detail))
    blob = {name: rewritten.c[name] for name in ("blob_key", "data_set_offset", "data_set_length", "sha256")}
    received = {
        "received_sha256": _or(instance_table.c.received_sha256, instance_table.c.sha256),
        "received_transfer_syntax_uid": _or(
            instance_table.c.received_transfer_syntax_uid, instance_table.c.transfer_syntax_uid
        ),
    }
    connection.execute(sa.update(instance_table).where(is_its).values({**blob, **received}))


def _or(column: sa.Column[str], other: sa.Column[str]) -> sa.ColumnElement[str]:
    return sa.case((column == "", other), else_=column)


# --- rows of study and patient ---


def _values(after: Mapping[int, Mapping[str, Any]], keywords: Collection[str]) -> dict[str, Any]:
    """What the study says of each attribute: what its first object with a value does, else its first; None for what
    none of them has."""
    found: dict[str, Any] = {}
    for tag in map(tag_of, keywords):
        if tag in BY_TAG:
            members = [its[name] for _, its in sorted(after.items()) if (name := f"{tag:08X}") in its]
            with_value = [member for member in members if "Value" in member]
            found[f"{tag:08X}"] = next(iter(with_value or members), None)
    return found


def _change_rows(
    connection: Connection, row: Any, study_uid: str, values: Mapping[str, Any], *, restores: bool
) -> None:
    known = orjson.loads(connection.execute(_ATTRIBUTES_OF_STUDY, {"key": row.id}).scalar_one())
    says = _merged(known, values)
    _update(connection, Level.STUDY, row.id, says, values)
    its = _instance(says, study_uid)
    identity = rows.identity(*rows.patient(its), study_uid)
    owner = connection.execute(_OWNER, {"key": row.patient_id}).one()
    if identity != owner.identity:
        target = _find_or_add(connection, identity, its)
        connection.execute(sa.update(study).where(study.c.id == row.id).values(patient_id=target))
        _remove_if_empty(connection, row.patient_id)
    elif not restores or row.id == connection.execute(_OLDEST, {"key": row.patient_id}).scalar_one():
        of_patient = {name: value for name, value in values.items() if _level(name) is Level.PATIENT}
        changed = _merged(orjson.loads(owner.attributes), of_patient)
        _update(connection, Level.PATIENT, row.patient_id, changed, of_patient)


def _merged(known: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    found = {**known, **values}
    return {name: found[name] for name in sorted(found) if found[name] is not None}


def _level(name: str) -> Level:
    return BY_TAG[int(name, 16)].level


def _update(
    connection: Connection, level: Level, key: int, says: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Columns, prepared attributes, terms and words of a row, of these attributes."""
    if not values:
        return
    table = study if level is Level.STUDY else patient
    changed: list[Attribute] = [BY_TAG[int(name, 16)] for name in values]
    its = _instance(says, "")
    columns = {**rows.matched(its, level, changed), "attributes": orjson.dumps(says).decode()}
    connection.execute(sa.update(table).where(table.c.id == key).values(columns))
    for others in (rows.TERM_TABLES.get(level), rows.WORD_TABLES.get(level)):
        if others is not None:
            of_row = others.columns.values()[0] == key
            tags = others.c.tag.in_([one.tag for one in changed])
            connection.execute(sa.delete(others).where(of_row, tags))
    rows.add_terms(connection, its, level, key, changed)


def _find_or_add(connection: Connection, identity: str, its: Instance) -> int:
    found = connection.execute(_BY_IDENTITY, {"identity": identity}).scalar_one_or_none()
    if found is not None:
        return int(found)
    values = {
        **rows.matched(its, Level.PATIENT),
        "identity": identity,
        "attributes": rows.prepared(its, Level.PATIENT),
    }
    key = insert_unless_there(connection, patient, values)
    if key is None:
        raise Raced
    rows.add_terms(connection, its, Level.PATIENT, key)
    return int(key)


def _remove_if_empty(connection: Connection, patient_id: int) -> None:
    if connection.execute(_OLDEST, {"key": patient_id}).scalar_one() is not None:
        return
    deletions.remove_parts(connection, patient, [patient_id])
    connection.execute(sa.delete(patient).where(patient.c.id == patient_id))
    retire_keys(connection, patient, [patient_id])


def _instance(says: Mapping[str, Any], study_uid: str) -> Instance:
    """Something that says this, in the form in which rows are made."""
    elements = {int(name, 16): _element(member) for name, member in says.items()}
    return Instance("", "", "", study_uid, "", 0, elements, b"", (), b"")


def _element(member: Mapping[str, Any]) -> Element:
    vr = member["vr"]
    values = () if vr == "SQ" else tuple(_text(value) for value in member.get("Value", ()))
    return Element(vr, values, orjson.dumps(member).decode())


def _text(value: Any) -> str:
    if isinstance(value, dict):
        groups = [value.get(name, "") for name in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)


_ATTRIBUTES_OF_STUDY = sa.select(study.c.attributes).where(study.c.id == sa.bindparam("key"))
_OWNER = sa.select(patient.c.identity, patient.c.attributes).where(patient.c.id == sa.bindparam("key"))
_OLDEST = sa.select(sa.func.min(study.c.id)).where(study.c.patient_id == sa.bindparam("key"))
_BY_IDENTITY = sa.select(patient.c.id).where(patient.c.identity == sa.bindparam("identity"))
