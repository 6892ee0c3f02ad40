"""Workitems for the tests of every door, built from keywords."""

from __future__ import annotations

import itertools
from typing import Any

from pydicom.dataset import Dataset

_numbers = itertools.count(1)

START = "20261123101500"


def code(value: str, meaning: str = "Something", scheme: str = "99TEST") -> Dataset:
    """An item of a sequence of codes."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def data_set(**keywords: Any) -> Dataset:
    """What creates a workitem with its Type 1 attributes; any keyword replaces an attribute, and None takes it out."""
    made = Dataset()
    made.ProcedureStepState = "SCHEDULED"
    made.ScheduledProcedureStepPriority = "MEDIUM"
    made.ProcedureStepLabel = f"Fuse {next(_numbers)}"
    made.WorklistLabel = "Fusion"
    made.ScheduledProcedureStepStartDateTime = START
    made.InputReadinessState = "READY"
    made.PatientName, made.PatientID = "Doe^Jane", "P1"
    made.ScheduledWorkitemCodeSequence = [code("110001", "Image Processing", "DCM")]
    for keyword, value in keywords.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def workitem(**keywords: Any) -> dict[str, Any]:
    """The same in the DICOM JSON Model."""
    return dict(data_set(**keywords).to_json_dict())


def performed() -> dict[str, Any]:
    """What has to be set before a workitem can be completed (PS3.4 Table CC.2.5-3, final state P)."""
    item = Dataset()
    item.PerformedStationNameCodeSequence = [code("ST1", "Station")]
    item.PerformedProcedureStepStartDateTime = START
    item.PerformedProcedureStepEndDateTime = START
    item.PerformedWorkitemCodeSequence = [code("110001", "Image Processing", "DCM")]
    item.OutputInformationSequence = []
    made = Dataset()
    made.UnifiedProcedureStepPerformedProcedureSequence = [item]
    return dict(made.to_json_dict())


def state(wanted: str, transaction_uid: str = "") -> dict[str, Any]:
    """The payload of a change of state."""
    made: dict[str, Any] = {"00741000": {"vr": "CS", "Value": [wanted]}}
    if transaction_uid:
        made["00081195"] = {"vr": "UI", "Value": [transaction_uid]}
    return made
