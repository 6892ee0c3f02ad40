"""Workitems: kept, found by their UID, and changed.

What a question asks is matched in memory (`services.workitems`), as with the modality worklist; SQL only keeps out what
is no candidate by its UID, state or patient. Whoever changes workitems or subscriptions takes the one lock first
(`hold`): a subscription would else miss what is just being created, and events would come out of their order.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.receiving.received import DataSet
from archive.dicom.workitems.attributes import PATIENT_ID, START
from archive.dicom.workitems.rules import FINAL, state_of
from archive.dicom.worklist.entries import text
from archive.index import terms, worklist
from archive.index.database import Connection
from archive.index.sql import among, insert_unless_there
from archive.index.workitems_schema import workitem, workitem_subscription

_ITEM = workitem.c
_COLUMNS = (
    _ITEM.id,
    _ITEM.SOPInstanceUID,
    _ITEM.ProcedureStepState,
    _ITEM.TransactionUID,
    _ITEM.performer,
    _ITEM.attributes,
    _ITEM.created_at,
    _ITEM.changed_at,
)


@dataclass(frozen=True, slots=True)
class Workitem:
    """A workitem as it is kept. `lock` is its Transaction UID, `performer` who has begun it, "" for nobody."""

    id: int
    SOPInstanceUID: str
    state: str
    lock: str
    performer: str
    data_set: DataSet
    created_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a question says that SQL can tell: any of these states, UIDs and patients; none named means any."""

    states: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    patient_id: str = ""


def hold(connection: Connection) -> None:
    """Let nobody else change workitems or subscriptions before this transaction ends."""
    worklist.hold(connection, "workitems and their subscriptions")


def add(connection: Connection, uid: str, data_set: DataSet) -> int | None:
    """Keep a new workitem; its key, or None when the UID is taken."""
    now = time.time()
    values = {
        "SOPInstanceUID": terms.text(uid),
        "TransactionUID": "",
        "performer": "",
        "created_at": now,
        **_values(data_set, now),
    }
    key = insert_unless_there(connection, workitem, values)
    return None if key is None else int(key)


def change(connection: Connection, key: int, data_set: DataSet) -> None:
    """Give a workitem other content."""
    connection.execute(sa.update(workitem).where(_ITEM.id == key).values(_values(data_set, time.time())))


def claim(connection: Connection, key: int, lock: str, performer: str) -> None:
    """Note who has begun it, and with which Transaction UID."""
    values = {"TransactionUID": terms.text(lock), "performer": terms.text(performer)}
    connection.execute(sa.update(workitem).where(_ITEM.id == key).values(values))


def find(connection: Connection, uid: str, *, lock: bool = False) -> Workitem | None:
    """The workitem of this UID; with `lock`, nobody changes it until the transaction ends, neither who corrects what
    is said of its patient."""
    statement = sa.select(*_COLUMNS).where(_ITEM.SOPInstanceUID == terms.text(uid))
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    return _made(row) if row else None


def candidates(connection: Connection, narrowing: Narrowing, limit: int | None = None) -> list[int]:
    """The keys of what may match, in the order of the moments at which they are to begin."""
    statement = sa.select(_ITEM.id).order_by(_ITEM.ScheduledProcedureStepStartDateTime, _ITEM.id)
    if narrowing.states:
        statement = statement.where(_ITEM.ProcedureStepState.in_(narrowing.states))
    if narrowing.uids:
        statement = statement.where(among(_ITEM.SOPInstanceUID, narrowing.uids))
    if narrowing.patient_id:
        statement = statement.where(_ITEM.PatientID == terms.text(narrowing.patient_id))
    return list(connection.execute(statement.limit(limit)).scalars())


def some(connection: Connection, keys: Sequence[int]) -> list[Workitem]:
    """The workitems of these keys that there still are, in their order."""
    found = {row.id: _made(row) for row in connection.execute(sa.select(*_COLUMNS).where(_ITEM.id.in_(keys)))}
    return [found[key] for key in keys if key in found]


def expire(connection: Connection, ended_before: float, limit: int) -> int:
    """Forget what ended before that moment, unless a subscriber's deletion lock keeps it (PS3.4 CC.2.1.3); how many,
    at most `limit`."""
    locked = sa.exists().where(
        workitem_subscription.c.workitem_id == _ITEM.id, workitem_subscription.c.deletion_lock
    )
    over = sa.and_(_ITEM.ProcedureStepState.in_(sorted(FINAL)), _ITEM.changed_at < ended_before)
    keys = list(connection.execute(sa.select(_ITEM.id).where(over, ~locked).limit(limit)).scalars())
    connection.execute(sa.delete(workitem_subscription).where(workitem_subscription.c.workitem_id.in_(keys)))
    return connection.execute(sa.delete(workitem).where(_ITEM.id.in_(keys))).rowcount if keys else 0


def _values(data_set: DataSet, now: float) -> dict[str, Any]:
    return {
        "ProcedureStepState": terms.text(state_of(data_set)),
        "PatientID": terms.text(text(data_set, PATIENT_ID)),
        "ScheduledProcedureStepStartDateTime": terms.text(text(data_set, START)),
        "attributes": orjson.dumps(data_set).decode(),
        "changed_at": now,
    }


def _made(row: Any) -> Workitem:
    key, uid, state, lock, performer, attributes, created_at, changed_at = row
    return Workitem(key, uid, state, lock, performer, orjson.loads(attributes), created_at, changed_at)
