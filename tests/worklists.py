"""Entries of the worklist and performed steps, built from keywords, for the tests of every door."""

from __future__ import annotations

import itertools
from typing import Any

from pydicom.dataset import Dataset

from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import keyword_form

_numbers = itertools.count(1)


def written(**attributes: Any) -> dict[str, Any]:
    """An entry by keyword. Attributes of the scheduled procedure step begin with `Step_`: `Step_Modality`."""
    number = next(_numbers)
    step = {
        "Modality": "CT",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepID": f"S{number}",
        "ScheduledProcedureStepStartDate": "20261123",
        "ScheduledProcedureStepStartTime": "101500",
        "ScheduledProcedureStepDescription": "Head",
    }
    step |= {keyword[5:]: value for keyword, value in attributes.items() if keyword.startswith("Step_")}
    whole: dict[str, Any] = {
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "StudyInstanceUID": f"1.2.3.{number}",
        "AccessionNumber": f"A{number}",
        "RequestedProcedureID": f"R{number}",
        "RequestedProcedureDescription": "CT of the head",
    }
    whole |= {keyword: value for keyword, value in attributes.items() if not keyword.startswith("Step_")}
    return {**whole, "ScheduledProcedureStepSequence": [step]}


def entry(**attributes: Any) -> DataSet:
    """The same in the DICOM JSON Model."""
    return keyword_form.data_set(written(**attributes))


def performed(of: dict[str, Any] | None = None, **attributes: Any) -> Dataset:
    """What a modality tells when it begins: everything that PS3.4 Table F.7.2-1 has as type 1 or 2, for an entry as
    `written` makes it."""
    entry = of or written()
    (step,) = entry["ScheduledProcedureStepSequence"]
    scheduled = Dataset()
    scheduled.StudyInstanceUID = entry["StudyInstanceUID"]
    scheduled.ReferencedStudySequence = []
    scheduled.AccessionNumber = entry["AccessionNumber"]
    scheduled.RequestedProcedureID = entry["RequestedProcedureID"]
    scheduled.RequestedProcedureDescription = entry["RequestedProcedureDescription"]
    scheduled.ScheduledProcedureStepID = step["ScheduledProcedureStepID"]
    scheduled.ScheduledProcedureStepDescription = ""
    scheduled.ScheduledProtocolCodeSequence = []
    made = Dataset()
    made.ScheduledStepAttributesSequence = [scheduled]
    made.PatientName, made.PatientID = entry["PatientName"], entry["PatientID"]
    made.PatientBirthDate = made.PatientSex = ""
    made.ReferencedPatientSequence = []
    made.PerformedProcedureStepID, made.PerformedStationAETitle = "PPS1", "CT1"
    made.PerformedStationName = made.PerformedLocation = ""
    made.PerformedProcedureStepStartDate, made.PerformedProcedureStepStartTime = "20261123", "101700"
    made.PerformedProcedureStepStatus = "IN PROGRESS"
    made.PerformedProcedureStepDescription = made.PerformedProcedureTypeDescription = ""
    made.ProcedureCodeSequence = []
    made.PerformedProcedureStepEndDate = made.PerformedProcedureStepEndTime = ""
    made.Modality, made.StudyID = "CT", ""
    made.PerformedProtocolCodeSequence = []
    made.PerformedSeriesSequence = []
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def ended(status: str = "COMPLETED", **attributes: Any) -> Dataset:
    """What a modality tells when it ends, with one series."""
    series = Dataset()
    series.SeriesInstanceUID, series.ProtocolName = "1.2.3.4.5", "HEAD"
    series.PerformingPhysicianName = series.OperatorsName = series.SeriesDescription = ""
    series.RetrieveAETitle = ""
    series.ReferencedImageSequence = series.ReferencedNonImageCompositeSOPInstanceSequence = []
    made = Dataset()
    made.PerformedProcedureStepStatus = status
    made.PerformedProcedureStepEndDate, made.PerformedProcedureStepEndTime = "20261123", "103000"
    made.PerformedSeriesSequence = [series]
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def as_json(data_set: Dataset) -> DataSet:
    """A pydicom data set in the DICOM JSON Model."""
    return data_set.to_json_dict()


def wrong_entry() -> Dataset:
    """The code of PS3.16 CID 9301 for a step that was begun by mistake."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "110514", "DCM"
    code.CodeMeaning = "Incorrect worklist entry selected"
    return code
