"""Rejection notes: Key Object Selection documents whose title says that what they refer to shall not be used (IHE RAD
TF-3 4.66, Imaging Object Change Management). The reasons of PS3.16 CID 7011 that one may give besides change nothing.

What a note refers to stands in it twice: with study and series in the Current Requested Procedure Evidence Sequence
(PS3.3 C.17.2.3), and as items of its content tree (TID 2010). Where the two disagree nobody can know what was meant,
and the note is refused: an image that is hidden by mistake may be missed as much as one that is shown.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from archive.dicom.errors import MissingAttribute, ObjectMismatch
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Element, Instance
from archive.dicom.reading.reader import DOCUMENT_TITLE
from archive.dicom.receiving.commitment import Reference
from archive.dicom.sop_classes import sop_class_name

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
EVIDENCE = 0x0040A375
SCHEME = "DCM"


class Reason(enum.StrEnum):
    """The titles that reject (PS3.16 CID 7010), by their code value in the scheme DCM."""

    QUALITY = "113001"
    PATIENT_SAFETY = "113037"
    WORKLIST_ENTRY = "113038"
    RETENTION = "113039"


MEANINGS: Mapping[Reason, str] = {
    Reason.QUALITY: "Rejected for Quality Reasons",
    Reason.PATIENT_SAFETY: "Rejected for Patient Safety Reasons",
    Reason.WORKLIST_ENTRY: "Incorrect Modality Worklist Entry",
    Reason.RETENTION: "Data Retention Policy Expired",
}
"""As PS3.16 annex D words them."""

_CODE_VALUE, _CODING_SCHEME, _CODE_MEANING = "00080100", "00080102", "00080104"
_STUDY_UID, _SERIES_UID = "0020000D", "0020000E"
_SERIES, _SOPS = "00081115", "00081199"
_CLASS_UID, _INSTANCE_UID = "00081150", "00081155"
_CONTENT = "0040A730"
_PARTS = {"00081160": "frames", "0062000B": "segments", "0040A132": "waveform channels"}
"""What a reference may be cut down to: an instance is rejected as a whole or not at all."""

Item = Mapping[str, Any]


def reason_of(instance: Instance) -> Reason | None:
    """Why the object rejects what it refers to; None for any other object."""
    title = instance.attributes.get(DOCUMENT_TITLE)
    if instance.SOPClassUID != KEY_OBJECT_SELECTION or title is None:
        return None
    items = _items(_parsed(title))
    if len(items) != 1 or _text(items[0], _CODING_SCHEME) != SCHEME:
        return None
    try:
        return Reason(_text(items[0], _CODE_VALUE))
    except ValueError:
        return None


def references(attributes: Item) -> list[Reference]:
    """What a note refers to, but for itself, from its attributes in the DICOM JSON Model.

    Raises MissingAttribute, InvalidUID, ObjectMismatch."""
    own = _text(attributes, "00080018")
    found: dict[str, Reference] = {}
    for one in _evidence(attributes):
        if found.setdefault(one.SOPInstanceUID, one) != one:
            raise _unclear("the note names an instance at two places")
    named = _named_in_content(attributes)
    if named and named - {own} != found.keys() - {own}:
        raise _unclear("the note's evidence and its content do not name the same instances")
    found.pop(own, None)
    if not found:
        raise MissingAttribute("the note refers to no instance", EVIDENCE)
    return list(found.values())


def _evidence(attributes: Item) -> Iterator[Reference]:
    for study in _items(attributes.get(f"{EVIDENCE:08X}")):
        study_uid = _uid(study, _STUDY_UID)
        for series in _items(study.get(_SERIES)):
            series_uid = _uid(series, _SERIES_UID)
            for sop in _items(series.get(_SOPS)):
                yield Reference(_uid(sop, _CLASS_UID), _uid(sop, _INSTANCE_UID), study_uid, series_uid)


def _named_in_content(attributes: Item) -> set[str]:
    """SOP Instance UIDs that the content tree refers to."""
    named = set[str]()
    left = list(_items(attributes.get(_CONTENT)))
    while left:
        item = left.pop()
        left += _items(item.get(_CONTENT))
        for sop in _items(item.get(_SOPS)):
            _check_whole(sop)
            named.add(_uid(sop, _INSTANCE_UID))
    return named


def _check_whole(sop: Item) -> None:
    for tag, what in _PARTS.items():
        if sop.get(tag, {}).get("Value"):
            raise _unclear(f"the note names single {what}: only whole instances can be rejected")


def _uid(item: Item, name: str) -> str:
    value, tag = _text(item, name), int(name, 16)
    if not value:
        raise MissingAttribute(f"a reference of the note lacks ({name[:4]},{name[4:]})", tag)
    return check_uid(value, tag)


def _unclear(reason: str) -> ObjectMismatch:
    return ObjectMismatch(reason, EVIDENCE)


def _parsed(element: Element) -> Any:
    try:
        return orjson.loads(element.json)
    except orjson.JSONDecodeError:
        return None  # longer than what is kept of an attribute: no title is


def _items(element: Any) -> list[Item]:
    """The items of a sequence; none of what is not one."""
    if not isinstance(element, Mapping) or element.get("vr") != "SQ":
        return []
    return [item for item in element.get("Value") or [] if isinstance(item, Mapping)]


def _text(item: Item, tag: str) -> str:
    value = next(iter(item.get(tag, {}).get("Value") or [""]))
    return value.strip() if isinstance(value, str) else ""


# --- a note of our own ---

_TYPE_2 = {
    "00080020": {"vr": "DA"},
    "00080030": {"vr": "TM"},
    "00080050": {"vr": "SH"},
    "00080090": {"vr": "PN"},
    "00100010": {"vr": "PN"},
    "00100020": {"vr": "LO"},
    "00100030": {"vr": "DA"},
    "00100040": {"vr": "CS"},
    "00200010": {"vr": "SH"},
}
"""Of patient and study: empty where nothing is known (PS3.3 C.7.1.1, C.7.2.1)."""
_VALUE_TYPES = (("Image", "IMAGE"), ("Waveform", "WAVEFORM"))
"""By a word in the name of the SOP class; of anything else it is COMPOSITE (TID 2010)."""


def data_set(
    uids: tuple[str, str, str], reason: Reason, rejected: Sequence[Reference], beside: Item, moment: str
) -> dict[str, Any]:
    """A note in the DICOM JSON Model: Key Object Document (PS3.3 A.35.4) by TID 2010. `uids` are its study, series and
    instance, `beside` the attributes of patient and study that it shares, `moment` is now as DT."""
    study_uid, series_uid, instance_uid = uids
    date, time = moment[:8], moment[8:14]
    return {
        **_TYPE_2,
        **beside,
        "00080005": _of("CS", "ISO_IR 192"),
        "00080016": _of("UI", KEY_OBJECT_SELECTION),
        "00080018": _of("UI", instance_uid),
        "00080023": _of("DA", date),
        "00080033": _of("TM", time),
        "00080060": _of("CS", "KO"),
        "00080070": _of("LO"),
        "00081111": _of("SQ"),
        "0020000D": _of("UI", study_uid),
        "0020000E": _of("UI", series_uid),
        "00200011": _of("IS", 1),
        "00200013": _of("IS", 1),
        "0040A040": _of("CS", "CONTAINER"),
        "0040A043": _of("SQ", _code(reason.value, MEANINGS[reason])),
        "0040A050": _of("CS", "SEPARATE"),
        f"{EVIDENCE:08X}": _of("SQ", *_evidence_of(rejected)),
        "0040A504": _of("SQ", {"00080105": _of("CS", "DCMR"), "0040DB00": _of("CS", "2010")}),
        _CONTENT: _of("SQ", *(_content_item(one) for one in rejected)),
    }


def _evidence_of(rejected: Sequence[Reference]) -> Iterator[Item]:
    studies: dict[str, dict[str, list[Item]]] = {}
    for one in rejected:
        series = studies.setdefault(one.StudyInstanceUID, {})
        series.setdefault(one.SeriesInstanceUID, []).append(_sop(one))
    for study_uid, found in studies.items():
        items = [{_SERIES_UID: _of("UI", uid), _SOPS: _of("SQ", *sops)} for uid, sops in found.items()]
        yield {_STUDY_UID: _of("UI", study_uid), _SERIES: _of("SQ", *items)}


def _content_item(one: Reference) -> Item:
    words = sop_class_name(one.SOPClassUID).split()
    kind = next((kind for word, kind in _VALUE_TYPES if word in words), "COMPOSITE")
    return {
        "0040A010": _of("CS", "CONTAINS"),
        "0040A040": _of("CS", kind),
        _SOPS: _of("SQ", _sop(one)),
    }


def _sop(one: Reference) -> Item:
    return {_CLASS_UID: _of("UI", one.SOPClassUID), _INSTANCE_UID: _of("UI", one.SOPInstanceUID)}


def _code(value: str, meaning: str) -> Item:
    return {
        _CODE_VALUE: _of("SH", value),
        _CODING_SCHEME: _of("SH", SCHEME),
        _CODE_MEANING: _of("LO", meaning),
    }


def _of(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
