"""The fonts of this machine that annotations may be set in.

Pillow's own has little more than ASCII. Installed fonts are used for the names that it cannot write, so which scripts
can be burned in depends on the machine; what cannot be is said in the answer (PS3.18 8.3.5.1.1).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont

from archive.dicom.rendering.lettering import Lettering

NAMES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "unifont.otf",
    "unifont.ttf",
)
"""Fonts of many scripts, in the order in which they are tried; Debian has all of them."""


@cache
def lettering() -> Lettering:
    """Pillow's font and those of `NAMES` that are installed. Read once."""
    return Lettering([data for name in NAMES if (data := _installed(name))])


def _installed(name: str) -> bytes:
    try:
        return Path(str(ImageFont.truetype(name).path)).read_bytes()
    except OSError:
        return b""
