"""PhotometricInterpretation -> 8-bit grey or RGB (PS3.3 C.7.6.3.1.2): the one table by which values become a
picture.

Colour goes through neither window nor rescale: the standard has them for grey only (PS3.3 C.11.2). Overlays are left
alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from archive.dicom.errors import CannotRender
from archive.dicom.metadata_values import Metadata
from archive.dicom.pixels.codecs import Decoded
from archive.dicom.pixels.lookup_tables import LookupTable, palette, through_table
from archive.dicom.pixels.pixel_description import PixelDescription
from archive.dicom.rendering.greyscale import Window, to_grey

Array = NDArray[Any]


def to_picture(
    decoded: Decoded,
    description: PixelDescription,
    metadata: Metadata,
    frame_number: int,
    window: Window | None,
) -> Array:
    """One frame as uint8, (rows, columns) grey or (rows, columns, 3) RGB. Raises CannotRender."""
    if description.SamplesPerPixel == 3:
        convert = _COLOURS.get(decoded.PhotometricInterpretation, _rgb)
        return convert(_eight_bits(decoded.values, description))
    if decoded.PhotometricInterpretation == "PALETTE COLOR":
        return _coloured(decoded.values, palette(metadata, description))
    return to_grey(decoded.values, description, metadata, frame_number, window)


def coloured(grey: Array, colours: Metadata, description: PixelDescription) -> Array:
    """8-bit grey through the palette of a presentation state, whose whole range it has (PS3.3 C.7.9)."""
    entries = palette(colours, description).entries
    table = entries[np.rint(np.linspace(0, len(entries) - 1, 256)).astype(np.int32)]
    return np.asarray(table[grey])


def _coloured(values: Array, colours: LookupTable) -> Array:
    table = through_table(values, colours.apply)
    return colours.apply(values) if table is None else table


def _eight_bits(values: Array, description: PixelDescription) -> Array:
    """The eight most significant of BitsStored."""
    if values.dtype.kind == "f":
        raise CannotRender("Colour in floating point cannot be rendered.")
    surplus = description.BitsStored - 8
    if surplus > 0:
        return np.right_shift(values, surplus).astype(np.uint8)
    if surplus < 0:
        return (values.astype(np.uint16) * 255 // ((1 << description.BitsStored) - 1)).astype(np.uint8)
    return values.astype(np.uint8)


def _widened(least: int, middle: int, steps: int) -> Array:
    """Each of the 256 values of a reduced range in the full one."""
    wide = (np.arange(256) - least) * (255 / steps) + middle
    return np.asarray(np.clip(wide + 0.5, 0, 255), np.uint8)


_FULL_LUMA, _FULL_CHROMA = _widened(16, 0, 219), _widened(128, 128, 224)


def _rgb(values: Array) -> Array:
    return values


def _ybr_full(values: Array) -> Array:
    """ITU-R BT.601 full range, as JFIF has it; Pillow's tables take a fifth of the time of numpy's matrix."""
    rows, columns = values.shape[:2]
    picture = Image.frombytes("YCbCr", (columns, rows), np.ascontiguousarray(values).tobytes())
    return np.asarray(picture.convert("RGB"))


def _ybr_partial(values: Array) -> Array:
    """CCIR 601 reduced range: Y 16 to 235, chroma 16 to 240."""
    wide = np.empty_like(values)
    for channel, table in enumerate((_FULL_LUMA, _FULL_CHROMA, _FULL_CHROMA)):
        wide[..., channel] = table[values[..., channel]]
    return _ybr_full(wide)


_COLOURS: dict[str, Callable[[Array], Array]] = {
    "RGB": _rgb,
    "YBR_FULL": _ybr_full,
    "YBR_FULL_422": _ybr_full,
    "YBR_PARTIAL_422": _ybr_partial,
    "YBR_PARTIAL_420": _ybr_partial,
    "YBR_ICT": _rgb,
    "YBR_RCT": _rgb,
}
"""YBR_ICT and YBR_RCT exist inside JPEG 2000 codestreams only, whose decoder gives RGB."""
