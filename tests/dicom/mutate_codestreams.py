"""Run as a program: decode mutations of one valid frame per codec and say `done`. A crash ends it with a signal.

It runs as its own process so that a decoder that dies takes this down and not the test run.
"""

from __future__ import annotations

import faulthandler
import random
import resource
import sys
import time

import imagecodecs
import numpy as np

from archive.dicom.errors import CannotRender
from archive.dicom.rendering.pixel_data import decode, render
from pixel_oracle import image

J = "1.2.840.10008.1.2.4."
MEMORY = 4 << 30


def frames() -> dict[str, tuple[str, bytes, np.ndarray]]:
    """Codec -> transfer syntax, frame, what is in it."""
    grey = np.add.outer(np.arange(40), np.arange(56)).astype(np.uint8)
    deep = (grey.astype(np.uint16) << 4) | 3
    colour = np.dstack([grey, grey[::-1], grey[:, ::-1]])
    rle = bytes([1, 0, 0, 0, 64] + [0] * 59) + b"".join(
        bytes([55]) + grey[row].tobytes() for row in range(40)
    )
    return {
        "rle": ("1.2.840.10008.1.2.5", rle, grey),
        "jpeg": (f"{J}50", imagecodecs.jpeg8_encode(grey, 90), grey),
        "jpeg colour": (f"{J}50", imagecodecs.jpeg8_encode(colour, 90), colour),
        "jpeg 12": (f"{J}51", imagecodecs.jpeg8_encode(deep, 90, bitspersample=12), deep),
        "jpeg lossless": (f"{J}70", imagecodecs.jpeg8_encode(deep, lossless=True, predictor=1), deep),
        "jpeg-ls": (f"{J}80", imagecodecs.jpegls_encode(deep), deep),
        "jpeg-ls colour": (f"{J}81", imagecodecs.jpegls_encode(colour, 3), colour),
        "jpeg 2000": (f"{J}90", imagecodecs.jpeg2k_encode(deep, reversible=True, codecformat="j2k"), deep),
        "jpeg 2000 colour": (f"{J}91", imagecodecs.jpeg2k_encode(colour, 80, codecformat="j2k"), colour),
        "htj2k": (f"{J}201", imagecodecs.htj2k_encode(deep, reversible=True), deep),
        "htj2k colour": (f"{J}203", imagecodecs.htj2k_encode(colour, reversible=True), colour),
        "jpeg xl": (f"{J}110", imagecodecs.jpegxl_encode(deep, lossless=True), deep),
        "jpeg xl lossy": (f"{J}112", imagecodecs.jpegxl_encode(colour, 80), colour),
    }


def mutated(frame: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, a run removed or doubled, or the end cut off."""
    data = bytearray(frame)
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(data)), dice.randint(1, 16)
        kind = dice.randrange(5)
        if kind == 0:
            data[at] = dice.choice((0, 0xFF, dice.randrange(256)))
        elif kind == 1:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 2 and len(data) > 40:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif len(data) > 40:
            del data[max(20, at) :]
    return bytes(data)


def main(codec: str, seed: int, seconds: float) -> None:
    """Mutate until the time is over; only CannotRender is let through."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    uid, frame, array = frames()[codec]
    frame, dice, metadata = bytes(frame), random.Random(seed), image(array)
    end, tried, refused = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        tried += 1
        try:
            decode(mutated(frame, dice), metadata, uid)
        except CannotRender:
            refused += 1
    render(frame, metadata, uid, "image/png")
    print("done", tried, refused)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
