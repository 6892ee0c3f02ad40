"""HTTP/1.1 of one connection: uvicorn's protocol over httptools, with what the two leave to their users.

- Heads, chunk extensions and trailers have a size: httptools joins a line that does not end at every read, and keeps
  every trailer. Trailers are dropped (RFC 9110 6.5.1 allows it); merged, they would pass for headers.
- Heads, and readers that stall, have a deadline.
- What still comes of a body after its answer has a least speed.
- There is room for so many connections (`room`).
- No more than a few requests wait behind the one that is answered: uvicorn keeps any number. When the client leaves,
  all of them learn it: uvicorn tells the last one, and the others fail at a connection that is closed.
- Offers to upgrade are taken out, as httptools stops at the body of a request that makes one. For that a head is held
  until it is whole. Only who wants a Notification Connection (PS3.18 8.10.4) gets a WebSocket, and only while no other
  answer is under way.
- A request of which more is to come is acknowledged at once: a client with Nagle's algorithm on, which sends head and
  body apart, would else wait 40 ms for it. The kernel forgets TCP_QUICKACK, so it is set after each such read.
- HTTP/1.0, which old clients and proxies speak, knows no chunks (RFC 9112 6.1): an answer of unknown length ends with
  the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from archive.web.http.joining import Joined
from archive.web.http.passing import PASSING, Passing
from archive.web.http.room import Room
from archive.web.http.stalling import Leftover, Watch
from archive.web.http.urls import SUBSCRIBERS

HEAD_SECONDS = 10.0
"""From a connection or the first byte of a request to the end of its head."""

HEAD_BYTES = 64 << 10
"""Of a head, and of what may stand between two bytes of a body or after them."""

MAXIMUM_WAITING = 64
"""Requests sent ahead of their turn (RFC 9112 9.3.2)."""

LEAVING = "archive.leaving"
"""The ASGI extension: a set of functions that are called if the client goes away."""

_BEGINS_A_HEAD = re.compile(rb"[A-Z-]{1,20}( |$)")
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_WEB_SOCKET = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*", re.IGNORECASE)
_NOTIFICATIONS = re.compile(rb"GET %b/[^ ]+ HTTP/1\.1" % SUBSCRIBERS.encode("ascii"))
_SENTENCE = (
    f"the URL and the header fields of a request are over {HEAD_BYTES} bytes: ask for less at a time\n"
)


def _raw(status: str, sentence: str, *fields: str) -> bytes:
    """An answer that no application makes."""
    headers = (
        *fields,
        "Connection: close",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(sentence)}",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'; sandbox",
    )
    lines = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers))
    return f"{lines}\r\n{sentence}".encode("ascii")


_TOO_LARGE = _raw("431 Request Header Fields Too Large", _SENTENCE)
_MALFORMED = _raw("400 Bad Request", "this is no HTTP request\n")
_FULL = _raw(
    "503 Service Unavailable",
    "all connections of the archive are in use (http.maximum_connections): try again later\n",
    "Retry-After: 5",
)


class _UntilClosed(int):
    """The length of a body that ends with the connection: whatever was sent of it, uvicorn finds it whole."""

    def __lt__(self, _other: int) -> bool:
        return False

    def __ne__(self, _other: object) -> bool:
        return False

    def __sub__(self, _other: int) -> _UntilClosed:
        return self

    __hash__ = int.__hash__


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, idle_seconds: float, room: Room, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._stalled_seconds = idle_seconds
        self._room = room
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._watch: Watch | None = None
        self._leftover: Leftover | None = None
        self._own_socket: socket.socket | None = None
        self._may_upgrade = False
        self._is_web_socket = False
        self._head_seconds = min(HEAD_SECONDS, idle_seconds)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._head = b""
        self._outside = 0
        self._in_head = True
        self._between_requests = True
        self._leaving: set[Callable[[], None]] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch = Watch(transport, self.loop, self._stalled_seconds)
        self._leftover = Leftover(transport, self.loop, self._stalled_seconds)
        if self._room.enter(self):
            self._abort_after("head", self._head_seconds)
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.leave(self)
        self._forget_deadlines()
        self._close_own_socket()
        for cycle in self._unanswered:
            cycle.disconnected = True
        super().connection_lost(exc)
        for leave in tuple(self._leaving):
            leave()

    @property
    def is_silent(self) -> bool:
        """Whether it has not asked for anything yet."""
        return self.cycle is None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._unanswered and not self._is_web_socket

    def give_way(self) -> None:
        """Be cut, for another connection."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._between_requests:
            data = self._whole_head(data)
        for start in range(0, len(data), HEAD_BYTES):
            self._feed(data[start : start + HEAD_BYTES])
            if self.transport.is_closing() or self._is_web_socket:
                return
        self._outlive_answer()
        if not self._between_requests or self._head:
            self._acknowledge()

    def _acknowledge(self) -> None:
        """What was read, without waiting for an answer that could carry it; more of the request is to come."""
        if hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _socket(self) -> socket.socket:
        """Of our own: that of the transport makes another one for each call."""
        if self._own_socket is None:
            theirs = self.transport.get_extra_info("socket")
            kind = (theirs.family, theirs.type, theirs.proto)
            self._own_socket = socket.socket(*kind, fileno=os.dup(theirs.fileno()))
        return self._own_socket

    def _close_own_socket(self) -> None:
        if self._own_socket is not None:
            self._own_socket.close()
            self._own_socket = None

    def _whole_head(self, data: bytes) -> bytes:
        """What begins a request, without offers to upgrade; nothing while more of the head is to come."""
        head, self._head = self._head + data, b""
        if b"\r\n\r\n" in head or len(head) > HEAD_BYTES or not _BEGINS_A_HEAD.match(head):
            self._may_upgrade = self._asks_for_a_web_socket(head)
            return head if self._may_upgrade else _without_upgrade(head)
        self._head = head
        self._unset_keepalive_if_required()
        if "head" not in self._timers:
            self._abort_after("head", self._head_seconds)
        return b""

    def _asks_for_a_web_socket(self, head: bytes) -> bool:
        """Whether it opens a Notification Connection, and the connection is free for it."""
        if self.pipeline or not (self.cycle is None or self.cycle.response_complete):
            return False
        fields = head.partition(b"\r\n\r\n")[0]
        [offer, *others] = _UPGRADE.findall(fields) or [b""]
        return not others and bool(_WEB_SOCKET.fullmatch(offer) and _NOTIFICATIONS.match(fields))

    def _should_upgrade_to_ws(self) -> bool:
        """Not for an offer in a request that was sent ahead of its turn: its head was not looked at."""
        return self._may_upgrade

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection belongs to `web_socket.EventProtocol`."""
        self._is_web_socket = True
        self._room.leave(self)
        self._forget_deadlines()
        self._close_own_socket()
        super().handle_websocket_upgrade()

    def _forget_deadlines(self) -> None:
        for name in list(self._timers):
            self._cancel(name)
        if self._watch is not None:
            self._watch.end()
        if self._leftover is not None:
            self._leftover.end()

    def _feed(self, data: bytes) -> None:
        self._outside += len(data)
        super().data_received(data)
        if self._is_web_socket:
            return
        if self._outside > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)
        elif len(self.pipeline) > MAXIMUM_WAITING:
            self.transport.close()

    def _refuse(self, answer: bytes) -> None:
        """Answer and close, but never write into the middle of another answer."""
        if not self._is_answering():
            self.transport.write(answer)
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether an answer has begun and not ended; with requests waiting, the one before them may have."""
        cycle = self.cycle
        return bool(self.pipeline or (cycle and cycle.response_started and not cycle.response_complete))

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        # Of a target that is too long the parser says that it is none.
        too_long = self.url and len(self.url) >= HEAD_BYTES - 1
        self._refuse(_TOO_LARGE if too_long else _MALFORMED)

    def _outlive_answer(self) -> None:
        """A body that goes on after its answer does not keep the connection longer than silence would."""
        answered = self.cycle is not None and self.cycle.response_complete and not self.pipeline
        if not answered:
            return
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        if self._leftover is not None and not self._between_requests:
            self._leftover.begin()

    def on_message_begin(self) -> None:
        self._between_requests = False
        self._in_head = True
        self._outside = 0
        if "head" not in self._timers:
            self._abort_after("head", self._head_seconds)
        super().on_message_begin()
        self.scope["extensions"] = {LEAVING: self._leaving}  # type: ignore[dict-item]

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._cancel("head")
        self._in_head = False
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self._unanswered.append(self.cycle)
            joined = Joined(self.transport, self._answered)
            self.cycle.transport, self.cycle.on_response = joined, joined.end  # type: ignore[assignment]
            passing = Passing(
                self.transport, self._socket, joined, self.cycle, self.loop, self._stalled_seconds
            )
            self.scope["extensions"][PASSING] = passing  # type: ignore[assignment]
        if self.cycle is not None and self.scope.get("http_version") == "1.0":
            self.cycle.chunked_encoding = False
            self.cycle.expected_content_length = _UntilClosed()

    def _answered(self) -> None:
        """Answers go out in the order of their requests."""
        self._unanswered.popleft()
        self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        self._outside = 0
        if self._leftover is not None:
            self._leftover.came(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._between_requests = True
        if self._leftover is not None:
            self._leftover.end()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._watch is not None:
            self._watch.begin()

    def resume_writing(self) -> None:
        if self._watch is not None:
            self._watch.end()
        super().resume_writing()

    def _abort_after(self, name: str, seconds: float) -> None:
        self._cancel(name)
        self._timers[name] = self.loop.call_later(seconds, self.transport.abort)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _without_upgrade(data: bytes) -> bytes:
    """A request that starts here, without its offer to upgrade, which RFC 9110 7.8 lets a server ignore.

    Java's client offers h2c with every first request."""
    end = data.find(b"\r\n\r\n")
    return _UPGRADE.sub(b"", data[:end]) + data[end:] if end >= 0 else data
