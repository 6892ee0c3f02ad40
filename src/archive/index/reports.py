"""Who has to be told the result of storage commitment, and how far that is (PS3.4 J.3.3).

A report is told by one party at a time: by the association that asked, which holds it and says again and again that
it still does, or by a job. Each time another takes it on its turn is counted, and what an earlier party still wants
to note then changes nothing.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from archive.index import outbox, rows, terms
from archive.index.database import Connection
from archive.index.follow_up_schema import commitment, commitment_item, commitment_report

REPORT_DUE = "CommitmentReportDue"
"""Outbox event: a result is to be told on an association of our own; payload `{"id": …, "turn": …}`."""


class Progress(enum.Enum):
    """What has become of a report."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Report:
    """A report and the request it is about. `calling_ae_title` asked, by our title `called_ae_title`."""

    id: int
    turn: int
    progress: Progress
    TransactionUID: str
    calling_ae_title: str
    called_ae_title: str
    address: str
    number_of_items: int
    checked: int
    failed: int
    requested_at: float
    attempts: int
    last_at: float
    reason: str
    held_until: float
    wait_until: float
    scheduled: bool
    expired: bool

    @property
    def finished(self) -> bool:
        """Whether every item has its verdict."""
        return self.checked == self.number_of_items


_ROW = commitment_report.c
_FAILED = (
    sa.select(sa.func.count())
    .where(commitment_item.c.commitment_id == commitment.c.id, commitment_item.c.FailureReason != 0)
    .scalar_subquery()
)
_REPORTS = sa.select(
    commitment.c.id,
    _ROW.turn,
    _ROW.state,
    commitment.c.TransactionUID,
    commitment.c.calling_ae_title,
    commitment.c.called_ae_title,
    commitment.c.address,
    commitment.c.number_of_items,
    commitment.c.checked,
    _FAILED,
    commitment.c.requested_at,
    _ROW.attempts,
    _ROW.last_at,
    _ROW.reason,
    _ROW.held_until,
    _ROW.wait_until,
    _ROW.scheduled,
    commitment.c.expired_at > 0,
).join(commitment_report, _ROW.commitment_id == commitment.c.id)


def enter(connection: Connection, key: int, *, wait_until: float, held_until: float) -> int:
    """A report that the association which asked is going to tell; its turn."""
    values = {
        "commitment_id": key,
        "state": Progress.WAITING.value,
        "reason": "",
        "wait_until": wait_until,
        "held_until": held_until,
        "last_at": 0.0,
        "turn": 1,
        "attempts": 0,
        "scheduled": False,
    }
    connection.execute(sa.insert(commitment_report).values(values))
    return 1


def find(connection: Connection, transaction_uid: str) -> Report | None:
    """The report about this transaction; None when there is none, as nobody asked by DIMSE."""
    return _one(connection, commitment.c.TransactionUID == rows.uid(transaction_uid))


def get(connection: Connection, key: int) -> Report | None:
    """The report of this key."""
    return _one(connection, commitment.c.id == key)


def newest(connection: Connection, limit: int, progress: Progress | None = None) -> list[Report]:
    """The last reports, newest first; only those that have come so far, if that is given."""
    statement = _REPORTS.order_by(commitment.c.requested_at.desc(), commitment.c.id.desc()).limit(limit)
    if progress is not None:
        statement = statement.where(_ROW.state == progress.value)
    return [_report(row) for row in connection.execute(statement)]


def wait_until(connection: Connection, key: int) -> float:
    """Until when instances that are not there are waited for; 0 for what was not asked by DIMSE."""
    found = connection.execute(
        sa.select(_ROW.wait_until).where(_ROW.commitment_id == key)
    ).scalar_one_or_none()
    return 0.0 if found is None else float(found)


def take(
    connection: Connection,
    key: int,
    *,
    held_until: float,
    wait_until: float | None = None,
    turn: int | None = None,
) -> int | None:
    """Take a report on for an association: its turn. With `turn` nothing is taken that somebody else has taken on
    since; None then, and when it was delivered."""
    taken = sa.and_(_ROW.commitment_id == key, _ROW.state != Progress.DELIVERED.value)
    if turn is not None:
        taken = sa.and_(_mine(key, turn), _ROW.scheduled.is_(False))
    values: dict[str, object] = {"held_until": held_until, "scheduled": False}
    if wait_until is not None:
        values["wait_until"] = wait_until
    if turn is None:
        values |= {"turn": _ROW.turn + 1, "state": Progress.WAITING.value}
    changed = sa.update(commitment_report).where(taken).values(values).returning(_ROW.turn)
    return connection.execute(changed).scalar_one_or_none()


