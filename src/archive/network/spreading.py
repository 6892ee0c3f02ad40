"""How connections spread over the workers of one door, which share its listening socket.

The kernel wakes all of them, and who is awake already accepts more: of four associations one worker may get none. So
each writes down how many connections it holds, in memory that all of them see. Who sees another with fewer leaves a new
connection to that one, and looks every `LOOK` whether it was taken, since two that both wait take none. After
`PATIENCE` in vain the other one may hang, and is left out until its number changes.

There each also writes down since when it has a guest: an association, whose rate is not for strangers to take.
"""

from __future__ import annotations

import math
import mmap

PATIENCE = 0.05
"""Seconds. A worker that lives looks far sooner, however busy it is."""
LOOK = 0.002
"""Seconds."""

NOBODY = math.inf

_ABSENT = 2**31 - 1


class Spread:
    """The workers of one door. Made before they are forked."""

    def __init__(self, workers: int) -> None:
        self._held = memoryview(mmap.mmap(-1, 4 * workers)).cast("i")
        self._hosting = memoryview(mmap.mmap(-1, 8 * workers)).cast("d")
        for number in range(workers):
            self.place(number).leave()

    def place(self, number: int) -> Place:
        """That of a worker, counted from 0."""
        return Place(self._held, self._hosting, number)


class Place:
    """A worker among those of its door. Every worker writes its own numbers alone."""

    def __init__(self, held: memoryview[int], hosting: memoryview[float], number: int) -> None:
        self._held = held
        self._hosting = hosting
        self._number = number
        self._left_out: dict[int, int] = {}
        """Workers that did not take what was left to them, and the number that each had then."""

    def holds(self, connections: int) -> None:
        """So many it has now."""
        self._held[self._number] = connections

    def hosts(self, since: float) -> None:
        """Its oldest guest came then, of the monotonic clock, which all processes share; `NOBODY` did."""
        self._hosting[self._number] = since

    def hosted_since(self) -> float:
        """When the oldest guest of all workers came."""
        return min(self._hosting)

    def leave(self) -> None:
        """It takes no more; nobody waits for it."""
        self._held[self._number] = _ABSENT
        self._hosting[self._number] = NOBODY

    def is_fuller(self) -> bool:
        """Whether another worker holds fewer, that may be expected to take the next one."""
        mine = self._held[self._number]
        if min(self._held) >= mine:
            return False
        return any(held < mine and self._left_out.get(other) != held for other, held in enumerate(self._held))

    def waited_in_vain(self) -> None:
        """None of those with fewer took what was left to them for as long as there is patience."""
        mine = self._held[self._number]
        self._left_out = {other: held for other, held in enumerate(self._held) if held < mine}


def alone() -> Place:
    """Where there is one worker."""
    return Spread(1).place(0)
