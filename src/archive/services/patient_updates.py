"""What information systems say of patients: other demographics, two that are one, an ID that was wrong.

They speak of identifiers, each with the names of whoever gave it; the archive has patients by ID and issuer, often
without an issuer, as modalities leave it out. Here the one is found by the other, and nobody is guessed: an ID without
issuer is that of an identifier only if it can be nobody else's. What is to be done is then recorded as a correction,
which reaches objects, entries and performed steps, and what comes later under the former identity.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archive.dicom.errors import InstanceConflict, InvalidValue, NotFound, OtherPatient
from archive.dicom.patient_key import Identifier, PatientKey
from archive.index import correction_rules as index
from archive.index import corrections, worklist_patients
from archive.index.database import Database
from archive.services.corrections import Corrections
from archive.services.patient_entries import MERGED


@dataclass(frozen=True, slots=True)
class Merge:
    """Two identifiers of one patient, of whom this is said from now on. `changed`: there was but one, and the ID was
    wrong, so nobody may have the other one already."""

    prior: Identifier
    surviving: Identifier
    attributes: Mapping[str, str]
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """Studies that are of another patient than they say, of whom this is said."""

    StudyInstanceUIDs: Sequence[str]
    prior: Identifier
    surviving: Identifier
    attributes: Mapping[str, str]


class PatientUpdates:
    """What becomes of patients by what information systems say."""

    def __init__(self, database: Database, corrections: Corrections) -> None:
        self._database = database
        self._corrections = corrections

    def update(
        self, identifiers: Sequence[Identifier], attributes: Mapping[str, str], by: str, reason: str
    ) -> list[int]:
        """What is said of the patient who has these identifiers, the numbers of the corrections; none where nobody
        here is known by any of them, of which the first is the Patient ID. Raises OtherPatient, InvalidValue,
        MissingValue."""
        with self._database.read() as connection:
            keys = {*self._known(connection, identifiers[0])}
            for one in identifiers[1:]:
                with contextlib.suppress(OtherPatient):  # systems go on listing what was merged
                    keys |= {*self._known(connection, one)}
        if not attributes:
            return []
        return self._corrections.update_patients(sorted(keys), attributes, by, reason)

    def merge(self, merges: Sequence[Merge], by: str, reason: str) -> list[int]:
        """Make one of two, in their order, all or none; the numbers of the corrections. What nobody knows yet is noted
        as well: it may still come. Raises OtherPatient, InstanceConflict, InvalidValue, MissingValue."""
        with self._database.read() as connection:
            pairs = [(*pair, one.attributes) for one in merges for pair in self._pairs(connection, one)]
        return self._corrections.merge_all(pairs, by, reason)

    def move(self, move: Move, by: str, reason: str) -> list[int]:
        """Give studies to another patient; the numbers of the corrections. Raises NotFound, OtherPatient where one
        is of neither, InvalidValue, MissingValue."""
        with self._database.read() as connection:
            targets = {uid: self._target(connection, move, uid) for uid in move.StudyInstanceUIDs}
        numbers = []
        for uid, target in targets.items():
            if target is not None:
                numbers += self._corrections.move_study(uid, target, move.attributes, by, reason)
        return numbers

    def _target(self, connection: Any, move: Move, uid: str) -> PatientKey | None:
        """Whose the study is to be; None where it is already."""
        found = corrections.study_row(connection, uid)
        if found is None:
            raise NotFound(
                "nothing is stored of the study that ZDS-1 names: send the message again when it is"
            )
        owner, there = found[0], _there(connection, move.surviving)
        survivors = _forms(move.surviving, there)
        coming = [one.target for one in corrections.pending(connection) if one.StudyInstanceUID == uid]
        if (coming[-1] if coming else owner) in survivors:
            return None
        if owner not in _forms(move.prior, _there(connection, move.prior)):
            raise OtherPatient(
                "the study that ZDS-1 names is not of the patient in MRG-1: nothing was changed"
            )
        return _survivor(owner, survivors, there)

    def _known(self, connection: Any, identifier: Identifier) -> list[PatientKey]:
        """The patients here whom an identifier names. Raises OtherPatient where it is no longer to be used."""
        there = _there(connection, identifier)
        for key in _forms(identifier, there):
            if index.resolve(connection, key) != key:
                raise OtherPatient(MERGED)
        return [key for key in _forms(identifier, there) if key in there]

    def _pairs(self, connection: Any, merge: Merge) -> list[tuple[PatientKey, PatientKey]]:
        """Which patients are to be merged into which. Raises InstanceConflict, InvalidValue."""
        before, after = _there(connection, merge.prior), _there(connection, merge.surviving)
        priors, survivors = _forms(merge.prior, before), _forms(merge.surviving, after)
        if merge.changed:
            _check_free(connection, merge, priors, survivors)
        made = []
        ends = {index.resolve(connection, one) for one in survivors}
        for prior in priors:
            if prior in before or prior in _usual(priors):
                now = index.resolve(connection, prior)
                surviving = now if now in ends - {prior} else _survivor(prior, survivors, after)
                if surviving != prior:
                    made.append((prior, surviving))
        return made


def _there(connection: Any, identifier: Identifier) -> set[PatientKey]:
    """Everybody here with this ID, whoever gave it."""
    return worklist_patients.stored(connection, identifier.PatientID) | worklist_patients.scheduled(
        connection, identifier.PatientID
    )


def _forms(identifier: Identifier, there: Iterable[PatientKey]) -> list[PatientKey]:
    """All keys that stand for an identifier. Raises InvalidValue where an ID without issuer may be somebody else's."""
    bare = PatientKey(identifier.PatientID)
    if bare in identifier.named or identifier.home is False:
        return [*identifier.named]
    others = {key.IssuerOfPatientID for key in there} - {"", *identifier.authorities}
    if others and identifier.home is None:
        if bare in there:
            raise InvalidValue(
                "the archive has this Patient ID of several issuers and of none: say in hl7.assigning_authorities "
                "whose IDs come without an issuer",
                0x00100020,
            )
        return [*identifier.named]
    return [*identifier.named, bare]


def _usual(priors: list[PatientKey]) -> set[PatientKey]:
    """Those as which something may still come: by the first name of the authority, or without one."""
    return {priors[0], *(one for one in priors if not one.IssuerOfPatientID)}


def _survivor(prior: PatientKey, survivors: list[PatientKey], there: set[PatientKey]) -> PatientKey:
    """As whom the prior patient goes on: somebody who is here, with or without issuer like the prior one if both are
    here; else likewise."""
    alike = [one for one in survivors if bool(one.IssuerOfPatientID) == bool(prior.IssuerOfPatientID)]
    known = [one for one in (*alike, *survivors) if one in there]
    return (known or alike or survivors)[0]


def _check_free(
    connection: Any, merge: Merge, priors: Iterable[PatientKey], survivors: Iterable[PatientKey]
) -> None:
    """That an ID is not changed into somebody else's. Raises InstanceConflict."""
    stored = worklist_patients.stored(connection, merge.prior.PatientID).intersection(priors)
    before = {key for key in stored if index.resolve(connection, key) == key}
    after = worklist_patients.stored(connection, merge.surviving.PatientID).intersection(survivors)
    if before and after:
        raise InstanceConflict(
            "the archive has objects of both Patient IDs, so this is no change of one: nothing was changed. Send "
            "ADT^A40 if they are the same person"
        )
