"""What subscribers are told of workitems: kept in the order in which it happened, for those who fetch it, and for
N-EVENT-REPORT.

An AE that is told by N-EVENT-REPORT has one job in the outbox as long as something is waiting for it, so that events
come in their order whatever fails in between. `turn` tells that job from one of before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.receiving.received import DataSet
from archive.dicom.workitems.events import EventType, Report
from archive.index import outbox, terms
from archive.index.database import Connection
from archive.index.sql import insert_unless_there
from archive.index.workitem_subscriptions import Subscriber
from archive.index.workitems_schema import workitem_event, workitem_receiver

WORKITEM_EVENTS_DUE = "WorkitemEventsDue"
"""Outbox event: somebody is to be told of workitems; payload `{"ae_title": …, "turn": …}`."""

_EVENT = workitem_event.c
_TO = workitem_receiver.c


class Progress(Enum):
    """Whether an event is to be told by N-EVENT-REPORT, and has been."""

    FETCHED = "fetched"
    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Event:
    """What one AE is told. The numbers rise; there are gaps in them."""

    number: int
    ae_title: str
    type: EventType
    workitem_uid: str
    data_set: DataSet


_COLUMNS = (_EVENT.id, _EVENT.ae_title, _EVENT.type, _EVENT.SOPInstanceUID, _EVENT.information)


def put(connection: Connection, uid: str, reports: Iterable[Report], to: Iterable[Subscriber]) -> None:
    """Tell these subscribers of a workitem, in this order, if and when this transaction commits."""
    now, told = time.time(), list(reports)
    if not told:
        return
    for subscriber in to:
        state = Progress.WAITING if subscriber.reported else Progress.FETCHED
        rows = [_values(uid, report, subscriber.ae_title, state, now) for report in told]
        connection.execute(sa.insert(workitem_event), rows)
        if subscriber.reported:
            _schedule(connection, subscriber.ae_title, now)


def after(connection: Connection, ae_title: str, number: int, limit: int) -> list[Event]:
    """What an AE is told after the event of this number, oldest first."""
    mine = sa.and_(_EVENT.ae_title == terms.text(ae_title), _EVENT.id > number)
    found = connection.execute(sa.select(*_COLUMNS).where(mine).order_by(_EVENT.id).limit(limit))
    return [_made(row) for row in found]


def newest(connection: Connection) -> int:
    """The number of the last event of all; 0 when there was none."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(_EVENT.id), 0))).scalar_one())


def waiting(connection: Connection, ae_title: str, limit: int) -> list[Event]:
    """What an AE has yet to be told by N-EVENT-REPORT, oldest first."""
    found = sa.select(*_COLUMNS).where(_mine(ae_title)).order_by(_EVENT.id).limit(limit)
    return [_made(row) for row in connection.execute(found)]


def is_due(connection: Connection, ae_title: str, turn: int) -> bool:
    """Whether the job of this turn is the one that tells this AE."""
    mine = sa.and_(_TO.ae_title == terms.text(ae_title), _TO.turn == turn, _TO.scheduled)
    return connection.execute(sa.select(_TO.turn).where(mine)).first() is not None


def settle(connection: Connection, number: int, progress: Progress, reason: str = "") -> None:
    """Note what has become of an event."""
    values = {**_outcome(progress, reason), "attempts": _EVENT.attempts + 1}
    still = _EVENT.state == Progress.WAITING.value
    connection.execute(sa.update(workitem_event).where(_EVENT.id == number, still).values(values))


def conclude(connection: Connection, ae_title: str, turn: int) -> None:
    """The job of this turn has told what there was: nobody is scheduled any more, unless more has come since, which
    gets a job of its own."""
    mine = sa.and_(_TO.ae_title == terms.text(ae_title), _TO.turn == turn)
    if not connection.execute(sa.update(workitem_receiver).where(mine).values(scheduled=False)).rowcount:
        return
    if waiting(connection, ae_title, 1):
        _schedule(connection, ae_title, time.time())


def failed(connection: Connection, ae_title: str, reason: str) -> None:
    """Note why the oldest could not be told yet."""
    for event in waiting(connection, ae_title, 1):
        settle(connection, event.number, Progress.WAITING, reason)


def give_up(connection: Connection, ae_title: str, turn: int, reason: str, before: float) -> None:
    """Tell this AE none of what has been waiting since before that moment, and leave the rest to another job."""
    values = _outcome(Progress.GIVEN_UP, reason)
    old = sa.and_(_mine(ae_title), _EVENT.created_at < before)
    connection.execute(sa.update(workitem_event).where(old).values(values))
    conclude(connection, ae_title, turn)


def take_over(connection: Connection, scheduled_before: float) -> int:
    """Schedule anew those whose job must be gone: it has been given up for longer than it may last; how many."""
    late = sa.and_(_TO.scheduled, _TO.scheduled_at < scheduled_before)
    titles = list(connection.execute(sa.select(_TO.ae_title).where(late)).scalars())
    for title in titles:
        connection.execute(sa.update(workitem_receiver).where(_TO.ae_title == title).values(scheduled=False))
        if waiting(connection, title, 1):
            _schedule(connection, title, time.time())
    return len(titles)


def expire(connection: Connection, before: float) -> int:
    """Forget events of before that moment that are waiting for nobody; how many. The last one stays: SQLite would give
    its number out again."""
    old = sa.and_(_EVENT.changed_at < before, _EVENT.state != Progress.WAITING.value)
    last = sa.select(sa.func.max(_EVENT.id)).scalar_subquery()
    return connection.execute(sa.delete(workitem_event).where(old, _EVENT.id < last)).rowcount


def _schedule(connection: Connection, ae_title: str, now: float) -> None:
    """One job for each AE."""
    title = terms.text(ae_title)
    row = connection.execute(
        sa.select(_TO.turn, _TO.scheduled).where(_TO.ae_title == title).with_for_update()
    ).first()
    if row is not None and row.scheduled:
        return
    turn = 1 if row is None else int(row.turn) + 1
    values: dict[str, Any] = {"turn": turn, "scheduled": True, "scheduled_at": now}
    if row is None:
        insert_unless_there(connection, workitem_receiver, {"ae_title": title, **values})
    else:
        connection.execute(sa.update(workitem_receiver).where(_TO.ae_title == title).values(values))
    outbox.put(connection, WORKITEM_EVENTS_DUE, {"ae_title": title, "turn": turn})


def _mine(ae_title: str) -> sa.ColumnElement[bool]:
    return sa.and_(_EVENT.ae_title == terms.text(ae_title), _EVENT.state == Progress.WAITING.value)


def _outcome(progress: Progress, reason: str) -> dict[str, Any]:
    return {"state": progress.value, "reason": terms.text(reason), "changed_at": time.time()}


def _values(uid: str, report: Report, ae_title: str, state: Progress, now: float) -> dict[str, Any]:
    return {
        "ae_title": terms.text(ae_title),
        "type": int(report.type),
        "SOPInstanceUID": terms.text(uid),
        "information": orjson.dumps(report.information).decode(),
        "state": state.value,
        "reason": "",
        "attempts": 0,
        "created_at": now,
        "changed_at": now,
    }


def _made(row: Any) -> Event:
    number, ae_title, kind, uid, information = row
    return Event(number, ae_title, EventType(kind), uid, orjson.loads(information))
