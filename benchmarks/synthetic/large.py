"""One multi-frame object of gigabytes: an Enhanced CT whose functional groups say of each frame where it lies.

It is written to a file once; its UIDs have a fixed length, so another run gives the same file new ones in place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from benchmarks.synthetic import headers, pictures
from benchmarks.synthetic.headers import made, uid
from benchmarks.synthetic.objects import CT as CT_KIND
from benchmarks.synthetic.objects import SLOTS, Series
from benchmarks.synthetic.template import file_head, pixel_element, template

FRAME_BYTES = 512 * 512 * 2


@dataclass(frozen=True, slots=True)
class Large:
    """A multi-frame object of `frames` frames of 512 KB, named after a run."""

    name: str
    frames: int

    @property
    def series(self) -> Series:
        """Its place in the hierarchy: a series that has this one object."""
        return Series(CT_KIND, self.name, 1)

    def head(self) -> bytes:
        """All of the file before the pixels."""
        values = self.series.values(0)
        slots = template(_header(self.frames), SLOTS)
        without_pixels = slots.data_set(values, b"")[: -len(pixel_element(0))]
        return (
            file_head(slots.SOPClassUID, values["SOPInstanceUID"])
            + without_pixels
            + pixel_element(self.frames * FRAME_BYTES)
        )

    def write(self, path: Path) -> None:
        """Make the file what this object is; where it is another of the same size, only its head is written."""
        head = self.head()
        size = len(head) + self.frames * FRAME_BYTES
        if not (path.exists() and path.stat().st_size == size):
            with path.open("wb") as file:
                file.write(head)
                for number in range(self.frames):
                    file.write(pictures.pixels(512, f"frame {number}", signed=True))
        with path.open("r+b") as file:
            file.write(head)
            file.flush()
            os.fsync(file.fileno())


def _header(frames: int) -> Dataset:
    data_set = headers.ct()
    data_set.SOPClassUID = EnhancedCTImageStorage
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    data_set.NumberOfFrames = frames
    data_set.SharedFunctionalGroupsSequence = [_shared()]
    data_set.PerFrameFunctionalGroupsSequence = [_of_frame(number) for number in range(1, frames + 1)]
    data_set.DimensionOrganizationSequence = [made(DimensionOrganizationUID=uid("dimensions"))]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(data_set, keyword)
    return data_set


def _shared() -> Dataset:
    return made(
        PixelMeasuresSequence=[made(SliceThickness="0.5", PixelSpacing=["0.78125", "0.78125"])],
        PlaneOrientationSequence=[made(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        PixelValueTransformationSequence=[made(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")],
        FrameVOILUTSequence=[made(WindowCenter="40", WindowWidth="400")],
    )


def _of_frame(number: int) -> Dataset:
    content = made(
        FrameAcquisitionNumber=1,
        DimensionIndexValues=[1, number],
        StackID="1",
        InStackPositionNumber=number,
    )
    position = made(ImagePositionPatient=["-199.6", "-199.6", f"{-0.5 * number:.1f}"])
    return made(FrameContentSequence=[content], PlanePositionSequence=[position])
