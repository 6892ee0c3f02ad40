"""What the jobs count: whether what is stored is still what it was. `/metrics` shows it with what the doors count."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from archive.services.scrubbing import State

VERIFIED = Counter("archive_objects_verified", "Objects that the scrubber has read and compared")
CORRUPT = Gauge(
    "archive_objects_corrupt",
    "Objects whose stored bytes are known to be cut, altered or unreadable",
    multiprocess_mode="mostrecent",
)
MISSING = Gauge(
    "archive_objects_missing",
    "Objects whose stored bytes are known to be missing",
    multiprocess_mode="mostrecent",
)
OLDEST = Gauge(
    "archive_oldest_verification_timestamp_seconds",
    "When the last whole pass of the scrubber began: all that is older was read since; 0 before the first has ended",
    multiprocess_mode="mostrecent",
)


def tell(state: State) -> None:
    """Show what is known now."""
    CORRUPT.set(state.corrupt)
    MISSING.set(state.missing)
    OLDEST.set(state.since)
