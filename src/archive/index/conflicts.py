"""Objects that were kept out because their identifiers are taken: a record for the administrator, without content."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from archive.dicom.instance import Instance, Source
from archive.index import rows
from archive.index.database import Connection, Raced
from archive.index.schema import conflict
from archive.index.sql import insert_unless_there


@dataclass(frozen=True, slots=True)
class Conflict:
    """A refused object and its sender. The same object refused again counts up `times`; the sender is the last."""

    id: int
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    SOPClassUID: str
    sha256: str
    reason: str
    door: str
    address: str
    calling_ae_title: str
    called_ae_title: str
    times: int
    first_at: float
    last_at: float


def record_conflict(
    connection: Connection, instance: Instance, sha256: str, source: Source, reason: str
) -> int:
    """Keep the record of a refused object; returns its number."""
    now = time.time()
    sender = rows.source(source)
    same = sa.and_(
        conflict.c.SOPInstanceUID == instance.SOPInstanceUID,
        conflict.c.sha256 == sha256,
        conflict.c.reason == reason,
    )
    again = sa.update(conflict).where(same).values(times=conflict.c.times + 1, last_at=now, **sender)
    known = connection.execute(again.returning(conflict.c.id)).scalar_one_or_none()
    return int(known) if known is not None else _add(connection, instance, sha256, reason, sender, now)


def conflicts(connection: Connection, limit: int = 1000) -> list[Conflict]:
    """The last ones, newest first."""
    columns = [conflict.c[name] for name in Conflict.__dataclass_fields__]
    newest = sa.select(*columns).order_by(conflict.c.last_at.desc(), conflict.c.id.desc()).limit(limit)
    return [Conflict(*row) for row in connection.execute(newest)]


def _add(
    connection: Connection, instance: Instance, sha256: str, reason: str, sender: dict[str, str], now: float
) -> int:
    values: dict[str, Any] = {
        "SOPInstanceUID": instance.SOPInstanceUID,
        "SeriesInstanceUID": instance.SeriesInstanceUID,
        "StudyInstanceUID": instance.StudyInstanceUID,
        "SOPClassUID": instance.SOPClassUID,
        "sha256": sha256,
        "reason": reason,
        "times": 1,
        "first_at": now,
        "last_at": now,
        **sender,
    }
    key = insert_unless_there(connection, conflict, values)
    if key is None:
        raise Raced
    return int(key)
