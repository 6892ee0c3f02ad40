"""Workitems for the checks of the Worklist Service and of the Unified Procedure Step SOP Classes (PS3.4 annex CC)."""

from __future__ import annotations

import json
from typing import Any

from pydicom.dataset import Dataset

from conformance.client import JSON, Answer
from conformance.objects import new_uid
from conformance.verdicts import Skipped, expect
from conformance.world import World

WORKLIST, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"
STATE, TRANSACTION_UID, LABEL, WORKLIST_LABEL = "00741000", "00081195", "00741204", "00741202"
START = "20240301101500"

EMPTY = (
    "CommentsOnTheScheduledProcedureStep",
    "ScheduledStationNameCodeSequence",
    "ScheduledStationClassCodeSequence",
    "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledHumanPerformersSequence",
    "InputInformationSequence",
    "ScheduledProcessingParametersSequence",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "ReferencedRequestSequence",
    "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
)
"""Attributes of type 2 at N-CREATE, or that have to be empty there (PS3.4 Table CC.2.5-3)."""


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a sequence of codes."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def created(w: World, **keywords: Any) -> Dataset:
    """What creates a workitem of this run; None takes an attribute out."""
    ds = Dataset()
    for keyword in EMPTY:
        setattr(ds, keyword, [] if keyword.endswith("Sequence") else "")
    ds.TransactionUID = ""
    ds.ProcedureStepState, ds.InputReadinessState = "SCHEDULED", "READY"
    ds.ScheduledProcedureStepPriority, ds.ProcedureStepLabel = "MEDIUM", "Suite"
    ds.WorklistLabel, ds.StudyInstanceUID = f"CONF{w.run}", new_uid()
    ds.ScheduledProcedureStepStartDateTime = START
    ds.ScheduledWorkitemCodeSequence = [code("110001", "DCM", "Image Processing")]
    ds.PatientName, ds.PatientID = "Plover^Suite", f"CONF{w.run}-UPS"
    for keyword, value in keywords.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def performed() -> Dataset:
    """What has to be told before a workitem is completed (PS3.4 Table CC.2.5-3, final state P)."""
    item = Dataset()
    item.PerformedStationNameCodeSequence = [code("SUITE", "99CONF", "Suite")]
    item.PerformedProcedureStepStartDateTime = item.PerformedProcedureStepEndDateTime = START
    item.PerformedWorkitemCodeSequence = [code("110001", "DCM", "Image Processing")]
    item.PerformedProcessingParametersSequence = []
    item.OutputInformationSequence = []
    ds = Dataset()
    ds.UnifiedProcedureStepPerformedProcedureSequence = [item]
    return ds


def state(wanted: str, transaction_uid: str = "") -> Dataset:
    """The Action Information of Change UPS State."""
    ds = Dataset()
    ds.ProcedureStepState = wanted
    if transaction_uid:
        ds.TransactionUID = transaction_uid
    return ds


# --- over HTTP ---


def sent(w: World, method: str, path: str, ds: Dataset | None = None) -> Answer:
    """A transaction of the Worklist Service. Raises `Skipped` where the server does not have it."""
    body = b"" if ds is None else json.dumps([ds.to_json_dict()]).encode()
    headers = {} if ds is None else {"Content-Type": JSON}
    answer = w.client.send(method, f"/workitems{path}", JSON, headers, body)
    if answer.status in (405, 501) or (answer.status == 404 and not _claimed(w)):
        raise Skipped(f"{method} /workitems{path[:1]}… is not claimed: status {answer.status}")
    return answer


def _claimed(w: World) -> bool:
    """Whether there is a Worklist at all: a search finds something or nothing."""
    return bool(w.once("worklist", lambda: w.get("/workitems?limit=1", JSON).status in (200, 204, 206)))


def new(w: World, **keywords: Any) -> str:
    """A workitem that was created; its UID. Raises `Failed` unless 201."""
    uid = new_uid()
    sent(w, "POST", f"?{uid}", created(w, **keywords)).must(201)
    return uid


def held(w: World, uid: str) -> dict[str, Any]:
    """What the server has of it. Raises `Failed` unless one comes."""
    found = sent(w, "GET", f"/{uid}").must(200).items()
    expect(len(found) == 1, f"{len(found)} Workitems came (11.5.3.3)")
    return found[0]


def changed(w: World, uid: str, wanted: str, transaction_uid: str = "") -> Answer:
    """Change Workitem State."""
    return sent(w, "PUT", f"/{uid}/state", state(wanted, transaction_uid))


def claimed(w: World, **keywords: Any) -> tuple[str, str]:
    """A workitem that is IN PROGRESS, and its Transaction UID."""
    uid, transaction_uid = new(w, **keywords), new_uid()
    changed(w, uid, "IN PROGRESS", transaction_uid).must(200)
    return uid, transaction_uid


def completed(w: World) -> tuple[str, str]:
    """One that is COMPLETED."""
    uid, transaction_uid = claimed(w)
    sent(w, "POST", f"/{uid}?{transaction_uid}", performed()).must(200)
    changed(w, uid, "COMPLETED", transaction_uid).must(200)
    return uid, transaction_uid


def value(item: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute; None where there is none."""
    return (item.get(tag, {}).get("Value") or [None])[0]


def warned(answer: Answer, *texts: str) -> None:
    """Raises `Failed` unless a Warning header has one of these texts."""
    expect(
        any(f": {text}" in answer.warnings for text in texts) and "299 " in answer.warnings,
        f"Warning 299 with {' or '.join(map(repr, texts))} expected, {answer.warnings or 'none'} came",
    )
