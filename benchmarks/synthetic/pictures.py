"""Pixels: a phantom with the noise that a detector has, as codecs and compressors of answers find it."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

_SLICES = 16


@functools.cache
def _slices(size: int, signed: bool) -> tuple[bytes, ...]:
    noise = np.random.default_rng(20240311)
    return tuple(_phantom(size, signed, number, noise) for number in range(_SLICES))


def _phantom(size: int, signed: bool, number: int, noise: np.random.Generator) -> bytes:
    """A body with two dark organs that change from slice to slice, in Hounsfield-like values."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    picture = np.full((size, size), 0.0)
    picture[(x / 0.85) ** 2 + (y / 0.65) ** 2 < 1] = 1064
    for side in (-0.38, 0.38):
        organ = ((x - side) / (0.2 + 0.01 * number)) ** 2 + (y / (0.35 + 0.01 * number)) ** 2 < 1
        picture[organ] = 190
    picture += noise.normal(0, 12, picture.shape)
    values = np.clip(picture, 0, 4095)
    return bytes(values.astype("<i2" if signed else "<u2").tobytes())


def pixels(size: int, name: str, signed: bool = False) -> bytes:
    """The pixels of one slice, 16 bits each. No two names have the same: the corner differs."""
    digest = hashlib.sha256(name.encode()).digest()
    corner = bytes(byte & 0x0F if position % 2 else byte for position, byte in enumerate(digest[:16]))
    return corner + _slices(size, signed)[digest[16] % _SLICES][16:]
