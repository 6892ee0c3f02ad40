"""What a message says of patients (HL7 v2.5.1 chapter 3, IHE RAD TF-2 4.1 and 4.12): TABLE trigger event -> action.

PID says who it is and what is said of them, MRG-1 which identifier is no longer to be used. A field that is empty says
nothing; one that holds "" takes a value away (HL7 v2.5.1 2.5.3).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archive.dicom.errors import CannotUnderstand, MissingValue
from archive.dicom.patient_key import Identifier
from archive.hl7 import identifiers, names
from archive.hl7.message import Message, Segment
from archive.services.patient_updates import Merge, Move


class Action(enum.Enum):
    """What becomes of a message about a patient."""

    UPDATE = "name, birth date and sex of a patient who is known"
    MERGE = "what is of the patient in MRG-1 is of that in PID-3"
    CHANGE = "the same, for a Patient ID that was wrong"
    MOVE = "studies that ZDS-1 names are of the patient in PID-3"
    NOTHING = "nothing"


EVENTS: Mapping[str, Action] = {
    **dict.fromkeys(("A01", "A04", "A05", "A06", "A07", "A08", "A28", "A31"), Action.UPDATE),
    **dict.fromkeys(("A18", "A30", "A34", "A36", "A40"), Action.MERGE),
    "A47": Action.CHANGE,
    **dict.fromkeys(("A43", "A44", "A45"), Action.MOVE),
    **dict.fromkeys(
        ("A02", "A03", "A09", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A17"), Action.NOTHING
    ),
    **dict.fromkeys(("A20", "A21", "A22", "A23", "A25", "A26", "A27", "A29", "A32", "A33"), Action.NOTHING),
    **dict.fromkeys(
        ("A35", "A38", "A41", "A42", "A49", "A50", "A51", "A52", "A53", "A54", "A55"), Action.NOTHING
    ),
}
"""Trigger events (HL7 table 0003) of ADT. What comes and goes on a ward, accounts, and what is said to be deleted (A23,
A29) change nothing of what was examined."""

MAXIMUM_MERGES = 100
"""Of one message."""

_YEAR_OR_MONTH = re.compile(r"\d{4}(\d{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Update:
    """Who a patient is, and what is said of them, by keyword; "" where it is taken away."""

    identifiers: Sequence[Identifier]
    attributes: Mapping[str, str]


@dataclass
class _Group:
    """A patient, and what was somebody else's."""

    patient: Segment
    merges: list[Segment] = field(default_factory=list)


def event(message: Message) -> str:
    """The trigger event: MSH-9.2, else EVN-1."""
    named = message.first("EVN")
    return message.header.get(9, 2) or (named.get(1) if named else "")


def action(message: Message) -> Action | None:
    """What is to become of a message of type ADT; None: it is not known here."""
    return EVENTS.get(event(message))


def update(message: Message, authorities: Sequence[str]) -> Update:
    """What is said of the one patient of a message. Raises MissingValue, InvalidValue, CannotUnderstand."""
    [group, *others] = _groups(message)
    if others:
        raise CannotUnderstand("the message has several PID: send one message for each patient")
    return Update(identifiers.all_of(group.patient, 3, authorities), demographics(group.patient))


def merges(message: Message, authorities: Sequence[str]) -> list[Merge]:
    """What is to be merged, in the order of the message. Raises MissingValue, InvalidValue, CannotUnderstand."""
    changed = action(message) is Action.CHANGE
    made = []
    for group in _groups(message):
        said = demographics(group.patient)
        if not group.merges:
            raise MissingValue("a PID has no MRG after it: which identifier is no longer to be used?")
        for segment in group.merges:
            made += [
                Merge(pair.prior, pair.surviving, said, changed)
                for pair in identifiers.pairs(group.patient, segment, authorities)
            ]
    if len(made) > MAXIMUM_MERGES:
        raise CannotUnderstand(f"the message has more than {MAXIMUM_MERGES} merges: send several messages")
    return made


def move(message: Message, authorities: Sequence[str]) -> Move:
    """Which studies are of another patient: a visit or an account says nothing of what was examined, so the message has
    to name them (ZDS, IHE RAD TF-2 4.4). Raises MissingValue, InvalidValue, CannotUnderstand."""
    studies = [segment.get(1) for segment in message.all("ZDS") if segment.get(1)]
    if not studies:
        raise MissingValue(
            "the message names no study (ZDS-1), and nothing else tells what is to be moved: move the study with "
            "`archive patients move-study`"
        )
    [group, *others] = _groups(message)
    if others or len(group.merges) != 1:
        raise CannotUnderstand(
            "a message that moves studies has one PID and one MRG: send one for each patient"
        )
    pair = identifiers.pairs(group.patient, group.merges[0], authorities)[0]
    return Move(studies, pair.prior, pair.surviving, demographics(group.patient))


def demographics(segment: Segment) -> dict[str, str]:
    """PID-5, PID-7 and PID-8 as attributes by keyword. A date of birth that is known but for the day, and a sex that is
    unknown, say nothing: neither has a place in DICOM. The maiden name of the mother (PID-6) is not written into images
    that never said it. Raises MissingValue, CannotUnderstand."""
    if segment.is_deleted(5):
        raise MissingValue('PID-5 is "": a patient keeps a name')
    said = {
        "PatientName": _name(segment),
        "PatientBirthDate": _birth_date(segment),
        "PatientSex": names.SEXES.get(segment.get(8)[:1], ""),
    }
    numbers = {"PatientBirthDate": 7, "PatientSex": 8}
    deleted = {word for word, number in numbers.items() if segment.is_deleted(number)}
    return {word: value for word, value in said.items() if value or word in deleted}


def _name(segment: Segment) -> str:
    groups = names.person(segment, 5) or {}
    return "=".join(groups.get(one, "") for one in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


def _birth_date(segment: Segment) -> str:
    said = segment.get(7)
    day = names.moment(said)[0]
    if said and not day and not _YEAR_OR_MONTH.fullmatch(said):
        raise CannotUnderstand("PID-7 is no date: it has to be YYYYMMDD")
    return day


def _groups(message: Message) -> list[_Group]:
    """Each PID with the MRG that follow it. Raises MissingValue, CannotUnderstand."""
    found: list[_Group] = []
    for segment in message.segments[1:]:
        if segment.name == "MSH":
            raise CannotUnderstand("the message has several MSH: send one message for each")
        if segment.name == "PID":
            found.append(_Group(segment))
        elif segment.name == "MRG":
            if not found:
                raise CannotUnderstand("MRG stands before PID: who is the patient?")
            found[-1].merges.append(segment)
    if not found:
        raise MissingValue("the message has no PID: who is the patient?")
    return found
