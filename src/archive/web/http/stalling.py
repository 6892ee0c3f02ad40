"""Clients that stall: a connection whose client takes nothing any more is cut, and what waits for it is dropped; so is
one that still drips a body after its answer."""

from __future__ import annotations

import asyncio
import socket
import struct

from archive.web.http.bodies import SLOWEST_BYTES_PER_SECOND


class Watch:
    """Of one connection. Begun when the transport asks to pause writing, ended when it asks to go on."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Cut the connection unless some of the bytes that wait go out in time."""
        self.end()
        waiting = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._seconds, self._check, waiting)

    def end(self) -> None:
        """The client reads, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, before: int) -> None:
        if self._transport.get_write_buffer_size() < before:
            self.begin()
        else:
            reset(self._transport)


class Leftover:
    """What still comes of a body after its answer: dropped, and waited for only as long as it comes at some speed."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._came = 0

    def begin(self) -> None:
        """There is more to come; may be called for each piece of it."""
        if self._timer is None:
            self._came = 0
            self._timer = self._loop.call_later(self._seconds, self._check)

    def came(self, length: int) -> None:
        """Count it."""
        self._came += length

    def end(self) -> None:
        """That was all, or the client is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._came < self._seconds * SLOWEST_BYTES_PER_SECOND:
            reset(self._transport)
        else:
            self.begin()


def reset(transport: asyncio.Transport) -> None:
    """Cut a connection so that the system also lets go of what it would still try to send."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
