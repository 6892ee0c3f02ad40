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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog

from archive.dicom.demographics import OF_PATIENT, OF_STUDY, checked, checked_key
from archive.dicom.errors import ArchiveError, InstanceConflict
from archive.dicom.patient_key import PatientKey
from archive.index import audit, correction_rules, corrections
from archive.index.corrections import CORRECTION_DUE, Correction, Kind, State
from archive.index.database import Connection, Database
from archive.security.actor import Actor
from archive.services import correction_orders as orders
from archive.services.auditing import Auditing
from archive.services.correction_work import CorrectionWork

__all__ = ["CORRECTION_DUE", "Correction", "Corrections", "Kind", "PatientKey", "State"]

_log = structlog.get_logger()

AT_ONCE_INSTANCES = 40
AT_ONCE_BYTES = 1 << 26
"""With so many objects, and bytes, a correction is carried out while whoever asked for it waits."""


class Corrections:
    """The corrections, for command line, API and HL7."""

    def __init__(self, database: Database, work: CorrectionWork, auditing: Auditing | None = None) -> None:
        self._database = database
        self._work = work
        self._auditing = auditing

    def knows(self, key: PatientKey) -> bool:
        """Whether something is stored of this patient, or is about to be by a correction."""
        with self._database.read() as connection:
            return orders.says(connection, key) is not None

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
            return orders.known(corrections.find(connection, number))

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
        return self.update_patients([key], attributes, by, reason)

    def update_patients(
        self, keys: Iterable[PatientKey], attributes: Mapping[str, str], by: str, reason: str = ""
    ) -> list[int]:
        """The same of several, who are one person to whoever asks: of all of them or of none."""
        asked, said = [checked_key(key) for key in keys], checked(attributes, OF_PATIENT)
        return self._enter(
            lambda connection: [
                number for key in asked for number in orders.update_patient(connection, key, said, by, reason)
            ]
        )

    def merge(
        self,
        prior: PatientKey,
        surviving: PatientKey,
        attributes: Mapping[str, str],
        by: str,
        reason: str = "",
        *,
        anyway: bool = True,
    ) -> list[int]:
        """Let all that the prior patient has be the surviving patient's, who is said to have these attributes; also
        where one of them is not known, as objects may still be on their way, unless not `anyway`. As `update_patient`.

        Raises InstanceConflict where the prior patient was merged into yet another one, NotFound where one has to be
        known and is not, and what that raises."""
        prior, surviving = checked_key(prior), checked_key(surviving)
        attributes = checked(attributes, OF_PATIENT)

        def change(connection: Connection) -> list[int]:
            if not anyway:
                orders.check_known(connection, prior, surviving)
            return orders.merge(connection, prior, surviving, attributes, by, reason)

        return self._enter(change)

    def merge_all(
        self, merges: Iterable[tuple[PatientKey, PatientKey, Mapping[str, str]]], by: str, reason: str = ""
    ) -> list[int]:
        """Several merges, one after the other: all of them or none. As `merge`."""
        asked = [(checked_key(one), checked_key(two), checked(said, OF_PATIENT)) for one, two, said in merges]
        return self._enter(
            lambda connection: [
                number for one in asked for number in orders.merge(connection, *one, by, reason)
            ]
        )

    def change_id(
        self, key: PatientKey, new: PatientKey, attributes: Mapping[str, str], by: str, reason: str = ""
    ) -> list[int]:
        """Give a patient an ID that nobody has. As `merge`. Raises NotFound, InstanceConflict where somebody has it."""
        key, new, attributes = checked_key(key), checked_key(new), checked(attributes, OF_PATIENT)

        def change(connection: Connection) -> list[int]:
            orders.check_known(connection, key)
            if orders.says(connection, correction_rules.resolve(connection, new)) is not None:
                raise InstanceConflict("somebody has this Patient ID already: merge the two if they are one")
            return orders.merge(connection, key, new, attributes, by, reason)

        return self._enter(change)

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

        return self._enter(
            lambda connection: orders.move_study(
                connection, study_instance_uid, target, attributes, by, reason
            )
        )

    def update_study(
        self, study_instance_uid: str, attributes: Mapping[str, str], by: str, reason: str = ""
    ) -> list[int]:
        """Let all objects of a study say this of it. As `update_patient`. Raises NotFound."""
        attributes = checked(attributes, OF_STUDY)

        return self._enter(
            lambda connection: orders.update_study(connection, study_instance_uid, attributes, by, reason)
        )

    def undo(self, number: int, by: str, reason: str = "") -> list[int]:
        """Let everything say again what it said before this correction, also what has come since.

        Raises NotFound, InstanceConflict where it cannot be undone (now)."""

        return self._enter(lambda connection: orders.undo(connection, number, by, reason))

    def retry(self, number: int) -> None:
        """Try again what could not be corrected. Raises NotFound, InstanceConflict when nothing has failed."""

        def change(connection: Connection) -> None:
            one = orders.known(corrections.find(connection, number, lock=True))
            if one.state != State.FAILED:
                raise InstanceConflict("nothing of this correction has failed: its state says how far it is")
            since = corrections.overtaken_by(connection, one)
            if since:
                raise InstanceConflict(
                    f"correction {since[-1]} has changed since then what failed here: undo that first, or make this "
                    "correction anew"
                )
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

    def _enter(self, change: Callable[[Connection], list[int]]) -> list[int]:
        def alone(connection: Connection) -> list[int]:
            correction_rules.enter_alone(connection)
            numbers = change(connection)
            self._record(connection, numbers)
            return numbers

        return self._entered(self._database.write(alone))

    def _record(self, connection: Connection, numbers: list[int]) -> None:
        """In the audit trail: of each patient, who corrects it."""
        if self._auditing is None:
            return
        for number in numbers:
            one = orders.known(corrections.find(connection, number))
            whom = [
                audit.patient_of(one.PatientID, one.IssuerOfPatientID),
                audit.patient_of(one.to_PatientID, one.to_IssuerOfPatientID),
            ]
            details = (("Correction", str(number)), ("Kind", str(one.kind)))
            actor = Actor("", user=one.made_by)
            self._auditing.patients_changed(connection, actor, filter(None, whom), details=details)

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
            most = AT_ONCE_INSTANCES, AT_ONCE_BYTES
            return not others and corrections.is_small(connection, numbers, *most)
