"""What an entry of the modality worklist has to have, and how what is left out is filled in (PS3.4 K.6.1.2, PS3.3
C.4.10 to C.4.17).

An entry is one scheduled procedure step with all that is known of its requested procedure, order, visit and patient:
the Scheduled Procedure Step Sequence has one item (K.6.1.2.2). What somebody brings with several items becomes as many
entries. The attributes with a return key of type 1 always have a value; who wants them in the answer gets it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archive.dicom.attribute_ids import keyword
from archive.dicom.errors import InvalidValue, MissingValue
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import values

SCHEDULED, ARRIVED, READY, STARTED, DEPARTED = "SCHEDULED", "ARRIVED", "READY", "STARTED", "DEPARTED"
CANCELED, COMPLETED, DISCONTINUED = "CANCELED", "COMPLETED", "DISCONTINUED"

STATES = (SCHEDULED, ARRIVED, READY, STARTED, DEPARTED, COMPLETED, DISCONTINUED, CANCELED)
"""Values of Scheduled Procedure Step Status: those of PS3.3 C.4.10, then ours."""

FINAL = frozenset({COMPLETED, DISCONTINUED, CANCELED})

STEPS = "00400100"
STATUS = "00400020"
SCHEDULED_STEP_SEQUENCE, SCHEDULED_STEP_STATUS = int(STEPS, 16), int(STATUS, 16)
STUDY_UID, PROCEDURE_ID, STEP_ID = "0020000D", "00401001", "00400009"
PATIENT_ID, PATIENT_NAME, ISSUER = "00100020", "00100010", "00100021"
ACCESSION, PLACER, FILLER = "00080050", "00402016", "00402017"
PLACERS, FILLERS = "00400026", "00400027"
"""Order Placer and Order Filler Identifier Sequence: who gave the numbers."""
MODALITY, STATION = "00080060", "00400001"
START_DATE, START_TIME = "00400002", "00400003"

_PROCEDURE_DESCRIPTION, _PROCEDURE_CODES = "00321060", "00321064"
STEP_DESCRIPTION, _STEP_CODES = "00400007", "00400008"
_NOT_KEPT = frozenset({"00080005", "00080052"})
_VRS = {
    STUDY_UID: "UI", PROCEDURE_ID: "SH", STEP_ID: "SH", STATION: "AE", START_DATE: "DA", START_TIME: "TM",
    _PROCEDURE_DESCRIPTION: "LO", STEP_DESCRIPTION: "LO",
}  # fmt: skip
_TYPE_1 = (PATIENT_NAME, PATIENT_ID, STUDY_UID, PROCEDURE_ID)
_TYPE_1_OF_THE_STEP = (MODALITY, STATION, START_DATE, START_TIME, STEP_ID)

ANY_MODALITY = "*"
MAXIMUM_STEPS = 100
"""Of one study at a time; a procedure has a few."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is filled in where nobody says: stations by modality, the moment, and IDs that nobody else has."""

    now: datetime.datetime
    new_uid: Callable[[], str]
    new_id: Callable[[], str]
    stations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """By what entries are told apart and found."""

    StudyInstanceUID: str
    ScheduledProcedureStepID: str
    RequestedProcedureID: str
    AccessionNumber: str
    PatientID: str
    IssuerOfPatientID: str
    PlacerOrderNumberImagingServiceRequest: str
    FillerOrderNumberImagingServiceRequest: str
    ScheduledProcedureStepStartDate: str


def entries(brought: DataSet, defaults: Defaults) -> list[tuple[DataSet, str]]:
    """The entries that a data set stands for, each with its state, "" where it tells none. Raises MissingValue,
    InvalidValue, InvalidUID."""
    steps = brought.get(STEPS, {}).get("Value") or []
    if not steps:
        raise MissingValue(
            "ScheduledProcedureStepSequence has no item: what is to be done, and when?", int(STEPS, 16)
        )
    if len(steps) > MAXIMUM_STEPS:
        raise InvalidValue(
            f"ScheduledProcedureStepSequence has more than {MAXIMUM_STEPS} items", int(STEPS, 16)
        )
    shared = {tag: element for tag, element in brought.items() if tag not in _NOT_KEPT}
    _fill(shared, STUDY_UID, defaults.new_uid)
    _fill(shared, PROCEDURE_ID, defaults.new_id)
    made = [_entry(shared, dict(step or {}), defaults) for step in steps]
    ids = [facts(data_set).ScheduledProcedureStepID for data_set, _ in made]
    if len(set(ids)) < len(ids):
        raise InvalidValue("two items have the same ScheduledProcedureStepID", int(STEP_ID, 16))
    return made


def identified(brought: DataSet, before: DataSet) -> DataSet:
    """Other content for an entry, which keeps the IDs that it does not name: modalities may have got them already."""
    made = dict(brought)
    for tag in (STUDY_UID, PROCEDURE_ID, ISSUER):
        if not text(made, tag) and tag in before:
            made[tag] = before[tag]
    steps = [dict(step or {}) for step in brought.get(STEPS, {}).get("Value") or []]
    if len(steps) == 1 and not text(steps[0], STEP_ID):
        steps[0][STEP_ID] = step_of(before)[STEP_ID]
    return {**made, STEPS: {"vr": "SQ", "Value": steps}}


