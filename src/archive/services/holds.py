"""Holds on studies and patients, for command line and API: nothing of what is on hold is destroyed, by anybody."""

from __future__ import annotations

from copy import copy as copy_of

from archive.dicom.errors import InvalidEntry, NotAuthorized, NotFound
from archive.dicom.identifiers import check_uid
from archive.dicom.patient_key import PatientKey
from archive.index import holds
from archive.index.database import Connection, Database
from archive.index.holds import Hold
from archive.security.actor import Actor
from archive.security.views import View
from archive.services.auditing import Auditing

__all__ = ["Hold", "Holds"]

LONGEST_REASON = 1024
_STUDY_INSTANCE_UID = 0x0020000D


class Holds:
    """Who places and lifts them says why."""

    def __init__(self, database: Database, auditing: Auditing) -> None:
        self._database = database
        self._auditing = auditing
        self._sees_all = True

    def seen_by(self, _: View) -> Holds:
        """For somebody who sees some of the studies there are no holds, and they place none."""
        within = copy_of(self)
        within._sees_all = False
        return within

    def _check_sees_all(self) -> None:
        if not self._sees_all:
            raise NotAuthorized("holds are for those who see everything")

    def place(self, actor: Actor, reason: str, *, study: str = "", patient: PatientKey | None = None) -> Hold:
        """Place a hold on a study, stored here or not, or on a patient. Raises InvalidEntry, InvalidUID,
        OutOfResources, OutcomeUnknown."""
        self._check_sees_all()
        why = reason_of(reason)
        if bool(study) == bool(patient and patient.PatientID):
            raise InvalidEntry("hold: name either a study by its UID or a patient by its ID")
        if study:
            check_uid(study, _STUDY_INSTANCE_UID)

        def change(connection: Connection) -> Hold:
            studies = (study,) if study else ()
            number = holds.place(connection, None if study else patient, studies, why, actor.name)
            self._auditing.restricted(connection, actor, f"hold {number} was placed", f"hold {number}")
            return _known(holds.find(connection, number))

        return self._database.write(change)

    def lift(self, actor: Actor, number: int, reason: str) -> Hold:
        """Lift a hold. Raises NotFound, InvalidEntry, OutOfResources, OutcomeUnknown."""
        self._check_sees_all()
        why = reason_of(reason)

        def change(connection: Connection) -> Hold:
            if not holds.lift(connection, number, why, actor.name):
                raise NotFound(
                    "there is no hold of this number, or it was lifted: see `archive hold list --all`"
                )
            self._auditing.restricted(connection, actor, f"hold {number} was lifted", f"hold {number}")
            return _known(holds.find(connection, number))

        return self._database.write(change)

    def last(self, *, lifted: bool = False, limit: int = 1000) -> list[Hold]:
        """The last ones, newest first; also those that were lifted, where that is wanted."""
        if not self._sees_all:
            return []
        with self._database.read() as connection:
            return holds.holds(connection, lifted=lifted, limit=limit)

    def on(self, study: str) -> int:
        """The number of a hold that stands on this study, or on its patient; 0 for none. For everybody who may see the
        study: who deletes is told the same."""
        with self._database.read() as connection:
            return holds.held(connection, (study,)).get(study, 0)


def reason_of(text: str) -> str:
    """A reason as it is kept. Raises InvalidEntry where there is none."""
    reason = " ".join(text.split())
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise InvalidEntry(f"reason: say why, in at most {LONGEST_REASON} characters")
    return reason


def _known(one: Hold | None) -> Hold:
    if one is None:
        raise NotFound("there is no hold of this number: see `archive hold list --all`")
    return one
