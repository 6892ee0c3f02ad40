"""What subscribers of a workitem are told, and when (PS3.4 CC.2.4, Table CC.2.4-1)."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.receiving.received import DataSet
from archive.dicom.workitems import attributes as table
from archive.dicom.workitems.rules import CANCELED, has_value, state_of


class EventType(enum.IntEnum):
    """Event Type ID."""

    STATE_REPORT = 1
    CANCEL_REQUESTED = 2
    PROGRESS_REPORT = 3
    SCP_STATUS_CHANGE = 4
    ASSIGNED = 5


@dataclass(frozen=True, slots=True)
class Report:
    """One event: its type, and the Event Information as DICOM JSON."""

    type: EventType
    information: DataSet


def of_creation(workitem: DataSet) -> list[Report]:
    """A workitem is new: its state, and to whom it is assigned if anybody."""
    return [of_state(workitem), *_assigned(workitem)]


def of_state(workitem: DataSet) -> Report:
    """It has come into a state, or somebody has just subscribed. Why it was canceled is told with it."""
    told = {tag: dict(workitem[tag]) for tag in (table.STATE, table.READINESS)}
    if state_of(workitem) == CANCELED:
        item = next(_items(workitem, table.PROGRESS), {})
        told |= _of(item, (table.REASON, table.REASON_CODES))
    return Report(EventType.STATE_REPORT, told)


def of_change(before: DataSet, after: DataSet) -> list[Report]:
    """What an N-SET has changed that subscribers want to know."""
    reports = []
    if _differs(before, after, table.READINESS):
        reports.append(of_state(after))
    if _differs(before, after, table.PROGRESS) and has_value(after, table.PROGRESS):
        reports.append(Report(EventType.PROGRESS_REPORT, _of(after, (table.PROGRESS,))))
    if any(_differs(before, after, tag) for tag in (table.STATION_NAMES, table.HUMAN_PERFORMERS)):
        reports.extend(_assigned(after))
    return reports


def cancel_requested(information: Mapping[str, Mapping[str, Any]], requester: str) -> Report:
    """Somebody wants it canceled, for these reasons."""
    told = _of(information, (table.REASON, table.REASON_CODES, table.CONTACT_URI, table.CONTACT_NAME))
    return Report(EventType.CANCEL_REQUESTED, {**told, "00741236": {"vr": "AE", "Value": [requester]}})


def restarted() -> Report:
    """The archive has been started, and knows its workitems and their subscribers."""
    told = {"00741242": "RESTARTED", "00741244": "WARM START", "00741246": "WARM START"}
    return Report(
        EventType.SCP_STATUS_CHANGE, {tag: {"vr": "CS", "Value": [said]} for tag, said in told.items()}
    )


def _assigned(workitem: DataSet) -> Iterator[Report]:
    """One event for each person, with the stations; or one with the stations alone."""
    stations = _of(workitem, (table.STATION_NAMES,))
    for item in _items(workitem, table.HUMAN_PERFORMERS):
        person = _of(item, (table.HUMAN_PERFORMER_CODES, table.HUMAN_PERFORMER_ORGANIZATION))
        yield Report(EventType.ASSIGNED, {**stations, **person})
    if stations and not has_value(workitem, table.HUMAN_PERFORMERS):
        yield Report(EventType.ASSIGNED, stations)


def _of(data_set: Mapping[str, Mapping[str, Any]], tags: tuple[str, ...]) -> DataSet:
    return {tag: dict(data_set[tag]) for tag in tags if has_value(data_set, tag)}


def _differs(before: DataSet, after: DataSet, tag: str) -> bool:
    return before.get(tag, {}).get("Value") != after.get(tag, {}).get("Value")


def _items(workitem: DataSet, tag: str) -> Iterator[DataSet]:
    yield from (item or {} for item in workitem.get(tag, {}).get("Value", ()))
