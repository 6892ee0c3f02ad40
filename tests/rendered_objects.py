"""Synthetic objects that are rendered otherwise than as one frame: presentation states, reports, documents, videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import EncapsulatedPDFStorage, RawDataStorage, VideoPhotographicImageStorage

from device_headers import identity, with_attributes
from objects import part10

GRAYSCALE_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOR_STATE = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOR_STATE = "1.2.840.10008.5.1.4.1.1.11.3"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
CDA_STORAGE = "1.2.840.10008.5.1.4.1.1.104.2"
H264 = "1.2.840.10008.1.2.4.102"


def item(**attributes: Any) -> Dataset:
    """An item of a sequence."""
    return with_attributes(Dataset(), attributes)


def presentation_state(
    images: Sequence[Dataset], sop_class: str = GRAYSCALE_STATE, frames: Any = None, **attributes: Any
) -> Dataset:
    """A presentation state for these images of one series, in CT's Hounsfield units for grey ones."""
    references = [
        item(
            ReferencedSOPClassUID=image.SOPClassUID,
            ReferencedSOPInstanceUID=image.SOPInstanceUID,
            **({"ReferencedFrameNumber": frames} if frames else {}),
        )
        for image in images
    ]
    series = item(SeriesInstanceUID=images[0].SeriesInstanceUID, ReferencedImageSequence=references)
    state = with_attributes(Dataset(), identity(sop_class, "PR"))
    grey = {
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "PresentationLUTShape": "IDENTITY",
    }
    basics = {
        "StudyInstanceUID": images[0].StudyInstanceUID,
        "ReferencedSeriesSequence": [series],
        "InstanceNumber": 1,
        "Manufacturer": "",
        "ContentLabel": "A",
        "ContentDescription": "",
        "ContentCreatorName": "",
        "PresentationCreationDate": "20240311",
        "PresentationCreationTime": "101530",
    }
    return with_attributes(state, basics, grey if sop_class != COLOR_STATE else {}, attributes)


def window(center: float, width: float, **attributes: Any) -> list[Dataset]:
    """A Softcopy VOI LUT Sequence of one window."""
    return [item(WindowCenter=center, WindowWidth=width, **attributes)]


def area(first: Sequence[int], last: Sequence[int], **attributes: Any) -> list[Dataset]:
    """A Displayed Area Selection Sequence."""
    basics = {"PresentationSizeMode": "SCALE TO FIT", "PresentationPixelAspectRatio": [1, 1]}
    corners = {
        "DisplayedAreaTopLeftHandCorner": list(first),
        "DisplayedAreaBottomRightHandCorner": list(last),
    }
    return [item(**corners, **basics | attributes)]


def code(meaning: str, value: str = "1", scheme: str = "99TEST") -> list[Dataset]:
    """A code sequence."""
    return [item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def content(value_type: str, name: str, **attributes: Any) -> Dataset:
    """One content item of a report."""
    basics = {"RelationshipType": "CONTAINS", "ValueType": value_type, "ConceptNameCodeSequence": code(name)}
    return item(**basics | attributes)


def report(children: Sequence[Dataset], title: str = "Imaging Report", **attributes: Any) -> Dataset:
    """A structured report in UTF-8."""
    data_set = with_attributes(Dataset(), identity(COMPREHENSIVE_SR, "SR"))
    root = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ValueType": "CONTAINER",
        "ContinuityOfContent": "SEPARATE",
        "ConceptNameCodeSequence": code(title),
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ContentSequence": list(children),
    }
    return with_attributes(data_set, root, attributes)


def raw_data(**attributes: Any) -> Dataset:
    """What nobody can render."""
    return with_attributes(Dataset(), identity(RawDataStorage, "OT"), attributes)


def document(
    data: bytes,
    media_type: str = "application/pdf",
    sop_class: str = EncapsulatedPDFStorage,
    **attributes: Any,
) -> Dataset:
    """An encapsulated document."""
    data_set = with_attributes(Dataset(), identity(sop_class, "DOC"), attributes)
    return with_attributes(
        data_set,
        EncapsulatedDocument=data + bytes(len(data) % 2),
        EncapsulatedDocumentLength=len(data),
        MIMETypeOfEncapsulatedDocument=media_type,
        DocumentTitle="Test",
        BurnedInAnnotation="YES",
    )


def video(stream: bytes, transfer_syntax_uid: str = H264) -> tuple[Dataset, bytes]:
    """A video of ten frames, its stream in one fragment; the data set and its PS3.10 file."""
    data_set = with_attributes(Dataset(), identity(VideoPhotographicImageStorage, "XC"))
    with_attributes(
        data_set, Rows=64, Columns=64, SamplesPerPixel=3, PhotometricInterpretation="YBR_PARTIAL_420"
    )
    with_attributes(
        data_set, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, NumberOfFrames=10
    )
    with_attributes(data_set, PlanarConfiguration=0, FrameTime="40", PixelData=encapsulate([stream]))
    data_set["PixelData"].is_undefined_length = True
    return data_set, part10(data_set, transfer_syntax_uid)
