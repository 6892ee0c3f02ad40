"""The record of corrections: what was asked for, by whom, how far it has come, and what objects said before."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from archive.dicom.demographics import ISSUER, PATIENT_ID
from archive.dicom.patient_key import PatientKey
from archive.index import outbox, rows, standing, terms
from archive.index.corrections_schema import corrected_object, corrected_study, correction
from archive.index.database import Connection
from archive.index.schema import instance, patient, series, study
from archive.index.schema import outbox as outbox_table

CORRECTION_DUE = "CorrectionDue"
"""Outbox event: corrections are to be carried out, this one at the latest; payload `{"id": …}`."""


class Kind(enum.StrEnum):
    """What is corrected."""

    UPDATE_PATIENT = "update-patient"
    MERGE = "merge"
    MOVE_STUDY = "move-study"
    UPDATE_STUDY = "update-study"
    UNDO = "undo"


class State(enum.StrEnum):
    """How far a correction, or a study of it, has come."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    """Not everything could be corrected; nothing was done by halves within a study."""
    UNDONE = "undone"
    """Taken back by another one."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction. `attributes` are keywords and values; the keys are those of the patient whose objects are
    corrected, and of whose they are to be, where that is something else."""

    id: int
    kind: str
    PatientID: str
    IssuerOfPatientID: str
    StudyInstanceUID: str
    to_PatientID: str
    to_IssuerOfPatientID: str
    undoes: int
    attributes: Mapping[str, str]
    made_by: str
    reason: str
    made_at: float
    state: str
    begun: bool
    done_at: float
    failure: str

    @property
    def patient(self) -> PatientKey:
        """Whose objects are corrected."""
        return PatientKey(self.PatientID, self.IssuerOfPatientID)

    @property
    def target(self) -> PatientKey:
        """Whose they are to be."""
        return PatientKey(self.to_PatientID, self.to_IssuerOfPatientID)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A correction that is to be made."""

    kind: Kind
    patient: PatientKey
    target: PatientKey
    attributes: Mapping[str, str]
    made_by: str
    reason: str
    StudyInstanceUID: str = ""
    undoes: int = 0


_COLUMNS = [correction.c[name] for name in Correction.__dataclass_fields__]


def add(connection: Connection, wanted: Wanted) -> int:
    """Enter a correction, and leave the job of carrying it out."""
    values = {
        "kind": wanted.kind.value,
        "PatientID": terms.text(wanted.patient.PatientID),
        "IssuerOfPatientID": terms.text(wanted.patient.IssuerOfPatientID),
        "to_PatientID": terms.text(wanted.target.PatientID),
        "to_IssuerOfPatientID": terms.text(wanted.target.IssuerOfPatientID),
        "StudyInstanceUID": rows.uid(wanted.StudyInstanceUID),
        "undoes": wanted.undoes,
        "attributes": orjson.dumps(dict(wanted.attributes)).decode(),
        "made_by": terms.text(wanted.made_by),
        "reason": terms.text(wanted.reason),
        "made_at": time.time(),
        "state": State.PENDING.value,
        "begun": False,
        "done_at": 0.0,
        "failure": "",
    }
    key = connection.execute(sa.insert(correction).values(values).returning(correction.c.id)).scalar_one()
    outbox.put(connection, CORRECTION_DUE, {"id": key})
    standing.changed(connection, [standing.of_correction(key)])
    return int(key)


def find(connection: Connection, number: int, *, lock: bool = False) -> Correction | None:
    """The correction of this number."""
    found = sa.select(*_COLUMNS).where(correction.c.id == number)
    row = connection.execute(found.with_for_update() if lock else found).first()
    return _made(row) if row else None


def next_due(connection: Connection, highest: int) -> Correction | None:
    """The first that is not carried out: one after the other, as each goes on from what the one before has made."""
    pending = sa.select(*_COLUMNS).where(correction.c.state == State.PENDING.value)
    row = connection.execute(
        pending.where(correction.c.id <= highest).order_by(correction.c.id).limit(1)
    ).first()
    return _made(row) if row else None


