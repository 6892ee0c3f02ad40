"""A head of ellipsoids, after Shepp and Logan, in patient coordinates: tissues on any plane through it.

Tissues, and not grey values, because a CT and an MR scanner see the same head each in its own way. In millimetres, x to
the left, y to the back, z to the top, as DICOM has them (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

AIR, SKIN, BONE, GREY, WHITE, FLUID, BLEEDING, CALCIFIED, MUSCLE, TUMOUR = range(10)

HOUNSFIELD: Mapping[int, int] = {
    AIR: -1000,
    SKIN: -20,
    BONE: 1150,
    GREY: 41,
    WHITE: 29,
    FLUID: 6,
    BLEEDING: 68,
    CALCIFIED: 320,
    MUSCLE: 55,
    TUMOUR: 49,
}
T1: Mapping[int, int] = {
    AIR: 8,
    SKIN: 820,
    BONE: 120,
    GREY: 430,
    WHITE: 610,
    FLUID: 150,
    BLEEDING: 520,
    CALCIFIED: 90,
    MUSCLE: 400,
    TUMOUR: 360,
}
T2: Mapping[int, int] = {
    AIR: 8,
    SKIN: 520,
    BONE: 70,
    GREY: 430,
    WHITE: 310,
    FLUID: 980,
    BLEEDING: 690,
    CALCIFIED: 60,
    MUSCLE: 210,
    TUMOUR: 760,
}


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """One tissue; turned about the z axis by `degrees`. Those that come later lie within those before."""

    tissue: int
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    degrees: float = 0.0


def _both(
    tissue: int, centre: tuple[float, float, float], axes: tuple[float, float, float], degrees: float
) -> Any:
    x, y, z = centre
    return Ellipsoid(tissue, (x, y, z), axes, degrees), Ellipsoid(tissue, (-x, y, z), axes, -degrees)


HEAD: tuple[Ellipsoid, ...] = (
    Ellipsoid(SKIN, (0, 0, 0), (77, 97, 98)),
    Ellipsoid(SKIN, (0, -97, -42), (11, 14, 20)),
    *_both(SKIN, (76, 6, -24), (7, 15, 24), -12),
    Ellipsoid(BONE, (0, 0, 0), (73, 92, 93)),
    Ellipsoid(GREY, (0, 0, 1), (66.5, 85.5, 86)),
    *_both(WHITE, (30, -2, 8), (27, 68, 60), 4),
    *_both(GREY, (26, 2, -2), (9, 20, 16), -14),
    *_both(FLUID, (12, -22, 8), (6, 24, 15), 16),
    *_both(FLUID, (19, 24, 4), (6.5, 25, 14), -20),
    Ellipsoid(FLUID, (0, 2, -4), (2.4, 14, 14)),
    Ellipsoid(FLUID, (0, 72, 8), (3, 6, 60)),
    *_both(GREY, (24, 54, -50), (26, 24, 20), 0),
    Ellipsoid(WHITE, (0, 26, -56), (14, 14, 34)),
    Ellipsoid(FLUID, (0, 42, -52), (6, 5, 8)),
    Ellipsoid(CALCIFIED, (0, 19, 2), (3, 3, 3)),
    *_both(CALCIFIED, (21, 42, 2), (3, 5, 3), 0),
    Ellipsoid(BLEEDING, (41, -26, 22), (10, 14, 12), 24),
    Ellipsoid(TUMOUR, (-36, 46, 30), (12, 10, 12)),
    Ellipsoid(FLUID, (-36, 46, 30), (5, 4, 5)),
    *_both(BONE, (31, -70, -40), (19, 22, 18), 0),
    *_both(FLUID, (31, -72, -40), (13, 13, 13), 0),
    *_both(MUSCLE, (29, -56, -40), (4, 5, 4), 0),
    *_both(AIR, (11, -83, -16), (8, 5, 9), 0),
    Ellipsoid(AIR, (0, -76, -56), (11, 19, 17)),
    Ellipsoid(BONE, (0, -76, -56), (1.2, 19, 17)),
    *_both(AIR, (58, 18, -40), (7, 9, 12), 30),
)


@dataclass(frozen=True, slots=True)
class Plane:
    """A picture's place: the centre of its first pixel, the directions of its rows and columns, the spacing."""

    origin: tuple[float, float, float]
    across: tuple[float, float, float]
    down: tuple[float, float, float]
    spacing: float
    rows: int
    columns: int


def axial(z: float, spacing: float, side: int) -> Plane:
    """A slice across the body, seen from the feet."""
    start = -spacing * (side - 1) / 2
    return Plane((start, start, z), (1, 0, 0), (0, 1, 0), spacing, side, side)


def sagittal(x: float, spacing: float, side: int) -> Plane:
    """A slice along the body from the front to the back, seen from the left."""
    start = -spacing * (side - 1) / 2
    return Plane((x, start, -start), (0, 1, 0), (0, 0, -1), spacing, side, side)


def values(plane: Plane, of_tissue: Mapping[int, int], noise: float, seed: int) -> Array:
    """What a scanner measures on a plane: a value for each tissue, a little blurred, with noise."""
    table = np.array([of_tissue[tissue] for tissue in range(len(of_tissue))], np.float32)
    sharp = table[tissues(plane)]
    random = np.random.default_rng(seed)
    measured: Array = _blurred(sharp) + noise * random.standard_normal(sharp.shape, np.float32)
    return measured


def tissues(plane: Plane) -> Array:
    """The tissue at each pixel."""
    found = np.full((plane.rows, plane.columns), AIR, np.uint8)
    column = np.arange(plane.columns, dtype=np.float32) * plane.spacing
    row = np.arange(plane.rows, dtype=np.float32)[:, None] * plane.spacing
    x, y, z = (
        origin + (across * column if across else 0.0) + (down * row if down else 0.0)
        for origin, across, down in zip(plane.origin, plane.across, plane.down, strict=True)
    )  # what does not change along the rows, or along the columns, has no such axis, and costs nothing
    for one in HEAD:
        within = _within(one, x, y, z)
        if within.any():
            found[np.broadcast_to(within, found.shape)] = one.tissue
    return found


def _within(one: Ellipsoid, x: Any, y: Any, z: Any) -> Array:
    right, back, up = (axis - centre for axis, centre in zip((x, y, z), one.centre, strict=True))
    a, b, c = one.axes
    left = np.asarray(1 - (up / c) ** 2)
    if left.max() <= 0:
        return np.zeros(1, bool)
    if not one.degrees:
        return np.asarray((right / a) ** 2 + (back / b) ** 2 <= left)
    turn = math.radians(one.degrees)
    along = right * math.cos(turn) + back * math.sin(turn)
    beside = back * math.cos(turn) - right * math.sin(turn)
    return np.asarray((along / a) ** 2 + (beside / b) ** 2 <= left)


def _blurred(sharp: Array) -> Array:
    """As every detector does: a quarter, a half, a quarter, in both directions. What is around the head is air."""
    soft = sharp.copy()
    soft[:, 1:-1] = (sharp[:, :-2] + 2 * sharp[:, 1:-1] + sharp[:, 2:]) / 4
    sharp = soft.copy()
    soft[1:-1] = (sharp[:-2] + 2 * sharp[1:-1] + sharp[2:]) / 4
    return soft
