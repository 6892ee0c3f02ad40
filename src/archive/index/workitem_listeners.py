"""How far those who fetch their events have come: what the Notification Connections of an AE title have confirmed."""

from __future__ import annotations

import time

import sqlalchemy as sa

from archive.index import terms
from archive.index.database import Connection
from archive.index.sql import insert_unless_there
from archive.index.workitem_events import Progress
from archive.index.workitems_schema import workitem_event, workitem_listener

_OF = workitem_listener.c
_EVENT = workitem_event.c


def heard(connection: Connection, ae_title: str) -> int:
    """The number of the last event that an AE has confirmed. Who has never listened begins with the first that waits
    for it to be fetched, or with what is still to come."""
    title = terms.text(ae_title)
    known = connection.execute(sa.select(_OF.heard).where(_OF.ae_title == title)).scalar()
    if known is not None:
        return int(known)
    fetched = sa.and_(_EVENT.ae_title == title, _EVENT.state == Progress.FETCHED.value)
    first = connection.execute(sa.select(sa.func.min(_EVENT.id)).where(fetched)).scalar()
    newest = sa.select(sa.func.coalesce(sa.func.max(_EVENT.id), 0))
    return int(first) - 1 if first is not None else int(connection.execute(newest).scalar_one())


def confirm(connection: Connection, ae_title: str, number: int) -> None:
    """Note that an AE has everything up to this event; a connection that is behind another changes nothing."""
    title, now = terms.text(ae_title), time.time()
    if insert_unless_there(
        connection, workitem_listener, {"ae_title": title, "heard": number, "changed_at": now}
    ):
        return
    mine = sa.and_(_OF.ae_title == title, _OF.heard < number)
    connection.execute(sa.update(workitem_listener).where(mine).values(heard=number, changed_at=now))


def expire(connection: Connection, before: float) -> int:
    """Forget who has not listened since that moment, and has nothing that could come again; how many."""
    told = sa.exists().where(_EVENT.ae_title == _OF.ae_title)
    return connection.execute(sa.delete(workitem_listener).where(_OF.changed_at < before, ~told)).rowcount
