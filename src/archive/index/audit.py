"""The audit trail in the index: records that are only ever added, each bound to the one before it by a hash.

A record's hash is the SHA-256 of the hash before it and of its message, so nobody changes, removes or reorders one
without all that follow it changing. A row, `audit_head`, holds where the chain has come to. Whoever adds holds it until
the end of the transaction, so records are added last in a change: on PostgreSQL others wait that long.

What is being received stands in `receiving` until a record tells of it; it takes no part in the chain, so those who
store do not wait for each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from archive.dicom.instance import Source
from archive.index import rows, terms
from archive.index.audit_schema import audit_head, audit_record, receiving
from archive.index.database import Connection
from archive.index.schema import instance, instance_detail, series, study
from archive.index.sql import insert_unless_there

GENESIS = "0" * 64
"""The hash before the first record."""
SEEN_SECONDS = 60.0
"""So often whoever receives says that it lives."""
_CHAIN, _TOLD = "chain", "told"
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be kept: the message, and what of it is searched by."""

    message: str
    recorded_at: float
    event: str
    actor: str
    address: str = ""
    PatientID: str = ""
    StudyInstanceUID: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept, its place and its hash."""

    position: int
    hash: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the chain and the hash there."""

    position: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for; empty fields do not restrict. Of `PatientID` and issuer as `patient_of` words them, either
    the whole or just the ID. Times are in seconds since the epoch. `failed`: only
    what did not succeed, or only what did."""

    PatientID: str = ""
    StudyInstanceUID: str = ""
    actor: str = ""
    address: str = ""
    events: Collection[str] = ()
    since: float = 0.0
    until: float = 0.0
    failed: bool | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A study that somebody received, and died before a record told of it."""

    transfer: str
    StudyInstanceUID: str
    actor: str
    source: Source
    begun_at: float
    sop_classes: Mapping[str, int] = field(default_factory=dict)


def digest(before: str, message: str) -> str:
    """The hash of a record."""
    return hashlib.sha256(f"{before}\n{message}".encode()).hexdigest()


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add records; the last thing that a change does."""
    if not entries:
        return
    head = _held(connection, _CHAIN)
    position, last = head.position, head.hash
    added = []
    for entry in entries:
        position, last = position + 1, digest(last, entry.message)
        added.append({"id": position, "hash": last, **_columns(entry)})
    connection.execute(sa.insert(audit_record), added)
    _set(connection, _CHAIN, Head(position, last))


def columns_of(entry: Entry) -> tuple[str | float, ...]:
    """As the table has them."""
    return tuple(_columns(entry).values())


def _columns(entry: Entry) -> dict[str, str | float]:
    return {
        "message": entry.message,
        "recorded_at": entry.recorded_at,
        "event": entry.event,
        "actor": terms.text(entry.actor),
        "address": terms.text(entry.address),
        "PatientID": terms.text(entry.PatientID),
        "StudyInstanceUID": terms.text(entry.StudyInstanceUID),
    }


def head(connection: Connection) -> Head:
    """Where the chain has come to."""
    return _at(connection, _CHAIN) or Head()


def told(connection: Connection) -> Head:
    """How far others were told."""
    return _at(connection, _TOLD) or Head()


def tell(connection: Connection, until: Head) -> None:
    """Others were told so far."""
    _held(connection, _TOLD)
    _set(connection, _TOLD, until)


def records(connection: Connection, after: int = 0, limit: int = _BATCH) -> list[Record]:
    """The next ones behind a position, in their order."""
    found = _RECORDS.where(audit_record.c.id > after).order_by(audit_record.c.id).limit(limit)
    return [_record(row) for row in connection.execute(found)]


def search(connection: Connection, sought: Sought, limit: int, before: int = 0) -> list[Record]:
    """What is found, newest first; of those before a position, if one is given."""
    columns = audit_record.c
    found = _RECORDS.where(*_conditions(sought))
    if before:
        found = found.where(columns.id < before)
    return [_record(row) for row in connection.execute(found.order_by(columns.id.desc()).limit(limit))]


def count(connection: Connection) -> int:
    """How many records there are."""
    return connection.execute(sa.select(sa.func.count()).select_from(audit_record)).scalar_one()


_RECORDS = sa.select(
    audit_record.c.id,
    audit_record.c.hash,
    audit_record.c.message,
    audit_record.c.recorded_at,
    audit_record.c.event,
    audit_record.c.actor,
    audit_record.c.address,
    audit_record.c.PatientID,
    audit_record.c.StudyInstanceUID,
)


def _record(row: Any) -> Record:
    position, digest_of_it, *entry = row
    return Record(position, digest_of_it, Entry(*entry))


def _conditions(sought: Sought) -> Iterator[sa.ColumnElement[bool]]:
    columns = audit_record.c
    for column, value in (
        (columns.StudyInstanceUID, sought.StudyInstanceUID),
        (columns.actor, sought.actor),
        (columns.address, sought.address),
    ):
        if value:
            yield column == terms.text(value)
    if sought.PatientID:
        wanted = terms.text(sought.PatientID)
        of_any_issuer = columns.PatientID.startswith(f"{wanted}^^^", autoescape=True)
        yield sa.or_(columns.PatientID == wanted, of_any_issuer)
    if sought.events:
        yield columns.event.in_(tuple(sought.events))
    if sought.failed is not None:
        # As the message is kept: a text in it cannot hold these quotation marks, as JSON has a backslash before them.
        succeeded = columns.message.contains('"outcome":0,', autoescape=True)
        yield sa.not_(succeeded) if sought.failed else succeeded
    if sought.since:
        yield columns.recorded_at >= sought.since
    if sought.until:
        yield columns.recorded_at < sought.until


def _held(connection: Connection, what: str) -> Head:
    """The row, nobody else's until the transaction ends."""
    found = sa.select(audit_head.c.position, audit_head.c.hash).where(audit_head.c.what == what)
    row = connection.execute(found.with_for_update()).first()
    if row is None:
        insert_unless_there(connection, audit_head, {"what": what, "position": 0, "hash": GENESIS})
        row = connection.execute(found.with_for_update()).one()
    return Head(row.position, row.hash)


