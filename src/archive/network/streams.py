"""The bytes of one connected socket, plain or over TLS, with a bound on every wait.

`ssl.SSLSocket` is not used: it has neither `sendmsg` nor `MSG_DONTWAIT`, reads the socket twice for each
record, forgets TCP_QUICKACK between the two, and may not be touched by a second thread while one waits in it,
which is how an association is ended at a drain. TLS here works on two buffers in memory, under a lock that is
never held while waiting; reading and writing the socket is ours, as without TLS.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from archive.dicom.errors import SecurityFailure
from archive.network.caller import Certificate
from archive.network.tls_failures import why

_GATHERED = 512
"""Buffers in one sendmsg, below IOV_MAX (1024)."""
_AT_ONCE = 1 << 16
"""Most bytes that are read from the socket for TLS at one time."""
_NOT_BLOCKING = getattr(socket, "MSG_DONTWAIT", 0)
_LEFT = getattr(select, "POLLRDHUP", 0)
_TCP_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_TURN = 5
"""Seconds after which the system gives up a read by itself, so that one which may take longer is one call."""
_READ_TIMEOUT = struct.pack("ll", _TURN, 0)


class Plain:
    """A socket as it is. Every method raises OSError when the connection is lost."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        connection.settimeout(
            None
        )  # else each call would ask for readiness first, which is one visit to the system more
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _READ_TIMEOUT)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._acknowledge()

    def receive(self, room: memoryview, seconds: float) -> int:
        """Reads what is there into `room`; 0: the peer has closed. Raises TimeoutError, with 0 seconds
        BlockingIOError."""
        count = self._read(room, seconds)
        self._acknowledge()
        return count

    def send(self, buffers: Sequence[bytes | memoryview], seconds: float) -> None:
        """Sends all of it. Raises TimeoutError if the peer takes nothing for so long."""
        pending = [buffer for buffer in buffers if len(buffer)]
        while pending:
            try:
                sent = self._socket.sendmsg(pending[:_GATHERED], (), _NOT_BLOCKING)
            except BlockingIOError:
                self._wait(select.POLLOUT, seconds)
            else:
                pending = _rest(pending, sent)

    def send_now(self, farewell: bytes) -> None:
        """Sends without waiting, from any thread but while another one sends."""
        self._socket.send(farewell, _NOT_BLOCKING)

    def finish(self) -> None:
        """Says that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def discard(self, room: memoryview, seconds: float) -> bool:
        """Throws away what comes, decoded or not; False when the peer has closed."""
        return bool(self._read(room, seconds))

    def is_left(self) -> bool:
        """Whether the peer has closed its side, even if bytes that it sent before have not been read; False where
        the system does not tell."""
        poll = select.poll()
        poll.register(self._socket, _LEFT)
        return bool(_LEFT and poll.poll(0))

    def cut(self) -> None:
        """Ends it from any thread: who waits in it sees it closed."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _read(self, room: memoryview, seconds: float) -> int:
        left = seconds
        while left >= _TURN:
            try:
                return self._socket.recv_into(room)
            except BlockingIOError:
                left -= _TURN
        if seconds:
            self._wait(select.POLLIN, left)
        try:
            return self._socket.recv_into(room, 0, _NOT_BLOCKING)
        except BlockingIOError:
            if seconds:
                raise TimeoutError from None
            raise

    def _wait(self, event: int, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        if not poll.poll(max(0, math.ceil(1000 * seconds))):
            raise TimeoutError

    def _acknowledge(self) -> None:
        if _TCP_QUICKACK is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)


class Secured(Plain):
    """TLS over a socket; `handshake` comes first. As server without `host`; as client `host` is what the
    certificate of the server is checked for, where the context asks for that."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, host: str | None) -> None:
        super().__init__(connection)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=host is None, server_hostname=host
        )
        self._lock = threading.Lock()
        self._established = False
        self._room = memoryview(bytearray(_AT_ONCE))

    def handshake(self, deadline: float) -> None:
        """Agrees on TLS until this point of the monotonic clock. Raises TimeoutError, OSError, EOFError when the
        peer closes, and SecurityFailure."""
        while not self._established:
            failure = None
            with self._lock:
                try:
                    self._tls.do_handshake()
                    self._established = True
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLEOFError:
                    raise EOFError from None
                except (ssl.SSLError, ssl.CertificateError) as error:
                    failure = SecurityFailure(why(error))
            self._flush(_left(deadline))  # what is to be said, or why not
            if failure is not None:
                raise failure
            if not self._established:
                self._pull(_left(deadline))

    @property
    def protection(self) -> str:
        """Version and cipher suite, for the log."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0] if cipher else ''}"

    @property
    def certificate(self) -> Certificate | None:
        """The verified certificate of the peer, if it has shown one."""
        encoded, facts = self._tls.getpeercert(binary_form=True), self._tls.getpeercert()
        if not encoded or not facts:
            return None
        parts: Any = facts.get("subject", ())
        names: Any = facts.get("subjectAltName", ())
        subjects = [str(value) for part in parts for kind, value in part if kind == "commonName"]
        return Certificate(
            subjects[0] if subjects else "",
            tuple(str(value) for kind, value in names if kind == "DNS"),
            hashlib.sha256(encoded).hexdigest(),
        )

    def receive(self, room: memoryview, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while (count := self._decoded(room)) is None:
            self._flush(max(seconds, 0.001))
            self._pull(_left(deadline) if seconds else 0)
        return count

    def send(self, buffers: Sequence[bytes | memoryview], seconds: float) -> None:
        data = b"".join(buffers)  # a record for each header would cost more than the copy
        with self._lock:
            self._tls.write(data)
        self._flush(seconds)

    def send_now(self, farewell: bytes) -> None:
        with self._lock:
            self._tls.write(farewell)
            encoded = self._outgoing.read()
        super().send_now(encoded)

    def finish(self) -> None:
        with self._lock:
            self._say_goodbye()
        self._flush(1)
        super().finish()

    def close(self) -> None:
        with contextlib.suppress(OSError), self._lock:
            self._say_goodbye()
            super().send_now(self._outgoing.read())
        super().close()

    def _say_goodbye(self) -> None:
        """close_notify, once, without waiting for the peer's."""
        if self._established:
            self._established = False
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()

    def _decoded(self, room: memoryview) -> int | None:
        """Fills `room` with what has been decoded, records that are here already included; 0 at the end, None
        when more has to come first."""
        filled = 0
        with self._lock:
            try:
                while filled < len(room):
                    count = self._tls.read(len(room) - filled, room[filled:])
                    filled += int(count)
                    if not count:
                        break
            except ssl.SSLWantReadError:
                return filled or None
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return filled
        return filled

    def _pull(self, seconds: float) -> None:
        count = super().receive(self._room, seconds)
        if count:
            self._incoming.write(self._room[:count])
        else:
            self._incoming.write_eof()

    def _flush(self, seconds: float) -> None:
        with self._lock:
            encoded = self._outgoing.read()
        if encoded:
            super().send([encoded], seconds)


def _left(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _rest(pending: list[bytes | memoryview], sent: int) -> list[bytes | memoryview]:
    for position, buffer in enumerate(pending):
        if sent < len(buffer):
            return [memoryview(buffer)[sent:], *pending[position + 1 :]]
        sent -= len(buffer)
    return []
