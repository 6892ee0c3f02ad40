"""Drawn pictures: what stands for an object that is no picture, or must not be shown, and a notice in place of one that
cannot be.

A thumbnail drawn here says what kind of thing there is and nothing else (PS3.18 10.4.3.3.4, 10.4.5: content by
modality is allowed).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from archive.dicom.rendering.lettering import Lettering, cleaned
from archive.dicom.rendering.rendition import Category

Array = NDArray[Any]

_DARK, _LIGHT = 32, 176
_LONGEST_LABEL = 16


def pictogram(category: Category, label: str, width: int, height: int, lettering: Lettering) -> Array:
    """A symbol of the category with a short label, such as the modality, as large as fits."""
    side = max(1, min(width, height))
    image = Image.new("L", (side, side), _DARK)
    draw = ImageDraw.Draw(image)
    _SYMBOLS.get(category, _frame)(draw, side)
    words = cleaned(label)[:_LONGEST_LABEL]
    if side >= 24 and words and lettering.can_draw(words):
        font = lettering.font(words, side // 6)
        draw.text((side / 2, side * 0.86), words, fill=_LIGHT, font=font, anchor="mm")
    return np.asarray(image)


def notice(sentence: str, width: int, height: int, lettering: Lettering) -> Array:
    """A dark picture with a sentence on it."""
    blank = np.full((max(height, 1), max(width, 1)), _DARK, np.uint8)
    words, lines = sentence.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > max(12, width // 8):
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lettering.burn_in(blank, lines)


def _box(side: int, left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
    return left * side, top * side, right * side, bottom * side


def _sheet(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle(_box(side, 0.3, 0.12, 0.7, 0.7), outline=_LIGHT, width=max(1, side // 48))
    for row in range(5):
        y = 0.22 + 0.09 * row
        draw.line(_box(side, 0.36, y, 0.64 if row < 4 else 0.52, y), fill=_LIGHT, width=max(1, side // 64))


def _play(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.polygon(
        [(0.36 * side, 0.15 * side), (0.36 * side, 0.67 * side), (0.74 * side, 0.41 * side)], fill=_LIGHT
    )


def _frame(draw: ImageDraw.ImageDraw, side: int) -> None:
    draw.rectangle(_box(side, 0.22, 0.15, 0.78, 0.68), outline=_LIGHT, width=max(1, side // 48))
    draw.line(
        _box(side, 0.3, 0.58, 0.45, 0.38) + _box(side, 0.58, 0.52, 0.7, 0.32),
        fill=_LIGHT,
        width=max(1, side // 48),
    )


_SYMBOLS: dict[Category, Callable[[ImageDraw.ImageDraw, int], None]] = {
    Category.REPORT: _sheet,
    Category.DOCUMENT: _sheet,
    Category.VIDEO: _play,
}
