"""/api/throughput: what came in and went out in the last hour and the last day, by all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.services.throughput import SPANS, History, Sums
from archive.web.api import json_body, listing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive


def throughput(archive: Archive, _asked: Asked) -> Answer:
    """Both spans."""
    return json_body.answer({span.name: form(archive.throughput.history(span)) for span in SPANS})


def form(history: History) -> dict[str, Any]:
    """A span as JSON: of each record what it counted, or null."""
    records = history.records
    return {
        "seconds": history.span.seconds,
        "ended_at": listing.moment(history.ended_at),
        "received": {
            "objects": [_number(one, "received_objects") for one in records],
            "bytes": [_number(one, "received_bytes") for one in records],
        },
        "sent": {
            "objects": [_number(one, "sent_objects") for one in records],
            "bytes": [_number(one, "sent_bytes") for one in records],
        },
    }


def _number(one: Sums | None, field: str) -> int | None:
    return None if one is None else getattr(one, field)
