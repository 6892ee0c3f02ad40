"""Creating a workitem and changing it, and what it has to hold in the end (PS3.4 CC.2.5, CC.2.6, Table CC.2.5-3).

Attributes of type 1 are asked for; those of type 2 that are left out altogether are taken for empty, as many leave them
out. What may not be set later may be sent again as it is: who changes a label often sends the whole data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.attribute_ids import keyword, path_name
from archive.dicom.errors import (
    FinalStateNotMet,
    InvalidValue,
    MissingAttribute,
    MissingValue,
    NotScheduled,
    ScheduledByCreation,
)
from archive.dicom.receiving.received import DataSet, bulk_data_uris
from archive.dicom.workitems import attributes as table
from archive.dicom.workitems.attributes import ATTRIBUTES, Attribute, Creation, Setting
from archive.dicom.worklist import values
from archive.dicom.worklist.entries import text

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
STATES = (SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED)
FINAL = frozenset({COMPLETED, CANCELED})

PRIORITIES = ("HIGH", "MEDIUM", "LOW")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is said where nobody does: the moment, as a DT, and to which worklist it belongs."""

    now: str
    worklist_label: str


def created(asked: Mapping[str, Mapping[str, Any]], defaults: Defaults) -> DataSet:
    """The workitem that an N-CREATE makes, in the state SCHEDULED. Raises MissingAttribute, MissingValue, NotScheduled,
    InvalidValue, InvalidUID."""
    for row in ATTRIBUTES.values():
        if row.creation is Creation.VALUE:
            _require(asked, row.tag)
    if text(asked, table.STATE) != SCHEDULED:
        raise NotScheduled("a workitem is created with ProcedureStepState SCHEDULED")
    made = {tag: dict(element) for tag, element in asked.items() if tag not in table.GIVEN_BY_THE_ARCHIVE}
    for row in ATTRIBUTES.values():
        if row.creation is Creation.EMPTY and has_value(made, row.tag):
            raise InvalidValue(f"{row.keyword} has to be empty when a workitem is created", int(row.tag, 16))
        made.setdefault(row.tag, {"vr": row.vr})
    if not text(made, table.WORKLIST_LABEL):
        made[table.WORKLIST_LABEL] = {"vr": "LO", "Value": [defaults.worklist_label]}
    _check(made)
    del made[table.TRANSACTION_UID]
    return _modified(made, defaults)


def changed(before: DataSet, asked: Mapping[str, Mapping[str, Any]], defaults: Defaults) -> DataSet:
    """The workitem after an N-SET: the attributes that are sent replace those that were there. Raises MissingValue,
    InvalidValue, InvalidUID, ScheduledByCreation."""
    left_out = table.GIVEN_BY_THE_ARCHIVE | {table.TRANSACTION_UID}
    wanted = {tag: dict(element) for tag, element in asked.items() if tag not in left_out}
    if text(wanted, table.STATE) == SCHEDULED != text(before, table.STATE):
        raise ScheduledByCreation("a workitem becomes SCHEDULED by being created, and in no other way")
    for tag in sorted(table.NOT_SET_LATER & set(wanted)):
        if _content(wanted.pop(tag)) != _content(before.get(tag, {})):
            raise InvalidValue(f"{keyword(int(tag, 16))} of a workitem cannot be changed", int(tag, 16))
    for tag in wanted:
        row = ATTRIBUTES.get(tag)
        if row is not None and row.setting is Setting.VALUE:
            _require(wanted, tag)
    _check(wanted)
    return _modified({**before, **wanted}, defaults)


def in_state(before: DataSet, state: str, defaults: Defaults) -> DataSet:
    """The workitem in another state."""
    return _modified({**before, table.STATE: {"vr": "CS", "Value": [state]}}, defaults)


def check_completed(workitem: DataSet) -> None:
    """Raises FinalStateNotMet unless it tells what was performed, where, from when to when (final state P)."""
    required = table.COMPLETE
    items = [item for item in _items(workitem, required.sequence) if item]
    item = items[0] if items else {}
    for tag in required.attributes:
        if not has_value(item, tag):
            path = path_name((int(required.sequence, 16), int(tag, 16)))
            raise FinalStateNotMet(f"{path} has no value: set it, then complete the workitem")