def pending(connection: Connection) -> list[Correction]:
    """All that are not carried out, in their order."""
    found = sa.select(*_COLUMNS).where(correction.c.state == State.PENDING.value).order_by(correction.c.id)
    return [_made(row) for row in connection.execute(found)]


def towards(connection: Connection, key: PatientKey, states: Iterable[State]) -> list[Correction]:
    """The corrections in these states, in their order, that say what this patient's objects are to say."""
    patient_id, issuer = _text(key)
    found = sa.select(*_COLUMNS).where(
        correction.c.to_PatientID == patient_id,
        correction.c.to_IssuerOfPatientID == issuer,
        correction.c.kind.in_((Kind.UPDATE_PATIENT.value, Kind.MERGE.value, Kind.MOVE_STUDY.value)),
        correction.c.state.in_([state.value for state in states]),
    )
    return [_made(row) for row in connection.execute(found.order_by(correction.c.id))]


def last(
    connection: Connection,
    limit: int,
    states: Iterable[State] = (),
    key: PatientKey | None = None,
    study_uid: str = "",
) -> list[Correction]:
    """The last ones, newest first; of these states, this patient on either side, this study, where those are named."""
    found = sa.select(*_COLUMNS).order_by(correction.c.id.desc()).limit(limit)
    wanted = [state.value for state in states]
    if wanted:
        found = found.where(correction.c.state.in_(wanted))
    if key is not None:
        found = found.where(_concerns(key))
    if study_uid:
        of_study = sa.select(corrected_study.c.correction_id).where(
            corrected_study.c.StudyInstanceUID == rows.uid(study_uid)
        )
        found = found.where(correction.c.id.in_(of_study))
    return [_made(row) for row in connection.execute(found)]


def later(connection: Connection, one: Correction) -> list[int]:
    """The corrections after this one that stand and go on from it: those that have changed a study of it, also on the
    way in, or are yet to be carried out and concern its patients."""
    mine = sa.union(*(sa.select(t.c.StudyInstanceUID).where(t.c.correction_id == one.id) for t in _CHANGED))
    same = [
        sa.select(t.c.correction_id).where(t.c.StudyInstanceUID.in_(mine.scalar_subquery())) for t in _CHANGED
    ]
    keys = [key for key in {one.patient, one.target} if key.PatientID]
    its_patients = sa.and_(
        correction.c.begun.is_(False), sa.or_(sa.false(), *(_concerns(key) for key in keys))
    )
    standing = correction.c.state.in_((State.PENDING.value, State.DONE.value, State.FAILED.value))
    goes_on = sa.or_(its_patients, *(correction.c.id.in_(found) for found in same))
    found = sa.select(correction.c.id).where(
        correction.c.id > one.id, standing, correction.c.kind != Kind.UNDO.value, goes_on
    )
    return list(connection.execute(found.order_by(correction.c.id)).scalars())


_CHANGED = (corrected_study, corrected_object)


def overtaken_by(connection: Connection, one: Correction) -> list[int]:
    """The corrections after this one that stand and have said, in a study that it has failed to change, what it would
    say there."""
    failed = sa.select(corrected_study.c.StudyInstanceUID).where(
        corrected_study.c.correction_id == one.id, corrected_study.c.state == State.FAILED.value
    )
    others = (Kind.UNDO, Kind.UPDATE_STUDY)
    kinds = [Kind.UPDATE_STUDY] if one.kind == Kind.UPDATE_STUDY else [k for k in Kind if k not in others]
    if one.kind == Kind.UNDO:
        kinds.append(Kind.UPDATE_STUDY)
    found = sa.select(correction.c.id).join(
        corrected_study, corrected_study.c.correction_id == correction.c.id
    )
    found = found.where(
        correction.c.id > one.id,
        correction.c.kind.in_([kind.value for kind in kinds]),
        correction.c.state != State.UNDONE.value,
        corrected_study.c.StudyInstanceUID.in_(failed),
        corrected_study.c.state != State.FAILED.value,
    )
    return list(connection.execute(found.order_by(correction.c.id)).scalars())


