"""WADO-RS: pictures for people (PS3.18 10.4.1.1.3, 8.3.5): instances and frames as JPEG or PNG, and thumbnails.

An instance of several frames is shown by its first; a series or study by the instance in its middle, as the first
of a stack is often air.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery
from archive.dicom.greyscale import Window
from archive.dicom.instance import Scope
from archive.dicom.pixel_data import PICTURES
from archive.dicom.viewport import Viewport
from archive.web import media_types
from archive.web.exchange import Answer, Asked
from archive.web.frames import frame_numbers
from archive.web.media_types import Offer
from archive.web.multipart_body import Part, related
from archive.web.wado import found, scope_of

if TYPE_CHECKING:
    from archive.bootstrap import Archive

MAXIMUM_FRAMES = 100
"""Of one request: each costs a decoder's time."""

THUMBNAIL = Viewport(128, 128)

_NUMBER = re.compile(r"[+-]?([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})([eE][+-]?[0-9]{1,2})?", re.ASCII)
_KEYWORDS = re.compile(r"[A-Za-z0-9_, -]{1,100}", re.ASCII)


def instance(archive: Archive, asked: Asked) -> Answer:
    """One instance. Raises NotFound, CannotRender, NotAcceptable, InvalidQuery, InvalidUID."""
    return _pictures(archive, asked, scope_of(asked), [1], _options(asked))


def frames(archive: Archive, asked: Asked) -> Answer:
    """A list of frames. Raises as `instance`."""
    numbers = frame_numbers(asked.path["frames"])
    if len(numbers) > MAXIMUM_FRAMES:
        raise InvalidQuery(f"more than {MAXIMUM_FRAMES} rendered frames in one request")
    return _pictures(archive, asked, scope_of(asked), numbers, _options(asked))


def thumbnail(archive: Archive, asked: Asked) -> Answer:
    """A small picture of a study, series, instance or frame. Raises as `instance`."""
    stored = found(archive, asked)
    middle = stored[len(stored) // 2]
    scope = Scope((middle.StudyInstanceUID,), (middle.SeriesInstanceUID,), (middle.SOPInstanceUID,))
    numbers = frame_numbers(asked.path.get("frames", "1"))[:1]
    return _pictures(archive, asked, scope, numbers, {"viewport": THUMBNAIL} | _options(asked))


def _pictures(
    archive: Archive, asked: Asked, scope: Scope, numbers: list[int], options: dict[str, Any]
) -> Answer:
    warnings = _warnings(asked)
    kinds = (False, True) if len(numbers) == 1 else (True,)
    chosen = media_types.choose(asked.accept, [Offer(name, kind) for kind in kinds for name in PICTURES])

    def pictures() -> Iterator[bytes]:
        for number in numbers:
            yield archive.retrieve.rendered(scope, number, chosen.media_type, **options)

    if not chosen.multipart:
        return Answer(200, chosen.media_type, pictures(), warnings)
    parts = (Part(chosen.media_type, (picture,), length=len(picture)) for picture in pictures())
    return related(chosen.media_type, parts, warnings)


def _warnings(asked: Asked) -> tuple[tuple[str, str], ...]:
    """Nothing is burned in yet, and 8.3.5.1.1 has the words for that. Raises InvalidQuery."""
    values = asked.parameter("annotation")
    if not values:
        return ()
    if not _KEYWORDS.fullmatch(values):
        raise InvalidQuery("annotation is a list of keywords, divided by commas")
    return (
        ("Warning", f"299 {asked.base_url}: The following annotation values are not supported: {values}"),
    )


def _options(asked: Asked) -> dict[str, Any]:
    """The rendering parameters of PS3.18 8.3.5. Raises InvalidQuery."""
    options: dict[str, Any] = {}
    if quality := asked.parameter("quality"):
        if not (quality.isascii() and quality.isdecimal() and len(quality) <= 3):
            raise InvalidQuery("quality is a number from 1 to 100")
        options["quality"] = int(quality)
    if window := asked.parameter("window"):
        options["window"] = _window(window)
    if viewport := asked.parameter("viewport"):
        options["viewport"] = _viewport(viewport)
    return options


def _window(text: str) -> Window:
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise InvalidQuery("window is center,width,function")
    center, width = _numbers(parts[:2])
    function = parts[2].strip() if len(parts) == 3 else "linear"
    if center is None or width is None:
        raise InvalidQuery("window is center,width,function")
    return Window(center, width, function)


def _viewport(text: str) -> Viewport:
    """`vw,vh` or `vw,vh,sx,sy,sw,sh`, where an empty one of the last four is as if it were not there."""
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise InvalidQuery("viewport is width,height or width,height,sx,sy,sw,sh")
    width, height, *region = _numbers(parts)
    if width is None or height is None:
        raise InvalidQuery("viewport is width,height or width,height,sx,sy,sw,sh")
    sx, sy, sw, sh = region or (None, None, None, None)
    return Viewport(int(width), int(height), sx or 0.0, sy or 0.0, sw, sh)


def _numbers(parts: list[str]) -> list[float | None]:
    if any(part.strip() and not _NUMBER.fullmatch(part.strip()) for part in parts):
        raise InvalidQuery("a rendering parameter holds something else than a number")
    return [float(part) if part.strip() else None for part in parts]
