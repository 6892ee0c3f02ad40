"""The attributes of an Instance Availability Notification (PS3.4 table R.3.2-1, PS3.3 C.4.23): which instances of a
study can be retrieved, and from whom.

No attribute beyond that table, as R.3.2.1.2 forbids optional ones: they might name a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

INSTANCE_AVAILABILITY_NOTIFICATION = "1.2.840.10008.5.1.4.33"
ONLINE = "ONLINE"


@dataclass(frozen=True, slots=True)
class Available:
    """An instance that can be retrieved."""

    SeriesInstanceUID: str
    SOPClassUID: str
    SOPInstanceUID: str


def notification(
    study_instance_uid: str, instances: Sequence[Available], retrieve_ae_title: str
) -> dict[str, Any]:
    """The attribute list as DICOM JSON. No performed procedure step is named: that sequence is of type 2."""
    series: dict[str, list[dict[str, Any]]] = {}
    for one in instances:
        series.setdefault(one.SeriesInstanceUID, []).append(_reference(one, retrieve_ae_title))
    return {
        "00081111": {"vr": "SQ"},
        "00081115": {"vr": "SQ", "Value": [_series(uid, items) for uid, items in series.items()]},
        "0020000D": _of("UI", study_instance_uid),
    }


def _series(uid: str, references: list[dict[str, Any]]) -> dict[str, Any]:
    return {"0020000E": _of("UI", uid), "00081199": {"vr": "SQ", "Value": references}}


def _reference(one: Available, retrieve_ae_title: str) -> dict[str, Any]:
    return {
        "00080054": _of("AE", retrieve_ae_title),
        "00080056": _of("CS", ONLINE),
        "00081150": _of("UI", one.SOPClassUID),
        "00081155": _of("UI", one.SOPInstanceUID),
    }


def _of(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
