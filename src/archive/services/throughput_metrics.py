"""What comes in and goes out, in the metrics: by door and, of DIMSE, by AE title.

Apart from `throughput`, as prometheus-client looks at its first import for where to share numbers: only what a worker
alone imports may import this.
"""

from __future__ import annotations

import threading

from prometheus_client import Counter

from archive.services.throughput import DIRECTIONS

MOST_TITLES = 50
"""Told apart by one process in one direction; a caller chooses its own title. Further ones are counted as `OTHERS`."""
OTHERS = "others"

_LABELS = ("door", "ae_title")
_OBJECTS = {
    "received": Counter("archive_objects_received", "Objects received and safe", _LABELS),
    "sent": Counter("archive_objects_sent", "Whole objects sent", _LABELS),
}
_BYTES = {
    "received": Counter("archive_bytes_received", "Bytes of objects received", _LABELS),
    "sent": Counter("archive_bytes_sent", "Bytes of objects, frames, pictures and metadata sent", _LABELS),
}
_Pair = tuple[Counter, Counter]


class Meters:
    """The counters of this process. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str, str], _Pair] = {}
        self._titles: dict[str, set[str]] = {direction: set() for direction in DIRECTIONS}

    def tell(self, direction: str, door: str, title: str, objects: int, length: int) -> None:
        """Count it."""
        counters = self._known.get((direction, door, title)) or self._counters(direction, door, title)
        if objects:
            counters[0].inc(objects)
        counters[1].inc(length)

    def _counters(self, direction: str, door: str, title: str) -> _Pair:
        with self._lock:
            titles = self._titles[direction]
            if title and title not in titles and len(titles) >= MOST_TITLES:
                return self._made(direction, door, OTHERS)
            titles.add(title)
            made = self._known[direction, door, title] = self._made(direction, door, title)
            return made

    def _made(self, direction: str, door: str, title: str) -> _Pair:
        return _OBJECTS[direction].labels(door, title), _BYTES[direction].labels(door, title)
