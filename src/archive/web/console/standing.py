"""The console's page of what the archive is doing. htmx asks for the part that changes every few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.web.api import status
from archive.web.console import pages
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive


def page(archive: Archive, asked: Asked) -> Answer:
    """The page, or the part that changes. Raises OutOfResources."""
    template = "status-now.html" if pages.wants_part(asked) else "status.html"
    return pages.render(archive, asked, template, now=status.form(archive.status.now()))
