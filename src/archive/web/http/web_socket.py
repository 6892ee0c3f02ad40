"""One Notification Connection (PS3.18 8.10): uvicorn's WebSocket protocol, with what it leaves to its users.

- The client has nothing to say here (8.10.5.3), so what it sends is dropped, and may not be long.
- A reader that stalls has a deadline.
- The application can ask whether what it sent has arrived: a ping goes after it, and its pong comes from whoever has
  read that far. Pings keep proxies from closing a silent connection as well, so uvicorn's own are off.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame

from archive.web.http.bodies import ClientGone
from archive.web.http.stalling import Watch, reset

CONFIRMED = "archive.confirmed"
"""The ASGI extension: a coroutine function that returns when everything sent so far was read by the client."""

LONGEST_MESSAGE = 4096
"""Of a client, in bytes; a longer one ends the connection (RFC 6455 7.4.1: 1009)."""


class EventProtocol(WebSocketsSansIOProtocol):
    """One connection, taken over from `protocol.Protocol`."""

    def __init__(self, *args: Any, idle_seconds: float, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._idle_seconds = idle_seconds
        self._watch: Watch | None = None
        self._pings: dict[bytes, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._watch = Watch(self.transport, self.loop, self._idle_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.end()
        for waiting in self._pings.values():
            if not waiting.done():
                waiting.set_exception(ClientGone())
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._watch is not None:
            self._watch.begin()

    def resume_writing(self) -> None:
        if self._watch is not None:
            self._watch.end()
        super().resume_writing()

    def handle_text(self, event: Frame) -> None:
        """Nobody waits for what a client says; nothing of it is kept, as a message may come in any number of frames,
        each of them empty."""

    handle_bytes = handle_cont = handle_text

    def handle_ping(self) -> None:
        """Who does not read gets no answers to pile up: that to a later ping will do (RFC 6455 5.5.3)."""
        output = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(output))

    def handle_pong(self, event: Frame) -> None:
        """A pong stands for every ping before it too (RFC 6455 5.5.3)."""
        if bytes(event.data) not in self._pings:
            return
        for number in list(self._pings):
            waiting = self._pings.pop(number)
            if not waiting.done():
                waiting.set_result(None)
            if number == bytes(event.data):
                return

    async def confirmed(self) -> None:
        """Wait until the client has read what was sent before. Raises ClientGone."""
        number = str(next(self._numbers)).encode("ascii")
        try:
            self.conn.send_ping(number)
        except InvalidState:
            raise ClientGone from None
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._pings[number] = self.loop.create_future()
        await self._pings[number]

    async def send(self, message: Any) -> None:
        """With the end of a refusal the handshake is over too; uvicorn would log it as a fault of ours."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[CONFIRMED] = self.confirmed
        try:
            await super().run_asgi()
        finally:
            if self._pings and not self.transport.is_closing():
                reset(self.transport)  # it did not answer: it will not take its leave either
