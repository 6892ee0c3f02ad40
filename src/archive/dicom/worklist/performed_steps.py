"""What a modality may tell of a performed procedure step, and when: N-CREATE, N-SET and the final state (PS3.4 F.7.2).

Attributes of type 1 are asked for. Those of type 2 that a modality leaves out altogether are taken for empty, as many
do, and so is Performed Series Sequence of a step that was DISCONTINUED before there was any series. Identity is not
negotiable: patient and scheduled steps are those of the N-CREATE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.attribute_ids import keyword, path_name
from archive.dicom.errors import InvalidValue, MissingAttribute, MissingValue, NoLongerChangeable
from archive.dicom.identifiers import check_uid
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist.entries import (
    ACCESSION,
    ISSUER,
    PATIENT_ID,
    PROCEDURE_ID,
    STEP_ID,
    STUDY_UID,
    text,
)

SOP_CLASS_UID = "1.2.840.10008.3.1.2.3.3"

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
MAY_NO_LONGER_BE_UPDATED = "Performed Procedure Step Object may no longer be updated"
"""The Error Comment of PS3.4 Table F.7.2-2, word for word."""

WRONG_ENTRY = ("110514", "DCM")
"""PS3.16 CID 9301: discontinued because the incorrect worklist entry was selected."""

STATUS = "00400252"
SCHEDULED_STEPS = "00400270"
SERIES = "00400340"
_SERIES_UID, _PROTOCOL_NAME = "0020000E", "00181030"
_SEQUENCES = frozenset({SCHEDULED_STEPS, SERIES})
_END_DATE, _END_TIME, _REASON = "00400250", "00400251", "00400281"
_SOP_COMMON = frozenset({"00080005", "00080016", "00080018"})

_TYPE_1_AT_CREATION = (SCHEDULED_STEPS, "00080060", "00400241", "00400244", "00400245", STATUS, "00400253")
"""Scheduled steps, modality, station AE title, start date and time, status, ID of the performed step."""

_NOT_SET_LATER = frozenset(
    {
        SCHEDULED_STEPS, "00100010", PATIENT_ID, ISSUER, "00100024", "00101002", "00100030", "00100040", "00081120",
        "00380010", "00380014", "00380060", "00380064", "00380062", "00400253", "00400241", "00400242", "00400243",
        "00400244", "00400245", "00080060", "00200010",
    }
)  # fmt: skip
"""Table F.7.2-1, column N-SET: "Not allowed"."""


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """To what a performed step says it belongs."""

    StudyInstanceUID: str
    ScheduledProcedureStepID: str
    RequestedProcedureID: str
    AccessionNumber: str


@dataclass(frozen=True, slots=True)
class Change:
    """A step after an N-SET; `not_set` are the attributes that were left as they are (PS3.7 C.4.2: 0107)."""

    data_set: DataSet
    not_set: tuple[int, ...] = ()


def created(asked: DataSet) -> DataSet:
    """The step that an N-CREATE makes. Raises MissingAttribute, MissingValue, InvalidValue, InvalidUID."""
    for tag in _TYPE_1_AT_CREATION:
        _require(asked, tag)
    if status_of(asked) != IN_PROGRESS:
        raise InvalidValue("a step is created with PerformedProcedureStepStatus IN PROGRESS", int(STATUS, 16))
    for item in _items(asked, SCHEDULED_STEPS):
        _require(item, STUDY_UID, (int(SCHEDULED_STEPS, 16),))
        check_uid(text(item, STUDY_UID), int(STUDY_UID, 16))
    _check_series(asked)
    return {tag: element for tag, element in asked.items() if tag not in _SOP_COMMON}


def changed(before: DataSet, asked: DataSet) -> Change:
    """The step after an N-SET. Raises NoLongerChangeable, MissingValue, MissingAttribute, InvalidValue, InvalidUID."""
    if status_of(before) != IN_PROGRESS:
        raise NoLongerChangeable(MAY_NO_LONGER_BE_UPDATED)
    _check_patient(before, asked)
    wanted = {tag: element for tag, element in asked.items() if tag not in _SOP_COMMON}
    fixed = [tag for tag in wanted if tag in _NOT_SET_LATER]
    after = {**before, **{tag: element for tag, element in wanted.items() if tag not in _NOT_SET_LATER}}
    if status_of(after) not in (IN_PROGRESS, COMPLETED, DISCONTINUED):
        raise InvalidValue(
            "PerformedProcedureStepStatus is one of IN PROGRESS, COMPLETED, DISCONTINUED", int(STATUS, 16)
        )
    _check_series(after)
    if status_of(after) != IN_PROGRESS:
        _check_final(after)
    not_set = tuple(int(tag, 16) for tag in fixed if not _same(before.get(tag), wanted[tag]))
    return Change(dict(sorted(after.items())), not_set)


def status_of(step: Mapping[str, Mapping[str, Any]]) -> str:
    """Performed Procedure Step Status."""
    return text(step, STATUS)


def scheduled_steps(step: DataSet) -> list[ScheduledStep]:
    """What it belongs to, in its order."""
    return [
        ScheduledStep(*(text(item, tag) for tag in (STUDY_UID, STEP_ID, PROCEDURE_ID, ACCESSION)))
        for item in _items(step, SCHEDULED_STEPS)
    ]


def was_a_mistake(step: DataSet) -> bool:
    """Whether it was discontinued because another entry of the worklist was meant: then nothing was done for this
    one."""
    codes = ((text(item, "00080100"), text(item, "00080102")) for item in _items(step, _REASON))
    return status_of(step) == DISCONTINUED and WRONG_ENTRY in codes


def series_uids(step: DataSet) -> list[str]:
    """The series that it made, in its order."""
    return [text(item, _SERIES_UID) for item in _items(step, SERIES)]


def _check_patient(before: DataSet, asked: DataSet) -> None:
    """Whoever names another patient speaks of another step."""
    if text(asked, PATIENT_ID) not in ("", text(before, PATIENT_ID)):
        raise InvalidValue("PatientID is not that of the step, and cannot be set", int(PATIENT_ID, 16))


def _check_final(step: DataSet) -> None:
    for tag in (_END_DATE, _END_TIME):
        _require(step, tag)
    if status_of(step) == COMPLETED:
        _require(step, SERIES)


def _check_series(step: DataSet) -> None:
    for item in _items(step, SERIES):
        for tag in (_SERIES_UID, _PROTOCOL_NAME):
            _require(item, tag, (int(SERIES, 16),))
        check_uid(text(item, _SERIES_UID), int(_SERIES_UID, 16))


def _require(data_set: DataSet, tag: str, within: tuple[int, ...] = ()) -> None:
    number = int(tag, 16)
    if tag not in data_set:
        raise MissingAttribute(f"{path_name((*within, number))} is absent", number)
    if not (any(True for _ in _items(data_set, tag)) if tag in _SEQUENCES else text(data_set, tag)):
        raise MissingValue(f"{keyword(number)} has no value", number)


def _items(data_set: DataSet, tag: str) -> Iterator[DataSet]:
    element = data_set.get(tag)
    found: Iterable[Any] = element.get("Value", ()) if element and element["vr"] == "SQ" else ()
    return (item or {} for item in found)


def _same(one: object, other: object) -> bool:
    return (
        one == other or (not one and not _has_value(other)) or (not _has_value(one) and not _has_value(other))
    )


def _has_value(element: object) -> bool:
    return isinstance(element, Mapping) and bool(element.get("Value"))
