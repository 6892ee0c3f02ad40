"""What a transaction leaves to be done: rows put with it, claimed by the job workers afterwards.

A claim is a lease: a worker that dies holding one loses it when the lease ends, and another takes over. A job may
therefore run more than once, and is written so that this does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.index import terms
from archive.index.database import Connection
from archive.index.schema import outbox


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed row. `attempts` counts the claims, this one included; `put_at` is when it was left."""

    id: int
    event: str
    payload: dict[str, Any]
    attempts: int
    put_at: float = 0.0


_PUT = sa.insert(outbox)
_FUTURE_SECONDS = 86400.0
"""By less the clocks of machines may differ, and a lease of what was taken from there ends by then."""


def put(
    connection: Connection, event: str, payload: Mapping[str, Any], *, after_seconds: float = 0.0
) -> None:
    """Leave something to be done, if and when this transaction commits, and not before a while if that is given."""
    now = time.time()
    connection.execute(
        _PUT,
        {
            "event": event,
            "payload": orjson.dumps(payload).decode(),
            "attempts": 0,
            "due_at": now + after_seconds,
            "given_up": False,
            "reason": "",
            "put_at": now,
        },
    )


def claim(
    connection: Connection,
    *,
    now: float,
    lease_seconds: float,
    limit: int,
    only: Collection[str] = (),
    but: Collection[str] = (),
    besides: Collection[int] = (),
) -> list[Job]:
    """Up to `limit` due jobs, nobody else's until the lease ends; of these events `only`, of all `but` those; none of
    the jobs `besides`. One that was left in the future is due as well: the clock was wrong then, and is right now.

    SQLite has one writer, so its claims cannot meet; on PostgreSQL rows that another is claiming are skipped."""
    wanted = [outbox.c.event.in_(only) if only else outbox.c.event.not_in(but)]
    wanted += [outbox.c.id.not_in(besides)] if besides else []
    due = connection.execute(
        sa.select(outbox.c.id, outbox.c.event, outbox.c.payload, outbox.c.attempts, outbox.c.put_at)
        .where(outbox.c.given_up.is_(False), sa.or_(outbox.c.due_at <= now, _from_the_future(now)), *wanted)
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if due:
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.id == sa.bindparam("job_id"))
            .values(due_at=now + lease_seconds, attempts=outbox.c.attempts + 1),
            [{"job_id": row.id} for row in due],
        )
    return [Job(row.id, row.event, orjson.loads(row.payload), row.attempts + 1, row.put_at) for row in due]


def _from_the_future(now: float) -> sa.ColumnElement[bool]:
    """Left, and due, later than any lease or wait of now could be."""
    later = now + _FUTURE_SECONDS
    return sa.and_(outbox.c.put_at > later, outbox.c.due_at > later)


def give_back(connection: Connection, job_ids: Sequence[int], *, now: float) -> None:
    """Claimed jobs that were not begun: due again at that moment, and not attempted."""
    connection.execute(
        sa.update(outbox).where(outbox.c.id.in_(job_ids)).values(due_at=now, attempts=outbox.c.attempts - 1)
    )


def finish(connection: Connection, job_id: int) -> None:
    """Done: forget it."""
    connection.execute(sa.delete(outbox).where(outbox.c.id == job_id))


def failed(connection: Connection, event: str) -> list[tuple[dict[str, Any], str, bool]]:
    """The jobs of this event that have failed: what each is about, why, and whether it is given up."""
    columns = (outbox.c.payload, outbox.c.reason, outbox.c.given_up)
    found = sa.select(*columns).where(outbox.c.event == event, outbox.c.reason != "")
    return [(orjson.loads(row.payload), row.reason, row.given_up) for row in connection.execute(found)]


def fail(connection: Connection, job_id: int, *, retry_at: float | None, reason: str) -> None:
    """Not done: try again from `retry_at` on, or, with None, keep it as given up for the administrator to see."""
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.id == job_id)
        .values(
            given_up=retry_at is None,
            due_at=outbox.c.due_at if retry_at is None else retry_at,
            reason=terms.text(reason),
        )
    )
