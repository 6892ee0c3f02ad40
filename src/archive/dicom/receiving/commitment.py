"""The modules of storage commitment: what is asked for, and what is answered (PS3.18 Annex J, PS3.4 Annex J).

A request names instances in a flat sequence or by study, series and SOP Class; the answer has the form of the request,
divided into what is committed to and what is not. DIMSE's N-ACTION and N-EVENT-REPORT know the flat form only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archive.dicom.errors import CannotUnderstand, MissingAttribute, ObjectTooLarge
from archive.dicom.identifiers import check_uid, tag_text
from archive.dicom.receiving.received import DataSet, first

MAXIMUM_REFERENCES = 20_000
"""Of one request."""

COMMITTED = 0
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
RESOURCE_LIMITATION = 0x0213
"""Values of Failure Reason (0008,1197), PS3.3 C.14.1.1; 0 stands for none."""

TRANSACTION_UID = 0x00081195

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The SOP class, and its one well-known SOP Instance (PS3.4 J.3.5)."""
REQUEST_STORAGE_COMMITMENT = 1
"""Action Type ID (PS3.4 table J.3-1)."""
SUCCESSFUL, FAILURES_EXIST = 1, 2
"""Event Type IDs (PS3.4 table J.3-2)."""

_REFERENCED_SOPS, _FAILED_SOPS = "00081199", "00081198"
_REFERENCED_STUDIES, _FAILED_STUDIES = "00081110", "0008119B"
_SERIES, _CLASSES, _INSTANCES = "00081115", "00081112", "0008114A"
_STUDY_UID, _SERIES_UID = "0020000D", "0020000E"
_CLASS_UID, _INSTANCE_UID = "00081150", "00081155"
_FAILURE_REASON = "00081197"
_TRANSACTION_UID, _RETRIEVE_AE_TITLE = "00081195", "00080054"


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance that somebody wants to be kept; study and series are empty in the flat form."""

    SOPClassUID: str
    SOPInstanceUID: str
    StudyInstanceUID: str = ""
    SeriesInstanceUID: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an instance is committed to (`failure_reason` is COMMITTED), or why not."""

    reference: Reference
    failure_reason: int


def references(data_sets: Iterable[DataSet]) -> list[Reference]:
    """What a request asks for, in its order. Raises CannotUnderstand, MissingAttribute, InvalidUID, ObjectTooLarge."""
    found: list[Reference] = []
    for data_set in data_sets:
        before = len(found)
        for reference in itertools.chain(_flat(data_set), _by_study(data_set)):
            found.append(reference)
            if len(found) > MAXIMUM_REFERENCES:
                raise ObjectTooLarge(f"more than {MAXIMUM_REFERENCES} instances in one request: make several")
        if len(found) == before:
            raise _nothing_named()
    if not found:
        raise _nothing_named()
    return found


def action(data_set: DataSet) -> tuple[str, list[Reference]]:
    """Transaction UID and instances of an N-ACTION's Action Information (PS3.4 table J.3-1), which knows the flat form
    only. Raises CannotUnderstand, MissingAttribute, InvalidUID, ObjectTooLarge."""
    transaction_uid = _uid(data_set, _TRANSACTION_UID)
    flat = {_REFERENCED_SOPS: data_set[_REFERENCED_SOPS]} if _REFERENCED_SOPS in data_set else {}
    return transaction_uid, references([flat])


def event(transaction_uid: str, verdicts: Iterable[Verdict], retrieve_ae_title: str) -> tuple[int, DataSet]:
    """Event Type ID and Event Information of the N-EVENT-REPORT (PS3.4 table J.3-2). Whence the instances can be
    retrieved is said of those that are committed to, for all of them at once (J.3.3.1.1)."""
    made = _value(_TRANSACTION_UID, transaction_uid) | module(verdicts)
    if _REFERENCED_SOPS in made:
        made[_RETRIEVE_AE_TITLE] = {"vr": "AE", "Value": [retrieve_ae_title]}
    return FAILURES_EXIST if _FAILED_SOPS in made else SUCCESSFUL, made


