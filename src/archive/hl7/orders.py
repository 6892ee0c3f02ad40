"""What an order says of the worklist (IHE RAD TF-2 4.4 and 4.13 with appendix B; in HL7 v2.5.1 by the IPC segment).

A message has one patient and visit, then for each order ORC, its timing, and OBR with what is to be done. Each of these
is one scheduled procedure step; where OBR-20 names the same step again, OBR adds one more code of its protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archive.dicom.errors import CannotUnderstand, MissingValue
from archive.dicom.worklist import keyword_form
from archive.dicom.worklist.entries import CANCELED, COMPLETED, DISCONTINUED, FINAL, SCHEDULED, STARTED
from archive.hl7 import identifiers, names
from archive.hl7.message import Message, Segment
from archive.services.orders import Control, Order

Attributes = dict[str, Any]

CONTROLS: Mapping[str, Control] = {
    **dict.fromkeys(("NW", "XO", "XX", "RO"), Control.ENTER),
    **dict.fromkeys(("CA", "OC", "CR", "RP", "RU"), Control.CANCEL),
    **dict.fromkeys(("DC", "OD", "DR"), Control.DISCONTINUE),
    "SC": Control.STATE,
}
"""ORC-1 (HL7 table 0119). RP and RU name the order that is replaced, RO the one in its place."""

STATES: Mapping[str, str] = {
    "SC": SCHEDULED,
    "IP": STARTED,
    "CM": COMPLETED,
    "CA": CANCELED,
    "DC": DISCONTINUED,
    "A": STARTED,
}
"""ORC-5 (HL7 table 0038)."""

MAXIMUM_ORDERS = 100
"""Steps of one message: it is one transaction, for which all who store wait."""

_PRIORITIES = {"S": "STAT", "A": "HIGH", "P": "HIGH", "C": "HIGH", "R": "ROUTINE", "T": "MEDIUM"}
_ONCE = ("MSH", "PID", "PV1")
"""A second one would be of another message, patient or visit, and nothing tells to whom the orders belong."""
_PREGNANT, _DEFINITELY_PREGNANT = "B6", 3


@dataclass
class _Group:
    """One order: ORC and what follows it."""

    control: Segment
    details: list[Segment] = field(default_factory=list)
    timing: Segment | None = None
    imaging: list[Segment] = field(default_factory=list)
    study: Segment | None = None


def orders(message: Message, authorities: Sequence[str] = ()) -> list[Order]:
    """The orders of a message, in their order; `authorities` are those of the settings. Raises MissingValue,
    InvalidValue, CannotUnderstand."""
    _check_whole(message)
    shared = _patient(message, authorities) | _visit(message)
    groups = _groups(message)
    if not groups:
        raise MissingValue("the message has no ORC: which order is it about?")
    made = [order for group in groups for order in _orders(group, shared)]
    if len(made) > MAXIMUM_ORDERS:
        raise CannotUnderstand(f"the message has more than {MAXIMUM_ORDERS} steps: send several messages")
    return made


def _check_whole(message: Message) -> None:
    """One patient, and nothing that belongs to no order. Raises CannotUnderstand."""
    for name in _ONCE:
        if sum(1 for _ in message.all(name)) > 1:
            raise CannotUnderstand(
                f"the message has several {name}: whose are its orders? Send one message for each"
            )
    for segment in message.segments:
        if segment.name == "ORC":
            return
        if segment.name in ("OBR", "IPC"):
            raise CannotUnderstand(f"{segment.name} stands before ORC: which order is it about?")


def _groups(message: Message) -> list[_Group]:
    """Where OBR-20 of the same order names the same step again behind an ORC of its own (RAD-4), it is one group."""
    made: list[_Group] = []
    for group in _with_study(message):
        before = next((one for one in made if _is_one_step(one, group)), None)
        if before is None:
            made.append(group)
        else:
            before.details += group.details
    return made


def _with_study(message: Message) -> list[_Group]:
    """The one ZDS of a message that stands at its end (RAD-4), or before its orders, is about all of it."""
    found: list[_Group] = []
    study: Segment | None = None
    for segment in message.segments:
        if segment.name == "ORC":
            found.append(_Group(segment))
        elif found:
            _take(found[-1], segment)
        elif segment.name == "ZDS":
            study = segment
    if found and not any(group.study for group in found[:-1]):
        study = found[-1].study or study
        for group in found:
            group.study = study
    return found


def _is_one_step(one: _Group, other: _Group) -> bool:
    """Whether both groups are the same order, and have one more code of the same step."""
    if one.imaging or other.imaging or len(other.details) != 1 or not one.details:
        return False
    same_order = all(one.control.get(at) == other.control.get(at) for at in (1, 2, 3, 5))
    step = _step_key(other.details[0])
    return same_order and bool(step[-1]) and step in map(_step_key, one.details)


def _step_key(detail: Segment) -> tuple[str, str, str]:
    """Accession number, procedure, step."""
    return detail.get(18), detail.get(19), detail.get(20)


def _take(group: _Group, segment: Segment) -> None:
    if segment.name == "OBR":
        group.details.append(segment)
    elif segment.name == "IPC":
        group.imaging.append(segment)
    elif segment.name == "TQ1":
        group.timing = group.timing or segment
    elif segment.name == "ZDS":
        if group.study is not None and group.study.get(1) != segment.get(1):
            raise CannotUnderstand("an order has several ZDS: which study is it?")
        group.study = segment


def _orders(group: _Group, shared: Attributes) -> Iterator[Order]:
    control = CONTROLS.get(group.control.get(1))
    if control is None:
        raise CannotUnderstand("ORC-1 is no order control code that is known here (HL7 table 0119)")
    state = STATES.get(group.control.get(5), "")
    if control is Control.STATE and not state:
        raise CannotUnderstand("ORC-5 is no order status that is known here (HL7 table 0038)")
    steps = list(_imaging_steps(group) if group.imaging else _steps(group))
    if not steps:
        if control is Control.ENTER:
            raise MissingValue("the order has no OBR: what is to be done?")
        steps = [({}, {})]
    for procedure, step in steps:
        whole = shared | _order(group) | procedure | {"ScheduledProcedureStepSequence": [step]}
        data_set = keyword_form.data_set({word: value for word, value in whole.items() if value})
        yield Order(control, data_set, state if control is Control.STATE or state in FINAL else "")


Step = tuple[Attributes, Attributes]
"""What belongs to the requested procedure, and what to the scheduled step."""


def _steps(group: _Group) -> Iterator[Step]:
    """Of HL7 v2.3.1: one for each OBR, or for several that name the same step."""
    made: list[Step] = []
    by_id: dict[tuple[str, str, str], Attributes] = {}
    for detail in group.details:
        protocol = names.code(detail, 4, 4)
        step_id = detail.get(20)
        if step_id and _step_key(detail) in by_id:
            by_id[_step_key(detail)]["ScheduledProtocolCodeSequence"] += protocol
            continue
        step = _timing(group, detail) | {
            "Modality": detail.get(24).upper(),
            "ScheduledProcedureStepID": step_id,
            "ScheduledProcedureStepDescription": names.label(detail.get(4, 5) or detail.get(4, 2)),
            "ScheduledProtocolCodeSequence": protocol,
            "ScheduledPerformingPhysicianName": names.physician(detail, 34),
        }
        by_id[_step_key(detail)] = step
        study = {"StudyInstanceUID": group.study.get(1) if group.study else ""}
        identity = {"AccessionNumber": detail.get(18), "RequestedProcedureID": detail.get(19)}
        made.append((_procedure(detail) | identity | study, step))
    return ((procedure, _present(step)) for procedure, step in made)


def _imaging_steps(group: _Group) -> Iterator[Step]:
    """Of HL7 v2.5.1: one for each IPC, or for several that name the same step."""
    made: dict[str, Step] = {}
    detail = group.details[0] if group.details else None
    for number, one in enumerate(group.imaging):
        step_id, protocol = one.get(4), names.code(one, 6)
        if step_id and step_id in made:
            made[step_id][1]["ScheduledProtocolCodeSequence"] += protocol
            continue
        step = _timing(group, detail) | {
            "Modality": one.get(5).upper(),
            "ScheduledProcedureStepID": step_id,
            "ScheduledProcedureStepDescription": names.label(one.get(6, 2)),
            "ScheduledProtocolCodeSequence": protocol,
            "ScheduledStationName": _all(one, 7),
            "ScheduledProcedureStepLocation": one.get(8),
            "ScheduledStationAETitle": _all(one, 9),
            "ScheduledPerformingPhysicianName": names.physician(detail, 34) if detail else None,
        }
        identity = {
            "AccessionNumber": one.get(1),
            "RequestedProcedureID": one.get(2),
            "StudyInstanceUID": one.get(3),
        }
        made[step_id or str(number)] = ((_procedure(detail) if detail else {}) | identity, step)
    return ((procedure, _present(step)) for procedure, step in made.values())


def _procedure(detail: Segment) -> Attributes:
    requested = 44 if detail.get(44) or detail.get(44, 2) else 4
    return {
        "RequestedProcedureDescription": names.label(detail.get(requested, 2) or detail.get(requested)),
        "RequestedProcedureCodeSequence": names.code(detail, requested),
        "RequestingPhysician": names.physician(detail, 16),
        "PatientState": names.label(detail.get(12)),
        "MedicalAlerts": names.label(detail.get(13)),
        "PatientTransportArrangements": names.label(detail.get(30)),
        "ReasonForTheRequestedProcedure": names.label(detail.get(31, 2) or detail.get(31)),
    }


def _order(group: _Group) -> Attributes:
    control, detail = group.control, group.details[0] if group.details else group.control
    priority = (
        (group.timing.get(9) if group.timing else "")
        or control.get(7, 6)
        or (detail.get(27, 6) if detail is not control else "")
    )
    placer, filler = (control if control.get(at) else detail for at in (2, 3))
    return {
        "PlacerOrderNumberImagingServiceRequest": placer.get(2),
        "OrderPlacerIdentifierSequence": names.giver(placer, 2) if placer.get(2) else [],
        "FillerOrderNumberImagingServiceRequest": filler.get(3),
        "OrderFillerIdentifierSequence": names.giver(filler, 3) if filler.get(3) else [],
        "RequestingService": names.label(control.get(17, 2) or control.get(17)),
        "RequestedProcedurePriority": _PRIORITIES.get(priority[:1], ""),
    }


def _timing(group: _Group, detail: Segment | None) -> Attributes:
    """From TQ1-7, else ORC-7.4, else OBR-27.4."""
    said = (group.timing.get(7) if group.timing else "") or group.control.get(7, 4)
    said = said or (detail.get(27, 4) if detail else "")
    day, time = names.appointment(said)
    if said and not day:
        raise CannotUnderstand(
            "the time of the order (TQ1-7, ORC-7.4, OBR-27.4) is none: it has to be YYYYMMDD[HHMM[SS]][+ZZZZ]"
        )
    return {"ScheduledProcedureStepStartDate": day, "ScheduledProcedureStepStartTime": time}


def _patient(message: Message, authorities: Sequence[str]) -> Attributes:
    segment = message.first("PID")
    if segment is None:
        raise MissingValue("the message has no PID: who is the patient?")
    patient = identifiers.chosen(segment, 3, authorities)
    return {
        "PatientID": patient.PatientID,
        "IssuerOfPatientID": patient.issuer,
        "PatientName": names.person(segment, 5),
        "PatientBirthDate": names.moment(segment.get(7))[0],
        "PatientSex": names.SEXES.get(segment.get(8)[:1], ""),
        "Allergies": [
            text for one in message.all("AL1") if (text := names.label(one.get(3, 2) or one.get(3)))
        ],
        "AdmissionID": segment.get(18),
    }


def _visit(message: Message) -> Attributes:
    segment = message.first("PV1")
    if segment is None:
        return {}
    conditions = [segment.get(15, repetition=number) for number in segment.repetitions(15)]
    others = ", ".join(one for one in conditions if one and one != _PREGNANT)
    return {
        "CurrentPatientLocation": names.place(segment, 3),
        "ReferringPhysicianName": names.physician(segment, 8),
        "PregnancyStatus": _DEFINITELY_PREGNANT if _PREGNANT in conditions else None,
        "SpecialNeeds": names.label(others),
        "ConfidentialityConstraintOnPatientDataDescription": names.label(segment.get(16)),
    } | ({"AdmissionID": segment.get(19)} if segment.get(19) else {})


def _all(segment: Segment, number: int) -> list[str]:
    found = (segment.get(number, repetition=at) for at in segment.repetitions(number))
    return [text for text in found if text]


def _present(attributes: Attributes) -> Attributes:
    return {word: value for word, value in attributes.items() if value}
