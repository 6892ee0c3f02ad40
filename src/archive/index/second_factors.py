"""Second factors of people, and the codes for who has lost theirs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa

from archive.index.database import Connection
from archive.index.people_schema import person, recovery_code, second_factor

HAS_ONE = sa.exists().where(second_factor.c.person_id == person.c.id, second_factor.c.confirmed_at > 0)
"""Whether somebody has one that is in effect."""


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """That of somebody. `confirmed_at` is 0 until it is in effect."""

    secret: str = field(repr=False)
    begun_at: float
    confirmed_at: float
    last_step: int


def get(connection: Connection, name: str) -> SecondFactor | None:
    """That of who has this name, in effect or not yet; nobody changes it until the transaction ends."""
    columns = (
        second_factor.c.secret,
        second_factor.c.begun_at,
        second_factor.c.confirmed_at,
        second_factor.c.last_step,
    )
    found = sa.select(*columns).where(second_factor.c.person_id.in_(_whose(name)))
    row = connection.execute(found.with_for_update()).first()
    return SecondFactor(*row) if row else None


def begin(connection: Connection, name: str, secret: str, now: float) -> None:
    """Keep one that is not in effect yet, in place of what there was."""
    remove(connection, name)
    values = {"secret": secret, "begun_at": now, "confirmed_at": 0.0, "last_step": -1}
    found = sa.select(person.c.id, *(sa.literal(value) for value in values.values())).where(
        person.c.name == name
    )
    connection.execute(sa.insert(second_factor).from_select(["person_id", *values], found))


def confirm(connection: Connection, name: str, step: int, digests: Iterable[str], now: float) -> None:
    """It is in effect from now on; `step` is that of the code that has shown it, `digests` those of recovery codes."""
    _update(connection, name, confirmed_at=now, last_step=step)
    key = connection.execute(_whose(name)).scalar_one()
    connection.execute(sa.insert(recovery_code), [{"person_id": key, "digest": digest} for digest in digests])


def accept(connection: Connection, name: str, step: int) -> None:
    """Remember the step of a code that was accepted."""
    _update(connection, name, last_step=step)


def spend(connection: Connection, name: str, digest: str) -> bool:
    """Use up a recovery code; False where there is none of this digest, or was used."""
    theirs = recovery_code.c.person_id.in_(_whose(name)), recovery_code.c.digest == digest
    return connection.execute(sa.delete(recovery_code).where(*theirs)).rowcount > 0


def codes_left(connection: Connection, name: str) -> int:
    """How many recovery codes were not used."""
    theirs = recovery_code.c.person_id.in_(_whose(name))
    return int(connection.execute(sa.select(sa.func.count()).where(theirs)).scalar_one())


def remove(connection: Connection, name: str) -> None:
    """Forget it, with its recovery codes."""
    for table in (recovery_code, second_factor):
        connection.execute(sa.delete(table).where(table.c.person_id.in_(_whose(name))))


def _update(connection: Connection, name: str, **values: float) -> None:
    theirs = second_factor.c.person_id.in_(_whose(name))
    connection.execute(sa.update(second_factor).where(theirs).values(**values))


def _whose(name: str) -> sa.Select[tuple[int]]:
    return sa.select(person.c.id).where(person.c.name == name)