def let_go(connection: Connection, key: int, turn: int) -> None:
    """The association that held it does not any longer: a job tells the result, now or as soon as there is one."""
    changed = sa.update(commitment_report).where(_mine(key, turn), _ROW.scheduled.is_(False))
    if connection.execute(changed.values(held_until=0.0)).rowcount:
        schedule(connection, key, time.time())


def schedule(connection: Connection, key: int, now: float) -> bool:
    """Leave the report to a job, if its result is known, nobody holds it and there is no job yet."""
    known = sa.exists().where(commitment.c.id == key, commitment.c.checked == commitment.c.number_of_items)
    due = sa.and_(
        _ROW.commitment_id == key,
        _ROW.state == Progress.WAITING.value,
        _ROW.scheduled.is_(False),
        _ROW.held_until <= now,
        known,
    )
    changed = sa.update(commitment_report).where(due).values(scheduled=True, turn=_ROW.turn + 1)
    turn = connection.execute(changed.returning(_ROW.turn)).scalar_one_or_none()
    if turn is not None:
        outbox.put(connection, REPORT_DUE, {"id": key, "turn": turn})
    return turn is not None


def abandoned(connection: Connection, now: float) -> list[int]:
    """Those that were held by somebody who is gone."""
    held = sa.select(_ROW.commitment_id).where(
        _ROW.state == Progress.WAITING.value, _ROW.scheduled.is_(False), _ROW.held_until <= now
    )
    return list(connection.execute(held.order_by(_ROW.commitment_id)).scalars())


def overdue(connection: Connection, before: float) -> list[tuple[int, int]]:
    """Key and turn of those that were asked for before that moment and still wait."""
    waits = sa.and_(_ROW.state == Progress.WAITING.value, commitment.c.requested_at < before)
    found = sa.select(_ROW.commitment_id, _ROW.turn).join(commitment, commitment.c.id == _ROW.commitment_id)
    return [(key, turn) for key, turn in connection.execute(found.where(waits))]


def reopen(connection: Connection, key: int) -> None:
    """Let it be told once more, by a job."""
    values = {"state": Progress.WAITING.value, "scheduled": False, "turn": _ROW.turn + 1, "held_until": 0.0}
    connection.execute(sa.update(commitment_report).where(_ROW.commitment_id == key).values(values))


def begin_again(connection: Connection, key: int) -> None:
    """Forget the verdicts: every item is to be checked anew."""
    connection.execute(sa.update(commitment).where(commitment.c.id == key).values(checked=0, finished_at=0.0))
    items = sa.update(commitment_item).where(commitment_item.c.commitment_id == key)
    connection.execute(items.values(FailureReason=0))


def revise(connection: Connection, key: int, sop_instance_uids: Sequence[str], reason: int) -> None:
    """These instances have another verdict now."""
    item = commitment_item.c
    mine = sa.and_(item.commitment_id == key, item.SOPInstanceUID == sa.bindparam("uid"))
    changed = sa.update(commitment_item).where(mine).values(FailureReason=reason)
    connection.execute(changed, [{"uid": rows.uid(uid)} for uid in sop_instance_uids])


def settle(connection: Connection, key: int, turn: int, *, progress: Progress, reason: str = "") -> bool:
    """Note how an attempt of this turn ended; False when another has taken it on since."""
    values: dict[str, object] = {
        "state": progress.value,
        "attempts": _ROW.attempts + 1,
        "reason": terms.text(reason),
        "last_at": time.time(),
    }
    if progress is not Progress.WAITING:
        values |= {"scheduled": False, "held_until": 0.0}
    changed = sa.update(commitment_report).where(_mine(key, turn)).values(values)
    return connection.execute(changed).rowcount > 0


def forget(connection: Connection, keys: sa.Select[tuple[int]]) -> None:
    """Drop the reports of these requests."""
    connection.execute(sa.delete(commitment_report).where(_ROW.commitment_id.in_(keys)))


def _one(connection: Connection, restriction: sa.ColumnElement[bool]) -> Report | None:
    row = connection.execute(_REPORTS.where(restriction)).first()
    return _report(row) if row else None


def _report(row: Any) -> Report:
    key, turn, state, *rest = row
    return Report(key, turn, Progress(state), *rest)


def _mine(key: int, turn: int) -> sa.ColumnElement[bool]:
    return sa.and_(_ROW.commitment_id == key, _ROW.turn == turn, _ROW.state == Progress.WAITING.value)