def _nothing_named() -> MissingAttribute:
    return MissingAttribute(
        "neither Referenced SOP Sequence nor Referenced Study Sequence names an instance",
        int(_REFERENCED_SOPS, 16),
    )


def module(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """The Storage Commitment Response Module as DICOM JSON, without the sequences that would be empty."""
    given = list(verdicts)
    flat = [one for one in given if not one.reference.StudyInstanceUID]
    nested = [one for one in given if one.reference.StudyInstanceUID]
    made = {
        _REFERENCED_SOPS: [_item(one) for one in flat if one.failure_reason == COMMITTED],
        _FAILED_SOPS: [_item(one) for one in flat if one.failure_reason != COMMITTED],
        _REFERENCED_STUDIES: _studies([one for one in nested if one.failure_reason == COMMITTED]),
        _FAILED_STUDIES: _studies([one for one in nested if one.failure_reason != COMMITTED]),
    }
    return {tag: {"vr": "SQ", "Value": items} for tag, items in sorted(made.items()) if items}


def _flat(data_set: DataSet) -> Iterator[Reference]:
    for item in _items(data_set, _REFERENCED_SOPS):
        yield Reference(_uid(item, _CLASS_UID), _uid(item, _INSTANCE_UID))


def _by_study(data_set: DataSet) -> Iterator[Reference]:
    for study in _items(data_set, _REFERENCED_STUDIES):
        study_uid = _uid(study, _STUDY_UID)
        for series in _needed(study, _SERIES):
            series_uid = _uid(series, _SERIES_UID)
            for group in _needed(series, _CLASSES):
                class_uid = _uid(group, _CLASS_UID)
                for item in _needed(group, _INSTANCES):
                    yield Reference(class_uid, _uid(item, _INSTANCE_UID), study_uid, series_uid)


def _items(data_set: DataSet, tag: str) -> Sequence[DataSet]:
    element = data_set.get(tag, {"vr": "SQ"})
    if element["vr"] != "SQ":
        raise CannotUnderstand(f"{tag_text(int(tag, 16))} is no sequence")
    items: Sequence[DataSet] = element.get("Value", ())
    return items


def _needed(data_set: DataSet, tag: str) -> Sequence[DataSet]:
    items = _items(data_set, tag)
    if not items:
        raise MissingAttribute(f"{tag_text(int(tag, 16))} is absent or empty", int(tag, 16))
    return items


def _uid(item: DataSet, tag: str) -> str:
    value = first(item, tag)
    if not value:
        raise MissingAttribute(f"{tag_text(int(tag, 16))} is absent or empty", int(tag, 16))
    return check_uid(value, int(tag, 16))


def _item(verdict: Verdict) -> dict[str, Any]:
    return _value(_CLASS_UID, verdict.reference.SOPClassUID) | _instance(verdict)


def _instance(verdict: Verdict) -> dict[str, Any]:
    item = _value(_INSTANCE_UID, verdict.reference.SOPInstanceUID)
    if verdict.failure_reason != COMMITTED:
        item[_FAILURE_REASON] = {"vr": "US", "Value": [verdict.failure_reason]}
    return item


def _studies(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return _grouped(
        verdicts,
        (
            (_STUDY_UID, _SERIES, lambda one: one.reference.StudyInstanceUID),
            (_SERIES_UID, _CLASSES, lambda one: one.reference.SeriesInstanceUID),
            (_CLASS_UID, _INSTANCES, lambda one: one.reference.SOPClassUID),
        ),
    )


_Level = tuple[str, str, Callable[[Verdict], str]]
"""The UID of a level, the sequence below it, and where to find the UID."""


def _grouped(verdicts: Sequence[Verdict], levels: Sequence[_Level]) -> list[dict[str, Any]]:
    if not levels:
        return [_instance(one) for one in verdicts]
    (uid, below, of), *rest = levels
    groups: dict[str, list[Verdict]] = {}
    for one in verdicts:
        groups.setdefault(of(one), []).append(one)
    return [
        _value(uid, name) | {below: {"vr": "SQ", "Value": _grouped(some, rest)}}
        for name, some in groups.items()
    ]


def _value(tag: str, uid: str) -> dict[str, Any]:
    return {tag: {"vr": "UI", "Value": [uid]}}
