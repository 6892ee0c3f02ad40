"""What a client has to know of /api/throughput."""

from __future__ import annotations

from typing import Any

from archive.web.description.api import described
from archive.web.description.transactions import OK


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_COUNTS = {
    "type": "array",
    "description": "of each record, oldest first; null before the archive was started",
    "items": {"type": ["integer", "null"]},
}
_DIRECTION = _object({"objects": _COUNTS, "bytes": _COUNTS})
_SPAN = _object(
    {
        "seconds": {"type": "integer", "description": "of a record"},
        "ended_at": {
            "type": "string",
            "format": "date-time",
            "description": "the end of the last record",
        },
        "received": _DIRECTION,
        "sent": _DIRECTION,
    }
)

SCHEMAS: dict[str, dict[str, Any]] = {"Throughput": _object({"hour": _SPAN, "day": _SPAN})}
"""Of the answer."""

THROUGHPUT = described(
    "Show how many objects and bytes were received and sent in the last hour and day, over all workers; nothing of "
    "patients.",
    OK,
    schema="Throughput",
)
