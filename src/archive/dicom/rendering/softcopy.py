"""What a presentation state does with a picture: shutter, displayed area, rotation, text and graphics
(PS3.4 N.2.3, PS3.3 C.7.6.11, C.10.4 to C.10.6).

Coordinates go one way: from the image matrix into the displayed area as fractions of it, through rotation and flip,
to pixels of the result. Annotations are drawn last, at the resolution of the result.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from archive.dicom.metadata_values import Metadata, integer, items, number, numbers, text, values
from archive.dicom.rendering.lettering import Lettering, cleaned
from archive.dicom.rendering.presentation_state import Annotation, DisplayedArea, Presentation, shutter_shapes
from archive.dicom.rendering.viewport import MOST_PIXELS, Viewport
from archive.dicom.rendering.viewport import shown as cut_and_scaled

Array = NDArray[Any]
Point = tuple[float, float]

MOST_POINTS = 20_000
"""Of all graphics on a frame together, where a line of text counts as twenty; what comes after them is not drawn."""
_POINTS_OF_LINE = 20
_FARTHEST = 1e7
_MARGIN = 64
_TURNS: dict[int, tuple[Image.Transpose | None, Callable[[float, float], Point]]] = {
    0: (None, lambda u, v: (u, v)),
    90: (Image.Transpose.ROTATE_270, lambda u, v: (1 - v, u)),
    180: (Image.Transpose.ROTATE_180, lambda u, v: (1 - u, 1 - v)),
    270: (Image.Transpose.ROTATE_90, lambda u, v: (v, 1 - u)),
}
"""Degrees clockwise -> how Pillow, which counts the other way, turns, and where a point goes."""


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The result as annotations see it."""

    area: DisplayedArea
    presentation: Presentation
    width: int
    height: int

    def place(self, x: float, y: float, units: str) -> Point:
        """Where a point lies in the result; in DISPLAY units it is a fraction of it."""
        if units == "DISPLAY":
            return x * self.width, y * self.height
        u = (x - self.area.left) / (self.area.right - self.area.left)
        v = (y - self.area.top) / (self.area.bottom - self.area.top)
        u, v = _TURNS[self.presentation.rotation][1](u, v)
        return (1 - u if self.presentation.flipped else u) * self.width, v * self.height


def presented(
    picture: Array, presentation: Presentation, viewport: Viewport | None, lettering: Lettering
) -> Array:
    """The picture as the presentation state wants it seen, fitted into the viewport if there is one. Its source region
    is cut out of that, so that its place and size are parts of what is shown, as they are of the picture (PS3.18
    8.3.5.1)."""
    if viewport is not None and viewport.has_region:
        whole = presented(picture, presentation, None, lettering)
        down, across = (
            shown / stored for shown, stored in zip(whole.shape[:2], picture.shape[:2], strict=True)
        )
        return cut_and_scaled(whole, {}, viewport.stretched(across, down))
    image = Image.fromarray(np.ascontiguousarray(picture))
    _shut(image, presentation.metadata)
    area = presentation.area or DisplayedArea(0, 0, image.width, image.height)
    image = image.crop((area.left, area.top, area.right, area.bottom))
    turn, _ = _TURNS[presentation.rotation]
    if turn is not None:
        image = image.transpose(turn)
    if presentation.flipped:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.resize(_size(image, area, presentation.rotation, viewport), Image.Resampling.LANCZOS)
    canvas = _Canvas(area, presentation, image.width, image.height)
    left = MOST_POINTS
    for annotation in presentation.annotations:
        left = _annotate(image, canvas, annotation, lettering, left)
    return np.asarray(_cropped(image, viewport) if area.magnification else image)


