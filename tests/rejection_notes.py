"""Key Object Selection documents that reject, made with pydicom: by TID 2010, as a console writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from device_headers import new_uid, with_attributes

QUALITY, PATIENT_SAFETY, WORKLIST_ENTRY, RETENTION = "113001", "113037", "113038", "113039"
OF_INTEREST = "113000"


def rejection_note(title: str, rejected: Sequence[Dataset], **keywords: Any) -> Dataset:
    """A note in the study of the first, for its patient."""
    first = rejected[0]
    made = with_attributes(
        Dataset(),
        SOPClassUID=KeyObjectSelectionDocumentStorage,
        SOPInstanceUID=new_uid(),
        StudyInstanceUID=first.StudyInstanceUID,
        SeriesInstanceUID=new_uid(),
        PatientID=first.get("PatientID", ""),
        PatientName=first.get("PatientName", ""),
        PatientBirthDate="",
        PatientSex="",
        StudyDate=first.get("StudyDate", ""),
        StudyTime=first.get("StudyTime", ""),
        StudyID="",
        AccessionNumber="",
        ReferringPhysicianName="",
        Manufacturer="",
        Modality="KO",
        SeriesNumber=900,
        InstanceNumber=1,
        ContentDate="20260102",
        ContentTime="030405",
        ReferencedPerformedProcedureStepSequence=[],
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=[code(title, "DCM", "the title")],
        CurrentRequestedProcedureEvidenceSequence=evidence(rejected),
        ContentSequence=[content_item(one) for one in rejected],
    )
    return with_attributes(made, keywords)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return with_attributes(Dataset(), CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def evidence(rejected: Sequence[Dataset]) -> list[Dataset]:
    """One item for each study, with one for each series."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for one in rejected:
        series = studies.setdefault(one.StudyInstanceUID, {})
        series.setdefault(one.SeriesInstanceUID, []).append(reference(one))
    return [
        with_attributes(
            Dataset(),
            StudyInstanceUID=study,
            ReferencedSeriesSequence=[
                with_attributes(Dataset(), SeriesInstanceUID=uid, ReferencedSOPSequence=sops)
                for uid, sops in series.items()
            ],
        )
        for study, series in studies.items()
    ]


def content_item(one: Dataset, **keywords: Any) -> Dataset:
    item = with_attributes(Dataset(), RelationshipType="CONTAINS", ValueType="IMAGE")
    item.ReferencedSOPSequence = [reference(one, **keywords)]
    return item


def reference(one: Dataset, **keywords: Any) -> Dataset:
    made = with_attributes(
        Dataset(), ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID
    )
    return with_attributes(made, keywords)
