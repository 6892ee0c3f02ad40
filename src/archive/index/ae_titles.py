"""The known AE titles, and the callers that were refused."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from archive.index import terms
from archive.index.database import Connection, Raced
from archive.index.schema import ae_title, refusal
from archive.index.sql import insert_unless_there
from archive.security.ae_titles import AETitle
from archive.security.rules import from_json

KEPT_REFUSALS = 1000
"""Anybody can cause refusals; the newest are enough to see who."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A caller that was not let in, how often, and when last (seconds since the epoch)."""

    calling: str
    called: str
    address: str
    reason: str
    times: int
    time: float


_ENTRY = (ae_title.c.title, ae_title.c.host, ae_title.c.port, ae_title.c.rules)
_KNOWN = ae_title.c.removed_at == 0


def all_titles(connection: Connection) -> list[AETitle]:
    """Every known AE title, by name."""
    known = sa.select(*_ENTRY).where(_KNOWN).order_by(ae_title.c.title)
    return [_entry(*row) for row in connection.execute(known)]


def get(connection: Connection, title: str) -> AETitle | None:
    """The entry of this title, if it is known."""
    found = sa.select(*_ENTRY).where(_KNOWN, ae_title.c.title == terms.clean(title))
    row = connection.execute(found).first()
    return _entry(*row) if row else None


def add(connection: Connection, entry: AETitle) -> None:
    """Make known, or change host, port and rules."""
    values = {
        "host": entry.host,
        "port": entry.port,
        "rules": entry.rules.to_json(),
        "added_at": time.time(),
        "removed_at": 0,
    }
    again = sa.update(ae_title).where(ae_title.c.title == entry.title).values(values)
    if connection.execute(again).rowcount:
        return
    if insert_unless_there(connection, ae_title, {"title": entry.title, **values}) is None:
        raise Raced


def was_known(connection: Connection, title: str) -> bool:
    """Whether the title is known, or was until somebody removed it."""
    found = sa.select(ae_title.c.title).where(ae_title.c.title == title)
    return connection.execute(found).first() is not None


def remove(connection: Connection, title: str) -> bool:
    """Forget host and port; False when the title was not known. That it was is remembered (`was_known`)."""
    known = sa.and_(_KNOWN, ae_title.c.title == terms.clean(title))
    removed = sa.update(ae_title).where(known).values(host="", port=0, rules="{}", removed_at=time.time())
    return connection.execute(removed).rowcount > 0


def record_refusal(
    connection: Connection, calling: str, called: str, address: str, reason: str, times: int = 1
) -> None:
    """Keep who was refused and why; the same refusal again only counts, and old ones make room."""
    now = time.time()
    who = {
        "calling": terms.text(calling),
        "called": terms.text(called),
        "address": terms.text(address),
        "reason": terms.text(reason),
    }
    same = sa.and_(*(refusal.c[name] == value for name, value in who.items()))
    again = sa.update(refusal).where(same).values(times=refusal.c.times + times, last_at=now)
    if connection.execute(again.returning(refusal.c.id)).first() is None:
        values = {**who, "times": times, "first_at": now, "last_at": now}
        if insert_unless_there(connection, refusal, values) is None:
            raise Raced
        _make_room(connection)


def refusals(connection: Connection, limit: int = 100) -> list[Refusal]:
    """The last refused callers, newest first."""
    columns = (
        refusal.c.calling,
        refusal.c.called,
        refusal.c.address,
        refusal.c.reason,
        refusal.c.times,
        refusal.c.last_at,
    )
    newest = sa.select(*columns).order_by(refusal.c.last_at.desc(), refusal.c.id.desc()).limit(limit)
    return [Refusal(*row) for row in connection.execute(newest)]


def _entry(title: str, host: str, port: int, rules: str) -> AETitle:
    return AETitle(title, host, port, from_json(rules))


def _make_room(connection: Connection) -> None:
    newest = refusal.c.last_at.desc(), refusal.c.id.desc()
    kept = sa.select(refusal.c.id).order_by(*newest).limit(KEPT_REFUSALS)
    connection.execute(sa.delete(refusal).where(refusal.c.id.not_in(kept)))
