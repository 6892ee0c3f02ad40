"""PNG and GIF made native pixel data, as no transfer syntax has them (PS3.18 table 10.5.2-1: Transform).

Transparency is dropped, as the standard says there. A GIF of nothing but grey becomes one sample per pixel; an animated
one becomes a multi-frame image of whole frames. Both formats can claim any size in a few bytes, so what they claim is
held against a budget before anything is decoded.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from archive.dicom.errors import CannotUnderstand, ObjectTooLarge
from archive.dicom.pixels.pixel_description import PIXEL_BUDGET
from archive.dicom.receiving.assembly import Bulk
from archive.dicom.receiving.codestream_kinds import LONGEST_SIDE

MAXIMUM_PICTURE_BYTES = 128 << 20
MAXIMUM_ANIMATION_SAMPLES = 1 << 30
"""Of all frames of an animation, decoded."""

_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_FAILURES = (
    Image.DecompressionBombError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    OSError,
    SyntaxError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: its frames in native format, by pixel, little endian, made one at a time."""

    rows: int
    columns: int
    samples: int
    precision: int
    number_of_frames: int
    frames: Iterator[bytes]


def decode(media_type: str, picture: Bulk) -> Picture:
    """Raises CannotUnderstand, ObjectTooLarge; so does taking the frames."""
    if picture.length > MAXIMUM_PICTURE_BYTES:
        raise ObjectTooLarge(f"a picture of more than {MAXIMUM_PICTURE_BYTES} bytes is not transformed")
    raw = picture.head(MAXIMUM_PICTURE_BYTES)
    try:
        return _png(raw) if media_type == "image/png" else _gif(raw)
    except _FAILURES as failure:
        raise _unreadable(media_type) from failure


def _png(raw: bytes) -> Picture:
    if raw[:8] != b"\x89PNG\r\n\x1a\n" or raw[12:16] != b"IHDR":
        raise ValueError
    columns, rows = (int.from_bytes(raw[at : at + 4], "big") for at in (16, 20))
    _check_size(rows, columns, _PNG_CHANNELS[raw[25]])
    pixels = np.atleast_3d(imagecodecs.png_decode(raw))
    samples = 1 if pixels.shape[2] < 3 else 3
    precision = 8 * pixels.dtype.itemsize
    native = np.ascontiguousarray(pixels[:, :, :samples]).astype(f"<u{precision // 8}", copy=False)
    return Picture(rows, columns, samples, precision, 1, iter([native.tobytes()]))


def _gif(raw: bytes) -> Picture:
    if raw[:6] not in (b"GIF87a", b"GIF89a"):
        raise ValueError
    columns, rows = (int.from_bytes(raw[at : at + 2], "little") for at in (6, 8))
    _check_size(rows, columns, 4)
    number = 0
    is_grey = True
    for pixels in _gif_frames(raw):
        number += 1
        if number * pixels.size > MAXIMUM_ANIMATION_SAMPLES:
            raise ObjectTooLarge(f"the GIF has more than {MAXIMUM_ANIMATION_SAMPLES} samples when decoded")
        is_grey = is_grey and bool((pixels == pixels[:, :, :1]).all())
    samples = 1 if is_grey else 3
    return Picture(rows, columns, samples, 8, number, _native(raw, samples))


def _native(raw: bytes, samples: int) -> Iterator[bytes]:
    try:
        for pixels in _gif_frames(raw):
            yield np.ascontiguousarray(pixels[:, :, :samples]).tobytes()
    except _FAILURES as failure:
        raise _unreadable("image/gif") from failure


def _gif_frames(raw: bytes) -> Iterator[NDArray[Any]]:
    with Image.open(io.BytesIO(raw), formats=["GIF"]) as animation:
        for frame in ImageSequence.Iterator(animation):
            _check_size(
                frame.height, frame.width, 4
            )  # a frame may reach past the screen that the header claims
            yield np.asarray(frame.convert("RGBA"))[:, :, :3]


def _check_size(rows: int, columns: int, channels: int) -> None:
    if not (0 < rows <= LONGEST_SIDE and 0 < columns <= LONGEST_SIDE):
        raise ValueError
    if rows * columns * channels > PIXEL_BUDGET:
        raise ObjectTooLarge(f"a picture of more than {PIXEL_BUDGET} samples is not transformed")


def _unreadable(media_type: str) -> CannotUnderstand:
    return CannotUnderstand(f"the part of type {media_type} cannot be decoded")
