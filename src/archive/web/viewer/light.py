"""The built-in viewer: one page, a style sheet and a few scripts over QIDO-RS, /metadata and /rendered.

It needs nothing installed and decodes nothing itself, so it shows whatever the archive can make a picture of, on a
telephone as well. The page holds no data; scripts ask for it, and put it in as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.web.http.exchange import Answer, Asked
from archive.web.pages import sign_in
from archive.web.static import Static
from archive.web.viewer.policies import PATH

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

PAGE = "page.html"

_STATIC = Static(__package__)


def page(archive: Archive, asked: Asked) -> Answer:
    """The page, whatever study it is about."""
    if (elsewhere := sign_in.first(archive, asked, f"{PATH}/light")) is not None:
        return elsewhere
    return _STATIC.page(PAGE, archive.settings.http, asked)


def file(archive: Archive, asked: Asked) -> Answer:
    """A script, style sheet or picture of it. Raises NotFound."""
    return _STATIC.file(asked.path["file"], archive.settings.http)