def set_state(connection: Connection, number: int, state: State, failure: str = "") -> None:
    """Note how far it has come."""
    standing.changed(connection, [standing.of_correction(number)])
    values = {"state": state.value, "failure": terms.text(failure), "done_at": time.time()}
    connection.execute(sa.update(correction).where(correction.c.id == number).values(values))


def again(connection: Connection, number: int) -> None:
    """Leave what has failed to be tried once more."""
    failed = sa.and_(corrected_study.c.correction_id == number, corrected_study.c.state == State.FAILED.value)
    connection.execute(sa.update(corrected_study).where(failed).values(state=State.PENDING.value, reason=""))
    values = {"state": State.PENDING.value, "failure": ""}
    connection.execute(sa.update(correction).where(correction.c.id == number).values(values))
    outbox.put(connection, CORRECTION_DUE, {"id": number})
    standing.changed(connection, [standing.of_correction(number)])


# --- studies ---


def begin(connection: Connection, one: Correction, study_instance_uids: Iterable[str]) -> None:
    """Note which studies it concerns."""
    values = {"correction_id": one.id, "state": State.PENDING.value, "reason": ""}
    found = [{**values, "StudyInstanceUID": uid} for uid in dict.fromkeys(study_instance_uids)]
    if found:
        connection.execute(sa.insert(corrected_study), found)
    connection.execute(sa.update(correction).where(correction.c.id == one.id).values(begun=True))
    standing.changed(connection, [standing.of_correction(one.id)])


def studies(connection: Connection, number: int) -> dict[str, tuple[str, str]]:
    """How far each study has come, and why not further."""
    found = sa.select(corrected_study.c.StudyInstanceUID, corrected_study.c.state, corrected_study.c.reason)
    mine = found.where(corrected_study.c.correction_id == number).order_by(corrected_study.c.StudyInstanceUID)
    return {row[0]: (row[1], row[2]) for row in connection.execute(mine)}


def is_pending(connection: Connection, number: int, uid: str) -> bool:
    """Whether one study is still to be changed over by a correction; nobody else does so in this transaction."""
    found = sa.select(corrected_study.c.state).where(
        corrected_study.c.correction_id == number, corrected_study.c.StudyInstanceUID == uid
    )
    return connection.execute(found.with_for_update()).scalar_one_or_none() == State.PENDING.value


def settle_study(connection: Connection, number: int, uid: str, state: State, reason: str = "") -> None:
    """Note how it went with one study."""
    standing.changed(connection, [standing.of_correction(number)])
    mine = sa.and_(corrected_study.c.correction_id == number, corrected_study.c.StudyInstanceUID == uid)
    values = {"state": state.value, "reason": terms.text(reason)}
    connection.execute(sa.update(corrected_study).where(mine).values(values))


def studies_of(connection: Connection, key: PatientKey) -> list[str]:
    """The studies of a patient, in the order in which they came."""
    found = sa.select(study.c.StudyInstanceUID).where(
        study.c.patient_id.in_(
            sa.select(patient.c.id).where(patient.c.identity == rows.identity(*_text(key)))
        )
    )
    return list(connection.execute(found.order_by(study.c.id)).scalars())


def patient_row(connection: Connection, key: PatientKey) -> dict[str, Any] | None:
    """What the index says of a patient, as DICOM JSON by tag; None when it does not know it."""
    found = sa.select(patient.c.attributes).where(patient.c.identity == rows.identity(*_text(key)))
    text = connection.execute(found).scalar_one_or_none()
    return None if text is None else dict(orjson.loads(text))


