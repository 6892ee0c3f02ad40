"""What the Image Pixel module says of a frame (PS3.3 C.7.6.3), checked before anything is allocated.

Rows and Columns are attacker's numbers: their product is worked out in Python's integers and held against a
budget first, and a codestream has to agree with them before a decoder sees it.
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.errors import CannotRender
from archive.dicom.metadata_values import Metadata, integer, text

PIXEL_BUDGET = 100_000_000
"""Most samples of one frame that are decoded. The largest projections in use have some 30 million; at 16 bits
this keeps a rendering below half a gigabyte."""

FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA = "7FE00008", "7FE00009"
DESCRIBING = (
    *("00280002", "00280004", "00280006", "00280010", "00280011", "00280100", "00280101", "00280102"),
    *("00280103", FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA),
)
"""The attributes that `describe` looks at."""
SAMPLES_PER_PIXEL = (1, 3)
BITS_ALLOCATED = (1, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """One frame as the data set describes it. `is_float`: (Double) Float Pixel Data, BitsStored then means
    nothing."""

    Rows: int
    Columns: int
    SamplesPerPixel: int
    BitsAllocated: int
    BitsStored: int
    HighBit: int
    PixelRepresentation: int
    PlanarConfiguration: int
    PhotometricInterpretation: str
    is_float: bool = False

    @property
    def samples(self) -> int:
        """Samples of one frame."""
        return self.Rows * self.Columns * self.SamplesPerPixel

    @property
    def native_bytes(self) -> int:
        """Bytes of one native frame, chroma not subsampled."""
        return (self.samples * self.BitsAllocated + 7) // 8

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the decoded array."""
        colour = (self.SamplesPerPixel,) if self.SamplesPerPixel > 1 else ()
        return (self.Rows, self.Columns, *colour)


def describe(metadata: Metadata) -> PixelDescription:
    """The description of each frame of the instance; raises CannotRender for what is no picture, or too
    large."""
    is_float = FLOAT_PIXEL_DATA in metadata or DOUBLE_FLOAT_PIXEL_DATA in metadata
    allocated = integer(metadata, "00280100", 0)
    stored, high_bit = _bits(metadata, allocated)
    description = PixelDescription(
        Rows=integer(metadata, "00280010", 0),
        Columns=integer(metadata, "00280011", 0),
        SamplesPerPixel=integer(metadata, "00280002", 1),
        BitsAllocated=allocated,
        BitsStored=stored,
        HighBit=high_bit,
        PixelRepresentation=integer(metadata, "00280103", 0) & 1,
        PlanarConfiguration=integer(metadata, "00280006", 0),
        PhotometricInterpretation=text(metadata, "00280004").upper(),
        is_float=is_float,
    )
    _check(description)
    return description


def _bits(metadata: Metadata, allocated: int) -> tuple[int, int]:
    """BitsStored and HighBit; where they contradict BitsAllocated, all bits count."""
    stored = integer(metadata, "00280101", allocated)
    if not 1 <= stored <= allocated:
        stored = allocated
    high_bit = integer(metadata, "00280102", stored - 1)
    return stored, high_bit if stored - 1 <= high_bit < allocated else stored - 1


def _check(description: PixelDescription) -> None:
    if description.Rows < 1 or description.Columns < 1:
        raise CannotRender("The object has no pixel data: Rows or Columns is absent or zero.")
    if description.samples > PIXEL_BUDGET:
        raise CannotRender(
            f"A frame of {description.Columns} x {description.Rows} x {description.SamplesPerPixel} samples "
            f"is more than the {PIXEL_BUDGET} samples that are decoded."
        )
    if description.SamplesPerPixel not in SAMPLES_PER_PIXEL:
        raise CannotRender(f"SamplesPerPixel {description.SamplesPerPixel} cannot be rendered.")
    if description.BitsAllocated not in BITS_ALLOCATED:
        raise CannotRender(f"BitsAllocated {description.BitsAllocated} cannot be rendered.")
