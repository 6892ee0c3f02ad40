"""The addresses of the host names that AE titles have: asked for seldom, and kept for when nobody answers.

A name server that is down must not keep out the devices of a hospital: what a name meant last holds until it is known
to mean something else, within one run of the archive.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from archive.security.admission import IPAddress, parsed

KEPT_SECONDS = 60.0
RETRY_SECONDS = 5.0
"""After a failure."""
PATIENCE_SECONDS = 1.0
"""How long an association waits to hear of a name that meant something before; then that is taken."""
FIRST_PATIENCE_SECONDS = 8.0
"""The same for a name that nobody has answered for yet: a little less than peers wait for an answer of ours."""


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: frozenset[IPAddress] | None
    until: float


def resolved(name: str) -> frozenset[IPAddress]:
    """What the system's resolver says. Raises OSError, UnicodeError."""
    found = (parsed(str(answer[4][0])) for answer in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    return frozenset(address for address in found if address is not None)


class HostNames:
    """What the names mean. Safe to use from several threads. A name is asked for once at a time, in a thread of its
    own: a resolver may take half a minute to say nothing, and callers come as often as they like."""

    def __init__(
        self,
        resolve: Callable[[str], frozenset[IPAddress]] = resolved,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE_SECONDS,
        first_patience: float = FIRST_PATIENCE_SECONDS,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._patience = patience
        self._first_patience = first_patience
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._asked: dict[str, threading.Event] = {}

    def addresses(self, name: str) -> frozenset[IPAddress] | None:
        """The addresses of a host; None when they cannot be found out, and never could."""
        with self._lock:
            known = self._known.get(name)
            if known is not None and self._clock() < known.until:
                return known.addresses
            answered = self._asked.get(name) or self._ask(name)
        answered.wait(self._first_patience if known is None or known.addresses is None else self._patience)
        with self._lock:
            latest = self._known.get(name)
        return latest.addresses if latest else None

    def _ask(self, name: str) -> threading.Event:
        """Begins to ask; the lock is held."""
        answered = threading.Event()
        try:
            threading.Thread(
                target=self._find_out, args=(name, answered), name="host-name", daemon=True
            ).start()
        except RuntimeError:  # no more threads: what is known has to do
            answered.set()
        else:
            self._asked[name] = answered
        return answered

    def _find_out(self, name: str, answered: threading.Event) -> None:
        found: frozenset[IPAddress] | None = None
        try:
            with contextlib.suppress(OSError, ValueError):
                found = self._resolve(name)
        finally:
            with self._lock:
                known = self._known.get(name)
                kept, seconds = (found, KEPT_SECONDS) if found is not None else (None, RETRY_SECONDS)
                if kept is None and known is not None:
                    kept = known.addresses
                self._known[name] = _Known(kept, self._clock() + seconds)
                del self._asked[name]
            answered.set()
