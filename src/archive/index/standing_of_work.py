"""How much there is, and how much waits: for who runs the archive. Nothing of patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from archive.index.database import Connection
from archive.index.schema import conflict, instance, outbox, series, study
from archive.index.time_limit import limited


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs of one kind: how many wait, of those how many have failed before, how many were given up, and since when
    the oldest waits."""

    event: str
    waiting: int
    failed: int
    given_up: int
    oldest_at: float


def counts(connection: Connection, seconds: float) -> dict[str, int]:
    """How many studies, series and instances there are. Raises OutOfResources where that takes longer."""
    tables = {"studies": study, "series": series, "instances": instance}
    found = {}
    for name, table in tables.items():
        with limited(connection, seconds):
            counted = sa.select(sa.func.count()).select_from(table)
            found[name] = int(connection.execute(counted).scalar_one())
    return found


def queues(connection: Connection) -> list[Queue]:
    """What is left to be done, by kind."""
    columns = outbox.c
    waits = columns.given_up.is_(False)

    def number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    asked = (
        sa.select(
            columns.event,
            number(waits),
            number(sa.and_(waits, columns.reason != "")),
            number(columns.given_up.is_(True)),
            sa.func.coalesce(sa.func.min(sa.case((waits, columns.put_at))), 0.0),
        )
        .group_by(columns.event)
        .order_by(columns.event)
    )
    rows = connection.execute(asked)
    return [Queue(event, int(w), int(f), int(g), float(at)) for event, w, f, g, at in rows]


def conflicts(connection: Connection, states: Sequence[str]) -> dict[str, int]:
    """How many conflicts there are in these states."""
    counted = sa.select(conflict.c.state, sa.func.count()).where(conflict.c.state.in_(states))
    return {
        str(state): int(number) for state, number in connection.execute(counted.group_by(conflict.c.state))
    }
