"""Workitems built from keywords, for the tests of every door."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import keyword_form


def code(value: str, scheme: str = "99LOCAL", meaning: str = "something") -> dict[str, Any]:
    """One item of a code sequence, by keyword."""
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def workitem(**attributes: Any) -> dict[str, Any]:
    """What creates a workitem, by keyword: what PS3.4 Table CC.2.5-3 has as type 1, and a patient. None leaves an
    attribute out."""
    made: dict[str, Any] = {
        "ScheduledProcedureStepPriority": "MEDIUM",
        "ProcedureStepLabel": "Deliver fraction 3",
        "ScheduledProcedureStepStartDateTime": "20261123101500",
        "InputReadinessState": "READY",
        "ProcedureStepState": "SCHEDULED",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        **attributes,
    }
    return {keyword: value for keyword, value in made.items() if value is not None}


def performed(**attributes: Any) -> dict[str, Any]:
    """What a workitem has to tell before it is completed (final state P); None leaves an attribute out."""
    item = {
        "PerformedStationNameCodeSequence": [code("LINAC1")],
        "PerformedProcedureStepStartDateTime": "20261123101600",
        "PerformedWorkitemCodeSequence": [code("121726", "DCM", "RT Treatment with Internal Verification")],
        "PerformedProcedureStepEndDateTime": "20261123103000",
        "OutputInformationSequence": [],
        **attributes,
    }
    kept = {keyword: value for keyword, value in item.items() if value is not None}
    return {"UnifiedProcedureStepPerformedProcedureSequence": [kept]}


def as_json(written: dict[str, Any]) -> DataSet:
    """In the DICOM JSON Model."""
    return keyword_form.data_set(written)


def as_dataset(written: dict[str, Any]) -> Dataset:
    """As pydicom has it."""
    made = Dataset.from_json(as_json(written))
    if not str(written).isascii():
        made.SpecificCharacterSet = "ISO_IR 192"
    return made