def with_cancellation(workitem: DataSet, information: Mapping[str, Mapping[str, Any]], now: str) -> DataSet:
    """What a canceled workitem has to hold (final state X): when it was canceled, and why. What nobody has said is said
    here: now, and for an unspecified reason."""
    items = [dict(item or {}) for item in _items(workitem, table.PROGRESS)] or [{}]
    item = items[0]
    for tag in (table.REASON, table.REASON_CODES):
        if has_value(information, tag):
            item[tag] = dict(information[tag])
    contact = {tag: dict(information[tag]) for tag in _CONTACT if has_value(information, tag)}
    if contact:
        item[table.CONTACTS] = {"vr": "SQ", "Value": [contact]}
    if not has_value(item, table.CANCELED_AT):
        item[table.CANCELED_AT] = {"vr": "DT", "Value": [now]}
    if not has_value(item, table.REASON_CODES):
        item[table.REASON_CODES] = {"vr": "SQ", "Value": [dict(table.UNSPECIFIED_REASON)]}
    items[0] = dict(sorted(item.items()))
    return {**workitem, table.PROGRESS: {"vr": "SQ", "Value": items}}


_CONTACT = (table.CONTACT_URI, table.CONTACT_NAME)


def check_information(information: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises InvalidValue, InvalidUID for what cannot be told of a cancellation."""
    _check(information)


def state_of(workitem: Mapping[str, Mapping[str, Any]]) -> str:
    """Procedure Step State."""
    return text(workitem, table.STATE)


def has_value(data_set: Mapping[str, Mapping[str, Any]], tag: str) -> bool:
    """Whether an attribute has a value that is not empty, or an item."""
    element = data_set.get(tag, {})
    if element.get("vr") == "SQ":
        return any(element.get("Value", ()))
    return bool(element.get("InlineBinary")) or any(
        value not in (None, "", {}) for value in element.get("Value", ())
    )


def _check(data_set: Mapping[str, Mapping[str, Any]]) -> None:
    """What it holds: values of their VRs, of those that there are, and items that say something."""
    if any(True for _ in bulk_data_uris(dict(data_set))):  # type: ignore[arg-type]
        raise InvalidValue("a workitem has no room for bulk data: leave it out")
    values.check(data_set)
    if len(data_set.get(table.PATIENT_ID, {}).get("Value", ())) > 1:
        raise InvalidValue("PatientID has one value", int(table.PATIENT_ID, 16))
    for tag, element in data_set.items():
        row = ATTRIBUTES.get(tag)
        if row is None:
            continue
        if element["vr"] != row.vr:
            raise InvalidValue(f"{row.keyword} is of VR {row.vr}", int(tag, 16))
        if row.values and has_value(data_set, tag) and text(data_set, tag) not in row.values:
            raise InvalidValue(f"{row.keyword} is one of {', '.join(row.values)}", int(tag, 16))
        _check_items(data_set, row)


def _check_items(data_set: Mapping[str, Mapping[str, Any]], row: Attribute) -> None:
    for item in _items(data_set, row.tag):
        for tag in row.inner:
            if not has_value(item or {}, tag):
                path = path_name((int(row.tag, 16), int(tag, 16)))
                raise MissingValue(f"{path} has no value", int(tag, 16))
        if row.codes and not any(has_value(item or {}, tag) for tag in table.CODE_VALUES):
            raise MissingValue(f"an item of {row.keyword} has no code value", int(row.tag, 16))


def _require(data_set: Mapping[str, Mapping[str, Any]], tag: str) -> None:
    number = int(tag, 16)
    if tag not in data_set:
        raise MissingAttribute(f"{keyword(number)} is absent", number)
    if not has_value(data_set, tag):
        raise MissingValue(f"{keyword(number)} has no value", number)


def _modified(workitem: Mapping[str, Mapping[str, Any]], defaults: Defaults) -> DataSet:
    stamped = {**workitem, table.MODIFIED: {"vr": "DT", "Value": [defaults.now]}}
    return {tag: dict(element) for tag, element in sorted(stamped.items())}


def _items(data_set: Mapping[str, Mapping[str, Any]], tag: str) -> Iterator[Mapping[str, Any]]:
    element = data_set.get(tag, {})
    if element.get("vr") == "SQ":
        yield from (item or {} for item in element.get("Value", ()))


def _content(element: Mapping[str, Any]) -> object:
    """What is compared: an empty attribute is as good as an absent one, and padding says nothing."""
    return _CONTENT["SQ" if element.get("vr") == "SQ" else ""](element)


def _values(element: Mapping[str, Any]) -> object:
    found = [value.strip() if isinstance(value, str) else value for value in element.get("Value", ())]
    return [value for value in found if value not in (None, "", {})]


def _sequence(element: Mapping[str, Any]) -> object:
    return [
        {tag: said for tag, inner in (item or {}).items() if (said := _content(inner))}
        for item in element.get("Value", ())
    ]


_CONTENT: Mapping[str, Callable[[Mapping[str, Any]], object]] = {"SQ": _sequence, "": _values}