def rows_of(connection: Connection, key: PatientKey) -> list[dict[str, Any]]:
    """What the index says of each study of a patient, as DICOM JSON by tag."""
    its = sa.select(patient.c.id).where(patient.c.identity == rows.identity(*_text(key)))
    found = sa.select(study.c.attributes).where(study.c.patient_id.in_(its)).order_by(study.c.id)
    return [orjson.loads(text) for text in connection.execute(found).scalars()]


def is_small(connection: Connection, numbers: Iterable[int], objects: int, size: int) -> bool:
    """Whether these corrections concern so many objects now, and so many bytes, at most."""
    for number in numbers:
        one = find(connection, number)
        its = sa.select(patient.c.id).where(
            patient.c.identity == rows.identity(*_text(one.patient if one else _NOBODY))
        )
        concerned: sa.ColumnElement[bool] = study.c.patient_id.in_(its)
        if one is not None and one.StudyInstanceUID:
            concerned = study.c.StudyInstanceUID == one.StudyInstanceUID
        # Only as many objects as decide it are looked at.
        lengths = (
            sa.select(instance.c.data_set_length).select_from(_HIERARCHY).where(concerned).limit(objects + 1)
        )
        found = connection.execute(lengths).scalars().all()
        objects, size = objects - len(found), size - sum(found)
        if objects < 0 or size < 0:
            return False
    return True


_HIERARCHY = instance.join(series, instance.c.series_id == series.c.id).join(
    study, series.c.study_id == study.c.id
)
_NOBODY = PatientKey("")


def resume(connection: Connection) -> None:
    """Leave a job for what is pending and has none any more."""
    jobs = sa.select(outbox_table.c.payload).where(
        outbox_table.c.event == CORRECTION_DUE, outbox_table.c.given_up.is_(False)
    )
    numbers = {orjson.loads(payload)["id"] for payload in connection.execute(jobs).scalars()}
    last_pending = next(iter(reversed(pending(connection))), None)
    if last_pending is not None and not numbers:
        outbox.put(connection, CORRECTION_DUE, {"id": last_pending.id})


def study_row(connection: Connection, study_instance_uid: str) -> tuple[PatientKey, dict[str, Any]] | None:
    """Whose a study is, and what the index says of it, as DICOM JSON by tag."""
    found = sa.select(study.c[PATIENT_ID], study.c[ISSUER], study.c.attributes)
    row = connection.execute(found.where(study.c.StudyInstanceUID == rows.uid(study_instance_uid))).first()
    return None if row is None else (PatientKey(row[0], row[1]), dict(orjson.loads(row[2])))


def touched(connection: Connection, study_uid: str) -> bool:
    """Whether a study is just being corrected, or could not be."""
    unfinished = (State.PENDING.value, State.FAILED.value)
    found = sa.select(sa.literal(1)).where(
        corrected_study.c.StudyInstanceUID == rows.uid(study_uid), corrected_study.c.state.in_(unfinished)
    )
    if connection.execute(found.limit(1)).first() is not None:
        return True
    row = study_row(connection, study_uid)
    return row is not None and any(
        not one.begun and (one.StudyInstanceUID == rows.uid(study_uid) or row[0] in (one.patient, one.target))
        for one in pending(connection)
    )


def _concerns(key: PatientKey) -> sa.ColumnElement[bool]:
    patient_id, issuer = _text(key)
    return sa.or_(
        sa.and_(correction.c.PatientID == patient_id, correction.c.IssuerOfPatientID == issuer),
        sa.and_(correction.c.to_PatientID == patient_id, correction.c.to_IssuerOfPatientID == issuer),
    )


def _text(key: PatientKey) -> tuple[str, str]:
    return terms.text(key.PatientID), terms.text(key.IssuerOfPatientID)


def _made(row: Any) -> Correction:
    values = dict(row._mapping)
    return Correction(**{**values, "attributes": orjson.loads(str(values["attributes"]))})
