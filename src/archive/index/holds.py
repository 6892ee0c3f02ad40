"""Holds: what nobody may destroy, by whose order, and whether something is among it.

A hold is on a study, or on a patient: then on each study that is theirs, was theirs when the hold was placed, or stops
being theirs while it stands, as it is corrected to another patient or all of it is rejected. Who destroys bytes asks
here first, in the transaction that does it, and holds are placed when nobody is at that: whichever comes first counts.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from archive.dicom.errors import OnHold
from archive.dicom.patient_key import PatientKey
from archive.index import rows, terms
from archive.index.database import Connection
from archive.index.retention_schema import held_study, hold
from archive.index.schema import study
from archive.index.sql import among, insert_unless_there

_LOCK = 0x686F6C64
"""Of all locks of PostgreSQL that have a number, the one that is about holds."""
_STANDS = hold.c.lifted_at == 0.0


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold; `lifted_at` is 0 as long as it stands. `studies` are those by name: of a patient, as far as they are or
    were theirs."""

    id: int
    PatientID: str
    IssuerOfPatientID: str
    reason: str
    placed_by: str
    placed_at: float
    lifted_at: float
    lifted_by: str
    lifted_because: str
    studies: tuple[str, ...] = ()


_COLUMNS = [hold.c[name] for name in Hold.__dataclass_fields__ if name != "studies"]


def destroy_beside(connection: Connection) -> None:
    """Others may destroy at the same time, but nobody places a hold until this transaction ends."""
    _lock(connection, "pg_advisory_xact_lock_shared")


