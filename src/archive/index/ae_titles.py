"""The known AE titles."""

from __future__ import annotations

import time

import sqlalchemy as sa

from archive.index import terms
from archive.index.database import Connection, Raced
from archive.index.schema import ae_title
from archive.index.sql import insert_unless_there
from archive.security.ae_titles import AETitle
from archive.security.rules import from_json

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


def _entry(title: str, host: str, port: int, rules: str) -> AETitle:
    return AETitle(title, host, port, from_json(rules))
