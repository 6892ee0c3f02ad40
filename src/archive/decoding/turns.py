"""Frames that take long take turns: together they have all processors of the machine but one, however many are asked
for. Niceness alone left those who store a fifth of their rate where a scheduler does not let them go first.
"""

from __future__ import annotations

import fcntl
import os
import threading


class Turns:
    """So many at a time, of this process and of all that are forked from it. Made before there are threads; safe to
    use from several. What a process has is free again when that ends."""

    def __init__(self, places: int) -> None:
        self._file = os.memfd_create("archive-turns")
        self._places = range(places)
        self._ours: set[int] = set()
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """A place, if one is free."""
        with self._lock:
            for place in self._places:
                if place not in self._ours and self._locked(place):
                    self._ours.add(place)
                    return place
        return None

    def give_back(self, place: int) -> None:
        """For whoever is next."""
        with self._lock:
            self._ours.discard(place)
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def _locked(self, place: int) -> bool:
        # A lock on a byte belongs to the process, not to the thread: `_ours` is for these (fcntl(2)).
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            return False
        return True


OF_THIS_MACHINE = Turns(max(1, len(os.sched_getaffinity(0)) - 1))
"""Of all workers, as the supervisor has this when it forks them; of a command, its own."""
