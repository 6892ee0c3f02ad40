"""A WebSocket client that can only listen (RFC 6455): for the events of the Worklist Service (PS3.18 8.10)."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from conformance.verdicts import Failed, Unreachable, expect

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
MOST_BYTES = 1 << 20
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Listener:
    """One connection."""

    def __init__(self, connection: socket.socket, held: bytes) -> None:
        self._connection = connection
        self._held = held

    def text(self, seconds: float) -> str:
        """The next text message. Raises `Failed` when none comes in time, or something else does."""
        end = time.monotonic() + seconds
        while True:
            opcode, payload = self._frame(end)
            if opcode == PING:
                self._connection.sendall(bytes([0x80 | PONG, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)
            elif opcode != PONG:
                expect(
                    opcode == TEXT, f"a frame of opcode {opcode} came where a text is expected (8.10.5.1.1)"
                )
                return payload.decode("utf-8", "replace")

    def _frame(self, end: float) -> tuple[int, bytes]:
        first, second = self._take(2, end)
        expect(first & 0x80, "a message came in several frames, which the suite does not put together")
        expect(not second & 0x80, "a frame of the server is masked (RFC 6455 5.1)")
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self._take(2 if length == 126 else 8, end), "big")
        expect(length <= MOST_BYTES, f"a frame has more than {MOST_BYTES} bytes")
        return first & 0x0F, self._take(length, end)

    def _take(self, number: int, end: float) -> bytes:
        while len(self._held) < number:
            left = end - time.monotonic()
            if left <= 0:
                raise Failed("no event came in time")
            self._connection.settimeout(left)
            self._held += _received(self._connection)
        taken, self._held = self._held[:number], self._held[number:]
        return taken


@contextmanager
def listening(url: str, seconds: float = 30) -> Iterator[Listener]:
    """Open a Notification Connection. Raises `Failed` when the server does not switch protocols, `Unreachable`."""
    parts = urlsplit(url)
    expect(parts.scheme in ("ws", "wss") and parts.hostname, f"{url!r} is no URL of a WebSocket")
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        connection = socket.create_connection((str(parts.hostname), port), timeout=seconds)
    except OSError as problem:
        raise Unreachable(f"{parts.hostname}:{port}: {problem}") from None
    with closing(connection):
        if parts.scheme == "wss":
            connection = ssl.create_default_context().wrap_socket(
                connection, server_hostname=str(parts.hostname)
            )
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        yield Listener(connection, _upgraded(connection, parts.netloc, path or "/"))


def _upgraded(connection: socket.socket, host: str, path: str) -> bytes:
    """Shake hands; what came after the answer's head."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    held = b""
    while b"\r\n\r\n" not in held:
        held += _received(connection)
        expect(len(held) <= MOST_BYTES, "the head of the answer does not end")
    head, _, rest = held.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    expect(" 101" in status[:13], f"101 expected (Table 8.10.4-2), {status!r} came")
    said = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in fields)}
    wanted = base64.b64encode(hashlib.sha1((key + _MAGIC).encode()).digest()).decode()  # noqa: S324 (RFC 6455)
    expect(said.get("sec-websocket-accept") == wanted, "Sec-WebSocket-Accept is another")
    return rest


def _received(connection: socket.socket) -> bytes:
    try:
        piece = connection.recv(65536)
    except TimeoutError:
        raise Failed("nothing came in time over the WebSocket") from None
    except OSError as problem:
        raise Failed(f"the WebSocket broke: {problem}") from None
    expect(piece, "the server ended the connection")
    return piece
