"""The part of a picture that is asked for, and its size (PS3.18 8.3.5.1.3; PS3.3 C.7.6.3.1.7 for the pixel
aspect)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from archive.dicom.errors import InvalidQuery
from archive.dicom.metadata_values import Metadata, numbers

Array = NDArray[Any]

MOST_PIXELS = 1 << 25
"""Of a picture that is sent: more than the largest screens have."""

_MOST_ASPECT = 8.0


@dataclass(frozen=True, slots=True)
class Viewport:
    """A source region (sx, sy, sw, sh in pixels of the frame, whose signs do not place it) to fit into width x height.
    A negative sw or sh flips the picture left to right or upside down; None is all that is left. Raises InvalidQuery
    for what is no viewport."""

    width: int
    height: int
    sx: float = 0.0
    sy: float = 0.0
    sw: float | None = None
    sh: float | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.width * self.height > MOST_PIXELS:
            raise InvalidQuery(
                f"The viewport's width and height are at least 1, and their product at most {MOST_PIXELS}."
            )
        region = (self.sx, self.sy, self.sw or 0.0, self.sh or 0.0)
        if not all(map(math.isfinite, region)) or 0 in (self.sw, self.sh):
            raise InvalidQuery("The viewport's source region is not empty.")

    @property
    def has_region(self) -> bool:
        """Whether it shows a part of the source, or flips it."""
        return (self.sx, self.sy, self.sw, self.sh) != (0.0, 0.0, None, None)

    def stretched(self, across: float, down: float) -> Viewport:
        """The same part of a source that is so many times as large."""
        sw, sh = (
            (None if self.sw is None else self.sw * across),
            (None if self.sh is None else self.sh * down),
        )
        return replace(self, sx=self.sx * across, sy=self.sy * down, sw=sw, sh=sh)


def shown(picture: Array, metadata: Metadata, viewport: Viewport | None) -> Array:
    """`picture` cut, flipped and scaled as the viewport says, with square pixels. The aspect is kept, so the result
    fills the viewport in one direction. Without a viewport the picture has the matrix of the frame, whatever the shape
    of its pixels (PS3.18 8.3.5.1.3). Raises InvalidQuery for a region outside the picture."""
    if viewport is None:
        return picture
    down, across = _pixel_aspect(metadata)
    region = _region(picture, viewport)
    rows, columns = region.shape[0] * down, region.shape[1] * across
    scale = min(viewport.width / columns, viewport.height / rows)
    width = min(viewport.width, max(1, round(columns * scale)))
    height = min(viewport.height, max(1, round(rows * scale)))
    return _scaled(region, width, height)


def _pixel_aspect(metadata: Metadata) -> tuple[float, float]:
    """How much rows and columns have to be stretched; one of them is 1. Absurd ratios count as square."""
    ratio = numbers(metadata, "00280034")
    if len(ratio) != 2 or min(ratio) <= 0 or max(ratio) / min(ratio) > _MOST_ASPECT:
        return 1.0, 1.0
    vertical, horizontal = ratio
    return max(1.0, vertical / horizontal), max(1.0, horizontal / vertical)


def _region(picture: Array, viewport: Viewport) -> Array:
    rows, columns = picture.shape[:2]
    left, right = _extent(abs(viewport.sx), viewport.sw, columns)
    top, bottom = _extent(abs(viewport.sy), viewport.sh, rows)
    region = picture[top:bottom, left:right]
    if not region.size:
        raise InvalidQuery("The viewport's source region lies outside the frame.")
    if viewport.sw is not None and viewport.sw < 0:
        region = region[:, ::-1]
    return region[::-1] if viewport.sh is not None and viewport.sh < 0 else region


def _extent(start: float, length: float | None, whole: int) -> tuple[int, int]:
    end = whole if length is None else min(whole, math.ceil(start + abs(length)))
    return math.floor(min(start, whole)), end


def _scaled(picture: Array, width: int, height: int) -> Array:
    if picture.shape[:2] == (height, width):
        return np.ascontiguousarray(picture)
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0))