def _lock(connection: Connection, function: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT {function}({_LOCK})")


def place(
    connection: Connection, key: PatientKey | None, study_uids: Iterable[str], why: str, by: str
) -> int:
    """Place a hold on a patient, or on studies; its number. Waits until whoever destroys something now has done so."""
    _lock(connection, "pg_advisory_xact_lock")
    values = {
        "PatientID": terms.text(key.PatientID) if key else "",
        "IssuerOfPatientID": terms.text(key.IssuerOfPatientID) if key else "",
        "reason": why,
        "placed_by": by,
        "placed_at": time.time(),
        "lifted_at": 0.0,
        "lifted_by": "",
        "lifted_because": "",
    }
    number = int(connection.execute(sa.insert(hold).values(values).returning(hold.c.id)).scalar_one())
    held = [rows.uid(uid) for uid in study_uids] + (studies_of(connection, key) if key else [])
    for uid in dict.fromkeys(held):
        insert_unless_there(connection, held_study, {"hold_id": number, "StudyInstanceUID": uid})
    return number


def lift(connection: Connection, number: int, why: str, by: str) -> bool:
    """Lift a hold; False where it does not stand any more, or never was."""
    mine = sa.and_(hold.c.id == number, _STANDS)
    values = {"lifted_at": time.time(), "lifted_by": by, "lifted_because": why}
    return bool(connection.execute(sa.update(hold).where(mine).values(values)).rowcount)


def find(connection: Connection, number: int) -> Hold | None:
    """The hold of this number."""
    return next(iter(_read(connection, sa.select(*_COLUMNS).where(hold.c.id == number))), None)


def holds(connection: Connection, *, lifted: bool = False, limit: int = 1000) -> list[Hold]:
    """The last ones, newest first; those that were lifted as well, where that is wanted."""
    found = sa.select(*_COLUMNS).order_by(hold.c.id.desc()).limit(limit)
    return _read(connection, found if lifted else found.where(_STANDS))


def studies_of(connection: Connection, key: PatientKey) -> list[str]:
    """The studies of a patient that are stored."""
    mine = (study.c.PatientID == terms.text(key.PatientID), _same_issuer(key.IssuerOfPatientID))
    return list(connection.execute(sa.select(study.c.StudyInstanceUID).where(*mine)).scalars())


def _same_issuer(issuer: str) -> sa.ColumnElement[bool]:
    return study.c.IssuerOfPatientID == terms.text(issuer)


def check(connection: Connection, study_uids: Collection[str], patient: PatientKey | None = None) -> None:
    """Whether what is of these studies may be destroyed in this transaction; and of this patient, where it says itself
    whose it is. Raises OnHold.

    Bytes of a study of which nothing is stored may be anybody's: they stay as long as any patient is on hold."""
    destroy_beside(connection)
    found = list(held(connection, study_uids).values())
    if patient is not None and patient.PatientID:
        found += connection.execute(sa.select(hold.c.id).where(*_on(patient))).scalars()
    if found:
        raise OnHold(f"on hold (hold {min(found)}): nothing of it is deleted before the hold is lifted")


def _on(patient: PatientKey) -> tuple[sa.ColumnElement[bool], ...]:
    identity, issuer = map(terms.text, (patient.PatientID, patient.IssuerOfPatientID))
    return _STANDS, hold.c.PatientID == identity, hold.c.IssuerOfPatientID == issuer


def held(connection: Connection, study_uids: Collection[str]) -> dict[str, int]:
    """Those of these studies that are on hold, each with the number of a hold."""
    uids = list(dict.fromkeys(rows.uid(uid) for uid in study_uids))
    standing: list[Any] = list(
        connection.execute(sa.select(hold.c.id, hold.c.PatientID, hold.c.IssuerOfPatientID).where(_STANDS))
    )
    if not uids or not standing:
        return {}
    by_name = (
        sa.select(held_study.c.StudyInstanceUID, held_study.c.hold_id)
        .join(hold, hold.c.id == held_study.c.hold_id)
        .where(_STANDS, among(held_study.c.StudyInstanceUID, uids))
    )
    found = {uid: int(number) for uid, number in connection.execute(by_name)}
    patients = {(row.PatientID, row.IssuerOfPatientID): int(row.id) for row in standing if row.PatientID}
    if not patients:
        return found
    stored = sa.select(study.c.StudyInstanceUID, study.c.PatientID, study.c.IssuerOfPatientID)
    whose = {
        uid: tuple(who)
        for uid, *who in connection.execute(stored.where(among(study.c.StudyInstanceUID, uids)))
    }
    for uid in uids:
        number = patients.get(whose[uid]) if uid in whose else min(patients.values())
        if number is not None:
            found.setdefault(uid, number)
    return found


def pin(connection: Connection, study_uid: str) -> None:
    """A study is about to become another patient's, or to leave the index: what holds it by its patient holds it by
    name from now on."""
    mine = sa.select(study.c.PatientID, study.c.IssuerOfPatientID).where(
        study.c.StudyInstanceUID == rows.uid(study_uid)
    )
    row = connection.execute(mine).first()
    if row is None or not row.PatientID:
        return
    its = sa.select(hold.c.id).where(
        _STANDS, hold.c.PatientID == row.PatientID, hold.c.IssuerOfPatientID == row.IssuerOfPatientID
    )
    for number in connection.execute(its).scalars().all():
        insert_unless_there(
            connection, held_study, {"hold_id": number, "StudyInstanceUID": rows.uid(study_uid)}
        )


def not_held(column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """That a study, of which this column has the UID, is not on hold: for what goes by its age. The same rule as in
    `held`."""
    by_name = sa.exists().where(
        held_study.c.StudyInstanceUID == column, held_study.c.hold_id == hold.c.id, _STANDS
    )
    its = sa.and_(
        study.c.StudyInstanceUID == column,
        hold.c.PatientID == study.c.PatientID,
        hold.c.IssuerOfPatientID == study.c.IssuerOfPatientID,
    )
    by_patient = sa.exists().where(hold.c.PatientID != "", _STANDS, its)
    stored = sa.exists().where(study.c.StudyInstanceUID == column)
    anybody = sa.exists().where(hold.c.PatientID != "", _STANDS)
    return sa.and_(~by_name, ~by_patient, sa.or_(stored, ~anybody))


def _read(connection: Connection, asked: sa.Select[Any]) -> list[Hold]:
    found = [Hold(*row) for row in connection.execute(asked)]
    studies: dict[int, list[str]] = {}
    named = sa.select(held_study).where(held_study.c.hold_id.in_([one.id for one in found]))
    for row in connection.execute(named.order_by(held_study.c.StudyInstanceUID)):
        studies.setdefault(row.hold_id, []).append(row.StudyInstanceUID)
    return [replace(one, studies=tuple(studies.get(one.id, ()))) for one in found]
