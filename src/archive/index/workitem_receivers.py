"""Who is told of workitems, all in all: for an administrator who looks for what keeps them, or for what is not told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from archive.index import workitem_subscriptions
from archive.index.database import Connection
from archive.index.workitem_events import Progress
from archive.index.workitems_schema import workitem_event, workitem_global_subscription, workitem_subscription

_ONE, _ALL, _EVENT = workitem_subscription.c, workitem_global_subscription.c, workitem_event.c


@dataclass(frozen=True, slots=True)
class Receiver:
    """An AE title that is told: of how many workitems, how many of them it keeps, by which UIDs of those that come,
    how many events wait for it, and why the oldest could not be told."""

    ae_title: str
    reported: bool
    workitems: int
    deletion_locks: int
    globally: tuple[str, ...]
    waiting: int
    reason: str


def all_receivers(connection: Connection) -> list[Receiver]:
    """Everybody who is subscribed, or has events waiting."""
    told, waiting = _subscriptions(connection), _waiting(connection)
    globally: dict[str, list[str]] = {}
    for title, uid in connection.execute(sa.select(_ALL.ae_title, _ALL.uid).order_by(_ALL.uid)):
        globally.setdefault(title, []).append(uid)
    reported = {one.ae_title: one.reported for one in workitem_subscriptions.everybody(connection)}
    return [
        Receiver(
            title,
            reported.get(title, True),
            *told.get(title, (0, 0)),
            tuple(globally.get(title, ())),
            *waiting.get(title, (0, "")),
        )
        for title in sorted({*reported, *waiting})
    ]


def _subscriptions(connection: Connection) -> Mapping[str, tuple[int, int]]:
    """Of each AE the number of its workitems, and of those that it keeps."""
    kept = sa.func.sum(sa.case((_ONE.deletion_lock, 1), else_=0))
    counted = sa.select(_ONE.ae_title, sa.func.count(), kept).group_by(_ONE.ae_title)
    return {title: (number, locks) for title, number, locks in connection.execute(counted)}


def _waiting(connection: Connection) -> Mapping[str, tuple[int, str]]:
    """Of each AE the number of events that wait for it, and why the oldest does."""
    due = sa.select(_EVENT.ae_title, sa.func.count(), sa.func.min(_EVENT.id)).group_by(_EVENT.ae_title)
    found: Any = connection.execute(due.where(_EVENT.state == Progress.WAITING.value)).all()
    reasons = sa.select(_EVENT.id, _EVENT.reason).where(_EVENT.id.in_([oldest for *_, oldest in found]))
    why = {row.id: row.reason for row in connection.execute(reasons)}
    return {title: (number, why.get(oldest, "")) for title, number, oldest in found}
