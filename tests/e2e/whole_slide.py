"""A small whole-slide study, as scanners of pathology write it: one picture in several sizes, each cut into tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, VLWholeSlideMicroscopyImageStorage

from device_headers import identity, new_uid, with_attributes

TILE = 128
WIDTH, HEIGHT = 1000, 700
LEVELS = 3
BASE_SPACING = 0.0005


def picture(level: int) -> np.ndarray:
    """The pixels of a level: no two places look alike, so a tile in a wrong place is seen."""
    height, width = HEIGHT >> level, WIDTH >> level
    y, x = np.mgrid[0:height, 0:width] << level
    return np.stack([x % 256, y % 256, (x // 256 * 16 + y // 256) % 256], axis=-1).astype(np.uint8)


@dataclass(frozen=True)
class Slide:
    """The levels of one slide in one study and series, the largest first."""

    levels: tuple[Dataset, ...]
    transfer_syntax_uid: str


def slide(transfer_syntax_uid: str) -> Slide:
    """A slide whose tiles are JPEG 2000 Lossless, or native."""
    shared = {
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "FrameOfReferenceUID": new_uid(),
        "PyramidUID": new_uid(),
    }
    levels = tuple(_level(number, transfer_syntax_uid, shared) for number in range(LEVELS))
    return Slide(levels, transfer_syntax_uid)


def tiles(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Row by row from the top left; those at the edges are filled up with white."""
    height, width = pixels.shape[:2]
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = np.full((TILE, TILE, 3), 255, np.uint8)
            part = pixels[top : top + TILE, left : left + TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _encoded(several: list[np.ndarray], transfer_syntax_uid: str) -> bytes:
    if transfer_syntax_uid == ExplicitVRLittleEndian:
        return b"".join(tile.tobytes() for tile in several)
    assert transfer_syntax_uid == JPEG2000Lossless
    encode: Callable[[np.ndarray], bytes] = lambda tile: imagecodecs.jpeg2k_encode(  # noqa: E731
        tile, level=0, reversible=True, codecformat="j2k", mct=False
    )
    return encapsulate([encode(tile) for tile in several])


def _level(number: int, transfer_syntax_uid: str, shared: dict[str, str]) -> Dataset:
    pixels = picture(number)
    several = list(tiles(pixels))
    made = with_attributes(Dataset(), identity(VLWholeSlideMicroscopyImageStorage, "SM"))
    with_attributes(
        made,
        ImageType=[
            "ORIGINAL" if number == 0 else "DERIVED",
            "PRIMARY",
            "VOLUME",
            "NONE" if number == 0 else "RESAMPLED",
        ],
        InstanceNumber=number + 1,
        ContainerIdentifier="SLIDE1",
        VolumetricProperties="VOLUME",
        SpecimenLabelInImage="NO",
        BurnedInAnnotation="NO",
        FocusMethod="AUTO",
        ExtendedDepthOfField="NO",
        LossyImageCompression="00",
        DimensionOrganizationType="TILED_FULL",
        TotalPixelMatrixFocalPlanes=1,
        NumberOfOpticalPaths=1,
        TotalPixelMatrixColumns=pixels.shape[1],
        TotalPixelMatrixRows=pixels.shape[0],
        ImagedVolumeWidth=WIDTH * BASE_SPACING,
        ImagedVolumeHeight=HEIGHT * BASE_SPACING,
        ImagedVolumeDepth=0.001,
        NumberOfFrames=len(several),
        Rows=TILE,
        Columns=TILE,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        **shared,
    )
    made.TotalPixelMatrixOriginSequence = [
        _item(XOffsetInSlideCoordinateSystem="10", YOffsetInSlideCoordinateSystem="10")
    ]
    made.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    made.OpticalPathSequence = [_optical_path()]
    spacing = BASE_SPACING * 2**number
    measures = _item(PixelSpacing=[spacing, spacing], SliceThickness="0.001", SpacingBetweenSlices="0.001")
    made.SharedFunctionalGroupsSequence = [_item(PixelMeasuresSequence=[measures])]
    made.PixelData = _encoded(several, transfer_syntax_uid)
    made["PixelData"].VR = "OB"
    return made


def _optical_path() -> Dataset:
    brightfield = _item(
        CodeValue="111741", CodingSchemeDesignator="DCM", CodeMeaning="Transmission illumination"
    )
    white = _item(CodeValue="414298005", CodingSchemeDesignator="SCT", CodeMeaning="Full Spectrum")
    return _item(
        OpticalPathIdentifier="1",
        IlluminationTypeCodeSequence=[brightfield],
        IlluminationColorCodeSequence=[white],
    )


def _item(**keywords: object) -> Dataset:
    return with_attributes(Dataset(), **keywords)