def facts(entry: DataSet) -> Facts:
    """The facts of a complete entry."""
    tags = (STUDY_UID, STEP_ID, PROCEDURE_ID, ACCESSION, PATIENT_ID, ISSUER, PLACER, FILLER, START_DATE)
    step = step_of(entry)
    return Facts(*(text(step if tag in (STEP_ID, START_DATE) else entry, tag) for tag in tags))


def given_by_others(one: DataSet, other: DataSet) -> bool:
    """Whether the order numbers of both were given by different systems, as far as both say: the same number is then
    another order's."""
    for sequence in (PLACERS, FILLERS):
        names = [next(_items(data_set, sequence), {}) for data_set in (one, other)]
        for tag in ("00400031", "00400032"):
            said = {text(name, tag) for name in names}
            if len(said) == 2 and "" not in said:
                return True
    return False


def with_state(entry: DataSet, state: str) -> DataSet:
    """The entry as it is offered: with its Scheduled Procedure Step Status."""
    step = {**step_of(entry), STATUS: {"vr": "CS", "Value": [state]}}
    return {**entry, STEPS: {"vr": "SQ", "Value": [dict(sorted(step.items()))]}}


def step_of(entry: DataSet) -> DataSet:
    """The one item of the Scheduled Procedure Step Sequence."""
    step: DataSet = entry[STEPS]["Value"][0]
    return step


def text(data_set: Mapping[str, Mapping[str, Any]], tag: str) -> str:
    """The first value of an attribute as text without padding, a name as PS3.5 writes it; "" without one."""
    found = data_set.get(tag, {}).get("Value") or [""]
    value = found[0]
    if isinstance(value, Mapping):
        groups = (str(value.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    return str(value if value is not None else "").strip(" ")


def check_state(state: str) -> str:
    """Raises InvalidValue for what is no state."""
    if state not in STATES:
        raise InvalidValue(f"the state of an entry is one of {', '.join(STATES)}", SCHEDULED_STEP_STATUS)
    return state


def _entry(shared: DataSet, step: DataSet, defaults: Defaults) -> tuple[DataSet, str]:
    state = text(step, STATUS)
    step.pop(STATUS, None)
    entry = dict(shared)
    _fill_step(step, defaults)
    _describe(entry, step)
    for tags, where in ((_TYPE_1, entry), (_TYPE_1_OF_THE_STEP, step)):
        for tag in tags:
            if not text(where, tag):
                raise _missing(tag, step)
    entry[STEPS] = {"vr": "SQ", "Value": [dict(sorted(step.items()))]}
    values.check(entry)
    return dict(sorted(entry.items())), check_state(state) if state else ""


def _missing(tag: str, step: DataSet) -> MissingValue:
    number = int(tag, 16)
    if tag == STATION and text(step, MODALITY):
        return MissingValue(
            "no ScheduledStationAETitle, and the setting worklist.stations names no station for this modality",
            number,
        )
    return MissingValue(f"{keyword(number)} has no value, and an entry needs one (PS3.4 K.6.1.2.2)", number)


def _fill_step(step: DataSet, defaults: Defaults) -> None:
    stations = defaults.stations
    known = stations.get(text(step, MODALITY), stations.get(ANY_MODALITY, ()))
    if not any(_texts(step, STATION)) and known:
        step[STATION] = {"vr": "AE", "Value": list(known)}
    _fill(step, STEP_ID, defaults.new_id)
    if not text(step, START_DATE):
        _fill(step, START_DATE, lambda: defaults.now.strftime("%Y%m%d"))
        _fill(step, START_TIME, lambda: defaults.now.strftime("%H%M%S"))
    _fill(step, START_TIME, lambda: "000000")


def _describe(entry: DataSet, step: DataSet) -> None:
    """Of the requested procedure and of the step, each has a description or a code; what only one of them has, both
    have. Raises MissingValue."""
    names = (
        _description(step, STEP_DESCRIPTION, _STEP_CODES),
        _description(entry, _PROCEDURE_DESCRIPTION, _PROCEDURE_CODES),
    )
    if not any(names):
        raise MissingValue(
            "neither ScheduledProcedureStepDescription nor RequestedProcedureDescription nor a code says what is to "
            "be done",
            int(STEP_DESCRIPTION, 16),
        )
    if not names[0]:
        _fill(step, STEP_DESCRIPTION, lambda: names[1])
    if not names[1]:
        _fill(entry, _PROCEDURE_DESCRIPTION, lambda: names[0])


def _description(data_set: DataSet, description: str, codes: str) -> str:
    """The description, else the meaning or value of the first code."""
    code = next(_items(data_set, codes), {})
    return text(data_set, description) or text(code, "00080104") or text(code, "00080100")


def _items(data_set: DataSet, tag: str) -> Iterator[DataSet]:
    for item in data_set.get(tag, {}).get("Value") or ():
        yield item or {}


def _texts(data_set: DataSet, tag: str) -> list[str]:
    return [str(value or "").strip(" ") for value in data_set.get(tag, {}).get("Value") or ()]


def _fill(data_set: DataSet, tag: str, make: Callable[[], str]) -> None:
    if not text(data_set, tag):
        data_set[tag] = {"vr": _VRS[tag], "Value": [make()]}
