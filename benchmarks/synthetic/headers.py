"""Headers as long and as nested as scanners write them: a CT slice has some 250 elements, an MR slice about as many.

Dates, names and UIDs that differ from object to object are no part of them; `objects` fills those in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

CHARACTER_SET = "ISO_IR 100"


def uid(*names: object) -> str:
    """A UID made from names (PS3.5 B.2): of the same length always, and the same for the same names."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    number = int.from_bytes(digest[:16], "big") | 1 << 127
    return f"2.25.{number}"


def made(*parts: Mapping[str, Any], **keywords: Any) -> Dataset:
    """A data set of these attributes."""
    data_set = Dataset()
    for part in (*parts, keywords):
        for keyword, value in part.items():
            setattr(data_set, keyword, value)
    return data_set


def ct() -> Dataset:
    """The header of a CT slice of 512x512 pixels of 16 bits."""
    data_set = made(
        _equipment("CT"),
        _plane(),
        _grayscale(512, 512, signed=1),
        SOPClassUID=CTImageStorage,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
        SeriesDescription="Thorax 5.0 B31f",
        BodyPartExamined="CHEST",
        ScanOptions="HELICAL MODE",
        KVP="120",
        DataCollectionDiameter="500",
        ReconstructionDiameter="400",
        DistanceSourceToDetector="1040",
        DistanceSourceToPatient="570",
        GantryDetectorTilt="0",
        TableHeight="144",
        RotationDirection="CW",
        ExposureTime="500",
        XRayTubeCurrent="210",
        Exposure="105",
        FilterType="0",
        GeneratorPower="25",
        FocalSpots=["0.7"],
        ConvolutionKernel="B31f",
        SingleCollimationWidth=0.6,
        TotalCollimationWidth=38.4,
        TableSpeed=46.0,
        SpiralPitchFactor=0.6,
        CTDIvol=7.1,
        ContrastBolusAgent="Contrast 300",
        ContrastBolusVolume="90",
        RescaleIntercept="-1024",
        RescaleSlope="1",
        RescaleType="HU",
        WindowCenter=["40", "-600"],
        WindowWidth=["400", "1200"],
        WindowCenterWidthExplanation=["WINDOW1", "WINDOW2"],
    )
    _private(data_set, 0x0019, "SIEMENS CT VA0  COAD", 48)
    _private(data_set, 0x0021, "SIEMENS MED", 24)
    _private(data_set, 0x0029, "SIEMENS CSA HEADER", 16)
    return data_set


def mr() -> Dataset:
    """The header of an MR slice of 128x128 pixels of 16 bits."""
    data_set = made(
        _equipment("MR"),
        _plane(),
        _grayscale(128, 128, signed=0),
        SOPClassUID=MRImageStorage,
        ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"],
        SeriesDescription="ep2d_bold_moco",
        BodyPartExamined="BRAIN",
        ScanningSequence=["EP"],
        SequenceVariant="SK",
        ScanOptions=["FS"],
        MRAcquisitionType="2D",
        SequenceName="*epfid2d1_64",
        AngioFlag="N",
        RepetitionTime="2000",
        EchoTime="30",
        NumberOfAverages="1",
        ImagingFrequency="123.25",
        ImagedNucleus="1H",
        EchoNumbers="1",
        MagneticFieldStrength="3",
        SpacingBetweenSlices="3.6",
        NumberOfPhaseEncodingSteps="63",
        EchoTrainLength="1",
        PercentSampling="100",
        PercentPhaseFieldOfView="100",
        PixelBandwidth="2232",
        TransmitCoilName="Body",
        AcquisitionMatrix=[64, 0, 0, 64],
        InPlanePhaseEncodingDirection="COL",
        FlipAngle="90",
        VariableFlipAngleFlag="N",
        SAR="0.1",
        dBdt="0",
        WindowCenter="550",
        WindowWidth="1200",
    )
    _private(data_set, 0x0019, "SIEMENS MR HEADER", 40)
    _private(data_set, 0x0029, "SIEMENS CSA HEADER", 24)
    _private(data_set, 0x0051, "SIEMENS MR HEADER", 24)
    return data_set


