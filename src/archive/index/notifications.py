"""Studies that grow, and who is told when they have stopped growing (PS3.4 annex R).

Storing takes no part in this: what is new is found by the keys of the instances, which only ever rise, and only while
somebody wants to be told. A transaction may commit its keys a moment after another with higher ones (PostgreSQL); so
what was stored in the last moments is looked at again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from archive.index import outbox, rows, terms
from archive.index.database import Connection
from archive.index.follow_up_schema import growing_study, noticed, notification
from archive.index.reports import Progress
from archive.index.schema import instance, series, study
from archive.index.sql import insert_unless_there

NOTIFICATION_DUE = "NotificationDue"
"""Outbox event: somebody is to be told of a study; payload `{"id": …, "turn": …}`."""

OVERLAP_SECONDS = 10.0
"""So much longer than any transaction takes."""

_INSTANCES = "instances"


@dataclass(frozen=True, slots=True)
class Notification:
    """That `ae_title` is to be told of a study. `SOPInstanceUID` is that of the notification."""

    id: int
    turn: int
    progress: Progress
    StudyInstanceUID: str
    ae_title: str
    SOPInstanceUID: str
    attempts: int
    due_at: float
    last_at: float
    reason: str


_ROW = notification.c
_NOTIFICATIONS = sa.select(
    _ROW.id,
    _ROW.turn,
    _ROW.state,
    _ROW.StudyInstanceUID,
    _ROW.ae_title,
    _ROW.SOPInstanceUID,
    _ROW.attempts,
    _ROW.due_at,
    _ROW.last_at,
    _ROW.reason,
)


def is_watched(connection: Connection) -> bool:
    """Whether growing studies are looked for."""
    return connection.execute(sa.select(noticed.c.highest)).first() is not None


def stop(connection: Connection) -> None:
    """Nobody wants to be told any more."""
    connection.execute(sa.delete(noticed))
    connection.execute(sa.delete(growing_study))


def look(connection: Connection, now: float) -> None:
    """Note which studies have grown since the last look; the first look sees nothing, as what was stored before is no
    news."""
    found = sa.select(noticed.c.highest).where(noticed.c.what == _INSTANCES).with_for_update()
    highest = connection.execute(found).scalar_one_or_none()
    if highest is None:
        newest = connection.execute(sa.select(sa.func.coalesce(sa.func.max(instance.c.id), 0))).scalar_one()
        insert_unless_there(connection, noticed, {"what": _INSTANCES, "highest": newest})
        return
    new = instance.c.id > highest
    for uid, last_at in connection.execute(_GROWN.where(new).group_by(study.c.StudyInstanceUID)).all():
        _grow(connection, uid, last_at)
    settled = sa.select(sa.func.max(instance.c.id)).where(new, instance.c.stored_at < now - OVERLAP_SECONDS)
    reached = connection.execute(settled).scalar_one()
    if reached is not None:
        connection.execute(sa.update(noticed).values(highest=reached))


_GROWN = sa.select(study.c.StudyInstanceUID, sa.func.max(instance.c.stored_at)).select_from(
    study.join(series, series.c.study_id == study.c.id).join(instance, instance.c.series_id == series.c.id)
)


def quiet(connection: Connection, since: float) -> list[str]:
    """The studies that have not grown since before that moment; they are not told of again until they do."""
    restriction = growing_study.c.last_at < since
    found = connection.execute(sa.select(growing_study.c.StudyInstanceUID).where(restriction))
    uids = sorted(found.scalars())
    connection.execute(sa.delete(growing_study).where(restriction))
    return uids


def put(connection: Connection, study_instance_uid: str, ae_title: str, uid: str) -> None:
    """Leave to the jobs to tell an AE of a study, by a notification of this UID."""
    now = time.time()
    values: dict[str, Any] = {
        "SOPInstanceUID": uid,
        "state": Progress.WAITING.value,
        "reason": "",
        "attempts": 0,
        "due_at": now,
        "last_at": now,
    }
    names = {"StudyInstanceUID": rows.uid(study_instance_uid), "ae_title": terms.text(ae_title)}
    same = sa.and_(*(_ROW[name] == value for name, value in names.items()))
    again = sa.update(notification).where(same).values(**values, turn=_ROW.turn + 1)
    row = connection.execute(again.returning(_ROW.id, _ROW.turn)).first()
    key, turn = row or (insert_unless_there(connection, notification, {**names, **values, "turn": 1}), 1)
    if key is not None:
        outbox.put(connection, NOTIFICATION_DUE, {"id": key, "turn": turn})


def get(connection: Connection, key: int) -> Notification | None:
    """The notification of this key."""
    row = connection.execute(_NOTIFICATIONS.where(_ROW.id == key)).first()
    return _made(row) if row else None


def newest(connection: Connection, limit: int, progress: Progress | None = None) -> list[Notification]:
    """The last ones, newest first; only those that have come so far, if that is given."""
    statement = _NOTIFICATIONS.order_by(_ROW.last_at.desc(), _ROW.id.desc()).limit(limit)
    if progress is not None:
        statement = statement.where(_ROW.state == progress.value)
    return [_made(row) for row in connection.execute(statement)]


def settle(connection: Connection, key: int, turn: int, progress: Progress, reason: str = "") -> None:
    """Note how an attempt of this turn ended."""
    values: dict[str, Any] = {
        "state": progress.value,
        "attempts": _ROW.attempts + 1,
        "reason": terms.text(reason),
        "last_at": time.time(),
    }
    mine = sa.and_(_ROW.id == key, _ROW.turn == turn)
    connection.execute(sa.update(notification).where(mine).values(values))


def forget(connection: Connection, key: int, turn: int) -> None:
    """It is not wanted any more."""
    connection.execute(sa.delete(notification).where(_ROW.id == key, _ROW.turn == turn))


def expire(connection: Connection, before: float) -> None:
    """Drop what was told, or given up, before that moment."""
    over = _ROW.state != Progress.WAITING.value
    connection.execute(sa.delete(notification).where(over, _ROW.last_at < before))


def _grow(connection: Connection, uid: str, last_at: float) -> None:
    one = growing_study.c.StudyInstanceUID == uid
    again = sa.update(growing_study).where(one, growing_study.c.last_at < last_at).values(last_at=last_at)
    if not connection.execute(again).rowcount:
        insert_unless_there(connection, growing_study, {"StudyInstanceUID": uid, "last_at": last_at})


def _made(row: Any) -> Notification:
    key, turn, state, *rest = row
    return Notification(key, turn, Progress(state), *rest)
