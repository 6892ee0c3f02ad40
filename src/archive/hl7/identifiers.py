"""Which of a patient's identifiers are ours: PID-3 and MRG-1 are lists, of several systems and of several kinds.

Where the administrator names the authorities whose IDs modalities use (`hl7.assigning_authorities`), all of their
identifiers count, the first of them is the authority of whatever names none, and nothing else counts. Where nobody is
named, the first repetition counts, and with it only those that the same authority gave as the same kind: an account
number may be the same digits as another patient's ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archive.dicom.errors import CannotUnderstand, InvalidValue, MissingValue
from archive.dicom.patient_key import Identifier
from archive.dicom.worklist import values
from archive.hl7.message import Segment

PATIENT_KINDS = frozenset({"", "ANON", "MR", "MRT", "PI", "PN", "PT"})
"""Identifier type codes (HL7 table 0203) of what tells patients apart, not their accounts, visits or insurances."""

MAXIMUM_IDENTIFIERS = 100
"""Of one patient: each is looked for."""

_PATIENT_ID = 0x00100020


@dataclass(frozen=True, slots=True)
class Given:
    """One repetition (CX): the ID, the names of its assigning authority as far as there are any, and its type."""

    PatientID: str
    authorities: tuple[str, ...]
    kind: str

    def same_authority(self, other: Given) -> bool:
        """Whether one authority gave both; also where both name none."""
        return bool({*self.authorities} & {*other.authorities}) or self.authorities == other.authorities

    @property
    def issuer(self) -> str:
        """As Issuer of Patient ID: the namespace, else the universal ID."""
        return self.authorities[0] if self.authorities else ""


@dataclass(frozen=True, slots=True)
class Pair:
    """An identifier that is no longer to be used, and the one in its place."""

    prior: Identifier
    surviving: Identifier


def given(segment: Segment, field: int) -> list[Given]:
    """All repetitions that have an ID. Raises CannotUnderstand for one that is cut by a separator which is not
    escaped: its first part may be another patient's."""
    found: list[Given] = []
    if len(segment.repetitions(field)) > MAXIMUM_IDENTIFIERS:
        raise CannotUnderstand(f"{segment.name}-{field} has more than {MAXIMUM_IDENTIFIERS} identifiers")
    for at in segment.repetitions(field):
        if segment.has_subcomponents(field, at):
            raise CannotUnderstand(
                f"{segment.name}-{field}.1 holds a separator: in an identifier it has to be escaped"
            )
        number = segment.get(field, repetition=at)
        names = (segment.get(field, 4, part, repetition=at) for part in (1, 2))
        if number:
            _check(segment, field, number)
            found.append(Given(number, tuple(filter(None, names)), segment.get(field, 5, repetition=at)))
    return found


def chosen(segment: Segment, field: int, authorities: Sequence[str]) -> Given:
    """The one that is the Patient ID here. Raises MissingValue, CannotUnderstand."""
    return _chosen(segment, field, given(segment, field), authorities)


def all_of(segment: Segment, field: int, authorities: Sequence[str]) -> list[Identifier]:
    """All that tell the patient apart here, the Patient ID first. Raises MissingValue, CannotUnderstand."""
    every = given(segment, field)
    first = _chosen(segment, field, every, authorities)
    return [_identifier(one, first, authorities) for one in _ours(every, first, authorities)]


def pairs(patient: Segment, merge: Segment, authorities: Sequence[str]) -> list[Pair]:
    """What MRG-1 says to be no longer used, each with the identifier of PID-3 that the same authority gave as the same
    kind, else the same authority, else with the Patient ID. Raises MissingValue, InvalidValue, CannotUnderstand."""
    survivors = given(patient, 3)
    survivor = _chosen(patient, 3, survivors, authorities)
    survivors = _ours(survivors, survivor, authorities)
    priors = given(merge, 1)
    prior = _chosen(merge, 1, priors, authorities)
    made = []
    for one in _ours(priors, prior, authorities):
        other = _counterpart(one, survivors)
        if one.PatientID != other.PatientID or not _one_authority(one, other, authorities):
            made.append(Pair(_identifier(one, prior, authorities), _identifier(other, survivor, authorities)))
    if not made:
        raise InvalidValue("MRG-1 and PID-3 name the same identifier: there is nothing to merge", _PATIENT_ID)
    return made


def _chosen(segment: Segment, field: int, every: list[Given], authorities: Sequence[str]) -> Given:
    name = f"{segment.name}-{field}"
    if not every:
        raise MissingValue(f"{name} has no PatientID: who is the patient?", _PATIENT_ID)
    if not authorities:
        return every[0]
    for authority in authorities:
        for one in every:
            if one.kind in PATIENT_KINDS and authority in _authorities(one, authorities):
                return one
    raise MissingValue(
        f"{name} has no PatientID of an authority in hl7.assigning_authorities: send one, or name its authority there",
        _PATIENT_ID,
    )


def _ours(every: list[Given], first: Given, authorities: Sequence[str]) -> list[Given]:
    """Those that count, the first before all others."""
    if authorities:
        known = {*authorities}
        others = [
            one for one in every if one.kind in PATIENT_KINDS and known & {*_authorities(one, authorities)}
        ]
    else:
        others = [
            one
            for one in every
            if one.authorities and one.same_authority(first) and one.kind == first.kind in PATIENT_KINDS
        ]
    return [first, *(one for one in others if one != first)]


def _authorities(one: Given, authorities: Sequence[str]) -> tuple[str, ...]:
    """Who gave it: the first that is named in the settings where the message names nobody."""
    return one.authorities or tuple(authorities[:1])


def _one_authority(one: Given, other: Given, authorities: Sequence[str]) -> bool:
    return bool(
        {*_authorities(one, authorities)} & {*_authorities(other, authorities)}
    ) or one.same_authority(other)


def _counterpart(prior: Given, survivors: list[Given]) -> Given:
    alike = [one for one in survivors if one.same_authority(prior)]
    return next((one for one in alike if one.kind == prior.kind), (alike or survivors)[0])


def _identifier(one: Given, first: Given, authorities: Sequence[str]) -> Identifier:
    """Without settings, only for the Patient ID itself can what names no issuer be meant."""
    if authorities:
        names = _authorities(one, authorities)
        return Identifier(one.PatientID, names, authorities[0] in names)
    return Identifier(one.PatientID, one.authorities, None if one == first else False)


def _check(segment: Segment, field: int, number: str) -> None:
    try:
        values.check({"00100020": {"vr": "LO", "Value": [number]}})
    except InvalidValue as error:
        raise InvalidValue(f"{segment.name}-{field}: {error.reason}", _PATIENT_ID) from None
