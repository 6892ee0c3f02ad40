"""Modality performed procedure steps, and to which entries of the worklist they belong."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import performed_steps as rules
from archive.dicom.worklist.entries import PATIENT_ID, text
from archive.index import rows, terms
from archive.index.database import Connection
from archive.index.sql import insert_unless_there
from archive.index.worklist_schema import performed_of, performed_step

_STEP = performed_step.c
_COLUMNS = (
    _STEP.id,
    _STEP.SOPInstanceUID,
    _STEP.attributes,
    _STEP.calling_ae_title,
    _STEP.created_at,
    _STEP.changed_at,
)


@dataclass(frozen=True, slots=True)
class Step:
    """A performed step as it is kept. Moments are seconds since the epoch."""

    id: int
    SOPInstanceUID: str
    data_set: DataSet
    calling_ae_title: str
    created_at: float
    changed_at: float

    @property
    def status(self) -> str:
        """Performed Procedure Step Status."""
        return rules.status_of(self.data_set)


def add(
    connection: Connection, uid: str, data_set: DataSet, calling_ae_title: str, address: str
) -> int | None:
    """Keep a new step; its key, or None when the SOP Instance UID is taken."""
    now = time.time()
    values = {
        "SOPInstanceUID": rows.uid(uid),
        **_values(data_set),
        "calling_ae_title": terms.text(calling_ae_title),
        "address": terms.text(address),
        "created_at": now,
        "changed_at": now,
    }
    key = insert_unless_there(connection, performed_step, values)
    return None if key is None else int(key)


def change(connection: Connection, key: int, data_set: DataSet) -> None:
    """Give a step other content."""
    values = {**_values(data_set), "changed_at": time.time()}
    connection.execute(sa.update(performed_step).where(_STEP.id == key).values(values))


def find(connection: Connection, uid: str, *, lock: bool = False) -> Step | None:
    """The step of this SOP Instance UID; with `lock`, nobody changes it until the transaction ends."""
    statement = sa.select(*_COLUMNS).where(_STEP.SOPInstanceUID == rows.uid(uid))
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    return _step(row) if row else None


def newest(connection: Connection, limit: int) -> list[Step]:
    """The steps that were told of last, newest first."""
    statement = sa.select(*_COLUMNS).order_by(_STEP.changed_at.desc(), _STEP.id.desc()).limit(limit)
    return [_step(row) for row in connection.execute(statement)]


def link(connection: Connection, step: int, items: Iterable[int]) -> None:
    """Say to which entries of the worklist a step belongs."""
    pairs = [{"performed_step_id": step, "worklist_item_id": item} for item in items]
    if pairs:
        connection.execute(sa.insert(performed_of), pairs)


def items_of(connection: Connection, step: int) -> list[int]:
    """The entries that a step belongs to."""
    linked = sa.select(performed_of.c.worklist_item_id).where(performed_of.c.performed_step_id == step)
    return list(connection.execute(linked.order_by(performed_of.c.worklist_item_id)).scalars())


def steps_of(connection: Connection, item: int) -> list[Step]:
    """The steps that belong to an entry, in the order in which they were begun."""
    statement = sa.select(*_COLUMNS).join_from(performed_step, performed_of)
    found = statement.where(performed_of.c.worklist_item_id == item).order_by(_STEP.id)
    return [_step(row) for row in connection.execute(found)]


def _values(data_set: DataSet) -> dict[str, Any]:
    return {
        "PerformedProcedureStepStatus": terms.text(rules.status_of(data_set)),
        "PatientID": terms.text(text(data_set, PATIENT_ID)),
        "attributes": orjson.dumps(data_set).decode(),
    }


def _step(row: Any) -> Step:
    return Step(
        row.id,
        row.SOPInstanceUID,
        orjson.loads(row.attributes),
        row.calling_ae_title,
        row.created_at,
        row.changed_at,
    )
