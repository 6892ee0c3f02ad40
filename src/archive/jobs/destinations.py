"""Which application entities the jobs are talking to: one job at a time with each, and none for a while with one that
could not be reached. So many reports for a console that is switched off keep one thread busy, not all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

REST_SECONDS = 30.0
"""After a failure nothing more is tried with the same AE for so long."""
BUSY_SECONDS = 1.0
"""After which to ask again while another job talks to it."""
MOST_WAITING = 1000
"""Jobs that a worker knows to be waiting for their AE."""
FULL_SECONDS = 300.0
"""After so long the others are looked at again."""


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

    def is_free(self, destination: str) -> bool:
        """Whether a talk with it could begin now."""
        with self._lock:
            return destination not in self._busy and self._resting.get(destination, 0.0) <= self._clock()

    @property
    def busy(self) -> int:
        """With how many somebody talks now."""
        with self._lock:
            return len(self._busy)


class Waiting:
    """Jobs that are due, and wait for an AE that is busy or rests: once known they are not claimed again until it is
    free, and then one at a time, the first that came. However many they are, the index is not asked about them
    meanwhile. For one thread."""

    def __init__(self, destinations: Destinations, most: int = MOST_WAITING) -> None:
        self._destinations = destinations
        self._most = most
        self._jobs: dict[str, deque[int]] = {}

    def put(self, job_id: int, destination: str) -> bool:
        """Whether there was room to remember one more."""
        if len(self.ids) >= self._most:
            return False
        self._jobs.setdefault(destination, deque()).append(job_id)
        return True

    def let_go(self) -> None:
        """Forget the first job of each AE that is free, so that it is claimed again."""
        for destination in list(self._jobs):
            if self._destinations.is_free(destination):
                self._jobs[destination].popleft()
                if not self._jobs[destination]:
                    del self._jobs[destination]

    @property
    def ids(self) -> list[int]:
        """All of them."""
        return [job_id for jobs in self._jobs.values() for job_id in jobs]
