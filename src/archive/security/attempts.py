"""Failed attempts to prove who one is: after some in a row one has to wait, so that nobody guesses at leisure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

FAILURES = 5
"""In a row, until one has to wait."""
WAIT_SECONDS = 60.0
MOST_REMEMBERED = 10_000


class Attempts:
    """Those of this process, by who it is said to be and from where. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, failures: int = FAILURES) -> None:
        self.clock = clock
        self._allowed = failures
        self._lock = threading.Lock()
        self._failed: dict[Hashable, tuple[int, float]] = {}

    def must_wait(self, who: Hashable) -> bool:
        """Whether there were too many."""
        with self._lock:
            failures, last = self._failed.get(who, (0, 0.0))
        return failures >= self._allowed and self.clock() - last < WAIT_SECONDS

    def failed(self, who: Hashable) -> None:
        """One more. The oldest make room."""
        with self._lock:
            failures, _ = self._failed.pop(who, (0, 0.0))
            self._failed[who] = (failures + 1, self.clock())
            if len(self._failed) > MOST_REMEMBERED:
                del self._failed[next(iter(self._failed))]

    def succeeded(self, who: Hashable) -> None:
        """The failures before this count no more."""
        with self._lock:
            self._failed.pop(who, None)
