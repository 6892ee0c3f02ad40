"""What the lists of /api have in common: how long one is, and how a moment is written."""

from __future__ import annotations

from datetime import UTC, datetime

from archive.dicom.errors import InvalidQuery
from archive.web.http.exchange import Asked

_DIGITS = 9


def limit(asked: Asked, default: int, most: int) -> int:
    """The parameter `limit`, or the default. Raises InvalidQuery for another value than 1 to `most`."""
    text = asked.parameter("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and 1 <= int(text) <= most):
        raise InvalidQuery(f"limit is a number from 1 to {most}")
    return int(text)


def moment(seconds: float) -> str | None:
    """Seconds since 1970 as ISO 8601, in UTC and to the second; None for 0, which is never."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
