"""An HTTP/1.1 client that does as little as it can, for a client that is slow makes every server look the same.

One connection, kept alive, Nagle's algorithm off. What comes is read into one large buffer and counted; the bytes are
kept only where a row checks them.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

SECONDS = 600.0
_BUFFER = 1 << 20


class BrokenOff(Exception):
    """The connection ended within an answer, or what came is no HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`length`: bytes of the payload as it came; `body`: the payload, if it was to be kept."""

    status: int
    headers: Mapping[str, str]
    length: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Body:
    """A payload: bytes, then a whole file if there is one, then bytes."""

    before: bytes
    file: Path | None = None
    after: bytes = b""

    @property
    def length(self) -> int:
        """Of all of it."""
        return len(self.before) + (self.file.stat().st_size if self.file else 0) + len(self.after)


class Connection:
    """A connection to a server. `stock`: with Nagle's algorithm on, head and payload written one after the other, as
    simple programs do."""

    def __init__(self, host: str, port: int, stock: bool = False) -> None:
        self._address = (host, port)
        self._stock = stock
        self._view = memoryview(bytearray(_BUFFER))
        self._start = self._end = 0
        self._socket = self._connect()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def get(self, path: str, accept: str = "*/*", keep: bool = False, **headers: str) -> Answer:
        """GET; `headers` with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", path, {"Accept": accept, **named}, keep=keep)

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        keep: bool = False,
        once: bool = False,
    ) -> Answer:
        """One exchange. A server may close a connection that lay idle: then it is asked on a new one; but not what is
        to be sent `once`, as nobody knows what has become of it. Raises BrokenOff, OSError."""
        head = self._head(method, path, headers or {}, body)
        try:
            self._send(head, body)
            self._fill()
        except (BrokenOff, ConnectionError):
            if once:
                raise
            self._socket.close()
            self._socket, self._start, self._end = self._connect(), 0, 0
            self._send(head, body)
            self._fill()
        return self._answer(keep)

    def _connect(self) -> socket.socket:
        made = socket.create_connection(self._address, SECONDS)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, not self._stock)
        return made

    def _head(self, method: str, path: str, headers: Mapping[str, str], body: Body | None) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._address[0]}:{self._address[1]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {body.length}"] if body else []
        return "\r\n".join([*lines, "", ""]).encode()

    def _send(self, head: bytes, body: Body | None) -> None:
        if body is not None and self._stock:
            self._socket.sendall(head)
            head = b""
        if body is None or body.file is None:
            self._socket.sendall(head + (body.before if body else b""))
            return
        self._socket.sendall(head + body.before)
        with body.file.open("rb") as file:
            self._socket.sendfile(file)
        self._socket.sendall(body.after)

    def _answer(self, keep: bool) -> Answer:
        status, headers = self._read_head()
        pieces: list[bytes] | None = [] if keep else None
        if headers.get("transfer-encoding", "").lower() == "chunked":
            length = self._chunks(pieces)
        elif status in (204, 304):
            length = 0
        elif "content-length" in headers:
            length = int(headers["content-length"])
            self._take(length, pieces)
        else:
            length = self._rest(pieces)
        return Answer(status, headers, length, b"".join(pieces or []))

    def _read_head(self) -> tuple[int, dict[str, str]]:
        text = self._until(b"\r\n\r\n").decode("latin-1")
        first, *rest = text.split("\r\n")
        with contextlib.suppress(IndexError, ValueError):
            fields = (line.partition(":") for line in rest)
            headers = {name.strip().lower(): value.strip() for name, _, value in fields}
            return int(first.split(" ")[1]), headers
        raise BrokenOff(f"no HTTP: {first[:80]!r}")

    def _chunks(self, pieces: list[bytes] | None) -> int:
        total = 0
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            self._take(size, pieces)
            self._until(b"\r\n")
            total += size
        while self._until(b"\r\n"):
            pass
        return total

    def _rest(self, pieces: list[bytes] | None) -> int:
        """All until the server closes the connection, which then is the end of the answer (RFC 9112 6.3)."""
        total = 0
        with contextlib.suppress(BrokenOff):
            while True:
                total += self._end - self._start
                self._take(self._end - self._start, pieces)
                self._fill()
        return total

    def _until(self, mark: bytes) -> bytes:
        """What comes before the mark; both are taken."""
        while True:
            held = bytes(self._view[self._start : min(self._end, self._start + 65536)])
            position = held.find(mark)
            if position >= 0:
                self._start += position + len(mark)
                return held[:position]
            if self._end - self._start >= 65536:
                raise BrokenOff("a head without end")
            self._fill()

    def _take(self, count: int, pieces: list[bytes] | None) -> None:
        while count:
            if self._start == self._end:
                self._start = self._end = 0
                self._fill()
            size = min(count, self._end - self._start)
            if pieces is not None:
                pieces.append(bytes(self._view[self._start : self._start + size]))
            self._start += size
            count -= size

    def _fill(self) -> None:
        """Read once, behind what is held."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._view):
            held = bytes(self._view[self._start : self._end])
            self._view[: len(held)] = held
            self._start, self._end = 0, len(held)
        count = self._socket.recv_into(self._view[self._end :])
        if not count:
            raise BrokenOff("the server closed the connection")
        self._end += count


def timed(connection: Connection, path: str, accept: str) -> float:
    """Seconds of a GET that must bring something."""
    begin = time.perf_counter()
    answer = connection.get(path, accept)
    seconds = time.perf_counter() - begin
    if answer.status != 200:
        raise BrokenOff(f"status {answer.status} for {path}")
    return seconds