def small(SOPClassUID: str) -> Dataset:
    """The header of an object of a study that is only searched for: 32x32 pixels."""
    return made(
        _equipment("OT"),
        _grayscale(32, 32, signed=0),
        SOPClassUID=SOPClassUID,
        SeriesDescription="Routine",
        BodyPartExamined="CHEST",
        PatientOrientation=["L", "P"],
    )


def _grayscale(rows: int, columns: int, signed: int) -> dict[str, Any]:
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 16,
        "BitsStored": 16 if signed else 12,
        "HighBit": 15 if signed else 11,
        "PixelRepresentation": signed,
    }


def _plane() -> dict[str, Any]:
    return {
        "FrameOfReferenceUID": uid("frame of reference"),
        "SliceThickness": "5",
        "SliceLocation": "-105.5",
        "ImagePositionPatient": ["-199.609375", "-343.609375", "-105.5"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "PixelSpacing": ["0.78125", "0.78125"],
        "PositionReferenceIndicator": "",
    }


def _equipment(station: str) -> dict[str, Any]:
    moments = {
        "InstanceCreationDate": "20240311",
        "InstanceCreationTime": "101702.118000",
        "SeriesDate": "20240311",
        "AcquisitionDate": "20240311",
        "ContentDate": "20240311",
        "SeriesTime": "101633.000000",
        "AcquisitionTime": "101640.500000",
        "ContentTime": "101641.000000",
        "PerformedProcedureStepStartDate": "20240311",
        "PerformedProcedureStepStartTime": "101500.000000",
        "DateOfLastCalibration": "20240301",
        "TimeOfLastCalibration": "080000",
    }
    return moments | {
        "SpecificCharacterSet": CHARACTER_SET,
        "Manufacturer": "Phantom Works",
        "InstitutionName": "Hôpital de Test",
        "InstitutionAddress": "1 Rue des Essais, 00000 Essai",
        "StationName": f"{station}1",
        "InstitutionalDepartmentName": "Radiology",
        "PerformingPhysicianName": "Performer^Paul",
        "OperatorsName": "Operator^Olga",
        "ManufacturerModelName": "Phantom 64",
        "ReferencedStudySequence": [_reference(1)],
        "ReferencedImageSequence": [_reference(number) for number in range(3)],
        "PatientAge": "054Y",
        "PatientSize": "1.75",
        "PatientWeight": "70",
        "DeviceSerialNumber": "00000",
        "SoftwareVersions": ["VB10", "syngo 2010B"],
        "ProtocolName": "Phantom routine",
        "PatientPosition": "HFS",
        "AcquisitionNumber": 1,
        "RequestedProcedureDescription": "Phantom",
        "PerformedProcedureStepID": "PPS1",
        "PerformedProcedureStepDescription": "Phantom",
        "RequestAttributesSequence": [_request()],
        "ImageComments": "synthetic",
    }


def _reference(number: int) -> Dataset:
    return made(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=uid("reference", number))


def _request() -> Dataset:
    code = made(CodeValue="CTTHX", CodingSchemeDesignator="99TEST", CodeMeaning="CT of the thorax")
    return made(
        RequestedProcedureDescription="CT of the thorax",
        ScheduledProcedureStepDescription="Thorax",
        ScheduledProtocolCodeSequence=[code],
        ScheduledProcedureStepID="SPS1",
        RequestedProcedureID="RP1",
    )


def _private(data_set: Dataset, group: int, creator: str, count: int) -> None:
    """A block of private elements as vendors write them: numbers, texts, and one of 4 KB that nobody reads."""
    block = data_set.private_block(group, creator, create=True)
    for number in range(count):
        vr, value = (("DS", f"{number}.5"), ("LO", f"value {number}"), ("IS", str(number)))[number % 3]
        block.add_new(number, vr, value)
    block.add_new(0xFE, "OB", bytes(range(256)) * 16)
