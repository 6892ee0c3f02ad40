"""A chest in an X-ray, and a heart under ultrasound: pictures that are no slices of anything."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CHEST_ROWS, CHEST_COLUMNS = 1280, 1024
HEART_ROWS, HEART_COLUMNS, HEART_FRAMES = 360, 480, 48


def chest() -> Array:
    """How much the rays are weakened, 12 bits, bone bright: a chest from behind (PA)."""
    y, x = np.mgrid[0:CHEST_ROWS, 0:CHEST_COLUMNS].astype(np.float32)
    x, y = (x - CHEST_COLUMNS / 2) / 512, (y - CHEST_ROWS / 2) / 512
    seen = 1.5 * _thickness(x, y, 0, 0.1, 0.92, 1.35) + 0.45 * _thickness(x, y, 0, -1.2, 0.3, 0.5)
    for side in (-1, 1):
        seen -= 1.02 * _thickness(x, y, 0.42 * side, -0.12, 0.33, 0.74)
        seen += 0.18 * _thickness(x, y, 0.14 * side, -0.12, 0.13, 0.2)
        seen += _clavicle(x, y, side)
    seen += 0.75 * _thickness(x, y, 0.14, 0.3, 0.34, 0.36)
    seen += 0.5 * _thickness(x, y, 0.1, -0.32, 0.13, 0.16)
    seen += 0.6 * np.clip(seen, 0, 1) / (1 + np.exp((_diaphragm(x) - y) * 28))
    seen += _spine(x, y) + sum(_rib(x, y, number) for number in range(10))
    seen += 0.28 * _thickness(x, y, -0.46, -0.36, 0.05, 0.05)
    body = 1 / (1 + np.exp(-(seen - 0.05) * 30))
    noise = np.random.default_rng(11).normal(0, 0.012, seen.shape)
    return np.clip((180 + 1500 * seen * body) * (1 + noise), 0, 4095).astype(np.uint16)


def _thickness(x: Array, y: Array, at_x: float, at_y: float, wide: float, high: float) -> Array:
    """What a ray passes through of an ellipsoid."""
    inside = 1 - ((x - at_x) / wide) ** 2 - ((y - at_y) / high) ** 2
    depth: Array = np.sqrt(np.clip(inside, 0, None))
    return depth


def _diaphragm(x: Array) -> Array:
    dome: Array = 0.52 + 0.9 * (np.abs(x) - 0.4) ** 2 + 0.04 * np.tanh(x * 12)
    return dome


def _clavicle(x: Array, y: Array, side: int) -> Array:
    along = np.clip(x * side, 0.08, 0.75)
    away = (y + 0.72 - 0.14 * np.sin(along * 4.2)) ** 2 + (x * side - along) ** 2
    bone: Array = 0.2 * np.exp(-away / 0.0009)
    return bone


def _spine(x: Array, y: Array) -> Array:
    bodies = 0.86 + 0.14 * np.cos(y * 2 * math.pi / 0.15)
    bone: Array = 0.3 * np.exp(-((np.abs(x) / 0.085) ** 4)) * bodies
    return bone


def _rib(x: Array, y: Array, number: int) -> Array:
    """One on each side, from the spine outwards, down and around."""
    top, reach = -0.84 + 0.135 * number, min(0.42 + 0.075 * number, 0.84)
    out = np.abs(x) / reach
    middle = top + 0.5 * out**2 - 0.1 * np.sqrt(np.clip(1 - out**2, 0, 1))
    edge: Array = 0.13 * np.exp(-(((y - middle) / 0.026) ** 4)) * (out < 1) * (0.5 + 0.5 * out)
    return edge


def heart() -> Array:
    """Frames of a beating heart in the sector of a transducer, 8 bits: one beat, which can go round."""
    y, x = np.mgrid[0:HEART_ROWS, 0:HEART_COLUMNS].astype(np.float32)
    x, y = (x - HEART_COLUMNS / 2) / 340, (y - 8) / 340
    depth, angle = np.hypot(x, y), np.arctan2(x, y)
    sector = (depth > 0.06) & (depth < 1.0) & (np.abs(angle) < 0.68)
    random = np.random.default_rng(5)
    still = random.rayleigh(0.55, x.shape).astype(np.float32)
    frames = [
        _frame(x, y, depth, 2 * math.pi * number / HEART_FRAMES, still, random)
        for number in range(HEART_FRAMES)
    ]
    return np.stack([np.where(sector, frame, 0) for frame in frames]).astype(np.uint8)


def _frame(
    x: Array, y: Array, depth: Array, phase: float, still: Array, random: np.random.Generator
) -> Array:
    squeeze = 1 - 0.26 * max(0.0, math.sin(phase)) ** 1.4
    wall, blood = np.full(x.shape, 0.34, np.float32), 0.045
    wall = np.where(_ring(x, y, -0.02, 0.5, 0.27, 0.37) < 1, 0.72, wall)
    wall = np.where(_ring(x, y, 0.05, 0.47, 0.15 * squeeze, 0.26 * squeeze) < 1, blood, wall)
    wall = np.where(_ring(x, y, -0.19, 0.46, 0.065 * (0.6 + squeeze / 2), 0.2) < 1, blood, wall)
    wall = np.where(_ring(x, y, 0.02, 0.86, 0.16 * (1.9 - squeeze), 0.1 * (1.9 - squeeze)) < 1, blood, wall)
    opening = 0.05 * max(0.0, -math.sin(phase))
    for side in (-1, 1):
        leaflet = np.abs(x - 0.03 - side * (0.02 + opening) - side * 0.5 * (y - 0.68))
        wall = np.where((leaflet < 0.009) & (np.abs(y - 0.71) < 0.05), 0.95, wall)
    moving = random.rayleigh(0.55, x.shape).astype(np.float32)
    speckle = 0.8 * still + 0.2 * moving
    speckle = (speckle + np.roll(speckle, 1, 1) + np.roll(speckle, 2, 1)) / 3
    grey: Array = 255 * np.clip(wall * speckle * (1.25 - 0.5 * depth) * 1.25, 0, 1) ** 0.8
    return grey


def _ring(x: Array, y: Array, at_x: float, at_y: float, wide: float, high: float) -> Array:
    within: Array = ((x - at_x) / wide) ** 2 + ((y - at_y) / high) ** 2
    return within
