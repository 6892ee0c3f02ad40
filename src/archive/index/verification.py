"""Everything that has bytes, in an order that stays, so that whoever looks through it can stop and go on; what was
found damaged; and how far the scrubber has come."""

from __future__ import annotations

import enum
import functools
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.index.database import Connection
from archive.index.referenced import HOLDERS, among
from archive.index.schema import instance as instance_table
from archive.index.schema import series, study
from archive.index.sql import DownwardJoin, insert_unless_there
from archive.index.sql import among as among_values
from archive.index.verification_schema import damage, scrubbing


class Fault(enum.StrEnum):
    """What is wrong with bytes that something points to."""

    MISSING = "missing"
    CUT = "cut"
    """There are fewer of them, or more."""
    ALTERED = "altered"
    """As many as there were, and others."""
    UNREADABLE = "unreadable"
    """The disk does not give them."""


Place = tuple[str, tuple[Any, ...]]
"""A row: its table and its primary key."""

BEGINNING: Place = ("", ())


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that a row points to: a PS3.10 file whose data set begins at `data_set_offset` and has `sha256`.
    `transfer_syntax_uid` is empty where the row does not say it."""

    place: Place
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    blob_key: str
    data_set_offset: int
    data_set_length: int
    sha256: str
    transfer_syntax_uid: str

    @property
    def holder(self) -> str:
        """The table whose row it is."""
        return self.place[0]

    @property
    def blob_length(self) -> int:
        """Bytes of the whole PS3.10 file."""
        return self.data_set_offset + self.data_set_length


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that were found damaged, and were not found sound since."""

    blob_key: str
    holder: str
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    fault: str
    found_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Pass:
    """How far the scrubber has come: `place` is the last row that it has looked at since `begun_at`. `last_begun_at`
    and `last_ended_at` are of the last pass that came to its end, 0 before there was one."""

    place: Place = BEGINNING
    begun_at: float = 0.0
    last_begun_at: float = 0.0
    last_ended_at: float = 0.0
    verified: int = 0

    @property
    def is_going_on(self) -> bool:
        """Whether there is more to be looked at in it."""
        return self.begun_at > 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is to be looked at."""

    number: int = 0
    bytes: int = 0


def held(connection: Connection, after: Place, limit: int) -> list[Held]:
    """What comes behind a row, so many at most; none at the end."""
    found: list[Held] = []
    for table in HOLDERS[_number(after[0]) :]:
        begin = after[1] if table.name == after[0] else ()
        statement = _some(table.name, bool(begin)).limit(limit - len(found))
        names = {f"after_{number}": value for number, value in enumerate(begin)}
        width = len(table.primary_key.columns)
        for row in connection.execute(statement, names):
            found.append(Held((table.name, tuple(row[:width])), *row[width:]))
        if len(found) == limit:
            break
    return found


def totals(connection: Connection) -> Totals:
    """What there is now."""
    number = length = 0
    for table in HOLDERS:
        size = sa.func.sum(table.c.data_set_offset + table.c.data_set_length)
        counted = sa.select(sa.func.count(), sa.func.coalesce(size, 0)).where(table.c.blob_key != "")
        row = connection.execute(counted).one()
        number, length = number + int(row[0]), length + int(row[1])
    return Totals(number, length)


def stands(connection: Connection, one: Held) -> bool:
    """Whether its row still points to these bytes: else they may have gone, as they should."""
    table = HOLDERS[_number(one.holder)]
    keys = zip(table.primary_key.columns, one.place[1], strict=True)
    found = sa.select(sa.literal(1)).where(
        *(column == value for column, value in keys), table.c.blob_key == one.blob_key
    )
    return connection.execute(found.select_from(table)).first() is not None


# --- what was found ---


def note(connection: Connection, faults: Sequence[tuple[Held, Fault]], sound: Collection[str]) -> None:
    """Enter what is damaged; and forget of the keys that are sound what was found before."""
    now = time.time()
    for one, fault in faults:
        values = {
            "blob_key": one.blob_key,
            "holder": one.holder,
            "SOPInstanceUID": one.SOPInstanceUID,
            "SeriesInstanceUID": one.SeriesInstanceUID,
            "StudyInstanceUID": one.StudyInstanceUID,
            "fault": fault.value,
            "last_at": now,
        }
        if insert_unless_there(connection, damage, {**values, "found_at": now}) is None:
            connection.execute(sa.update(damage).where(damage.c.blob_key == one.blob_key).values(values))
    _forget(connection, sound)


def known(connection: Connection, keys: Collection[str]) -> dict[str, str]:
    """Those of the keys that were found damaged, each with its fault."""
    if not keys:
        return {}
    found = sa.select(damage.c.blob_key, damage.c.fault).where(among_values(damage.c.blob_key, sorted(keys)))
    return dict(tuple[str, str](row) for row in connection.execute(found))


def damages(connection: Connection, limit: int) -> list[Damage]:
    """What is damaged, what was found last first."""
    columns = [damage.c[name] for name in Damage.__dataclass_fields__]
    newest = sa.select(*columns).order_by(damage.c.found_at.desc(), damage.c.id.desc()).limit(limit)
    return [Damage(*row) for row in connection.execute(newest)]


def counts(connection: Connection) -> dict[str, int]:
    """How much is damaged, by fault."""
    counted = sa.select(damage.c.fault, sa.func.count()).group_by(damage.c.fault)
    return dict(tuple[str, int](row) for row in connection.execute(counted))


def forget_what_went(connection: Connection) -> int:
    """Forget damage to bytes that nothing points to any more; how much that was."""
    keys = list(connection.execute(sa.select(damage.c.blob_key)).scalars())
    gone = set(keys) - among(connection, keys)
    _forget(connection, gone)
    return len(gone)


def _forget(connection: Connection, keys: Collection[str]) -> None:
    if keys:
        connection.execute(sa.delete(damage).where(among_values(damage.c.blob_key, sorted(keys))))


# --- how far the scrubber has come ---

_WHAT = "objects"


def scrubbed(connection: Connection) -> Pass:
    """How far it has come."""
    columns = [scrubbing.c[name] for name in ("position", *_MOMENTS)]
    row = connection.execute(sa.select(*columns).where(scrubbing.c.what == _WHAT)).first()
    if row is None:
        return Pass()
    position, *moments = row
    return Pass(_place(position), *moments)


def note_scrubbed(connection: Connection, now: Pass) -> None:
    """Note how far it has come."""
    moments = {name: getattr(now, name) for name in _MOMENTS}
    values = {"position": orjson.dumps(now.place).decode() if now.place[0] else "", **moments}
    if insert_unless_there(connection, scrubbing, {"what": _WHAT, **values}) is None:
        connection.execute(sa.update(scrubbing).where(scrubbing.c.what == _WHAT).values(values))


_MOMENTS = ("begun_at", "last_begun_at", "last_ended_at", "verified")


def _place(position: str) -> Place:
    """Of a table that another version of the archive had, the beginning."""
    if not position:
        return BEGINNING
    table, key = orjson.loads(position)
    return (table, tuple(key)) if any(one.name == table for one in HOLDERS) else BEGINNING


def _number(name: str) -> int:
    return next((number for number, table in enumerate(HOLDERS) if table.name == name), 0)


@functools.cache
def _some(name: str, after: bool) -> sa.Select[Any]:
    """Rows of a table in the order of its key: the columns of that, and those of Held."""
    table = HOLDERS[_number(name)]
    keys = list(table.primary_key.columns)
    found = sa.select(*keys, *_columns(table)).select_from(_with_uids(table))
    if after:
        begin = [sa.bindparam(f"after_{number}", type_=column.type) for number, column in enumerate(keys)]
        found = found.where(sa.tuple_(*keys) > sa.tuple_(*begin) if len(keys) > 1 else keys[0] > begin[0])
    return found.where(table.c.blob_key != "").order_by(*keys)


def _columns(table: sa.Table) -> Iterator[sa.ColumnElement[Any]]:
    places = {"SeriesInstanceUID": series, "StudyInstanceUID": study} if table is instance_table else {}
    for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        yield places.get(name, table).c[name]
    for name in ("blob_key", "data_set_offset", "data_set_length"):
        yield table.c[name]
    yield table.c["kept_sha256" if "kept_sha256" in table.c else "sha256"]
    yield table.c.get("transfer_syntax_uid", sa.literal("", sa.Text()))


def _with_uids(table: sa.Table) -> sa.FromClause:
    """An instance is told its series and study; SQLite must not begin with those, and sort."""
    if table is not instance_table:
        return table
    with_series = DownwardJoin(instance_table, series, instance_table.c.series_id == series.c.id)
    return DownwardJoin(with_series, study, series.c.study_id == study.c.id)
