"""What a correction that is asked for means: what objects are to say, what follows for those that come later, and why
it cannot be. Everything here is part of the transaction that enters it, which is then the only one to enter rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archive.dicom.demographics import (
    ISSUER,
    OF_PATIENT,
    PATIENT_ID,
    SEQUENCES_OF_ID,
    SEQUENCES_OF_PATIENT,
    tag_of,
)
from archive.dicom.errors import InstanceConflict, InvalidEntry, NotFound
from archive.dicom.patient_key import PatientKey
from archive.index import correction_rules, corrections
from archive.index.correction_rules import IDENTITY_TAG, former_identity, former_value, of_patient, of_study
from archive.index.corrections import Correction, Kind, State, Wanted
from archive.index.database import Connection
from archive.services import patient_entries
from archive.services.correcting import text_of


def update_patient(
    connection: Connection, key: PatientKey, attributes: Mapping[str, str], by: str, reason: str
) -> list[int]:
    """A patient is said to have these attributes."""
    if correction_rules.resolve(connection, key) != key:
        raise InstanceConflict("this patient was merged into another one: correct that one")
    said = says(connection, key)
    rows: list[Any] = [corrections.patient_row(connection, key), *corrections.rows_of(connection, key)]
    changed = {
        keyword: value
        for keyword, value in attributes.items()
        if said is not None
        and (
            said.get(keyword, "") != value
            or any(_text(row, keyword) != value for row in rows if row is not None)
        )
    }
    if not changed:
        patient_entries.updated(connection, 0, key, attributes)
        return []
    coming = _towards(connection, key)
    rows += [one.attributes for one in coming]
    rows += [corrections.patient_row(connection, one.patient) for one in coming]
    number = corrections.add(connection, Wanted(Kind.UPDATE_PATIENT, key, key, changed, by, reason))
    _enter_formers(connection, number, of_patient(key), changed, [*rows, None])
    patient_entries.updated(connection, number, key, attributes)
    return [number]


def merge(
    connection: Connection,
    prior: PatientKey,
    surviving: PatientKey,
    attributes: Mapping[str, str],
    by: str,
    reason: str,
) -> list[int]:
    """Two patients are one."""
    target, before = (
        correction_rules.resolve(connection, surviving),
        correction_rules.resolve(connection, prior),
    )
    if prior == surviving:
        raise InvalidEntry("a patient cannot be merged into itself")
    if target == prior:
        raise InstanceConflict(
            "the other patient was merged into this one: undo that, or merge the other way"
        )
    if before not in (prior, target):
        raise InstanceConflict("this patient was merged into a third one: undo that first, see its history")
    numbers = update_patient(connection, target, attributes, by, reason) if attributes else []
    if before == target:
        return numbers  # was done before, and everything that follows from it
    said = {**(says(connection, target) or {}), **attributes}
    values = {PATIENT_ID: target.PatientID, ISSUER: target.IssuerOfPatientID}
    values |= {keyword: said[keyword] for keyword in OF_PATIENT if said.get(keyword)}
    values |= dict.fromkeys(SEQUENCES_OF_ID, "")
    number = corrections.add(connection, Wanted(Kind.MERGE, prior, target, values, by, reason))
    correction_rules.add(connection, number, of_patient(prior), IDENTITY_TAG, [""])
    patient_entries.merged(connection, number, prior, target, attributes)
    return [*numbers, number]


def move_study(
    connection: Connection, uid: str, target: PatientKey, attributes: Mapping[str, str], by: str, reason: str
) -> list[int]:
    """A study is another patient's."""
    former, _ = _study(connection, uid)
    target = correction_rules.resolve(connection, target)
    now = _owner(connection, former, uid)
    if now == target:
        raise InvalidEntry("the study is this patient's")
    said = says(connection, target)
    if said is None and not attributes.get("PatientName"):
        raise InvalidEntry("nothing is known of this patient: give at least a PatientName")
    said = {**(said or {}), **attributes}
    values = {PATIENT_ID: target.PatientID, ISSUER: target.IssuerOfPatientID}
    values |= {keyword: said.get(keyword, "") for keyword in OF_PATIENT}
    values |= dict.fromkeys(SEQUENCES_OF_PATIENT, "")
    wanted = Wanted(Kind.MOVE_STUDY, now, target, values, by, reason, StudyInstanceUID=uid)
    number = corrections.add(connection, wanted)
    formers = [former_identity(key) for key in (former, now, PatientKey(""))]
    correction_rules.add(connection, number, of_study(uid), IDENTITY_TAG, formers)
    patient_entries.moved(connection, number, uid, target, attributes)
    return [number]


