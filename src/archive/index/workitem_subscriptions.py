"""Who is told of which workitems (PS3.4 Table CC.2.3-2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.index import terms
from archive.index.database import Connection
from archive.index.sql import insert_unless_there
from archive.index.workitems_schema import workitem, workitem_global_subscription, workitem_subscription

_ONE = workitem_subscription.c
_ALL = workitem_global_subscription.c


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who is told, whether it keeps the workitem from being deleted, and whether it is told by N-EVENT-REPORT."""

    ae_title: str
    deletion_lock: bool
    reported: bool


@dataclass(frozen=True, slots=True)
class GlobalSubscription:
    """Who wants to be subscribed to what comes; `filter` is empty where it wants everything."""

    subscriber: Subscriber
    uid: str
    filter: Mapping[str, Any]


def put(connection: Connection, key: int, subscriber: Subscriber) -> None:
    """Subscribe to one workitem, or anew. Who was to be told by N-EVENT-REPORT goes on to be."""
    values = _values(subscriber)
    title = values.pop("ae_title")
    if insert_unless_there(
        connection, workitem_subscription, {"workitem_id": key, "ae_title": title, **values}
    ):
        return
    values["reported"] = sa.or_(_ONE.reported, sa.literal(subscriber.reported))
    mine = sa.and_(_ONE.workitem_id == key, _ONE.ae_title == title)
    connection.execute(sa.update(workitem_subscription).where(mine).values(values))


def remove(connection: Connection, key: int, ae_title: str) -> bool:
    """Subscribe no longer; False when it was not subscribed."""
    mine = sa.and_(_ONE.workitem_id == key, _ONE.ae_title == terms.text(ae_title))
    return connection.execute(sa.delete(workitem_subscription).where(mine)).rowcount > 0


def remove_all(connection: Connection, ae_title: str) -> bool:
    """Subscribe to nothing any more."""
    mine = _ONE.ae_title == terms.text(ae_title)
    return connection.execute(sa.delete(workitem_subscription).where(mine)).rowcount > 0


def of(connection: Connection, key: int) -> list[Subscriber]:
    """Who is told of a workitem."""
    wanted = sa.select(_ONE.ae_title, _ONE.deletion_lock, _ONE.reported).where(_ONE.workitem_id == key)
    return [Subscriber(*row) for row in connection.execute(wanted.order_by(_ONE.ae_title))]


def not_subscribed(connection: Connection, ae_title: str) -> list[int]:
    """The keys of the workitems that somebody is not told of."""
    there = sa.exists().where(_ONE.workitem_id == workitem.c.id, _ONE.ae_title == terms.text(ae_title))
    return list(connection.execute(sa.select(workitem.c.id).where(~there).order_by(workitem.c.id)).scalars())


def put_global(
    connection: Connection, uid: str, subscriber: Subscriber, matching_keys: Mapping[str, Any]
) -> None:
    """Subscribe to what comes, or anew. Who was to be told by N-EVENT-REPORT goes on to be."""
    values = {**_values(subscriber), "filter": orjson.dumps(matching_keys).decode()}
    mine = sa.and_(_ALL.ae_title == values["ae_title"], _ALL.uid == uid)
    if connection.execute(sa.select(_ALL.reported).where(mine)).scalar():
        values["reported"] = True
    if not connection.execute(sa.update(workitem_global_subscription).where(mine).values(values)).rowcount:
        insert_unless_there(connection, workitem_global_subscription, {**values, "uid": uid})


def remove_global(connection: Connection, ae_title: str, uids: Iterable[str]) -> bool:
    """Subscribe no longer to what comes; False when it did not."""
    mine = sa.and_(_ALL.ae_title == terms.text(ae_title), _ALL.uid.in_(sorted(uids)))
    return connection.execute(sa.delete(workitem_global_subscription).where(mine)).rowcount > 0


def all_global(connection: Connection) -> list[GlobalSubscription]:
    """Who wants to be subscribed to what comes."""
    wanted = sa.select(_ALL.ae_title, _ALL.deletion_lock, _ALL.reported, _ALL.uid, _ALL.filter)
    return [
        GlobalSubscription(Subscriber(title, lock, reported), uid, orjson.loads(kept))
        for title, lock, reported, uid, kept in connection.execute(wanted.order_by(_ALL.ae_title, _ALL.uid))
    ]


def everybody(connection: Connection) -> list[Subscriber]:
    """Who is subscribed to anything, once each."""
    both = sa.union_all(
        sa.select(_ONE.ae_title, _ONE.reported), sa.select(_ALL.ae_title, _ALL.reported)
    ).subquery()
    reported = sa.func.max(sa.cast(both.c.reported, sa.Integer))
    found = sa.select(both.c.ae_title, reported).group_by(both.c.ae_title).order_by(both.c.ae_title)
    return [Subscriber(title, False, bool(told)) for title, told in connection.execute(found)]


def _values(subscriber: Subscriber) -> dict[str, Any]:
    return {
        "ae_title": terms.text(subscriber.ae_title),
        "deletion_lock": subscriber.deletion_lock,
        "reported": subscriber.reported,
    }
