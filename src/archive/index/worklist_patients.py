"""What the worklist and the performed steps have of a patient, found by whose it is, and given to another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.patient_key import PatientKey
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist.patients import key_of
from archive.index import rows, terms, worklist
from archive.index.database import Connection
from archive.index.schema import patient
from archive.index.sql import insert_unless_there
from archive.index.worklist_schema import followed, performed_of, performed_step, worklist_item

_ITEM, _STEP, _PATIENT = worklist_item.c, performed_step.c, patient.c


@dataclass(frozen=True, slots=True)
class Record:
    """An entry of the worklist or a performed step: its key, and what it says."""

    id: int
    data_set: DataSet


def hold(connection: Connection, *patient_ids: str) -> None:
    """Let nobody else enter or change what these patients have in the worklist before this transaction ends."""
    worklist.hold(connection, *(f"patient {one}" for one in patient_ids if one))


def entries_of(connection: Connection, key: PatientKey) -> list[Record]:
    """The entries of a patient, locked until the transaction ends."""
    same = sa.and_(
        _ITEM.PatientID == terms.text(key.PatientID),
        _ITEM.IssuerOfPatientID == terms.text(key.IssuerOfPatientID),
    )
    return _records(connection, sa.select(_ITEM.id, _ITEM.attributes).where(same).order_by(_ITEM.id))


def steps_of(connection: Connection, key: PatientKey) -> list[Record]:
    """The performed steps of a patient, locked until the transaction ends."""
    named = _STEP.PatientID == terms.text(key.PatientID)
    found = _records(connection, sa.select(_STEP.id, _STEP.attributes).where(named).order_by(_STEP.id))
    return [one for one in found if key_of(one.data_set) == key]


def entries_of_study(connection: Connection, study_instance_uid: str) -> list[Record]:
    """The entries of a study, locked until the transaction ends."""
    same = _ITEM.StudyInstanceUID == rows.uid(study_instance_uid)
    return _records(connection, sa.select(_ITEM.id, _ITEM.attributes).where(same).order_by(_ITEM.id))


def steps_of_study(connection: Connection, study_instance_uid: str) -> list[Record]:
    """The performed steps that belong to entries of a study, locked until the transaction ends."""
    items = sa.select(_ITEM.id).where(_ITEM.StudyInstanceUID == rows.uid(study_instance_uid))
    linked = sa.select(performed_of.c.performed_step_id).where(performed_of.c.worklist_item_id.in_(items))
    return _records(
        connection, sa.select(_STEP.id, _STEP.attributes).where(_STEP.id.in_(linked)).order_by(_STEP.id)
    )


def entry(connection: Connection, number: int) -> Record | None:
    """The entry of this number, locked until the transaction ends."""
    found = _records(connection, sa.select(_ITEM.id, _ITEM.attributes).where(_ITEM.id == number))
    return found[0] if found else None


def step(connection: Connection, number: int) -> Record | None:
    """The performed step of this number, locked until the transaction ends."""
    found = _records(connection, sa.select(_STEP.id, _STEP.attributes).where(_STEP.id == number))
    return found[0] if found else None


def change_entry(connection: Connection, number: int, data_set: DataSet) -> None:
    """Give an entry what it says of its patient now. Who brought it last, and when, stays."""
    key = key_of(data_set)
    values = {
        "PatientID": terms.text(key.PatientID),
        "IssuerOfPatientID": terms.text(key.IssuerOfPatientID),
        "attributes": orjson.dumps(data_set).decode(),
    }
    connection.execute(sa.update(worklist_item).where(_ITEM.id == number).values(values))


def change_step(connection: Connection, number: int, data_set: DataSet) -> None:
    """The same for a performed step."""
    values = {
        "PatientID": terms.text(key_of(data_set).PatientID),
        "attributes": orjson.dumps(data_set).decode(),
    }
    connection.execute(sa.update(performed_step).where(_STEP.id == number).values(values))


def stored(connection: Connection, patient_id: str) -> set[PatientKey]:
    """The patients with this ID, of any issuer, of whom objects are stored."""
    found = sa.select(_PATIENT.PatientID, _PATIENT.IssuerOfPatientID)
    return _keys(connection, found.where(_PATIENT.PatientID == terms.text(patient_id)))


def scheduled(connection: Connection, patient_id: str) -> set[PatientKey]:
    """The patients with this ID, of any issuer, of whom the worklist has entries."""
    found = sa.select(_ITEM.PatientID, _ITEM.IssuerOfPatientID).distinct()
    return _keys(connection, found.where(_ITEM.PatientID == terms.text(patient_id)))


def said_of(connection: Connection, key: PatientKey) -> DataSet:
    """What the index has of a patient of whom objects are stored, else the newest entry; nothing of an unknown one."""
    same = [
        _PATIENT.PatientID == terms.text(key.PatientID),
        _PATIENT.IssuerOfPatientID == terms.text(key.IssuerOfPatientID),
    ]
    found = connection.execute(sa.select(_PATIENT.attributes).where(*same)).scalar()
    if found:
        read: DataSet = orjson.loads(found)
        return read
    entries = entries_of(connection, key)
    return entries[-1].data_set if entries else {}


def keep(connection: Connection, correction: int, before: str) -> None:
    """What was here before a correction, for undoing it. A correction that is told here again adds nothing."""
    insert_unless_there(connection, followed, {"correction_id": correction, "before": before})


def kept(connection: Connection, correction: int) -> str:
    """What was kept for a correction; "" where there was nothing to change."""
    found = sa.select(followed.c.before).where(followed.c.correction_id == correction)
    return connection.execute(found).scalar() or ""


def _records(connection: Connection, statement: sa.Select[tuple[int, str]]) -> list[Record]:
    rows: Iterable[Any] = connection.execute(statement.with_for_update())
    return [Record(row.id, orjson.loads(row.attributes)) for row in rows]


def _keys(connection: Connection, statement: sa.Select[tuple[str, str]]) -> set[PatientKey]:
    rows: Iterable[Any] = connection.execute(statement)
    return {PatientKey(row.PatientID, row.IssuerOfPatientID) for row in rows}
