"""The page to upload at. It only holds the script: the browser sends to STOW-RS, as every other program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.web.console import pages
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

PATH = "/upload"


def page(archive: Archive, asked: Asked) -> Answer:
    """The page."""
    return pages.render(archive, asked, "upload.html")
