"""A rejection note on its way in: what it rejects leaves the index in the transaction that enters the note.

    quality reasons          hidden with the note, or no rejection at all: as `rejection.quality` says
    patient safety reasons   hidden with the note; what comes again is refused
    worklist entry           the same
    data retention           hidden with the note; what comes again is stored anew

(IHE RAD TF-3 4.66.4.1 to 4.66.4.4.) A note is carried out as a whole or refused as a whole. It is refused when what it
refers to does not stand where it says, is of another class, or belongs to another patient than the note: somebody has
mixed something up, and must not be followed. What is not here yet is kept out when it comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archive.dicom.errors import InstanceConflict, ObjectMismatch, ObjectTooLarge
from archive.dicom.instance import Instance, Scope, StoredInstance
from archive.dicom.receiving.commitment import Reference
from archive.dicom.rejection_notes import EVIDENCE, Reason, reason_of, references
from archive.index import (
    correction_rules,
    deletions,
    instances,
    kept,
    recording,
    rejected_copies,
    rejections,
    rows,
)
from archive.index.database import Connection
from archive.index.recording import Outcome
from archive.index.rejected_copies import Kept, Place
from archive.index.rejections import Rejection, State
from archive.services import duplicates, late_arrivals
from archive.services.duplicates import GRACE_SECONDS, Fate, Incoming, abandon

PATIENT_ID = 0x00100020
MOST_STUDIES = 500
"""In which one note rejects. Each is locked, and PostgreSQL has some 6,000 locks for everybody."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a rejection note says."""

    reason: Reason
    references: tuple[Reference, ...]

    @property
    def studies(self) -> set[str]:
        """In which it rejects something."""
        return {one.StudyInstanceUID for one in self.references}


def note_of(instance: Instance, shown: frozenset[Reason] = frozenset()) -> Note | None:
    """What the object rejects; None for any other object, and for a reason for which nothing is hidden here.

    Raises what `references` raises, and ObjectTooLarge."""
    reason = reason_of(instance)
    if reason is None or reason in shown:
        return None
    with kept.parsed(instance.metadata) as attributes:
        if attributes is None:
            raise ObjectTooLarge(
                "the rejection note refers to more than can be looked at at once: send several notes"
            )
        note = Note(reason, tuple(references(attributes)))
    if len(note.studies) > MOST_STUDIES:
        raise ObjectTooLarge(
            f"the rejection note refers to more than {MOST_STUDIES} studies: send several notes"
        )
    return note


def enter(connection: Connection, one: Incoming, note: Note) -> Fate:
    """Enter a note, and take out of the index what it refers to.

    Raises ObjectMismatch for one that cannot be followed, InstanceConflict for one that was taken back, and Outdated
    for one that is to be corrected before."""
    correction_rules.record_beside(connection)
    rejections.claim(connection, note.studies)
    late_arrivals.check(connection, one.instance)
    known = rejections.find_notes(connection, [one.instance.SOPInstanceUID])
    if known:
        return _known(connection, one, known[0])
    shown = instances.find_instance(connection, one.instance.SOPInstanceUID)
    if shown is not None and not instances.is_same(shown, one.instance, one.received):
        abandon(connection, one.blob_key)
        outcome = Outcome.OTHER_CONTENT
        return Fate(outcome, conflict_id=duplicates.refuse(connection, one, outcome))
    places = rejected_copies.places(connection, [ref.SOPInstanceUID for ref in note.references])
    _check_places(note, places)
    _check_patients(connection, one.instance, note)
    number = rejections.begin(connection, Kept(one.stored, one.source), note.reason)
    for study in sorted(note.studies):
        uids = [place.SOPInstanceUID for place in places.values() if place.StudyInstanceUID == study]
        if uids:
            rejected_copies.take_out(connection, number, study, uids)
    rejections.refer(
        connection, number, note.references, rejected_copies.held_of(connection, note.references)
    )
    if shown is not None:
        _hide(connection, shown)
    return Fate(Outcome.STORED, hidden=True)


def recorded(connection: Connection, one: Incoming) -> Fate | None:
    """What became of a note, or of what a note waits for, whose commit was not confirmed."""
    uid = one.instance.SOPInstanceUID
    if any(note.note.stored.blob_key == one.blob_key for note in rejections.find_notes(connection, [uid])):
        return Fate(Outcome.STORED, hidden=True)
    copy = rejected_copies.find_copy(connection, uid, one.blob_key)
    return Fate(Outcome.AWAITED, held=True, conflict_id=copy.rejection_id) if copy else None


def _known(connection: Connection, one: Incoming, known: Rejection) -> Fate:
    """The note has come before."""
    stored = known.note.stored
    if not instances.is_same(stored, one.instance, one.received):
        abandon(connection, one.blob_key)
        outcome = Outcome.OTHER_CONTENT
        return Fate(outcome, conflict_id=duplicates.refuse(connection, one, outcome))
    if known.state != State.ACTIVE:
        raise InstanceConflict(
            "this rejection note was taken back here: send a new one to reject again",
            sop_instance_uid=stored.SOPInstanceUID,
        )
    # Its bytes were not read now, those that have come were.
    rejections.renew(connection, known.id, Kept(one.stored, one.source))
    abandon(connection, stored.blob_key, GRACE_SECONDS)
    return Fate(Outcome.ALREADY_THERE, hidden=True)


def _check_places(note: Note, places: dict[str, Place]) -> None:
    for one in note.references:
        place = places.get(one.SOPInstanceUID)
        if place is None:
            continue
        if (place.StudyInstanceUID, place.SeriesInstanceUID) != (one.StudyInstanceUID, one.SeriesInstanceUID):
            raise ObjectMismatch("the note names an instance where it is not stored", EVIDENCE)
        if place.SOPClassUID != one.SOPClassUID:
            raise ObjectMismatch("the note names an instance by another SOP class than its own", EVIDENCE)


def _check_patients(connection: Connection, instance: Instance, note: Note) -> None:
    """Everything that the note speaks of belongs to its patient, and to one patient where it does not name it."""
    owners = _owners(connection, {instance.StudyInstanceUID, *note.studies})
    if any(recording.is_other_patient(owner, instance) for owner in owners):
        raise ObjectMismatch("the note is for another patient than what it rejects", PATIENT_ID)
    if not rows.patient(instance)[0] and len({(one.PatientID, one.IssuerOfPatientID) for one in owners}) > 1:
        raise ObjectMismatch("the note names no patient, and rejects instances of several", PATIENT_ID)


def _owners(connection: Connection, studies: Iterable[str]) -> list[Place]:
    found = (rejected_copies.whose(connection, uid) for uid in studies)
    return [one for one in found if one is not None]


def _hide(connection: Connection, shown: StoredInstance) -> None:
    """The note itself was stored when it meant nothing here: it goes where notes are."""
    scope = Scope((shown.StudyInstanceUID,), (shown.SeriesInstanceUID,), (shown.SOPInstanceUID,))
    for key in deletions.delete(connection, scope):
        abandon(connection, key, GRACE_SECONDS)
