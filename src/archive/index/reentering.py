"""Entering into an index that is made again: what the files hold, and what was only in the index before."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Form, Instance, Source, StoredInstance
from archive.index import (
    conflicts,
    copying,
    follow_up_schema,
    recording,
    referenced,
    rejected_copies,
    schema,
    standing,
)
from archive.index.conflicts import Copy
from archive.index.database import Connection, Database
from archive.index.instances import find_instance
from archive.index.recording import Outcome
from archive.index.schema import instance as instance_table
from archive.index.standing import Entry

_ROWS = 500
_noticed = follow_up_schema.noticed
FROM_FILES = {
    *schema.HIERARCHY,
    schema.retired_key,
    *(
        table
        for table in copying.TABLES
        if any(key.column.table in schema.HIERARCHY for key in table.foreign_keys)
    ),
}
"""The tables that the files fill."""
TAKEN_OVER = tuple(table for table in copying.TABLES if table not in FROM_FILES)
"""The tables of which the files know nothing."""


class Fate(enum.StrEnum):
    """What became of a blob."""

    ENTERED = "entered"
    IN_DOUBT = "in doubt"
    """Kept aside until somebody decides: something else has its place, and nothing says which of them counts."""
    SAME = "same"
    """The same object is stored under another key."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object as its file says it. `is_known`: it was stored, as a note or the former index says; else it may be what
    a crash has left."""

    instance: Instance
    blob_key: str
    data_set_offset: int
    sha256: str
    received: Form
    source: Source
    stored_at: float
    is_known: bool

    @property
    def stored(self) -> StoredInstance:
        """As the index has it."""
        one = self.instance
        uids = one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID, one.SOPClassUID
        blob = self.blob_key, self.data_set_offset, one.length, self.sha256
        received = self.received.sha256, self.received.transfer_syntax_uid
        return StoredInstance(*uids, one.transfer_syntax_uid, *blob, *received)


# --- from the former index ---


def take_over(former: Database, connection: Connection, table: sa.Table) -> bool:
    """Copy a table; False, and nothing is copied, where that cannot be read whole."""
    connection.execute(sa.delete(table))
    try:
        with former.read() as source, connection.begin_nested():
            copying.copy(source, connection, table)
    except (copying.Unreadable, IntegrityError):
        return False
    return True


def standing_in(former: Database, keys: Sequence[str]) -> dict[str, Entry]:
    """How blobs stood there; nothing of any where that cannot be read."""
    try:
        with former.read() as connection:
            found = standing.of(connection, keys)
            # What was dropped or deleted is left to the jobs, which are taken over.
            left = referenced.among(connection, [key for key, entry in found.items() if not entry])
            return {**found, **{key: {"job": True} for key in left}}
    except OutOfResources:
        if former.is_server:
            raise
        return {}


def came(former: Database) -> Iterator[tuple[str, float]]:
    """The blobs of all instances, and numbers in whose order they came, as far as that can be read."""
    try:
        with former.read() as connection:
            asked = sa.select(instance_table.c.blob_key, instance_table.c.id)
            for key, number in connection.execute(asked.execution_options(yield_per=_ROWS)):
                yield key, float(number)
    except OutOfResources:
        if former.is_server:
            raise


def missing(former: Database, knows: Callable[[Sequence[str]], set[str]]) -> Iterator[str]:
    """The SOP Instance UIDs of instances whose blobs nobody `knows`, as far as that can be read."""
    try:
        with former.read() as connection:
            asked = sa.select(instance_table.c.blob_key, instance_table.c.SOPInstanceUID)
            for rows in connection.execute(asked.execution_options(yield_per=_ROWS)).partitions(_ROWS):
                there = knows([key for key, _ in rows])
                yield from (uid for key, uid in rows if key not in there)
    except OutOfResources:
        if former.is_server:
            raise


# --- from the files ---


def enter(connection: Connection, one: Found) -> Fate:
    """Enter an object; done again after a crash it is done. What is not known to have been stored gives way to what is,
    and to what came before it."""
    known = find_instance(connection, one.instance.SOPInstanceUID)
    if known is not None and known.blob_key == one.blob_key:
        return Fate.ENTERED
    outcome = recording.record(
        connection,
        one.instance,
        one.blob_key,
        one.data_set_offset,
        one.sha256,
        one.source,
        one.received,
        was_stored=one.is_known,
    )
    if outcome is Outcome.STORED:
        mine = instance_table.c.blob_key == one.blob_key
        connection.execute(sa.update(instance_table).where(mine).values(stored_at=one.stored_at))
        return Fate.ENTERED
    if outcome is Outcome.ALREADY_THERE:
        return Fate.SAME
    if outcome is Outcome.AWAITED:
        rejected_copies.arrive(connection, rejected_copies.Kept(one.stored, one.source))
    else:
        conflicts.hold(connection, Copy(one.stored, one.source), f"found by a reindex: {outcome.value}")
    return Fate.IN_DOUBT


def complete(connection: Connection) -> None:
    """What follows from all objects together."""
    newest = sa.select(sa.func.coalesce(sa.func.max(instance_table.c.id), 0)).scalar_subquery()
    connection.execute(sa.update(_noticed).values(highest=newest))
    copying.finish(connection, TAKEN_OVER)
