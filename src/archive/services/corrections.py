"""Corrections: what is said of a patient or a study is put right, in every object that says it.

    update    a patient's name, birth date and so on; or a study's accession number and so on
    merge     all that a prior patient has becomes the surviving patient's; where nobody has the surviving ID yet, the
              patient gets another ID
    move      one study becomes another patient's
    undo      everything says again what it said before

What is stored is what every reader sees, so a correction rewrites objects (`correction_work`), and what comes in later
and still says what was corrected is corrected on its way in (`late_arrivals`). A correction is entered, together with
the job of carrying it out, in one transaction: whoever was told of it can rely on it. Small ones are carried out at
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog

from archive.dicom.demographics import (
    ISSUER,
    OF_PATIENT,
    OF_STUDY,
    PATIENT_ID,
    SEQUENCES_OF_ID,
    SEQUENCES_OF_PATIENT,
    checked,
    checked_key,
    tag_of,
)
from archive.dicom.errors import ArchiveError, InstanceConflict, InvalidEntry, NotFound
from archive.dicom.patient_key import PatientKey
from archive.index import correction_rules, corrections
from archive.index.correction_rules import IDENTITY_TAG, former_identity, former_value, of_patient, of_study
from archive.index.corrections import CORRECTION_DUE, Correction, Kind, State, Wanted
from archive.index.database import Connection, Database
from archive.services import patient_entries
from archive.services.correcting import text_of
from archive.services.correction_work import CorrectionWork

__all__ = ["CORRECTION_DUE", "Correction", "Corrections", "Kind", "PatientKey", "State"]

_log = structlog.get_logger()

AT_ONCE_INSTANCES = 40
"""With so many objects a correction is carried out while whoever asked for it waits."""


class Corrections:
    """The corrections, for command line, API and HL7."""

    def __init__(self, database: Database, work: CorrectionWork) -> None:
        self._database = database
        self._work = work

    def knows(self, key: PatientKey) -> bool:
        """Whether something is stored of this patient, or is about to be by a correction."""
        with self._database.read() as connection:
            return _says(connection, key) is not None

    def last(
        self,
        limit: int = 1000,
        states: Iterable[State] = (),
        patient: PatientKey | None = None,
        study_instance_uid: str = "",
    ) -> Sequence[Correction]:
        """The last ones, newest first; of these states, this patient on either side, this study, where named."""
        with self._database.read() as connection:
            return corrections.last(connection, limit, states, patient, study_instance_uid)

    def get(self, number: int) -> Correction:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _known(corrections.find(connection, number))

    def studies(self, number: int) -> Mapping[str, tuple[str, str]]:
        """How far a correction has come in each study, and why not further."""
        with self._database.read() as connection:
            return corrections.studies(connection, number)

    def update_patient(
        self, key: PatientKey, attributes: Mapping[str, str], by: str, reason: str = ""
    ) -> list[int]:
        """Let all objects of a patient say this of it, by keyword; an empty value takes away what they say. The numbers
        of the corrections that follow: none where nothing that is stored has to be changed. The worklist follows.

        Raises InvalidEntry, OutOfResources, OutcomeUnknown (entered or not: ask again)."""
        key, attributes = checked_key(key), checked(attributes, OF_PATIENT)

        def change(connection: Connection) -> list[int]:
            correction_rules.enter_alone(connection)
            return _update_patient(connection, key, attributes, by, reason)

        return self._entered(self._database.write(change))

    def merge(
        self,
        prior: PatientKey,
        surviving: PatientKey,
        attributes: Mapping[str, str],
        by: str,
        reason: str = "",
    ) -> list[int]:
        """Let all that the prior patient has be the surviving patient's, who is said to have these attributes; also
        where one of them is not known, as objects may still be on their way. As `update_patient`.

        Raises InstanceConflict where the prior patient was merged into yet another one, and what that raises."""
        prior, surviving = checked_key(prior), checked_key(surviving)
        attributes = checked(attributes, OF_PATIENT)

        def change(connection: Connection) -> list[int]:
            correction_rules.enter_alone(connection)
            return _merge(connection, prior, surviving, attributes, by, reason)

        return self._entered(self._database.write(change))

    def move_study(
        self,
        study_instance_uid: str,
        target: PatientKey,
        attributes: Mapping[str, str],
        by: str,
        reason: str = "",
    ) -> list[int]:
        """Let a study be another patient's: nothing of the former one stays in it. As `update_patient`.

        Raises NotFound; InvalidEntry where that patient is not known and not named."""
        target, attributes = checked_key(target), checked(attributes, OF_PATIENT)

        def change(connection: Connection) -> list[int]:
            correction_rules.enter_alone(connection)
            return _move_study(connection, study_instance_uid, target, attributes, by, reason)

        return self._entered(self._database.write(change))

    def update_study(
        self, study_instance_uid: str, attributes: Mapping[str, str], by: str, reason: str = ""
    ) -> list[int]:
        """Let all objects of a study say this of it. As `update_patient`. Raises NotFound."""
        attributes = checked(attributes, OF_STUDY)

        def change(connection: Connection) -> list[int]:
            correction_rules.enter_alone(connection)
            return _update_study(connection, study_instance_uid, attributes, by, reason)

        return self._entered(self._database.write(change))

    def undo(self, number: int, by: str, reason: str = "") -> list[int]:
        """Let everything say again what it said before this correction, also what has come since.

        Raises NotFound, InstanceConflict where it cannot be undone (now)."""

        def change(connection: Connection) -> list[int]:
            correction_rules.enter_alone(connection)
            return _undo(connection, number, by, reason)

        return self._entered(self._database.write(change))

    def retry(self, number: int) -> None:
        """Try again what could not be corrected. Raises NotFound, InstanceConflict when nothing has failed."""

        def change(connection: Connection) -> None:
            one = _known(corrections.find(connection, number, lock=True))
            if one.state != State.FAILED:
                raise InstanceConflict("nothing of this correction has failed: its state says how far it is")
            corrections.again(connection, number)

        self._database.write(change)
        self._entered([number])

    def work(self, number: int) -> Iterator[None]:
        """What the jobs do of it, in steps. Raises OutOfResources."""
        return self._work.work(number)

    def resume(self) -> None:
        """Leave anew to the jobs what they have given up to carry out."""
        self._database.write(corrections.resume)

    def expire(self, days: int) -> int:
        """Let go of former bytes of corrections that were made so many days ago, for 0 of none; how many."""
        return self._work.expire(days)

    def _entered(self, numbers: list[int]) -> list[int]:
        for number in numbers:
            _log.info("correction_entered", correction=number)
        if numbers and self._is_small(numbers):
            try:
                for _ in self._work.work(max(numbers)):
                    pass
            except ArchiveError as error:
                _log.warning("correction_left_to_the_jobs", correction=max(numbers), reason=error.reason)
        return numbers

    def _is_small(self, numbers: Sequence[int]) -> bool:
        with self._database.read() as connection:
            others = any(one.id not in numbers for one in corrections.pending(connection))
            return not others and corrections.size(connection, numbers) <= AT_ONCE_INSTANCES


# --- what each means ---


def _update_patient(
    connection: Connection, key: PatientKey, attributes: Mapping[str, str], by: str, reason: str
) -> list[int]:
    if correction_rules.resolve(connection, key) != key:
        raise InstanceConflict("this patient was merged into another one: correct that one")
    said = _says(connection, key)
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
    coming = [one for one in corrections.pending(connection) if one.target == key]
    rows += [one.attributes for one in coming] + [
        corrections.patient_row(connection, one.patient) for one in coming
    ]
    number = corrections.add(connection, Wanted(Kind.UPDATE_PATIENT, key, key, changed, by, reason))
    _enter_formers(connection, number, of_patient(key), changed, [*rows, None])
    patient_entries.updated(connection, number, key, attributes)
    return [number]


def _merge(
    connection: Connection,
    prior: PatientKey,
    surviving: PatientKey,
    attributes: Mapping[str, str],
    by: str,
    reason: str,
) -> list[int]:
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
    numbers = _update_patient(connection, target, attributes, by, reason) if attributes else []
    if before == target:
        return numbers  # was done before, and everything that follows from it
    said = {**(_says(connection, target) or {}), **attributes}
    values = {PATIENT_ID: target.PatientID, ISSUER: target.IssuerOfPatientID}
    values |= {keyword: said[keyword] for keyword in OF_PATIENT if said.get(keyword)}
    values |= dict.fromkeys(SEQUENCES_OF_ID, "")
    number = corrections.add(connection, Wanted(Kind.MERGE, prior, target, values, by, reason))
    correction_rules.add(connection, number, of_patient(prior), IDENTITY_TAG, [""])
    patient_entries.merged(connection, number, prior, target, attributes)
    return [*numbers, number]


def _move_study(
    connection: Connection, uid: str, target: PatientKey, attributes: Mapping[str, str], by: str, reason: str
) -> list[int]:
    former, _ = _study(connection, uid)
    target = correction_rules.resolve(connection, target)
    now = _owner(connection, former, uid)
    if now == target:
        raise InvalidEntry("the study is this patient's")
    said = _says(connection, target)
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


def _update_study(
    connection: Connection, uid: str, attributes: Mapping[str, str], by: str, reason: str
) -> list[int]:
    key, row = _study(connection, uid)
    pending = [one for one in corrections.pending(connection) if one.StudyInstanceUID == uid]
    changed = {k: v for k, v in attributes.items() if pending or _text(row, k) != v}
    if not changed:
        return []
    wanted = Wanted(Kind.UPDATE_STUDY, key, key, changed, by, reason, StudyInstanceUID=uid)
    number = corrections.add(connection, wanted)
    _enter_formers(connection, number, of_study(uid), changed, [row, *(one.attributes for one in pending)])
    return [number]


def _undo(connection: Connection, number: int, by: str, reason: str) -> list[int]:
    one = _known(corrections.find(connection, number, lock=True))
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


def _says(connection: Connection, key: PatientKey) -> dict[str, str] | None:
    """What is said of a patient when all corrections are carried out; None for one that nothing is of."""
    row = corrections.patient_row(connection, key)
    found = None if row is None else {k: text for k in OF_PATIENT if (text := _text(row, k))}
    for one in corrections.pending(connection):
        if one.kind == Kind.UNDO:
            continue
        if one.target == key and (found is not None or one.patient != key):
            found = {**(found or {}), **{k: v for k, v in one.attributes.items() if k in OF_PATIENT}}
    return found


def _owner(connection: Connection, key: PatientKey, uid: str) -> PatientKey:
    """Whose a study is when all corrections are carried out."""
    for one in corrections.pending(connection):
        is_its = one.patient == key if one.kind == Kind.MERGE else one.StudyInstanceUID == uid
        if is_its and one.kind in (Kind.MERGE, Kind.MOVE_STUDY):
            key = one.target
    return key


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


def _known(one: Correction | None) -> Correction:
    if one is None:
        raise NotFound("there is no correction of this number: see `archive patients history`")
    return one
