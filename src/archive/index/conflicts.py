"""Objects whose identifiers are taken: who sent them, the bytes that are kept aside of some, and what was decided.

A row is one object under one SOP Instance UID, recognised by the digest of what was received, and one reason. It holds
bytes as long as it has a blob key; nothing but this row points to them then, so whoever takes the key out of it sees to
the bytes in the same transaction. Of one object under one UID bytes are held once.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.errors import InstanceConflict
from archive.dicom.instance import Form, Instance, Scope, Source, StoredInstance
from archive.index import holds, kept, rows, standing
from archive.index.database import Connection, Raced
from archive.index.schema import conflict, instance_detail, series, study
from archive.index.schema import instance as instance_table
from archive.index.sql import among, insert_unless_there


class State(enum.StrEnum):
    """What became of an object, so far."""

    REFUSED = "refused"
    """Nothing is held: its sender was told so."""
    OPEN = "open"
    """Held, until somebody decides."""
    KEPT = "kept"
    """Held for a while; what is stored was kept."""
    REPLACED = "replaced"
    """Held for a while; it was stored until another took its place."""
    ACCEPTED = "accepted"
    """It has become what is stored."""
    DROPPED = "dropped"
    """It was dropped, or deleted with the study."""
    EXPIRED = "expired"
    """It was held long enough after the decision."""


SETTLED = (State.KEPT, State.REPLACED)
"""Held, and decided."""
WAITING = (State.OPEN, State.REFUSED)
"""What nobody has decided about."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An object that was refused, kept aside, or replaced, and its sender. The same object again counts up `times`;
    the sender is the last. `state` is one of State."""

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
    state: str
    transfer_syntax_uid: str
    blob_key: str
    data_set_offset: int
    data_set_length: int
    kept_sha256: str
    received_transfer_syntax_uid: str
    settled_at: float
    settled_by: str

    @property
    def received(self) -> Form:
        """What came in."""
        return Form(self.sha256, self.received_transfer_syntax_uid)

    @property
    def has_copy(self) -> bool:
        """Whether its bytes are held."""
        return bool(self.blob_key)

    @property
    def blob_length(self) -> int:
        """Bytes of the whole PS3.10 file."""
        return self.data_set_offset + self.data_set_length


@dataclass(frozen=True, slots=True)
class Copy:
    """An object to be held: `stored` says where its bytes are, and what they were as they came."""

    stored: StoredInstance
    source: Source


_COLUMNS = [conflict.c[name] for name in Conflict.__dataclass_fields__]
_HELD = conflict.c.blob_key != ""


def record_conflict(
    connection: Connection, instance: Instance, sha256: str, source: Source, reason: str
) -> int:
    """Keep the record of a refused object; returns its number. Bytes that are held of it stay held."""
    uids = _uids(instance, instance.SOPClassUID)
    again = {"state": sa.case((_HELD, conflict.c.state), else_=State.REFUSED)}
    return _enter(connection, {**uids, "sha256": sha256, "reason": reason}, source, {}, again)


def hold(
    connection: Connection, copy: Copy, reason: str, state: State = State.OPEN, settled_by: str = ""
) -> tuple[int, str]:
    """Hold an object; its number, and the key of bytes that were held of it until now, which nobody points to then.

    One that comes again stays as it was decided. Raises InstanceConflict where the same bytes are held already as
    something else."""
    stored, received = copy.stored, copy.stored.received
    same = held(connection, stored.SOPInstanceUID, received.sha256)
    if same is not None and same.received != received:
        raise InstanceConflict(
            "the same bytes are kept aside in another transfer syntax: decide about those first",
            sop_instance_uid=stored.SOPInstanceUID,
            conflict_id=same.id,
        )
    blob = {
        "transfer_syntax_uid": stored.transfer_syntax_uid,
        "blob_key": stored.blob_key,
        "data_set_offset": stored.data_set_offset,
        "data_set_length": stored.data_set_length,
        "kept_sha256": stored.sha256,
        "received_transfer_syntax_uid": received.transfer_syntax_uid,
    }
    settled_at = time.time() if state in SETTLED else 0.0
    decided: dict[str, Any] = {"state": state, "settled_at": settled_at, "settled_by": settled_by}
    if same is not None:
        reason, decided = same.reason, decided if state is State.REPLACED else {}
    identity = {
        **_uids(stored, stored.SOPClassUID),
        "sha256": received.sha256,
        "reason": reason,
    }
    standing.changed(connection, [stored.blob_key])
    freed = same.blob_key if same is not None else ""
    return _enter(connection, identity, copy.source, {**blob, **decided}, instead_of=freed), freed


def held(connection: Connection, sop_instance_uid: str, received_sha256: str) -> Conflict | None:
    """The record that holds the bytes of this object, if they are held."""
    # Those too that hold nothing: another may be about to give one of them its bytes.
    known = sa.select(*_COLUMNS).where(
        conflict.c.SOPInstanceUID == rows.uid(sop_instance_uid), conflict.c.sha256 == received_sha256
    )
    found = [Conflict(*row) for row in connection.execute(known.order_by(conflict.c.id).with_for_update())]
    return next((one for one in found if one.has_copy), None)


def count_again(connection: Connection, conflict_id: int, source: Source) -> None:
    """The same object has come once more."""
    values = {"times": conflict.c.times + 1, "last_at": time.time(), **rows.source(source)}
    connection.execute(sa.update(conflict).where(conflict.c.id == conflict_id).values(values))


def undecided(connection: Connection, sender: Source, sop_instance_uids: Iterable[str]) -> set[str]:
    """Those of the UIDs under which something of this sender is held that nobody has decided about, unless the same has
    been stored since."""
    told = rows.source(sender)
    names = ("calling_ae_title",) if sender.calling_ae_title else ("calling_ae_title", "address")
    uids = [rows.uid(uid) for uid in sop_instance_uids]
    same = sa.exists().where(
        instance_table.c.SOPInstanceUID == conflict.c.SOPInstanceUID,
        conflict.c.sha256.in_([instance_table.c.sha256, instance_table.c.received_sha256]),
    )
    found = sa.select(conflict.c.SOPInstanceUID).where(
        among(conflict.c.SOPInstanceUID, uids),
        conflict.c.state == State.OPEN,
        ~same,
        *(conflict.c[name] == told[name] for name in names),
    )
    return set(connection.execute(found).scalars())


def find(connection: Connection, conflict_id: int, *, lock: bool = False) -> Conflict | None:
    """The record of this number. With `lock` nobody else decides about it until the transaction ends."""
    found = sa.select(*_COLUMNS).where(conflict.c.id == conflict_id)
    row = connection.execute(found.with_for_update() if lock else found).first()
    return Conflict(*row) if row else None


def conflicts(
    connection: Connection, limit: int = 1000, states: Iterable[State] = (), study_instance_uid: str = ""
) -> list[Conflict]:
    """The last ones, newest first; of these states and this study where those are named."""
    newest = sa.select(*_COLUMNS).order_by(conflict.c.last_at.desc(), conflict.c.id.desc()).limit(limit)
    wanted = list(states)
    if wanted:
        newest = newest.where(conflict.c.state.in_(wanted))
    if study_instance_uid:
        newest = newest.where(conflict.c.StudyInstanceUID == rows.uid(study_instance_uid))
    return [Conflict(*row) for row in connection.execute(newest)]


def settle(connection: Connection, conflict_id: int, state: State, settled_by: str) -> None:
    """Note a decision. Unless the state is one of SETTLED, the record lets go of its bytes."""
    values: dict[str, Any] = {"state": state, "settled_at": time.time(), "settled_by": settled_by}
    mine = conflict.c.id == conflict_id
    standing.changed(connection, connection.execute(sa.select(conflict.c.blob_key).where(mine)).scalars())
    if state not in SETTLED:
        values["blob_key"] = ""
    connection.execute(sa.update(conflict).where(mine).values(values))


def release_same(connection: Connection, stored: StoredInstance, settled_by: str) -> list[str]:
    """Let go of what is held of an object that has just been stored; the keys of its bytes."""
    same = sa.and_(
        conflict.c.SOPInstanceUID == rows.uid(stored.SOPInstanceUID),
        conflict.c.sha256 == stored.received.sha256,
        conflict.c.received_transfer_syntax_uid == stored.received.transfer_syntax_uid,
    )
    return _release(connection, same, State.ACCEPTED, settled_by)


def release_settled(connection: Connection, scope: Scope, *, and_open: Collection[str] = ()) -> list[str]:
    """Let go of what is held in a scope and was decided, as what it is a version of is deleted; the keys of its
    bytes. What is open stays, as it may be the reason for the deletion, but for what was kept aside for these
    reasons."""
    restrictions = [
        column == rows.uid(uids[0])
        for column, uids in (
            (conflict.c.StudyInstanceUID, scope.study_instance_uids),
            (conflict.c.SeriesInstanceUID, scope.series_instance_uids),
            (conflict.c.SOPInstanceUID, scope.sop_instance_uids),
        )
        if uids
    ]
    open_too = sa.and_(conflict.c.state == State.OPEN, conflict.c.reason.in_(tuple(and_open)))
    within = sa.and_(sa.or_(conflict.c.state.in_(SETTLED), open_too), *restrictions)
    return _release(connection, within, State.DROPPED, "deletion")


def expire(connection: Connection, settled_before: float, limit: int) -> list[str]:
    """Let go of what was decided before a moment, so many at most; the keys of its bytes. What came again since then,
    and was taken, stays as long as if it had been decided now; what is on hold stays."""
    holds.destroy_beside(connection)
    old = (
        sa.select(conflict.c.id)
        .where(conflict.c.state.in_(SETTLED), _HELD, holds.not_held(conflict.c.StudyInstanceUID))
        .where(conflict.c.settled_at < settled_before, conflict.c.last_at < settled_before)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    keys = connection.execute(old).scalars().all()
    return _release(connection, conflict.c.id.in_(keys), State.EXPIRED, "time") if keys else []


def beside(connection: Connection, one: Conflict) -> dict[str, Any]:
    """What a conflicting object is compared with, by tag: the metadata of what is stored under its SOP Instance UID,
    else what is known of the series and of the study that its other UIDs lead to."""
    found = (
        sa.select(instance_detail.c.metadata)
        .join(instance_table, instance_table.c.id == instance_detail.c.instance_id)
        .where(instance_table.c.SOPInstanceUID == rows.uid(one.SOPInstanceUID))
    )
    compressed = connection.execute(found).scalar_one_or_none()
    if compressed is not None:
        with kept.parsed(compressed) as members:
            return dict(members or {})
    known: dict[str, Any] = {}
    of_series = (
        sa.select(study.c.attributes, series.c.attributes, study.c.StudyInstanceUID)
        .join(study, study.c.id == series.c.study_id)
        .where(series.c.SeriesInstanceUID == rows.uid(one.SeriesInstanceUID))
    )
    of_study = sa.select(study.c.attributes).where(study.c.StudyInstanceUID == rows.uid(one.StudyInstanceUID))
    for row in (connection.execute(of_study).first(), connection.execute(of_series).first()):
        for text in row[:2] if row else ():
            known |= orjson.loads(text)
    return known


def _release(
    connection: Connection, which: sa.ColumnElement[bool], state: State, settled_by: str
) -> list[str]:
    found = sa.select(conflict.c.id, conflict.c.blob_key).where(which, _HELD).with_for_update()
    released = connection.execute(found).all()
    for row in released:
        settle(connection, row.id, state, settled_by)
    return [row.blob_key for row in released]


def _uids(one: Instance | StoredInstance, sop_class_uid: str) -> dict[str, str]:
    return {
        "SOPInstanceUID": one.SOPInstanceUID,
        "SeriesInstanceUID": one.SeriesInstanceUID,
        "StudyInstanceUID": one.StudyInstanceUID,
        "SOPClassUID": sop_class_uid,
    }


_NO_BLOB = {
    "state": State.REFUSED,
    "transfer_syntax_uid": "",
    "blob_key": "",
    "data_set_offset": 0,
    "data_set_length": 0,
    "kept_sha256": "",
    "received_transfer_syntax_uid": "",
    "settled_at": 0.0,
    "settled_by": "",
}


def _enter(
    connection: Connection,
    identity: dict[str, str],
    source: Source,
    values: dict[str, Any],
    again: dict[str, Any] | None = None,
    instead_of: str | None = None,
) -> int:
    """Count up the row of this object, or make it. `again` is for a row that is there, `values` for either. With
    `instead_of` that row must point to these bytes: others, which somebody has just entered, would be forgotten."""
    now = time.time()
    sender = rows.source(source)
    same = [conflict.c[name] == identity[name] for name in ("SOPInstanceUID", "sha256", "reason")]
    counted = {"times": conflict.c.times + 1, "last_at": now, **sender, **values, **(again or {})}
    mine = same if instead_of is None else [*same, conflict.c.blob_key == instead_of]
    update = sa.update(conflict).where(*mine).values(counted)
    known = connection.execute(update.returning(conflict.c.id)).scalar_one_or_none()
    if known is not None:
        return int(known)
    made = {**_NO_BLOB, **identity, "times": 1, "first_at": now, "last_at": now, **sender, **values}
    key = insert_unless_there(connection, conflict, made)
    if key is None:
        raise Raced
    return int(key)
