"""What storage commitment was asked for, and how far it is checked.

The items of a request are checked in their order and in several transactions, so that a restart goes on where the work
ended. Results are thrown away some day; that a Transaction UID was used is known longer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from archive.dicom.instance import Source
from archive.dicom.receiving.commitment import Reference, Verdict
from archive.index import reports, rows
from archive.index.database import Connection
from archive.index.follow_up_schema import commitment, commitment_item
from archive.index.sql import insert_unless_there


@dataclass(frozen=True, slots=True)
class State:
    """A request as far as it is known: `checked` of its items have a verdict."""

    id: int
    number_of_items: int
    checked: int
    expired: bool

    @property
    def finished(self) -> bool:
        """Whether every item has its verdict."""
        return self.checked == self.number_of_items


def begin(
    connection: Connection, transaction_uid: str, asked: Sequence[Reference], source: Source
) -> int | None:
    """Enter a request; its key, or None when the Transaction UID is in use."""
    now = time.time()
    values = {
        "TransactionUID": rows.uid(transaction_uid),
        **rows.source(source),
        "number_of_items": len(asked),
        "checked": 0,
        "requested_at": now,
        "finished_at": 0.0,
        "expired_at": 0.0,
    }
    key = insert_unless_there(connection, commitment, values)
    if key is not None:
        connection.execute(sa.insert(commitment_item), [_row(int(key), *one) for one in enumerate(asked)])
    return None if key is None else int(key)


def find(connection: Connection, transaction_uid: str) -> State | None:
    """The request of this Transaction UID."""
    return _state(connection, commitment.c.TransactionUID == rows.uid(transaction_uid))


def get(connection: Connection, key: int) -> State | None:
    """The request of this key."""
    return _state(connection, commitment.c.id == key)


def sender(connection: Connection, key: int) -> Source:
    """Who has made the request of this key."""
    columns = commitment.c
    found = sa.select(columns.door, columns.address, columns.calling_ae_title, columns.called_ae_title)
    return Source(*connection.execute(found.where(columns.id == key)).one())


def references(connection: Connection, state: State, number: int) -> list[Reference]:
    """The next items without a verdict, at most `number`."""
    statement = (
        _ITEMS.where(_ITEM.commitment_id == state.id, _ITEM.item_number >= state.checked)
        .order_by(_ITEM.item_number)
        .limit(number)
    )
    return [Reference(*row[:4]) for row in connection.execute(statement)]


def conclude(connection: Connection, state: State, verdicts: Sequence[Verdict]) -> State | None:
    """Enter the verdicts of the next items; None when another worker was faster."""
    checked = state.checked + len(verdicts)
    finished_at = time.time() if checked == state.number_of_items else 0.0
    unchanged = sa.and_(commitment.c.id == state.id, commitment.c.checked == state.checked)
    changed = sa.update(commitment).where(unchanged).values(checked=checked, finished_at=finished_at)
    if not connection.execute(changed).rowcount:
        return None
    failed = [
        {"number": state.checked + place, "reason": verdict.failure_reason}
        for place, verdict in enumerate(verdicts)
        if verdict.failure_reason
    ]
    if failed:
        connection.execute(_FAIL.where(_ITEM.commitment_id == state.id), failed)
    return State(state.id, state.number_of_items, checked, expired=False)


def verdicts(connection: Connection, state: State) -> Iterator[Verdict]:
    """All verdicts, in the order of the request."""
    statement = _ITEMS.where(_ITEM.commitment_id == state.id).order_by(_ITEM.item_number)
    for *uids, reason in connection.execute(statement.execution_options(yield_per=500)):
        yield Verdict(Reference(*uids), reason)


def expire(connection: Connection, *, finished_before: float, requested_before: float) -> None:
    """Throw away the results of what was finished, and forget what was requested, before these moments."""
    old = sa.and_(commitment.c.finished_at > 0, commitment.c.finished_at < finished_before)
    forgotten = sa.and_(old, commitment.c.requested_at < requested_before)
    keys = sa.select(commitment.c.id).where(old, commitment.c.expired_at == 0)
    connection.execute(sa.delete(commitment_item).where(_ITEM.commitment_id.in_(keys)))
    connection.execute(
        sa.update(commitment).where(old, commitment.c.expired_at == 0).values(expired_at=time.time())
    )
    reports.forget(connection, sa.select(commitment.c.id).where(forgotten))
    connection.execute(sa.delete(commitment).where(forgotten))


_ITEM = commitment_item.c
_ITEMS = sa.select(
    _ITEM.SOPClassUID,
    _ITEM.SOPInstanceUID,
    _ITEM.StudyInstanceUID,
    _ITEM.SeriesInstanceUID,
    _ITEM.FailureReason,
)
_FAIL = (
    sa.update(commitment_item)
    .where(_ITEM.item_number == sa.bindparam("number"))
    .values(FailureReason=sa.bindparam("reason"))
)


def asked(connection: Connection, key: int) -> list[Reference]:
    """Everything that was asked for."""
    statement = _ITEMS.where(_ITEM.commitment_id == key).order_by(_ITEM.item_number)
    return [Reference(*row[:4]) for row in connection.execute(statement)]


def _row(key: int, number: int, reference: Reference) -> dict[str, object]:
    return {
        "commitment_id": key,
        "item_number": number,
        "StudyInstanceUID": rows.uid(reference.StudyInstanceUID),
        "SeriesInstanceUID": rows.uid(reference.SeriesInstanceUID),
        "SOPClassUID": rows.uid(reference.SOPClassUID),
        "SOPInstanceUID": rows.uid(reference.SOPInstanceUID),
        "FailureReason": 0,
    }


def _state(connection: Connection, restriction: sa.ColumnElement[bool]) -> State | None:
    columns = commitment.c
    statement = sa.select(columns.id, columns.number_of_items, columns.checked, columns.expired_at > 0)
    row = connection.execute(statement.where(restriction)).first()
    return State(row[0], row[1], row[2], bool(row[3])) if row else None
