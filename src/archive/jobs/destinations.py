"""Which application entities the jobs are talking to: one job at a time with each, and none for a while with one that
could not be reached. So many reports for a console that is switched off keep one thread busy, not all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

REST_SECONDS = 30.0
"""After a failure nothing more is tried with the same AE for so long."""
BUSY_SECONDS = 1.0
"""After which to ask again while another job talks to it."""


class Destinations:
    """Shared by the threads of a job worker."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._resting: dict[str, float] = {}

    def enter(self, destination: str) -> float:
        """Begin to talk to it: 0. Or the seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            self._resting = {name: until for name, until in self._resting.items() if until > now}
            if destination in self._busy:
                return BUSY_SECONDS
            if destination in self._resting:
                return self._resting[destination] - now
            self._busy.add(destination)
            return 0.0

    def leave(self, destination: str, *, failed: bool) -> None:
        """The talk is over."""
        with self._lock:
            self._busy.discard(destination)
            if failed:
                self._resting[destination] = self._clock() + REST_SECONDS

    @property
    def busy(self) -> int:
        """With how many somebody talks now."""
        with self._lock:
            return len(self._busy)
