"""The console's page of what the archive is doing. htmx asks for the part that changes every few seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery
from archive.services.throughput import SPANS
from archive.web.api import status
from archive.web.console import pages, plotting
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_SPANS = {span.name: span for span in SPANS}


def page(archive: Archive, asked: Asked) -> Answer:
    """The page, or the part that changes. Raises OutOfResources, InvalidQuery."""
    template = "status-now.html" if pages.wants_part(asked) else "status.html"
    now, passed = status.form(archive.status.now()), _passed(archive, asked)
    return pages.render(archive, asked, template, now=now, passed=passed)


def _passed(archive: Archive, asked: Asked) -> dict[str, Any]:
    """What the plot shows."""
    name = asked.parameter("span") or SPANS[0].name
    if name not in _SPANS:
        raise InvalidQuery(f"span is one of {', '.join(_SPANS)}")
    history = archive.throughput.history(_SPANS[name])
    return {
        "span": name,
        "spans": list(_SPANS),
        "plots": plotting.plots(history),
        "rows": plotting.rows(history),
        "total": plotting.total(history.records),
        "width": plotting.WIDTH,
        "height": plotting.HEIGHT,
        "megabyte": plotting.MEGABYTE,
    }
