"""The bytes of rejected instances: taken out of the index, held, and put back or let go of.

What is held is a row of `rejected_copy`, and nothing but that points to the bytes; whoever deletes the row sees to them
in the same transaction. Several notes may refer to an instance that is held; its bytes belong to one of them.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from archive.dicom.instance import Instance, Scope, Source, StoredInstance
from archive.dicom.receiving.commitment import Reference
from archive.dicom.rejection_notes import Reason
from archive.index import deletions, holds, rows, standing
from archive.index.database import Connection, Raced
from archive.index.rejections_schema import rejected, rejected_copy, rejection
from archive.index.schema import instance as instance_table
from archive.index.schema import instance_detail, series, study
from archive.index.sql import among


class Fate(enum.StrEnum):
    """What became of an instance that a note refers to."""

    AWAITED = "awaited"
    """It has not come yet, or not again since it was deleted."""
    HELD = "held"
    """Its bytes are held; they can be restored."""
    RESTORED = "restored"
    """This note does not reject it any more."""
    DROPPED = "dropped"
    """An administrator had its bytes deleted. It stays rejected."""
    EXPIRED = "expired"
    """Its bytes were held long enough. It stays rejected."""


BLOCKING = (Fate.HELD, Fate.DROPPED, Fate.EXPIRED)
"""Whoever brings it again is refused."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An object that is not in the index: where its bytes are, and who sent it."""

    stored: StoredInstance
    source: Source


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """What is held of a rejected instance, for the note of this number."""

    id: int
    rejection_id: int
    held_at: float
    kept: Kept


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance stands, and whose it is."""

    StudyInstanceUID: str
    SeriesInstanceUID: str
    SOPInstanceUID: str
    SOPClassUID: str
    PatientID: str
    IssuerOfPatientID: str


_STORED = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "transfer_syntax_uid",
    "blob_key",
    "data_set_offset",
    "data_set_length",
    "sha256",
    "received_sha256",
    "received_transfer_syntax_uid",
)
_SOURCE = ("door", "address", "calling_ae_title", "called_ae_title")
OBJECT = (*_STORED, *_SOURCE)
_HIERARCHY = (
    instance_table.join(series, instance_table.c.series_id == series.c.id)
    .join(study, series.c.study_id == study.c.id)
    .join(instance_detail, instance_detail.c.instance_id == instance_table.c.id)
)


def places(connection: Connection, sop_instance_uids: Sequence[str]) -> dict[str, Place]:
    """Where these instances stand, as far as they are stored."""
    names = ("PatientID", "IssuerOfPatientID")
    columns = [study.c.StudyInstanceUID, series.c.SeriesInstanceUID, instance_table.c.SOPInstanceUID]
    found = sa.select(*columns, instance_table.c.SOPClassUID, *(study.c[name] for name in names))
    within = found.select_from(_HIERARCHY).where(_among(sop_instance_uids))
    return {row.SOPInstanceUID: Place(*tuple[Any, ...](row)) for row in connection.execute(within)}


def whose(connection: Connection, study_instance_uid: str) -> Place | None:
    """The patient of a study."""
    found = sa.select(study.c.PatientID, study.c.IssuerOfPatientID)
    row = connection.execute(found.where(study.c.StudyInstanceUID == rows.uid(study_instance_uid))).first()
    return Place(study_instance_uid, "", "", "", row.PatientID, row.IssuerOfPatientID) if row else None


def take_out(
    connection: Connection, number: int, study_instance_uid: str, sop_instance_uids: Sequence[str]
) -> None:
    """Take instances of one study out of the index and hold them for a note. Raises Raced where one is not there any
    more."""
    # In the order in which a deletion locks.
    named = study.c.StudyInstanceUID == rows.uid(study_instance_uid)
    connection.execute(sa.select(study.c.id).where(named).with_for_update())
    columns = [_of_hierarchy(name) for name in _STORED]
    columns += [instance_detail.c[name] for name in _SOURCE]
    found = sa.select(*columns).select_from(_HIERARCHY).where(named, _among(sop_instance_uids))
    taken = [kept(row) for row in connection.execute(found)]
    scope = Scope((study_instance_uid,), (), tuple(sop_instance_uids))
    holds.pin(connection, study_instance_uid)
    keys = deletions.delete(connection, scope)
    if len(taken) != len(sop_instance_uids) or sorted(keys) != sorted(one.stored.blob_key for one in taken):
        raise Raced
    _hold(connection, number, taken)


def arrive(connection: Connection, one: Kept) -> int:
    """Hold an instance for which a note waits; the number of that note."""
    waiting = (
        sa.select(rejected.c.rejection_id)
        .join_from(rejected, rejection)
        .where(*here(one.stored), rejected.c.state == Fate.AWAITED.value)
        .order_by(rejection.c.reason == Reason.RETENTION.value, rejected.c.rejection_id)
    )
    numbers = list(connection.execute(waiting).scalars())
    if not numbers:
        raise Raced
    awaited = sa.and_(*here(one.stored), rejected.c.state == Fate.AWAITED.value)
    set_fate(connection, awaited, Fate.HELD)
    _hold(connection, numbers[0], [one])
    return int(numbers[0])


def held_of(connection: Connection, asked: Sequence[Reference]) -> set[str]:
    """The UIDs of which bytes are held, of instances that stand where these references say."""
    names = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    copies = sa.select(*(rejected_copy.c[name] for name in names))
    uids = [rows.uid(one.SOPInstanceUID) for one in asked]
    within = copies.where(among(rejected_copy.c.SOPInstanceUID, uids))
    found = {tuple(row) for row in connection.execute(within)}
    return {
        one.SOPInstanceUID for one in asked if tuple(rows.uid(getattr(one, name)) for name in names) in found
    }


def copies(
    connection: Connection, number: int, sop_instance_uid: str = "", limit: int | None = None
) -> list[HeldCopy]:
    """What is held for a note, of one instance where that is named; in the order in which it was taken out."""
    found = _COPIES.where(rejected_copy.c.rejection_id == number)
    if sop_instance_uid:
        found = found.where(rejected_copy.c.SOPInstanceUID == rows.uid(sop_instance_uid))
    return [_copy(row) for row in connection.execute(found.order_by(rejected_copy.c.id).limit(limit))]


def within(connection: Connection, scope: Scope) -> list[HeldCopy]:
    """What is held in a scope, for whatever note."""
    named = (
        (rejected_copy.c.StudyInstanceUID, scope.study_instance_uids),
        (rejected_copy.c.SeriesInstanceUID, scope.series_instance_uids),
        (rejected_copy.c.SOPInstanceUID, scope.sop_instance_uids),
    )
    restrictions = [column == rows.uid(uids[0]) for column, uids in named if uids]
    return [
        _copy(row) for row in connection.execute(_COPIES.where(*restrictions).order_by(rejected_copy.c.id))
    ]


def release_notes(connection: Connection, study_instance_uid: str) -> list[str]:
    """Let go of the notes of a study that refer to nothing in another and hold nothing any more; the keys of their
    bytes. What they rejected may come again."""
    uid = rows.uid(study_instance_uid)
    elsewhere = sa.exists().where(
        rejected.c.rejection_id == rejection.c.id, rejected.c.StudyInstanceUID != uid
    )
    holding = sa.exists().where(rejected_copy.c.rejection_id == rejection.c.id)
    mine = sa.select(rejection.c.id, rejection.c.blob_key).where(
        rejection.c.StudyInstanceUID == uid, ~elsewhere, ~holding
    )
    found = connection.execute(mine.with_for_update()).all()
    for number, _ in found:
        connection.execute(sa.delete(rejected).where(rejected.c.rejection_id == number))
        connection.execute(sa.delete(rejection).where(rejection.c.id == number))
        standing.changed(connection, [standing.of_rejection(number)])
    return [key for _, key in found]


def find_copy(connection: Connection, sop_instance_uid: str = "", blob_key: str = "") -> HeldCopy | None:
    """What is held of an instance, of several copies the latest; or what has this key."""
    found = _COPIES
    if sop_instance_uid:
        found = found.where(rejected_copy.c.SOPInstanceUID == rows.uid(sop_instance_uid))
    if blob_key:
        found = found.where(rejected_copy.c.blob_key == blob_key)
    row = connection.execute(found.order_by(rejected_copy.c.id.desc()).limit(1)).first()
    return _copy(row) if row else None


def hand_over(connection: Connection, copy: HeldCopy) -> bool:
    """Hold it for another note that rejects the same instance; False when there is none."""
    others = sa.select(rejected.c.rejection_id).where(
        *here(copy.kept.stored),
        rejected.c.rejection_id != copy.rejection_id,
        rejected.c.state == Fate.HELD.value,
    )
    other = connection.execute(others.order_by(rejected.c.rejection_id).limit(1)).scalar_one_or_none()
    if other is None:
        return False
    mine = rejected_copy.c.id == copy.id
    connection.execute(sa.update(rejected_copy).where(mine).values(rejection_id=other))
    standing.changed(connection, [copy.kept.stored.blob_key])
    return True


def release(connection: Connection, copy: HeldCopy, fate: Fate | None = None) -> None:
    """Hold it no longer; the caller sees to its bytes. `fate` is what becomes of it for the notes that have it held.

    Raises Raced when somebody else has done so."""
    mine = sa.and_(rejected_copy.c.id == copy.id, rejected_copy.c.rejection_id == copy.rejection_id)
    if not connection.execute(sa.delete(rejected_copy).where(mine)).rowcount:
        raise Raced
    standing.changed(connection, [copy.kept.stored.blob_key, standing.of_rejection(copy.rejection_id)])
    uid = rejected_copy.c.SOPInstanceUID == rows.uid(copy.kept.stored.SOPInstanceUID)
    others = connection.execute(sa.select(rejected_copy.c.id).where(uid).limit(1)).first()
    if fate is not None and others is None:
        held = sa.and_(*here(copy.kept.stored), rejected.c.state == Fate.HELD.value)
        set_fate(connection, held, fate)


def old_copies(connection: Connection, held_before: float, limit: int) -> list[HeldCopy]:
    """What has been held since before a moment, and nobody has put on hold; so many at most."""
    holds.destroy_beside(connection)
    free = holds.not_held(rejected_copy.c.StudyInstanceUID)
    old = _COPIES.where(rejected_copy.c.held_at < held_before, free).order_by(rejected_copy.c.id)
    return [_copy(row) for row in connection.execute(old.limit(limit).with_for_update(skip_locked=True))]


def _hold(connection: Connection, number: int, taken: Sequence[Kept]) -> None:
    now = time.time()
    held = [{"rejection_id": number, "held_at": now, **values(one)} for one in taken]
    connection.execute(sa.insert(rejected_copy), held)
    standing.changed(connection, [standing.of_rejection(number), *(one.stored.blob_key for one in taken)])


def _among(sop_instance_uids: Sequence[str]) -> sa.ColumnElement[bool]:
    return among(instance_table.c.SOPInstanceUID, [rows.uid(uid) for uid in sop_instance_uids])


def _of_hierarchy(name: str) -> sa.Column[Any]:
    table = {"StudyInstanceUID": study, "SeriesInstanceUID": series}.get(name, instance_table)
    return table.c[name]


def values(one: Kept) -> dict[str, Any]:
    """The columns of OBJECT."""
    told = {name: getattr(one.stored, name) for name in _STORED}
    uids = {name: rows.uid(told[name]) for name in _STORED[:4]}
    return {**told, **uids, **rows.source(one.source)}


def here(one: Instance | StoredInstance) -> list[sa.ColumnElement[bool]]:
    """What notes say of this instance, where it stands."""
    return [
        rejected.c[name] == rows.uid(getattr(one, name))
        for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    ]


def set_fate(connection: Connection, which: sa.ColumnElement[bool], fate: Fate) -> None:
    """What became of the instances that notes refer to here."""
    connection.execute(sa.update(rejected).where(which).values(state=fate.value))


def kept(row: Sequence[Any]) -> Kept:
    """From the columns of OBJECT."""
    return Kept(StoredInstance(*row[: len(_STORED)]), Source(*row[len(_STORED) :]))


_COPIES = sa.select(*(rejected_copy.c[name] for name in ("id", "rejection_id", "held_at", *OBJECT)))


def _copy(row: Any) -> HeldCopy:
    number, note, held_at, *columns = row
    return HeldCopy(number, note, held_at, kept(columns))
