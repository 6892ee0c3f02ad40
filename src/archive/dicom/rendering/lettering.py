"""Text on pictures: which font has the letters, how large they are, and drawing them.

Pillow brings one font, which has little more than ASCII; whoever makes a `Lettering` may hand over more, and each line
is set in the first that has all its letters. What no font has is not drawn at all: boxes in place of a name would be
taken for one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

Array = NDArray[Any]
Font = ImageFont.FreeTypeFont

SMALLEST, LARGEST = 8, 64
LONGEST = 200
"""Characters of one line that are drawn."""
_NOWHERE = "\uffff"
_CONTROLS = ("Cc", "Cf")
"""Letters for private use are none of these: a name without them would be another name."""


class Lettering:
    """Fonts by size. `font_files` are tried in their order after Pillow's own. `shapes`: whether Pillow can set what is
    read from right to left or joined, for which it needs FriBiDi on the machine."""

    def __init__(self, font_files: Sequence[bytes] = (), *, shapes: bool | None = None) -> None:
        self._files = tuple(font_files)
        self._shapes = bool(features.check("raqm")) if shapes is None else shapes
        self._at = lru_cache(128)(self._load)
        self._has = lru_cache(1 << 14)(self._look)

    def can_draw(self, text: str) -> bool:
        """Whether one font has all letters of this line."""
        return self._choose(cleaned(text)) is not None

    def font(self, text: str, size: int) -> Font:
        """The font for a line that can be drawn; for any other the first one, which draws boxes."""
        return self._at(self._choose(text) or 0, min(max(size, SMALLEST), LARGEST))

    def burn_in(self, picture: Array, top: Sequence[str], bottom: Sequence[str] = ()) -> Array:
        """`picture` with lines of text in its upper left and lower left corner, white on a black edge so that they can
        be read on anything. The letters become smaller until the text fits; what does not fit even then ends in
        dots."""
        top, bottom = ([cleaned(line) for line in lines if line] for lines in (top, bottom))
        if not top and not bottom:
            return picture
        image = Image.fromarray(np.ascontiguousarray(picture))
        size = self._fitting([*top, *bottom], image.width, image.height)
        draw = ImageDraw.Draw(image)
        for number, line in enumerate(top):
            self._line(draw, number * _leading(size) + 2, line, size)
        for number, line in enumerate(reversed(bottom), 1):
            self._line(draw, image.height - number * _leading(size) - 2, line, size)
        return np.asarray(image)

    def _line(self, draw: ImageDraw.ImageDraw, y: int, line: str, size: int) -> None:
        font = self.font(line, size)
        shown, width = line, draw.im.size[0] - 4
        while len(shown) > 1 and font.getlength(shown) > width:
            shown = shown[: -4 if shown.endswith("...") else -1].rstrip(".") + "..."
            if shown == "...":
                break
        edge = max(1, size // 12)
        draw.text((3, y), shown, fill=_white(draw), font=font, stroke_width=edge, stroke_fill=_black(draw))

    def _fitting(self, lines: Sequence[str], width: int, height: int) -> int:
        size = min(max(min(width, height) // 28, SMALLEST), LARGEST)
        while size > SMALLEST and (
            len(lines) * _leading(size) > height - 4
            or max(self.font(line, size).getlength(line) for line in lines) > width - 6
        ):
            size -= 1
        return size

    def _choose(self, text: str) -> int | None:
        letters = set(text)
        if not self._shapes and any(map(_needs_shaping, letters)):
            return None
        for number in range(len(self._files) + 1):
            if all(self._has(number, letter) for letter in letters):
                return number
        return None

    def _load(self, number: int, size: int) -> Font:
        if number == 0:
            font = ImageFont.load_default(size)
            assert isinstance(font, ImageFont.FreeTypeFont)
            return font
        return ImageFont.truetype(BytesIO(self._files[number - 1]), size)

    def _look(self, number: int, letter: str) -> bool:
        if letter == " ":
            return True
        font = self._at(number, 20)
        return bytes(font.getmask(letter)) != bytes(font.getmask(_NOWHERE))


def cleaned(text: str) -> str:
    """One line, composed, without control and formatting characters, which would reorder what is read."""
    composed = unicodedata.normalize("NFC", text)[:LONGEST]
    return "".join(letter for letter in composed if unicodedata.category(letter) not in _CONTROLS).strip()


def _needs_shaping(letter: str) -> bool:
    """Letters that without it come in the wrong order, or beside those they belong on."""
    return unicodedata.bidirectional(letter) in ("R", "AL") or unicodedata.category(letter)[0] == "M"


def _leading(size: int) -> int:
    return size + max(2, size // 4)


def _white(draw: ImageDraw.ImageDraw) -> Any:
    return 255 if draw.mode == "L" else (255, 255, 255)


def _black(draw: ImageDraw.ImageDraw) -> Any:
    return 0 if draw.mode == "L" else (0, 0, 0)
