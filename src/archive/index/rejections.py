"""Rejection notes and what they refer to; `rejected_copies` has the bytes of what was taken out for them.

A note is in no study here: `rejection` alone points to its bytes. What it refers to is a row of `rejected` each, which
stays as long as the note is known, so that an instance is recognised whenever it comes.

Who records an object shares its study (`share`), and who enters a note, or takes one back, has the studies for itself
(`claim`): else on PostgreSQL a note and an instance that come together would not see each other. SQLite has one writer.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from archive.dicom.instance import Instance
from archive.dicom.receiving.commitment import Reference
from archive.dicom.rejection_notes import Reason
from archive.index import rows, standing
from archive.index.database import Connection, Raced
from archive.index.rejected_copies import BLOCKING, OBJECT, Fate, Kept, here, kept, set_fate, values
from archive.index.rejections_schema import rejected, rejection
from archive.index.schema import study
from archive.index.sql import among, insert_unless_there


class State(enum.StrEnum):
    """What a note is, so far."""

    ACTIVE = "active"
    """It rejects."""
    RESTORED = "restored"
    """An administrator has taken it back."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A note. `state` is one of State, `reason` one of rejection_notes.Reason."""

    id: int
    reason: str
    state: str
    came_at: float
    settled_at: float
    settled_by: str
    note: Kept


@dataclass(frozen=True, slots=True)
class Rejected:
    """An instance that a note refers to. `fate` is one of Fate."""

    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    SOPClassUID: str
    fate: str


_LOCKS = 4660
"""The space of our advisory locks on PostgreSQL."""


def claim(connection: Connection, study_instance_uids: Iterable[str]) -> None:
    """Nobody records anything in these studies, or decides about rejections there, until the transaction ends."""
    for uid in sorted({rows.uid(uid) for uid in study_instance_uids}):
        _lock(connection, sa.func.pg_advisory_xact_lock, uid)


def share(connection: Connection, study_instance_uid: str) -> None:
    """Nobody claims this study until the transaction ends."""
    _lock(connection, sa.func.pg_advisory_xact_lock_shared, rows.uid(study_instance_uid))


def _lock(connection: Connection, function: Any, uid: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(function(_LOCKS, sa.func.hashtext(uid))))


def begin(connection: Connection, note: Kept, reason: Reason) -> int:
    """Enter a note; its number. Raises Raced where its UID is known by now."""
    entered = {
        **values(note),
        "reason": reason.value,
        "state": State.ACTIVE.value,
        "came_at": time.time(),
        "settled_at": 0.0,
        "settled_by": "",
    }
    key = insert_unless_there(connection, rejection, entered)
    if key is None:
        raise Raced
    standing.changed(connection, [note.stored.blob_key])
    return int(key)


def renew(connection: Connection, number: int, note: Kept) -> None:
    """The same note has come again: the bytes that it has from now on."""
    connection.execute(sa.update(rejection).where(rejection.c.id == number).values(values(note)))
    standing.changed(connection, [note.stored.blob_key])


def refer(connection: Connection, number: int, references: Sequence[Reference], held: set[str]) -> None:
    """Enter what a note refers to; `held` are the UIDs of which bytes are held."""
    entered = [
        {
            "rejection_id": number,
            "SOPInstanceUID": rows.uid(one.SOPInstanceUID),
            "SeriesInstanceUID": rows.uid(one.SeriesInstanceUID),
            "StudyInstanceUID": rows.uid(one.StudyInstanceUID),
            "SOPClassUID": rows.uid(one.SOPClassUID),
            "state": (Fate.HELD if one.SOPInstanceUID in held else Fate.AWAITED).value,
        }
        for one in references
    ]
    connection.execute(sa.insert(rejected), entered)


def find(connection: Connection, number: int, *, lock: bool = False) -> Rejection | None:
    """The note of this number. With `lock` nobody else decides about it until the transaction ends."""
    found = _NOTES.where(rejection.c.id == number)
    row = connection.execute(found.with_for_update() if lock else found).first()
    return _note(row) if row else None


