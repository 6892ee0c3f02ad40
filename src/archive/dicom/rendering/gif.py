"""GIF (GIF89a): single pictures and animations, written frame by frame.

Pillow compresses each frame, but writes an animation only after it has all of its frames in memory. So a frame is
taken out of the one-frame file that Pillow makes, with its own palette, and sent on: an animation of a thousand frames
costs the memory of one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from archive.dicom.errors import CannotRender
from archive.dicom.metadata_values import Metadata, number, numbers

Array = NDArray[Any]

MOST_SIDE = 65535
_TRAILER = b"\x3b"
_FOR_EVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_USUAL_MILLISECONDS = 100.0
_FRAME_TIME_VECTOR, _FRAME_TIME = "00181065", "00181063"
_RATES = ("00082144", "00180040")
"""RecommendedDisplayFrameRate, CineRate: frames a second."""


def encode(picture: Array) -> bytes:
    """One 8-bit picture, grey or RGB, as a GIF; colours are reduced to 256. Raises CannotRender."""
    check_size(*picture.shape[:2])
    buffer = BytesIO()
    _indexed(picture).save(buffer, "GIF", optimize=False)
    return buffer.getvalue()


def animate(pictures: Iterable[Array], milliseconds: Iterable[float]) -> Iterator[bytes]:
    """The pictures, all of one size, one after the other for ever. Each is made when it is its turn. Raises
    CannotRender."""
    begun = False
    for picture, delay in zip(pictures, milliseconds, strict=False):
        if not begun:
            rows, columns = picture.shape[:2]
            check_size(rows, columns)
            yield b"GIF89a" + struct.pack("<HHBBB", columns, rows, 0x70, 0, 0) + _FOR_EVER
            begun = True
        yield _frame(encode(picture), delay)
    yield _TRAILER


def check_size(rows: int, columns: int) -> None:
    """Raises CannotRender for what has no room in the two bytes that a length has."""
    if max(rows, columns) > MOST_SIDE:
        raise CannotRender("The picture is larger than a GIF can be: ask for image/png.")


def frame_times(metadata: Metadata) -> Iterator[float]:
    """How many milliseconds each frame is shown, without end (PS3.3 C.7.6.5)."""
    vector = numbers(metadata, _FRAME_TIME_VECTOR)
    yield from (_bounded(delay) for delay in vector[1:])
    usual = _bounded(_usual(metadata))
    while True:
        yield usual


def _usual(metadata: Metadata) -> float:
    if time := number(metadata, _FRAME_TIME, 0.0):
        return time
    rate = next((found for tag in _RATES if (found := number(metadata, tag, 0.0)) > 0), 0.0)
    return 1000 / rate if rate else _USUAL_MILLISECONDS


def _bounded(milliseconds: float) -> float:
    """Browsers show what is below 20 ms at a tenth of a second."""
    return min(max(milliseconds, 20.0), 60_000.0)


def _indexed(picture: Array) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture))
    return image if image.mode == "L" else image.quantize(256, Image.Quantize.FASTOCTREE)


def _frame(whole: bytes, milliseconds: float) -> bytes:
    """The picture of a one-frame GIF with its palette beside it."""
    flags = whole[10]
    entries = 2 << (flags & 7) if flags & 0x80 else 0
    palette, position = whole[13 : 13 + 3 * entries], 13 + 3 * entries
    while whole[position] == 0x21:
        position = _after_blocks(whole, position + 2)
    descriptor = bytearray(whole[position : position + 10])
    local = b""
    if not descriptor[9] & 0x80:
        descriptor[9] |= 0x80 | (flags & 7)
        local = palette
    control = b"\x21\xf9\x04\x04" + struct.pack("<H", round(milliseconds / 10)) + b"\x00\x00"
    return control + bytes(descriptor) + local + whole[position + 10 : -1]


def _after_blocks(whole: bytes, position: int) -> int:
    while whole[position]:
        position += 1 + whole[position]
    return position + 1