def _size(
    image: Image.Image, area: DisplayedArea, rotation: int, viewport: Viewport | None
) -> tuple[int, int]:
    across, down = (area.down, area.across) if rotation in (90, 270) else (area.across, area.down)
    width, height = image.width * across, image.height * down
    if area.magnification is not None:
        scale = min(max(area.magnification, 0.01), math.sqrt(MOST_PIXELS / (width * height)))
    elif viewport is not None:
        scale = min(viewport.width / width, viewport.height / height)
    else:
        scale = min(1.0, math.sqrt(max(MOST_PIXELS, image.width * image.height) / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _cropped(image: Image.Image, viewport: Viewport | None) -> Image.Image:
    """The middle of a magnified area, as much as the viewport has room for (PS3.18 8.3.5.1.6)."""
    if viewport is None:
        return image
    width, height = min(viewport.width, image.width), min(viewport.height, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _shut(image: Image.Image, metadata: Metadata) -> None:
    """What lies outside of any of the shutters gets the grey of the shutter."""
    shapes = shutter_shapes(metadata)
    if not shapes:
        return
    grey = min(max(integer(metadata, "00181622", 0), 0), 0xFFFF) >> 8
    for shape, draw_open in _SHUTTERS.items():
        if shape in shapes:
            mask = Image.new("L", image.size, 255)
            draw_open(ImageDraw.Draw(mask), metadata)
            image.paste(_ink(image, grey), (0, 0, *image.size), mask)


def _rectangle(draw: ImageDraw.ImageDraw, metadata: Metadata) -> None:
    left, right, top, bottom = (integer(metadata, f"0018160{n}", 0) for n in (2, 4, 6, 8))
    width, height = draw.im.size
    left, right = max(left, 1), min(right, width)
    top, bottom = max(top, 1), min(bottom, height)
    if left <= right and top <= bottom:
        draw.rectangle((left - 1, top - 1, right - 1, bottom - 1), fill=0)


def _circle(draw: ImageDraw.ImageDraw, metadata: Metadata) -> None:
    """Row by row: the time of Pillow's ellipse grows with a radius that may be far beyond the image."""
    center, radius = numbers(metadata, "00181610"), number(metadata, "00181612", 0)
    if len(center) != 2 or max(map(abs, (*center, radius))) > _FARTHEST:
        return
    width, height = draw.im.size
    for y in range(height):
        half = radius**2 - (y - center[0] + 1) ** 2
        left, right = (center[1] - 1 + sign * math.sqrt(max(half, 0)) for sign in (-1, 1))
        if half >= 0 and left < width and right >= 0:
            draw.line([(max(round(left), 0), y), (min(round(right), width - 1), y)], fill=0)


def _polygon(draw: ImageDraw.ImageDraw, metadata: Metadata) -> None:
    found = numbers(metadata, "00181620")[: 2 * MOST_POINTS]
    if len(found) >= 6:
        draw.polygon(
            [(column - 1, row - 1) for row, column in zip(found[::2], found[1::2], strict=False)], fill=0
        )


_SHUTTERS = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon}


def _annotate(
    image: Image.Image, canvas: _Canvas, annotation: Annotation, lettering: Lettering, left: int
) -> int:
    """Draw what `left` points are enough for; how many are left after it."""
    draw = ImageDraw.Draw(image)
    ink = _ink(image, annotation.grey)
    width = max(1, round(min(image.size) / 400))
    for graphic in items(annotation.item, "00700009")[: max(left, 0)]:
        points = _points(graphic, canvas)[: max(left, 0)]
        left -= 1 + len(points)
        shape = _GRAPHICS.get(text(graphic, "00700023"))
        if shape is not None and points:
            _draw(draw, shape(points), ink, 0 if text(graphic, "00700024") == "Y" else width)
    for words in items(annotation.item, "00700008"):
        if left < _POINTS_OF_LINE:
            break
        lines = _lines(words)[: left // _POINTS_OF_LINE]
        left -= len(lines) * _POINTS_OF_LINE
        _write(draw, canvas, words, lines, ink, lettering)
    return left


def _draw(draw: ImageDraw.ImageDraw, outline: list[Point], ink: Any, width: int) -> None:
    """Width 0: filled."""
    if not width and len(outline) > 2:
        draw.polygon(outline, fill=ink)
    for ends in itertools.pairwise(outline):
        if visible := _visible(*ends, *draw.im.size):
            draw.line(visible, fill=ink, width=max(width, 1))


def _visible(a: Point, b: Point, width: int, height: int) -> list[Point]:
    """What of a line lies near the picture, nothing if none does: Pillow goes along all of its length."""
    start, end = 0.0, 1.0
    for at, to, side in ((a[0], b[0], width), (a[1], b[1], height)):
        if at == to:
            if not -_MARGIN <= at <= side + _MARGIN:
                return []
            continue
        near, far = sorted(((-_MARGIN - at) / (to - at), (side + _MARGIN - at) / (to - at)))
        start, end = max(start, near), min(end, far)
    if start > end:
        return []
    return [(a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part) for part in (start, end)]


def _points(graphic: Metadata, canvas: _Canvas) -> list[Point]:
    found = numbers(graphic, "00700022")[: 2 * MOST_POINTS]
    units = text(graphic, "00700005", "PIXEL")
    if integer(graphic, "00700020", 2) != 2 or max(map(abs, found), default=0) > _FARTHEST:
        return []
    return [canvas.place(x, y, units) for x, y in zip(found[::2], found[1::2], strict=False)]


def _cross(points: Sequence[Point]) -> list[Point]:
    x, y = points[0]
    return [(x - 4, y), (x + 4, y), (x, y), (x, y - 4), (x, y + 4)]


def _open_circle(points: Sequence[Point]) -> list[Point]:
    """Centre and a point of the circumference."""
    if len(points) < 2:
        return []
    (x, y), (u, v) = points[:2]
    return _ellipse([(2 * x - u, 2 * y - v), (u, v), (x - (v - y), y + (u - x)), (x + (v - y), y - (u - x))])


def _ellipse(points: Sequence[Point]) -> list[Point]:
    """The ends of the major axis and those of the minor one."""
    if len(points) < 4:
        return []
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points[:4]
    middle = ((ax + bx) / 2, (ay + by) / 2)
    major, minor = ((bx - ax) / 2, (by - ay) / 2), ((dx - cx) / 2, (dy - cy) / 2)
    turns = (2 * math.pi * step / 72 for step in range(73))
    waves = ((math.cos(turn), math.sin(turn)) for turn in turns)
    return [
        (middle[0] + major[0] * c + minor[0] * s, middle[1] + major[1] * c + minor[1] * s) for c, s in waves
    ]


def _interpolated(points: Sequence[Point]) -> list[Point]:
    """A Catmull-Rom curve through all points."""
    found = [points[0], *points, points[-1]]
    curve: list[Point] = []
    for a, b, c, d in zip(found, found[1:], found[2:], found[3:], strict=False):
        curve += [_between(a, b, c, d, step / 8) for step in range(8)]
    return [*curve, points[-1]]


def _between(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    x, y = (
        0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
        for p, q, r, s in zip(a, b, c, d, strict=True)
    )
    return x, y


_GRAPHICS: dict[str, Callable[[Sequence[Point]], list[Point]]] = {
    "POINT": _cross,
    "POLYLINE": list,
    "INTERPOLATED": _interpolated,
    "CIRCLE": _open_circle,
    "ELLIPSE": _ellipse,
}


def _write(
    draw: ImageDraw.ImageDraw,
    canvas: _Canvas,
    words: Metadata,
    lines: Sequence[str],
    ink: Any,
    lettering: Lettering,
) -> None:
    """The text in its box, or beside its anchor; a line leads from a visible anchor to the box."""
    box = _corners(words, canvas, "00700010", "00700011", text(words, "00700003", "PIXEL"))
    anchor = _corners(words, canvas, "00700014", "00700014", text(words, "00700004", "PIXEL"))
    if not lines or not (box or anchor):
        return
    left, top = (
        (min(p[0] for p in box), min(p[1] for p in box)) if box else (anchor[0][0] + 4, anchor[0][1] + 4)
    )
    height = max(p[1] for p in box) - top if box else 0
    size = round(height / len(lines) / 1.25) if height else round(min(canvas.width, canvas.height) / 28)
    size = min(size, round(min(canvas.width, canvas.height) / 12))
    for row, line in enumerate(lines):
        font = lettering.font(line, size)
        draw.text((left, top + row * font.size * 1.25), line, fill=ink, font=font)
    if anchor and box and text(words, "00700015") == "Y":
        _draw(draw, [anchor[0], (left, top)], ink, 1)


def _lines(words: Metadata) -> list[str]:
    found = values(words, "00700006")
    whole = found[0] if found and isinstance(found[0], str) else ""
    return [cleaned(line) for line in whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:50]]


def _corners(words: Metadata, canvas: _Canvas, first: str, last: str, units: str) -> list[Point]:
    found = [numbers(words, tag) for tag in (first, last)]
    if any(len(pair) != 2 or max(map(abs, pair)) > _FARTHEST for pair in found):
        return []
    return [canvas.place(x, y, units) for x, y in found]


def _ink(image: Image.Image, grey: int) -> Any:
    return grey if image.mode == "L" else (grey,) * 3