def _at(connection: Connection, what: str) -> Head | None:
    found = sa.select(audit_head.c.position, audit_head.c.hash).where(audit_head.c.what == what)
    row = connection.execute(found).first()
    return None if row is None else Head(row.position, row.hash)


def _set(connection: Connection, what: str, at: Head) -> None:
    connection.execute(
        sa.update(audit_head).where(audit_head.c.what == what).values(position=at.position, hash=at.hash)
    )


# --- patients ---


def patients_of(connection: Connection, study_instance_uids: Collection[str]) -> dict[str, str]:
    """The patient of each of these studies that is stored: the PatientID, with its issuer as `ID^^^issuer`."""
    wanted = {rows.uid(uid): uid for uid in study_instance_uids}
    columns = study.c
    found: dict[str, str] = {}
    uids = list(wanted)
    for start in range(0, len(uids), _BATCH):
        asked = sa.select(columns.StudyInstanceUID, columns.PatientID, columns.IssuerOfPatientID).where(
            columns.StudyInstanceUID.in_(uids[start : start + _BATCH])
        )
        found |= {wanted[uid]: patient_of(*who) for uid, *who in connection.execute(asked)}
    return found


def patient_of(patient_id: str, issuer: str = "") -> str:
    """Whom a record is about, in one text."""
    return f"{patient_id}^^^{issuer}" if issuer else patient_id


# --- what is being received ---


def begin_receiving(
    connection: Connection, transfer: str, study_uid: str, actor: str, source: Source, now: float
) -> None:
    """Note that instances of a study come in; in the change that enters the first of them."""
    values = {
        "transfer": transfer,
        "StudyInstanceUID": rows.uid(study_uid),
        "actor": actor,
        "door": source.door,
        "address": terms.text(source.address),
        "calling_ae_title": terms.text(source.calling_ae_title),
        "begun_at": now,
        "seen_at": now,
    }
    insert_unless_there(connection, receiving, values)


def still_receiving(connection: Connection, transfers: Sequence[str], now: float) -> None:
    """Whoever receives these lives."""
    connection.execute(sa.update(receiving).where(receiving.c.transfer.in_(transfers)).values(seen_at=now))


def end_receiving(connection: Connection, transfer: str) -> None:
    """A record tells of it in this transaction."""
    connection.execute(sa.delete(receiving).where(receiving.c.transfer == transfer))


def left_behind(connection: Connection, seen_before: float, limit: int = 100) -> list[Received]:
    """What somebody received who is dead by now, with what the index has of it."""
    columns = receiving.c
    found = (
        sa.select(receiving)
        .where(columns.seen_at < seen_before)
        .order_by(columns.seen_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    left = []
    for row in connection.execute(found).all():
        source = Source(row.door, row.address, row.calling_ae_title)
        until = row.seen_at + SEEN_SECONDS
        classes = _counted(connection, row.StudyInstanceUID, source, row.begun_at, until)
        left.append(Received(row.transfer, row.StudyInstanceUID, row.actor, source, row.begun_at, classes))
    return left


def _counted(
    connection: Connection, study_uid: str, source: Source, since: float, until: float
) -> dict[str, int]:
    """What of a study came from there in that time, and is stored."""
    found = (
        sa.select(instance.c.SOPClassUID, sa.func.count())
        .select_from(
            instance.join(series, instance.c.series_id == series.c.id)
            .join(study, series.c.study_id == study.c.id)
            .join(instance_detail, instance_detail.c.instance_id == instance.c.id)
        )
        .where(
            study.c.StudyInstanceUID == study_uid,
            instance.c.stored_at.between(since, until),
            instance_detail.c.door == source.door,
            instance_detail.c.address == source.address,
            instance_detail.c.calling_ae_title == source.calling_ae_title,
        )
        .group_by(instance.c.SOPClassUID)
    )
    return {uid: number for uid, number in connection.execute(found)}
