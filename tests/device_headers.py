"""Headers as real devices write them, in parts: tables of attributes for tests/objects.py."""

from __future__ import annotations

import datetime
import itertools
import uuid
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage


def new_uid() -> str:
    """A UID that no other test has (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def with_attributes(data_set: Dataset, *attributes: dict[str, Any], **keywords: Any) -> Dataset:
    """Set the attributes; None takes one out."""
    for keyword, value in itertools.chain(*(more.items() for more in attributes), keywords.items()):
        if value is not None:
            setattr(data_set, keyword, value)
        elif keyword in data_set:
            delattr(data_set, keyword)
    return data_set


def identity(sop_class_uid: str, modality: str) -> dict[str, Any]:
    """Who, which study, which series: the attributes that place an object in the hierarchy."""
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": sop_class_uid,
        "SOPInstanceUID": new_uid(),
        "StudyDate": "20240311",
        "StudyTime": "101530.250000",
        "AccessionNumber": "A2024-0311",
        "Modality": modality,
        "ReferringPhysicianName": "Referrer^Rita",
        "PatientName": "Phantom^Paula",
        "PatientID": "PHANTOM-1",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "StudyID": "1",
        "SeriesNumber": 2,
    }


def equipment(modality: str) -> dict[str, Any]:
    """What the device writes about itself, the procedure and the request."""
    return {
        "InstanceCreationDate": "20240311",
        "InstanceCreationTime": "101702.118000",
        "SeriesDate": "20240311",
        "AcquisitionDate": "20240311",
        "ContentDate": "20240311",
        "SeriesTime": "101633.000000",
        "AcquisitionTime": "101640.500000",
        "ContentTime": "101641.000000",
        "Manufacturer": "Phantom Works",
        "InstitutionName": "Hôpital de Test",
        "InstitutionAddress": "1 Rue des Essais",
        "StationName": f"{modality}1",
        "InstitutionalDepartmentName": "Radiology",
        "PerformingPhysicianName": "Performer^Paul",
        "OperatorsName": "Operator^Olga",
        "ManufacturerModelName": "Phantom 64",
        "ReferencedStudySequence": [_reference("1.2.840.10008.3.1.2.3.1")],
        "ReferencedImageSequence": [_reference(CTImageStorage) for _ in range(3)],
        "PatientAge": "054Y",
        "PatientSize": "1.75",
        "PatientWeight": "70",
        "DeviceSerialNumber": "00000",
        "SoftwareVersions": ["VB10", "syngo CT"],
        "ProtocolName": "Phantom routine",
        "DateOfLastCalibration": "20240301",
        "TimeOfLastCalibration": "080000",
        "PatientPosition": "HFS",
        "AcquisitionNumber": 1,
        "PositionReferenceIndicator": "SN",
        "RequestedProcedureDescription": "Phantom",
        "PerformedProcedureStepStartDate": "20240311",
        "PerformedProcedureStepStartTime": "101500",
        "PerformedProcedureStepID": "PPS1",
        "PerformedProcedureStepDescription": "Phantom",
        "RequestAttributesSequence": [_request()],
    }


def plane(number: int, spacing: float) -> dict[str, Any]:
    """Where the slice lies."""
    location = f"{-5.0 * number:.1f}"
    return {
        "FrameOfReferenceUID": new_uid(),
        "InstanceNumber": number,
        "SliceThickness": "5",
        "SliceLocation": location,
        "ImagePositionPatient": ["-200", "-200", location],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "PixelSpacing": [str(spacing), str(spacing)],
    }


def _reference(sop_class_uid: str) -> Dataset:
    return with_attributes(Dataset(), ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=new_uid())


def _request() -> Dataset:
    code = with_attributes(
        Dataset(), CodeValue="CTTHX", CodingSchemeDesignator="99TEST", CodeMeaning="CT of the thorax"
    )
    return with_attributes(
        Dataset(),
        RequestedProcedureDescription="CT of the thorax",
        ScheduledProcedureStepDescription="Thorax",
        ScheduledProtocolCodeSequence=[code],
        ScheduledProcedureStepID="SPS1",
        RequestedProcedureID="RP1",
    )


def shared_functional_group() -> Dataset:
    """What all frames of a multi-frame object have alike."""
    measures = with_attributes(Dataset(), SliceThickness="5", PixelSpacing=["6", "6"])
    orientation = with_attributes(Dataset(), ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    values = with_attributes(Dataset(), RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
    window = with_attributes(Dataset(), WindowCenter="40", WindowWidth="400")
    return with_attributes(
        Dataset(),
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[orientation],
        PixelValueTransformationSequence=[values],
        FrameVOILUTSequence=[window],
    )


def functional_group(number: int) -> Dataset:
    """What is of one frame alone."""
    acquired = datetime.datetime(2024, 3, 11, 10, 16, 40) + datetime.timedelta(milliseconds=500 * number)
    content = with_attributes(
        Dataset(),
        FrameAcquisitionDateTime=acquired.strftime("%Y%m%d%H%M%S.%f"),
        DimensionIndexValues=[1, number],
        StackID="1",
        InStackPositionNumber=number,
    )
    position = with_attributes(Dataset(), ImagePositionPatient=["-200", "-200", f"{-5.0 * number:.1f}"])
    return with_attributes(Dataset(), FrameContentSequence=[content], PlanePositionSequence=[position])
