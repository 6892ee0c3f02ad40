"""What a client has to know of /api/status."""

from __future__ import annotations

from typing import Any

from archive.web.description.api import described
from archive.web.description.transactions import OK

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_NUMBERS: dict[str, Any] = {"type": "object", "additionalProperties": _NUMBER}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_DISK = {"what": _TEXT, **dict.fromkeys(("free_bytes", "total_bytes", "minimum_bytes"), _NUMBER)}
_QUEUE = {
    "event": _TEXT,
    **dict.fromkeys(("waiting", "failed", "given_up"), _NUMBER),
    "oldest_at": _MOMENT,
}
_SCRUBBER = {"verified": _NUMBER, **dict.fromkeys(("begun_at", "last_begun_at", "last_ended_at"), _MOMENT)}
_COUNTS = {**_NUMBERS, "type": ["object", "null"]}

SCHEMAS: dict[str, dict[str, Any]] = {
    "Status": _object(
        {
            "version": _TEXT,
            "workers": {"type": "array", "items": _TEXT},
            "disks": {"type": "array", "items": _object(_DISK)},
            "index": _object({"kind": _TEXT, "counts": _COUNTS}),
            "queues": {"type": "array", "items": _object(_QUEUE)},
            "conflicts": _NUMBERS,
            "quarantined": _NUMBER,
            "damaged": _NUMBERS,
            "scrubber": _object(_SCRUBBER),
        }
    )
}
"""Of the answer."""

STATUS = described(
    "Show workers, disks, index, what waits and what is damaged; nothing of patients.", OK, schema="Status"
)
