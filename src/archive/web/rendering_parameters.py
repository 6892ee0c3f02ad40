"""The query parameters of pictures (PS3.18 8.3.5), read from a request. What they mean is said in `dicom.appearance`.

Exact where the standard says 400, lenient in one thing: trailing commas of a viewport, which shall be left out, count
only when the settings are strict.
"""

from __future__ import annotations

import re

from archive.dicom.errors import InvalidQuery
from archive.dicom.rendering.annotation import KEYWORDS
from archive.dicom.rendering.appearance import USUAL_QUALITY, Appearance
from archive.dicom.rendering.greyscale import Window
from archive.dicom.rendering.viewport import Viewport
from archive.services.thumbnails import LARGEST_SIDE, USUAL_SIDE
from archive.web.http.exchange import Asked

NAMES = ("annotation", "quality", "viewport", "window", "iccprofile")

_QUALITY = re.compile(r"[0-9]{1,3}", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})([eE][+-]?[0-9]{1,2})?", re.ASCII)
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_FUNCTIONS = ("linear", "linear-exact", "sigmoid")
_MOST_KEYWORDS = 20


def appearance(asked: Asked) -> Appearance:
    """All of them, but only those annotations that exist. Raises InvalidQuery."""
    return Appearance(
        quality=_quality(asked.parameter("quality")),
        window=_window(asked.parameter("window")),
        viewport=_viewport(asked.parameter("viewport"), strict=asked.strict),
        annotation=tuple(keyword for keyword in annotation_values(asked) if keyword in KEYWORDS),
        icc_profile=_icc_profile(asked.parameter("iccprofile")),
    )


def annotation_values(asked: Asked) -> tuple[str, ...]:
    """The values of `annotation`, those that are not supported among them. Raises InvalidQuery."""
    value = asked.parameter("annotation")
    if value is None:
        return ()
    keywords = tuple(dict.fromkeys(keyword.strip() for keyword in value.split(",", _MOST_KEYWORDS)))
    if not all(_KEYWORD.fullmatch(keyword) for keyword in keywords):
        raise InvalidQuery(f"annotation is a list of keywords, divided by commas: {', '.join(KEYWORDS)}")
    return keywords


def thumbnail_viewport(asked: Asked) -> Viewport:
    """The size of a thumbnail, which shows all there is (8.3.5.2). Raises InvalidQuery."""
    viewport = _viewport(asked.parameter("viewport"), strict=asked.strict)
    if viewport is None:
        return Viewport(USUAL_SIDE, USUAL_SIDE)
    if viewport.has_region:
        raise InvalidQuery("the viewport of a thumbnail is width,height")
    if max(viewport.width, viewport.height) > LARGEST_SIDE:
        raise InvalidQuery(f"a thumbnail is at most {LARGEST_SIDE} pixels wide and high: ask for /rendered")
    return viewport


def _quality(text: str | None) -> int:
    if text is None:
        return USUAL_QUALITY
    if not _QUALITY.fullmatch(text) or not 1 <= int(text) <= 100:
        raise InvalidQuery("quality is a whole number from 1 to 100")
    return int(text)


def _window(text: str | None) -> Window | None:
    """All three are there: a window of two is an error (8.3.5.1.4)."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",", 3)]
    if len(parts) != 3 or not all(map(_NUMBER.fullmatch, parts[:2])) or parts[2] not in _FUNCTIONS:
        raise InvalidQuery(f"window is center,width,function with a function among {', '.join(_FUNCTIONS)}")
    center, width, function = parts
    return Window(float(center), float(width), function)


def _viewport(text: str | None, *, strict: bool) -> Viewport | None:
    """`vw,vh`, then up to four of sx,sy,sw,sh, of which any may be empty (8.3.5.1.3)."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",", 6)]
    if strict and not parts[-1]:
        raise InvalidQuery("the viewport ends with a comma, which PS3.18 8.3.5.1.3 does not allow")
    if not 2 <= len(parts) <= 6 or not all(map(_LENGTH.fullmatch, parts[:2])):
        raise InvalidQuery(
            "viewport is width,height or width,height,sx,sy,sw,sh; width and height are whole numbers"
        )
    width, height, *region = parts
    if any(part and not _NUMBER.fullmatch(part) for part in region):
        raise InvalidQuery("the region of a viewport is of numbers: sx,sy,sw,sh")
    sx, sy, sw, sh = (float(part) if part else None for part in (*region, "", "", "", "")[:4])
    return Viewport(int(width), int(height), sx or 0.0, sy or 0.0, sw, sh)


def _icc_profile(text: str | None) -> str:
    """One of the values: the syntax allows a list, but no two of them can be true of one picture. An empty one is no
    value; `Appearance` checks the rest."""
    if text is not None and not text:
        raise InvalidQuery("iccprofile has no value")
    return text or ""
