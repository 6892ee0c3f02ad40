"""Refused associations and refused objects: the newest of each, how often, and what would let them in."""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass, fields
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from archive.index import terms
from archive.index.database import Connection, Raced
from archive.index.schema import refusal, refused_object
from archive.index.sql import insert_unless_there

T = TypeVar("T")

KEPT_REFUSALS = 1000
"""Anybody can cause refusals; the newest are enough to see who."""


@dataclass(frozen=True, slots=True)
class RefusedAssociation:
    """A caller that was not let in. The AE titles are as they were sent."""

    calling: str
    called: str
    address: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class RefusedObject:
    """An object that was not taken, with the status that was answered (DIMSE: hexadecimal)."""

    door: str
    calling: str
    address: str
    SOPClassUID: str
    transfer_syntax_uid: str
    status: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A refusal, how often there was the same, and when last (seconds since the epoch). `SOPInstanceUID` is that of the
    last object."""

    refused: T
    times: int
    time: float
    SOPInstanceUID: str = ""


def record_association(connection: Connection, refused: RefusedAssociation, times: int = 1) -> None:
    """Keep who was refused and why; the same refusal again only counts, and old ones make room."""
    _record(connection, refusal, refused, {}, times)


def record_object(
    connection: Connection, refused: RefusedObject, sop_instance_uid: str, times: int = 1
) -> None:
    """Keep what was refused and why; the same refusal again only counts, and old ones make room."""
    _record(connection, refused_object, refused, {"SOPInstanceUID": terms.text(sop_instance_uid)}, times)


def associations(connection: Connection, limit: int) -> list[Kept[RefusedAssociation]]:
    """The last refused callers, newest first."""
    rows = _newest(connection, refusal, RefusedAssociation, limit)
    return [Kept(RefusedAssociation(*row[:-2]), row[-2], row[-1]) for row in rows]


def objects(connection: Connection, limit: int) -> list[Kept[RefusedObject]]:
    """The last refused objects, newest first."""
    rows = _newest(connection, refused_object, RefusedObject, limit, refused_object.c.SOPInstanceUID)
    return [Kept(RefusedObject(*row[:-3]), row[-2], row[-1], row[-3]) for row in rows]


def _record(
    connection: Connection, table: sa.Table, refused: Any, latest: dict[str, Any], times: int
) -> None:
    now = time.time()
    names = [field.name for field in fields(refused)]
    values = {name: terms.text(value) for name, value in zip(names, astuple(refused), strict=True)}
    latest = latest | {"remedy": values.pop("remedy"), "last_at": now}
    same = sa.and_(*(table.c[name] == value for name, value in values.items()))
    again = sa.update(table).where(same).values(times=table.c.times + times, **latest)
    if connection.execute(again.returning(table.c.id)).first() is not None:
        return
    row = {**values, **latest, "times": times, "first_at": now}
    if insert_unless_there(connection, table, row) is None:
        raise Raced
    _make_room(connection, table)


def _newest(
    connection: Connection, table: sa.Table, kind: type[Any], limit: int, *more: sa.Column[Any]
) -> list[Any]:
    columns = [table.c[field.name] for field in fields(kind)]
    found = sa.select(*columns, *more, table.c.times, table.c.last_at)
    newest = found.order_by(table.c.last_at.desc(), table.c.id.desc()).limit(limit)
    return list(connection.execute(newest))


def _make_room(connection: Connection, table: sa.Table) -> None:
    kept = sa.select(table.c.id).order_by(table.c.last_at.desc(), table.c.id.desc()).limit(KEPT_REFUSALS)
    connection.execute(sa.delete(table).where(table.c.id.not_in(kept)))
