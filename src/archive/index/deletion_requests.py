"""Deletions: who asked for them and why, who decided, what they took out of the index, and the certificate."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from archive.dicom.instance import Scope
from archive.index import rows, terms
from archive.index.corrections_schema import corrected_object, rewritten
from archive.index.database import Connection
from archive.index.rejections_schema import rejected_copy, rejection
from archive.index.retention_schema import deleted_object, deletion_request
from archive.index.schema import conflict, instance, series, study
from archive.index.sql import among


class Level(enum.StrEnum):
    """What is deleted."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


class State(enum.StrEnum):
    """How far a deletion is."""

    WAITING = "waiting"
    """For a second person."""
    REFUSED = "refused"
    DELETED = "deleted"
    """Nobody finds it any more; its bytes are about to go."""
    DONE = "done"
    """Its bytes have gone, and the certificate says so."""


class What(enum.StrEnum):
    """What a destroyed object was."""

    STORED = "stored"
    KEPT_ASIDE = "kept aside"
    FORMER = "former bytes"
    UNFINISHED = "written anew"
    REJECTED = "rejected"
    NOTE = "rejection note"


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be deleted: of a patient the ID and its issuer, else UIDs from the study down."""

    PatientID: str = ""
    IssuerOfPatientID: str = ""
    StudyInstanceUID: str = ""
    SeriesInstanceUID: str = ""
    SOPInstanceUID: str = ""

    @property
    def level(self) -> Level:
        """The lowest that is named."""
        if self.SOPInstanceUID:
            return Level.INSTANCE
        if self.SeriesInstanceUID:
            return Level.SERIES
        return Level.STUDY if self.StudyInstanceUID else Level.PATIENT

    def within(self, study_uid: str) -> Scope:
        """What of this study it means."""
        return Scope(
            (study_uid,),
            tuple(filter(None, (self.SeriesInstanceUID,))),
            tuple(filter(None, (self.SOPInstanceUID,))),
        )


@dataclass(frozen=True, slots=True)
class Order:
    """A deletion: what, and why. With `everything` goes also what is open or rejected; `overrides`: although it has to
    be kept for longer."""

    target: Target
    reason: str = ""
    everything: bool = False
    overrides: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A deletion that was asked for; moments are 0 and texts empty as long as there is nothing to say."""

    id: int
    level: str
    PatientID: str
    IssuerOfPatientID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    SOPInstanceUID: str
    reason: str
    everything: bool
    overrides: bool
    asked_by: str
    asked_at: float
    instances: int
    state: str
    decided_by: str
    decided_at: float
    decided_because: str
    deleted_at: float
    certificate_sha256: str
    certified_at: float

    @property
    def target(self) -> Target:
        """What is to be deleted."""
        return Target(*(getattr(self, name) for name in Target.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Destroyed:
    """An object, of which the bytes go, or have gone. The digest is of its data set, as the index has it."""

    blob_key: str
    SOPInstanceUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    what: str
    sha256: str
    length: int


_COLUMNS = [deletion_request.c[name] for name in Request.__dataclass_fields__]
_OBJECT = [deleted_object.c[name] for name in Destroyed.__dataclass_fields__]


def enter(connection: Connection, order: Order, by: str, instances: int, state: State) -> int:
    """Enter a deletion; its number."""
    now, target = time.time(), order.target
    values: dict[str, Any] = {
        "level": target.level,
        **{name: terms.text(getattr(target, name)) for name in Target.__dataclass_fields__},
        "reason": order.reason,
        "everything": order.everything,
        "overrides": order.overrides,
        "asked_by": by,
        "asked_at": now,
        "instances": instances,
        "state": state,
        "deleted_at": now if state is State.DELETED else 0.0,
        **dict.fromkeys(("decided_by", "decided_because", "certificate", "certificate_sha256"), ""),
        **dict.fromkeys(("decided_at", "certified_at"), 0.0),
    }
    key = deletion_request.c.id
    return int(connection.execute(sa.insert(deletion_request).values(values).returning(key)).scalar_one())


def find(connection: Connection, number: int, *, lock: bool = False) -> Request | None:
    """The deletion of this number. With `lock` nobody else decides about it until the transaction ends."""
    found = sa.select(*_COLUMNS).where(deletion_request.c.id == number)
    row = connection.execute(found.with_for_update() if lock else found).first()
    return Request(*row) if row else None


def requests(connection: Connection, states: Sequence[State] = (), limit: int = 1000) -> list[Request]:
    """The last ones, newest first; of these states where those are named."""
    found = sa.select(*_COLUMNS).order_by(deletion_request.c.id.desc()).limit(limit)
    wanted = [str(one) for one in states]
    return [
        Request(*row)
        for row in connection.execute(found.where(deletion_request.c.state.in_(wanted)) if wanted else found)
    ]


def waits(connection: Connection, target: Target) -> int:
    """The number of the deletion of the same that waits; 0 for none."""
    found = sa.select(deletion_request.c.id).where(deletion_request.c.state == State.WAITING, *_same(target))
    return int(connection.execute(found.limit(1)).scalar_one_or_none() or 0)


def is_known(connection: Connection, target: Target, by: str, states: Sequence[State]) -> bool:
    """Whether somebody has asked for the same, and it is in one of these states."""
    found = sa.select(sa.literal(1)).where(
        deletion_request.c.state.in_([str(one) for one in states]),
        deletion_request.c.asked_by == by,
        *_same(target),
    )
    return connection.execute(found.limit(1)).first() is not None


def _same(target: Target) -> list[sa.ColumnElement[bool]]:
    return [
        deletion_request.c[name] == terms.text(getattr(target, name)) for name in Target.__dataclass_fields__
    ]


def decide(connection: Connection, number: int, state: State, by: str, why: str) -> None:
    """Somebody has approved, so that it is deleted now, or has refused."""
    now = time.time()
    values: dict[str, Any] = {"state": state, "decided_by": by, "decided_at": now, "decided_because": why}
    values["deleted_at"] = now if state is State.DELETED else 0.0
    connection.execute(sa.update(deletion_request).where(deletion_request.c.id == number).values(values))


def add(connection: Connection, number: int, objects: Iterable[Destroyed]) -> None:
    """What a deletion destroys."""
    made = [
        {"deletion_request_id": number, "gone": False, **{name: getattr(one, name) for name in one.__slots__}}
        for one in objects
    ]
    if made:
        connection.execute(sa.insert(deleted_object), made)


def objects(connection: Connection, number: int) -> list[Destroyed]:
    """What a deletion destroys, in the order of UIDs."""
    order = (
        deleted_object.c[name]
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "blob_key")
    )
    found = sa.select(*_OBJECT).where(deleted_object.c.deletion_request_id == number).order_by(*order)
    return [Destroyed(*row) for row in connection.execute(found)]


def uids_of(connection: Connection, number: int) -> set[str]:
    """The SOP Instance UIDs of what a deletion destroys."""
    found = sa.select(deleted_object.c.SOPInstanceUID).where(deleted_object.c.deletion_request_id == number)
    return set(connection.execute(found).scalars())


def went(connection: Connection, number: int, keys: Sequence[str]) -> bool:
    """The bytes of these have gone; whether that was all, and no certificate says so yet."""
    one = find(connection, number, lock=True)
    if one is None or one.state != State.DELETED:
        return False
    mine = deleted_object.c.deletion_request_id == number
    connection.execute(
        sa.update(deleted_object).where(mine, among(deleted_object.c.blob_key, keys)).values(gone=True)
    )
    left = sa.select(sa.literal(1)).where(mine, deleted_object.c.gone.is_(False)).limit(1)
    return connection.execute(left).first() is None


def certify(connection: Connection, number: int, certificate: str, sha256: str, now: float) -> None:
    """Keep the certificate, which tells of all that was destroyed."""
    values = {
        "certificate": certificate,
        "certificate_sha256": sha256,
        "certified_at": now,
        "state": State.DONE,
    }
    connection.execute(sa.update(deletion_request).where(deletion_request.c.id == number).values(values))
    connection.execute(sa.delete(deleted_object).where(deleted_object.c.deletion_request_id == number))


def certificate(connection: Connection, number: int) -> str:
    """The certificate; empty as long as there is none."""
    found = sa.select(deletion_request.c.certificate).where(deletion_request.c.id == number)
    return connection.execute(found).scalar_one_or_none() or ""


# --- what a deletion means ---


def stored(connection: Connection, scope: Scope) -> list[Destroyed]:
    """What is stored in a scope, which names one study."""
    hierarchy = instance.join(series, instance.c.series_id == series.c.id).join(
        study, series.c.study_id == study.c.id
    )
    columns = (
        instance.c.blob_key,
        instance.c.SOPInstanceUID,
        series.c.SeriesInstanceUID,
        study.c.StudyInstanceUID,
        sa.literal(What.STORED.value),
        instance.c.sha256,
        instance.c.data_set_offset + instance.c.data_set_length,
    )
    tables = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
    within = [tables[name].c[name] == uid for name, uid in _named(scope)]
    found = sa.select(*columns).select_from(hierarchy).where(*within)
    return [Destroyed(*row) for row in connection.execute(found)]


_BESIDE: tuple[tuple[sa.Table, What, str], ...] = (
    (conflict, What.KEPT_ASIDE, "kept_sha256"),
    (corrected_object, What.FORMER, "sha256"),
    (rewritten, What.UNFINISHED, "sha256"),
    (rejected_copy, What.REJECTED, "sha256"),
    (rejection, What.NOTE, "sha256"),
)


def beside(connection: Connection, scope: Scope) -> list[Destroyed]:
    """What is kept in a scope beside what is stored, whether or not it goes as well."""
    found: list[Destroyed] = []
    for table, what, digest in _BESIDE:
        length: sa.ColumnElement[int] = sa.literal(0)
        if "data_set_length" in table.c:
            length = table.c.data_set_offset + table.c.data_set_length
        names = ("blob_key", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
        within = [table.c[name] == uid for name, uid in _named(scope)]
        told: list[Any] = [table.c[name] for name in names]
        asked = sa.select(*[*told, sa.literal(what.value), table.c[digest], length])
        found += [Destroyed(*row) for row in connection.execute(asked.where(table.c.blob_key != "", *within))]
    return found


def _named(scope: Scope) -> list[tuple[str, str]]:
    uids = (
        ("StudyInstanceUID", scope.study_instance_uids),
        ("SeriesInstanceUID", scope.series_instance_uids),
        ("SOPInstanceUID", scope.sop_instance_uids),
    )
    return [(name, rows.uid(found[0])) for name, found in uids if found]
