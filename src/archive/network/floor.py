"""Who is at the door: connections that have not asked yet, associations, and how many of both there may be.

Connections that have not sent A-ASSOCIATE-RQ are kept apart from associations: five hundred silent ones cost
threads for ten seconds, but no association slot, and when one address holds too many of them the oldest goes,
so that a real caller always gets in.

What it costs to let somebody in, or to turn them away, is followed by rest, in which nobody else is let in. So a flood
of requests leaves most of the processor to the associations there are, in any worker; who waits meanwhile does so in
the queue of the kernel. Where all who are here have only just come, the rest is short: some modalities open an
association for each object.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from archive.dicom.errors import CallerRefused
from archive.network.association import Association, Limits
from archive.network.negotiation import Admitted
from archive.network.spreading import NOBODY, Place, alone
from archive.network.transport import Deadlines

_REST = 4.0
"""Seconds for each second of processor time, while there are guests: strangers get a fifth of it, which is some two
hundred associations a second that ask for little, or eighty that ask for 7,680 transfer syntaxes."""
_SHORT_REST = 1.0
"""The same while there are none: viewers, too, want something of the processors."""
_GUEST = 0.05
"""Seconds after which an association is a guest. One that is opened for a single object has ended by then."""
_LONGEST_REST = 0.1
"""Seconds."""
_LOOK = 0.05
"""Seconds between looks at those who are to end."""
_CLEAN_UP_SECONDS = 3.0
_AT_REST = 0.5
"""At stop, an association that has waited this many seconds for its next message is done."""


@dataclass(frozen=True, slots=True)
class AcceptorSettings:
    """`maximum_associations` holds for this process, `maximum_waiting` for connections of one address that
    have not sent A-ASSOCIATE-RQ yet: beyond it the oldest of them is closed."""

    maximum_associations: int = 100
    maximum_waiting: int = 64
    drain_seconds: float = 10.0
    deadlines: Deadlines = field(default_factory=Deadlines)
    limits: Limits = field(default_factory=Limits)


@dataclass(eq=False, slots=True)
class Visitor:
    """A connection, what the policy said of it once it was let in, and then its association."""

    connection: socket.socket
    address: str
    secure: Callable[[], ssl.SSLContext] | None = None
    admitted: Admitted | None = None
    association: Association | None = None


class Floor:
    """Who is here, shared by the threads."""

    def __init__(self, settings: AcceptorSettings, place: Place) -> None:
        self.settings = settings
        self._place = place
        place.holds(0)
        place.hosts(NOBODY)
        self._changed = threading.Condition()
        self._waiting: dict[Visitor, None] = {}
        self._associated: dict[Visitor, float] = {}
        """And since when; in that order."""
        self._present: Counter[str] = Counter()
        self._rested = 0.0
        """Point of the monotonic clock at which there has been rest enough."""
        self._most = settings.maximum_associations + 2 * settings.maximum_waiting

    def enter(self, visitor: Visitor) -> bool:
        """False where the address holds too many threads: one that waits for the index, or for a name, ends only after
        that, though its connection has been closed."""
        with self._changed:
            if self._present[visitor.address] >= self._most:
                return False
            self._present[visitor.address] += 1
            self._waiting[visitor] = None
            self._count()
            same = [other for other in self._waiting if other.address == visitor.address]
            if len(same) > self.settings.maximum_waiting:
                self._evict(same[0])
            return True

    def spent(self, seconds: float) -> None:
        """So much processor time went into somebody who came, from whatever thread."""
        with self._changed:
            now = time.monotonic()
            rest = _REST if now - self._place.hosted_since() >= _GUEST else _SHORT_REST
            self._rested = min(max(now, self._rested) + rest * seconds, now + _LONGEST_REST)

    def rest(self, stop: threading.Event) -> None:
        """Until the next may come, or until `stop` is set."""
        stop.wait(max(0.0, self._rested - time.monotonic()))

    def evict_oldest(self) -> None:
        with self._changed:
            if self._waiting:
                self._evict(next(iter(self._waiting)))

    def seat(self, visitor: Visitor) -> None:
        """From connection to association. Raises CallerRefused over the limit (PS3.8 9.3.4: local limit)."""
        with self._changed:
            self._waiting.pop(visitor, None)
            if len(self._associated) >= self.settings.maximum_associations:
                raise CallerRefused("too many associations", 2, 3, 2)
            self._associated[visitor] = time.monotonic()
            self._count()

    def leave(self, visitor: Visitor) -> None:
        with self._changed:
            self._waiting.pop(visitor, None)
            self._associated.pop(visitor, None)
            self._present[visitor.address] -= 1
            if self._present[visitor.address] <= 0:
                del self._present[visitor.address]
            self._count()
            self._changed.notify_all()

    def _count(self) -> None:
        self._place.holds(self._present.total())
        self._place.hosts(next(iter(self._associated.values()), NOBODY))

    def drain(self, heartbeat: Callable[[], None]) -> None:
        deadline = time.monotonic() + self.settings.drain_seconds
        with self._changed:
            self._place.leave()
            self._place = alone()
            for visitor in list(self._waiting):
                self._evict(visitor)
            while self._associated and time.monotonic() < deadline:
                heartbeat()
                self._interrupt(_is_at_rest)
                self._changed.wait(_LOOK)
            self._interrupt(lambda _: True)
            # What was cut still has to leave nothing behind.
            self._changed.wait_for(lambda: not self._associated, timeout=_CLEAN_UP_SECONDS)

    def _interrupt(self, chosen: Callable[[Association], bool]) -> None:
        for visitor in self._associated:
            if visitor.association is not None and chosen(visitor.association):
                visitor.association.interrupt()

    def _evict(self, visitor: Visitor) -> None:
        self._waiting.pop(visitor, None)
        with contextlib.suppress(OSError):
            visitor.connection.shutdown(socket.SHUT_RDWR)


def _is_at_rest(association: Association) -> bool:
    since = association.waiting_since
    return since is not None and time.monotonic() - since >= _AT_REST
