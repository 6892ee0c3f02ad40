"""HTTP/1.1 of one connection: uvicorn's protocol over httptools, mended.

uvicorn has no deadline for request heads and for readers that stall, and httptools no limit on a head's size and a
habit of dropping the body of a request that offers an upgrade.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""From a connection or the first byte of a request to the end of its head."""

HEAD_BYTES = 64 << 10

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with a deadline and a size for request heads, a deadline for readers, and no upgrades."""

    def __init__(self, *args: Any, idle_seconds: float, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._stalled_seconds = idle_seconds
        self._head_seconds = min(HEAD_SECONDS, idle_seconds)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._head_bytes = 0
        self._in_head = True
        self._between_requests = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._abort_after("head", self._head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        for name in list(self._timers):
            self._cancel(name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._between_requests:
            data = _without_upgrade(data)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._between_requests = False
        self._in_head = True
        self._head_bytes = 0
        self._abort_after("head", self._head_seconds)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._cancel("head")
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between_requests = True
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._cancel("stalled")
        super().resume_writing()

    def _watch_reader(self, waiting: int) -> None:
        """Cut the connection unless some of the `waiting` bytes go out in time."""
        self._cancel("stalled")
        self._timers["stalled"] = self.loop.call_later(self._stalled_seconds, self._check_reader, waiting)

    def _check_reader(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._watch_reader(waiting)
        else:
            # Reset, so that the system also lets go of what it would still try to send.
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def _abort_after(self, name: str, seconds: float) -> None:
        self._cancel(name)
        self._timers[name] = self.loop.call_later(seconds, self.transport.abort)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _without_upgrade(data: bytes) -> bytes:
    """A request that starts here, without its offer to upgrade, which RFC 9110 7.8 lets a server ignore.

    Java's client offers h2c with every first request, and httptools would stop reading such a request at its body.
    """
    end = data.find(b"\r\n\r\n")
    return _UPGRADE.sub(b"", data[:end]) + data[end:] if end >= 0 else data