def update_study(
    connection: Connection, uid: str, attributes: Mapping[str, str], by: str, reason: str
) -> list[int]:
    """A study is said to have these attributes."""
    key, row = _study(connection, uid)
    pending = [one for one in corrections.pending(connection) if one.StudyInstanceUID == uid]
    changed = {k: v for k, v in attributes.items() if pending or _text(row, k) != v}
    if not changed:
        return []
    wanted = Wanted(Kind.UPDATE_STUDY, key, key, changed, by, reason, StudyInstanceUID=uid)
    number = corrections.add(connection, wanted)
    _enter_formers(connection, number, of_study(uid), changed, [row, *(one.attributes for one in pending)])
    return [number]


def undo(connection: Connection, number: int, by: str, reason: str) -> list[int]:
    """A correction was wrong."""
    one = known(corrections.find(connection, number, lock=True))
    if one.kind == Kind.UNDO or one.state == State.UNDONE:
        raise InstanceConflict("this was undone, or undoes another: make the correction again instead")
    if one.state == State.PENDING:
        raise InstanceConflict("this correction is not carried out yet: undo it when it is")
    later = corrections.later(connection, one)
    if later:
        raise InstanceConflict(f"correction {later[-1]} goes on from this one: undo that first")
    correction_rules.remove(connection, number)
    patient_entries.undone(connection, number)
    corrections.set_state(connection, number, State.UNDONE, one.failure)
    uid = one.StudyInstanceUID
    wanted = Wanted(Kind.UNDO, one.target, one.patient, one.attributes, by, reason, uid, undoes=number)
    return [corrections.add(connection, wanted)]


def _enter_formers(
    connection: Connection, number: int, scope: str, attributes: Mapping[str, str], rows: Sequence[Any]
) -> None:
    """The rules by which what comes later, and says what is replaced here, is corrected. A row is of the index, or
    what an earlier correction sets; None says nothing at all."""
    for keyword, value in attributes.items():
        said = {_text(row, keyword) if row is not None else "" for row in rows} - {value}
        formers = [former_value(keyword, text) for text in sorted(said)]
        correction_rules.add(connection, number, scope, tag_of(keyword), formers)


def says(connection: Connection, key: PatientKey) -> dict[str, str] | None:
    """What is said of a patient when all corrections are carried out; None for one that nobody has spoken of."""
    row = corrections.patient_row(connection, key)
    found = None if row is None else {k: text for k in OF_PATIENT if (text := _text(row, k))}
    for one in _towards(connection, key):
        found = {**(found or {}), **{k: v for k, v in one.attributes.items() if k in OF_PATIENT}}
    return found


def _towards(connection: Connection, key: PatientKey) -> list[Correction]:
    """What corrections say of a patient that its row does not: those that are not carried out, and all as long as
    nothing has come of it."""
    standing = (State.PENDING, State.FAILED, State.DONE)
    is_stored = corrections.patient_row(connection, key) is not None
    return corrections.towards(connection, key, (State.PENDING,) if is_stored else standing)


def _owner(connection: Connection, key: PatientKey, uid: str) -> PatientKey:
    """Whose a study is when all corrections are carried out."""
    for one in corrections.pending(connection):
        is_its = one.patient == key if one.kind == Kind.MERGE else one.StudyInstanceUID == uid
        if is_its and one.kind in (Kind.MERGE, Kind.MOVE_STUDY):
            key = one.target
    return key


def check_known(connection: Connection, *keys: PatientKey) -> None:
    """Raises NotFound."""
    for key in keys:
        if says(connection, correction_rules.resolve(connection, key)) is None:
            raise NotFound("nothing is stored of one of these patients: see `archive patients list`")


def _study(connection: Connection, uid: str) -> tuple[PatientKey, dict[str, Any]]:
    found = corrections.study_row(connection, uid)
    if found is None:
        raise NotFound("nothing is stored of this study: search for it under /studies")
    return found


def _text(row: Mapping[str, Any], keyword: str) -> str:
    """What a row of the index says, or what a correction sets."""
    if keyword in row:
        return str(row[keyword])
    return text_of(row.get(f"{tag_of(keyword):08X}", {}))


def known(one: Correction | None) -> Correction:
    """Raises NotFound."""
    if one is None:
        raise NotFound("there is no correction of this number: see `archive patients history`")
    return one
