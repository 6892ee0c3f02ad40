"""What the worklist, performed steps and workitems have of a patient, found by whose it is, and given to another."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
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
from archive.index.workitems_schema import workitem
from archive.index.worklist_schema import followed, performed_of, performed_step, worklist_item

_ITEM, _PATIENT = worklist_item.c, patient.c


class Kind(enum.StrEnum):
    """What is of a patient without being stored."""

    ENTRY = "entries"
    STEP = "steps"
    WORKITEM = "workitems"


TABLES: Mapping[Kind, sa.Table] = {
    Kind.ENTRY: worklist_item,
    Kind.STEP: performed_step,
    Kind.WORKITEM: workitem,
}
"""Where each kind is. All have their patient at the top of the data set, and the ID in a column."""


@dataclass(frozen=True, slots=True)
class Record:
    """An entry of the worklist, a performed step or a workitem: its number, and what it says."""

    id: int
    data_set: DataSet


def hold(connection: Connection, *patient_ids: str) -> None:
    """Let nobody else enter or change what these patients have in the worklist before this transaction ends."""
    worklist.hold(connection, *(f"patient {one}" for one in patient_ids if one))


def of_patient(connection: Connection, kind: Kind, key: PatientKey) -> list[Record]:
    """All records of a kind that are of a patient, locked until the transaction ends."""
    table = TABLES[kind]
    named = sa.select(table.c.id, table.c.attributes).where(table.c.PatientID == terms.text(key.PatientID))
    return [one for one in _records(connection, named.order_by(table.c.id)) if key_of(one.data_set) == key]


def of_study(connection: Connection, kind: Kind, study_instance_uid: str) -> list[Record]:
    """All records of a kind that belong to a study: entries by it, performed steps by their entries. Of workitems
    nothing tells to which study what is to be done belongs."""
    items = sa.select(_ITEM.id).where(_ITEM.StudyInstanceUID == rows.uid(study_instance_uid))
    linked = sa.select(performed_of.c.performed_step_id).where(performed_of.c.worklist_item_id.in_(items))
    if kind is Kind.WORKITEM:
        return []
    table, wanted = TABLES[kind], items if kind is Kind.ENTRY else linked
    found = sa.select(table.c.id, table.c.attributes).where(table.c.id.in_(wanted))
    return _records(connection, found.order_by(table.c.id))


def one(connection: Connection, kind: Kind, number: int) -> Record | None:
    """The record of this number, locked until the transaction ends."""
    table = TABLES[kind]
    found = _records(connection, sa.select(table.c.id, table.c.attributes).where(table.c.id == number))
    return found[0] if found else None


def change(connection: Connection, kind: Kind, number: int, data_set: DataSet) -> None:
    """Give a record what it says of its patient now. Who brought it, and when, stays."""
    key, table = key_of(data_set), TABLES[kind]
    values = {
        "PatientID": terms.text(key.PatientID),
        "IssuerOfPatientID": terms.text(key.IssuerOfPatientID),
        "attributes": orjson.dumps(data_set).decode(),
    }
    known = {name: value for name, value in values.items() if name in table.c}
    connection.execute(sa.update(table).where(table.c.id == number).values(known))


def stored(connection: Connection, patient_id: str) -> set[PatientKey]:
    """The patients with this ID, of any issuer, of whom objects are stored."""
    found = sa.select(_PATIENT.PatientID, _PATIENT.IssuerOfPatientID)
    return _keys(connection, found.where(_PATIENT.PatientID == terms.text(patient_id)))


def scheduled(connection: Connection, patient_id: str) -> set[PatientKey]:
    """The patients with this ID, of any issuer, of whom there are entries, performed steps or workitems."""
    found = set()
    for table in TABLES.values():
        same = sa.select(table.c.attributes).where(table.c.PatientID == terms.text(patient_id))
        found |= {key_of(orjson.loads(text)) for text in connection.execute(same).scalars()}
    return found


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
    entries = of_patient(connection, Kind.ENTRY, key)
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
