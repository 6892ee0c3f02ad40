"""The images of the demonstration as SOP Instances: CT, MR, digital X-ray, ultrasound."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from archive.cli.demo import anatomy, pictures
from archive.cli.demo.anatomy import Array, Plane
from archive.cli.demo.patients import Series, attributes, code, uid

CT_SLICES, CT_SIDE, CT_SPACING, CT_STEP = 60, 512, 0.46875, 3.0
MR_SLICES, MR_SIDE, MR_SPACING, MR_STEP = 24, 256, 0.9375, 6.0

_BRAIN = code("12738006", "SCT", "Brain")
_CHEST = code("51185008", "SCT", "Chest")


def ct_slice(series: Series, number: int) -> Dataset:
    """One of a helical CT of the head, from the feet upwards; windows for brain and bone."""
    z = -92.0 + CT_STEP * number
    plane = anatomy.axial(z, CT_SPACING, CT_SIDE)
    made = attributes(
        series.begin(CTImageStorage, number),
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        BodyPartExamined="HEAD",
        ScanOptions="HELICAL MODE",
        KVP="120",
        XRayTubeCurrent="250",
        ExposureTime="1000",
        ConvolutionKernel="H31",
        AcquisitionNumber=1,
        RescaleIntercept="-1024",
        RescaleSlope="1",
        RescaleType="HU",
        WindowCenter=["40", "500"],
        WindowWidth=["80", "2500"],
        WindowCenterWidthExplanation=["Brain", "Bone"],
        SliceThickness=str(CT_STEP),
        SliceLocation=str(z),
    )
    _place(made, series, plane, "HFS")
    stored = anatomy.values(plane, anatomy.HOUNSFIELD, 3.0, number) + 1024
    return _grey(made, np.clip(np.rint(stored), 0, 4095).astype(np.uint16), bits=12)


def mr_slice(series: Series, number: int) -> Dataset:
    """One of an MR of the head: T1 from the side, T2 across, both in one frame of reference."""
    at = MR_STEP * (number - (MR_SLICES + 1) / 2)
    along = series.number == 1
    plane = (anatomy.sagittal if along else anatomy.axial)(at, MR_SPACING, MR_SIDE)
    made = attributes(
        series.begin(MRImageStorage, number),
        ImageType=["ORIGINAL", "PRIMARY", "OTHER"],
        BodyPartExamined="HEAD",
        ScanningSequence="SE",
        SequenceVariant="SK",
        ScanOptions="",
        MRAcquisitionType="2D",
        RepetitionTime="500" if along else "4200",
        EchoTime="12" if along else "96",
        EchoTrainLength=1 if along else 15,
        MagneticFieldStrength="1.5",
        FlipAngle="90",
        AcquisitionNumber=1,
        SpacingBetweenSlices=str(MR_STEP),
        SliceThickness=str(MR_STEP - 1),
        SliceLocation=str(at),
        WindowCenter="420" if along else "480",
        WindowWidth="860" if along else "980",
    )
    _place(made, series, plane, "HFS")
    measured = anatomy.values(plane, anatomy.T1 if along else anatomy.T2, 9.0, number)
    return _grey(made, np.clip(np.rint(np.abs(measured)), 0, 4095).astype(np.uint16), bits=12)


def chest(series: Series, number: int) -> Dataset:
    """A digital X-ray of the chest, from behind."""
    made = attributes(
        series.begin(DigitalXRayImageStorageForPresentation, number),
        ImageType=["DERIVED", "PRIMARY", ""],
        PresentationIntentType="FOR PRESENTATION",
        BodyPartExamined="CHEST",
        AnatomicRegionSequence=[_CHEST],
        ImageLaterality="U",
        PatientOrientation=["L", "F"],
        ViewPosition="PA",
        ViewCodeSequence=[code("399348003", "SCT", "Postero-anterior")],
        PositionerType="COLUMN",
        KVP="125",
        DetectorType="DIRECT",
        ImagerPixelSpacing=["0.3", "0.3"],
        AcquisitionContextSequence=[],
        PixelIntensityRelationship="LOG",
        PixelIntensityRelationshipSign=-1,
        RescaleIntercept="0",
        RescaleSlope="1",
        RescaleType="US",
        PresentationLUTShape="IDENTITY",
        LossyImageCompression="00",
        BurnedInAnnotation="NO",
        WindowCenter=["1550", "2200"],
        WindowWidth=["3100", "2600"],
        WindowCenterWidthExplanation=["Lung", "Bone"],
    )
    made.AcquisitionDate = made.StudyDate
    return _grey(made, pictures.chest(), bits=12)


def heart(series: Series, number: int) -> Dataset:
    """An ultrasound loop: one beat of a heart in the view of four chambers."""
    frames = pictures.heart()
    made = attributes(
        series.begin(UltrasoundMultiFrameImageStorage, number),
        ImageType=["ORIGINAL", "PRIMARY"],
        BodyPartExamined="HEART",
        PatientOrientation="",
        NumberOfFrames=str(len(frames)),
        FrameTime="20",
        FrameIncrementPointer=0x00181063,
        RecommendedDisplayFrameRate="50",
        CineRate="50",
        HeartRate="62",
        LossyImageCompression="00",
        BurnedInAnnotation="NO",
        UltrasoundColorDataPresent=0,
        SequenceOfUltrasoundRegions=[_region()],
    )
    return _grey(made, frames, bits=8)


def _region() -> Dataset:
    """Where in the picture is how much of the body (PS3.3 C.8.5.5)."""
    return attributes(
        Dataset(),
        RegionSpatialFormat=1,
        RegionDataType=1,
        RegionFlags=0,
        RegionLocationMinX0=0,
        RegionLocationMinY0=0,
        RegionLocationMaxX1=pictures.HEART_COLUMNS - 1,
        RegionLocationMaxY1=pictures.HEART_ROWS - 1,
        PhysicalUnitsXDirection=3,
        PhysicalUnitsYDirection=3,
        PhysicalDeltaX=0.05,
        PhysicalDeltaY=0.05,
    )


def _place(made: Dataset, series: Series, plane: Plane, position: str) -> None:
    """Where its pixels are in the patient (PS3.3 C.7.6.2)."""
    attributes(
        made,
        FrameOfReferenceUID=uid(series.study.name, "frame of reference"),
        PositionReferenceIndicator="",
        PatientPosition=position,
        ImagePositionPatient=[f"{value:g}" for value in plane.origin],
        ImageOrientationPatient=[f"{value:g}" for value in (*plane.across, *plane.down)],
        PixelSpacing=[f"{plane.spacing:g}"] * 2,
        AnatomicRegionSequence=[_BRAIN],
    )


def _grey(made: Dataset, pixels: Array, *, bits: int) -> Dataset:
    allocated = 8 * pixels.dtype.itemsize
    attributes(
        made,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=pixels.shape[-2],
        Columns=pixels.shape[-1],
        BitsAllocated=allocated,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=0,
    )
    data: Any = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    made.add_new(0x7FE00010, "OB" if allocated == 8 else "OW", data)
    return made