def find_notes(connection: Connection, sop_instance_uids: Sequence[str]) -> list[Rejection]:
    """The notes that have these SOP Instance UIDs themselves."""
    uids = [rows.uid(uid) for uid in sop_instance_uids]
    if not uids:
        return []
    return [_note(row) for row in connection.execute(_NOTES.where(among(rejection.c.SOPInstanceUID, uids)))]


def last(
    connection: Connection, limit: int, states: Sequence[State] = (), study_instance_uid: str = ""
) -> list[Rejection]:
    """The last notes, newest first; in these states, and about this study, where those are named."""
    newest = _NOTES.order_by(rejection.c.id.desc()).limit(limit)
    if states:
        newest = newest.where(rejection.c.state.in_([state.value for state in states]))
    if study_instance_uid:
        about = sa.select(rejected.c.rejection_id).where(
            rejected.c.StudyInstanceUID == rows.uid(study_instance_uid)
        )
        newest = newest.where(rejection.c.id.in_(about))
    return [_note(row) for row in connection.execute(newest)]


def settle(connection: Connection, number: int, settled_by: str) -> None:
    """The note is taken back: it rejects nothing any more."""
    taken_back = {"state": State.RESTORED.value, "settled_at": time.time(), "settled_by": settled_by}
    connection.execute(sa.update(rejection).where(rejection.c.id == number).values(taken_back))
    set_fate(connection, rejected.c.rejection_id == number, Fate.RESTORED)
    standing.changed(connection, [standing.of_rejection(number)])


def references(connection: Connection, number: int, limit: int | None = None) -> list[Rejected]:
    """What a note refers to, in the order of UIDs."""
    found = sa.select(*(rejected.c[name] for name in _REFERENCE))
    ordered = found.where(rejected.c.rejection_id == number).order_by(rejected.c.SOPInstanceUID)
    return [Rejected(*row) for row in connection.execute(ordered.limit(limit))]


def counts(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, int]]:
    """How many instances of each fate these notes refer to."""
    grouped = (
        sa.select(rejected.c.rejection_id, rejected.c.state, sa.func.count())
        .where(rejected.c.rejection_id.in_(numbers))
        .group_by(rejected.c.rejection_id, rejected.c.state)
    )
    told: dict[int, dict[str, int]] = {number: {} for number in numbers}
    for number, state, count in connection.execute(grouped):
        told[number][state] = count
    return told


def stance(connection: Connection, instance: Instance) -> Fate | None:
    """HELD if this instance was rejected before, AWAITED if a note waits for it, None if nothing keeps it out.

    A note that the time to keep it is over keeps nothing out (IHE RAD TF-3 4.66.4.4.3)."""
    found = sa.select(rejected.c.state).join_from(rejected, rejection)
    in_force = (rejection.c.reason != Reason.RETENTION.value, rejected.c.state != Fate.RESTORED.value)
    states = set(connection.execute(found.where(*here(instance), *in_force)).scalars())
    if states & set(BLOCKING):
        return Fate.HELD
    return Fate.AWAITED if states else None


def forgive(connection: Connection, number: int, sop_instance_uid: str) -> None:
    """This note does not reject this instance any more."""
    which = sa.and_(
        rejected.c.rejection_id == number, rejected.c.SOPInstanceUID == rows.uid(sop_instance_uid)
    )
    set_fate(connection, which, Fate.RESTORED)
    standing.changed(connection, [standing.of_rejection(number)])


_REFERENCE = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID", "state")
_HEAD = ("id", "reason", "state", "came_at", "settled_at", "settled_by")
_NOTES = sa.select(*(rejection.c[name] for name in (*_HEAD, *OBJECT)))


def attributes_beside(connection: Connection, study_instance_uid: str) -> str:
    """The attributes of a study and of its patient, as DICOM JSON."""
    named = study.c.StudyInstanceUID == rows.uid(study_instance_uid)
    found = connection.execute(sa.select(study.c.attributes).where(named)).scalar_one_or_none()
    return str(found or "{}")


def _note(row: Any) -> Rejection:
    number, reason, state, came_at, settled_at, settled_by, *columns = row
    return Rejection(number, reason, state, came_at, settled_at, settled_by, kept(columns))
