"""The addresses of the host names that AE titles have: asked for seldom, and kept for when nobody answers.

A name server that is down must not keep out the devices of a hospital: what a name meant last holds until it is known
to mean something else, within one run of the archive.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from archive.security.admission import IPAddress, parsed

KEPT_SECONDS = 60.0
RETRY_SECONDS = 5.0
"""After a failure."""


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: frozenset[IPAddress] | None
    until: float


def resolved(name: str) -> frozenset[IPAddress]:
    """What the system's resolver says. Raises OSError, UnicodeError."""
    found = (parsed(str(answer[4][0])) for answer in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    return frozenset(address for address in found if address is not None)


class HostNames:
    """What the names mean. Safe to use from several threads; each asks for itself, so one slow name holds up nobody
    but who calls from it."""

    def __init__(
        self,
        resolve: Callable[[str], frozenset[IPAddress]] = resolved,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def addresses(self, name: str) -> frozenset[IPAddress] | None:
        """The addresses of a host; None when they cannot be found out, and never could."""
        with self._lock:
            known = self._known.get(name)
        if known is not None and self._clock() < known.until:
            return known.addresses
        try:
            fresh = _Known(self._resolve(name), self._clock() + KEPT_SECONDS)
        except (OSError, UnicodeError):
            fresh = _Known(known.addresses if known else None, self._clock() + RETRY_SECONDS)
        with self._lock:
            self._known[name] = fresh
        return fresh.addresses
