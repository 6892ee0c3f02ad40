"""The entries of the modality worklist: kept, found by what they are told apart by, and changed.

What a modality's question asks is matched in memory (`services.worklist`): an entry is small, a day has hundreds. SQL
only keeps out what is no candidate by its state and date.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist.entries import FINAL, Facts
from archive.index import terms
from archive.index.database import Connection
from archive.index.sql import insert_unless_there
from archive.index.worklist_schema import worklist_item

_ITEM = worklist_item.c
_ENTRY = (
    *(_ITEM.id, _ITEM.state, _ITEM.attributes, _ITEM.source, _ITEM.added_at, _ITEM.changed_at),
    _ITEM.planned_state,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is kept. `source` is who brought it last; moments are seconds since the epoch; `planned_state` is
    what a person or an order said last, whatever modalities have done since."""

    id: int
    state: str
    data_set: DataSet
    source: str
    added_at: float
    changed_at: float
    planned_state: str = ""


def add(connection: Connection, data_set: DataSet, facts: Facts, state: str, source: str) -> int | None:
    """Keep a new entry; its key, or None when there is one of the same study and step already."""
    now = time.time()
    values = {**_values(data_set, facts, source), "state": state, "planned_state": state, "added_at": now}
    key = insert_unless_there(connection, worklist_item, {**values, "changed_at": now})
    return None if key is None else int(key)


def replace(connection: Connection, key: int, data_set: DataSet, facts: Facts, source: str) -> None:
    """Give an entry other content; its state stays."""
    values = {**_values(data_set, facts, source), "changed_at": time.time()}
    connection.execute(sa.update(worklist_item).where(_ITEM.id == key).values(values))


def plan(connection: Connection, key: int, state: str, source: str) -> None:
    """Set the state as a person or an order has it."""
    values = {"state": state, "planned_state": state, "source": source, "changed_at": time.time()}
    connection.execute(sa.update(worklist_item).where(_ITEM.id == key).values(values))


def perform(connection: Connection, key: int, state: str | None) -> None:
    """Set the state as performed steps have it; None gives back what was planned."""
    values = {"state": state or _ITEM.planned_state, "changed_at": time.time()}
    connection.execute(sa.update(worklist_item).where(_ITEM.id == key).values(values))


def remove(connection: Connection, key: int) -> bool:
    """Forget an entry; False when there is none."""
    return connection.execute(sa.delete(worklist_item).where(_ITEM.id == key)).rowcount > 0


def hold(connection: Connection, *names: str) -> None:
    """Let nobody else who holds one of these names (a study, an order) go on before this transaction ends: who looks
    for what is not there yet would else not see what another is about to add. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        for name in sorted(set(filter(None, names))):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(terms.text(name)))))


def get(connection: Connection, key: int, *, lock: bool = False) -> Entry | None:
    """The entry of this key; with `lock`, nobody changes it until the transaction ends."""
    statement = sa.select(*_ENTRY).where(_ITEM.id == key)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    return _entry(row) if row else None


def candidates(
    connection: Connection,
    states: Sequence[str],
    first_date: str = "",
    last_date: str = "",
    limit: int | None = None,
) -> list[int]:
    """The keys of entries in these states that are scheduled between these days, in the order of date, then of key."""
    wanted: list[sa.ColumnElement[bool]] = [_ITEM.state.in_(states)]
    if first_date:
        wanted.append(_ITEM.ScheduledProcedureStepStartDate >= first_date)
    if last_date:
        wanted.append(_ITEM.ScheduledProcedureStepStartDate <= last_date)
    statement = sa.select(_ITEM.id).where(*wanted).order_by(_ITEM.ScheduledProcedureStepStartDate, _ITEM.id)
    return list(connection.execute(statement.limit(limit)).scalars())


def entries(connection: Connection, keys: Sequence[int]) -> list[Entry]:
    """The entries of these keys that there still are, in their order."""
    found = {row.id: _entry(row) for row in connection.execute(sa.select(*_ENTRY).where(_ITEM.id.in_(keys)))}
    return [found[key] for key in keys if key in found]


def of_study(connection: Connection, study_instance_uid: str) -> list[Entry]:
    """All entries of a study."""
    return _where(connection, _ITEM.StudyInstanceUID == terms.text(study_instance_uid))


def with_number(connection: Connection, name: str, value: str) -> list[Entry]:
    """The entries that have this number: `name` is FillerOrderNumberImagingServiceRequest, the placer's, or
    AccessionNumber. Locked until the transaction ends."""
    return _where(connection, _ITEM[name] == terms.text(value), lock=True)


def expire(
    connection: Connection, *, final_before: float, scheduled_before: str, changed_before: float
) -> int:
    """Forget what was done with before one moment, and what was scheduled for before a day and not touched since the
    other; how many."""
    done = sa.and_(_ITEM.state.in_(sorted(FINAL)), _ITEM.changed_at < final_before)
    missed = sa.and_(
        _ITEM.ScheduledProcedureStepStartDate < scheduled_before, _ITEM.changed_at < changed_before
    )
    return connection.execute(sa.delete(worklist_item).where(sa.or_(done, missed))).rowcount


def _values(data_set: DataSet, facts: Facts, source: str) -> dict[str, Any]:
    columns = {name: terms.text(value) for name, value in dataclasses.asdict(facts).items()}
    return {**columns, "attributes": orjson.dumps(data_set).decode(), "source": terms.text(source)}


def _where(connection: Connection, condition: sa.ColumnElement[bool], *, lock: bool = False) -> list[Entry]:
    statement = sa.select(*_ENTRY).where(condition).order_by(_ITEM.id)
    rows: Iterable[Any] = connection.execute(statement.with_for_update() if lock else statement)
    return [_entry(row) for row in rows]


def _entry(row: Any) -> Entry:
    data_set = orjson.loads(row.attributes)
    return Entry(row.id, row.state, data_set, row.source, row.added_at, row.changed_at, row.planned_state)
