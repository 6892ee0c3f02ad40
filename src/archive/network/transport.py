"""One connected socket: PDUs in through one large buffer, gathered bytes out, every wait bounded.

pynetdicom reads 4096 bytes at a time from sockets without timeout; half a header pins it for ever. Here each
wait has a deadline on the monotonic clock that is fixed when we begin to wait for a PDU's rest: a peer which
sends one byte a second gains nothing, and one whose bytes we left lying while we were busy loses nothing.
TCP_NODELAY is always set. TCP_QUICKACK is set again after each read, as the kernel forgets it: a sender with
Nagle's algorithm on (stock DCMTK) otherwise waits 40 ms for our delayed acknowledgement, twice for each
object. `streams` has the socket itself, plain or with TLS.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archive.dicom.errors import AssociationAborted, SecurityFailure
from archive.network.caller import Certificate
from archive.network.pdu import HEADER, AbortReason
from archive.network.streams import Plain, Secured
from archive.network.tls_failures import why

_FIRST_CAPACITY = 1 << 14


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. `association`: from the connection to the A-ASSOCIATE PDU (the ARTIM timer of PS3.8 9.1.4), with
    TLS before it;
    `pdu`: from the first to the last byte of a PDU, and from one PDU of a message to the next; `idle`:
    between messages; `write`: without the peer taking a byte; `release`: for its A-RELEASE-RP; `linger`: for
    it to close after our last PDU; `connect`: for the TCP connection."""

    connect: float = 10.0
    association: float = 10.0
    pdu: float = 30.0
    idle: float = 600.0
    write: float = 30.0
    release: float = 10.0
    linger: float = 1.0


class Wire:
    """A socket with a read buffer. Used by one thread, but for `interrupt`."""

    def __init__(self, connection: socket.socket, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self.certificate: Certificate | None = None
        """What the peer has proved itself with, over TLS."""
        self.protection = ""
        """Version and cipher suite of TLS."""
        self._connection = connection
        self._stream = Plain(connection)
        self._writing = threading.Lock()
        self._view = memoryview(bytearray(_FIRST_CAPACITY))
        self._start = self._end = 0

    def secure(self, context: ssl.SSLContext, deadline: float, host: str | None = None) -> None:
        """Agrees on TLS before anything else is said, until this point of the monotonic clock; as client with
        the `host` that was called. Raises SecurityFailure with the reason, AssociationAborted when the peer is
        silent or goes."""
        stream = Secured(self._connection, context, host)
        self._stream = stream
        try:
            stream.handshake(deadline)
        except SecurityFailure:
            with contextlib.suppress(OSError):
                self._outlast()  # the alert says why; it would be lost in a reset
            raise
        except TimeoutError:
            raise AssociationAborted("the peer was silent for too long in the TLS handshake") from None
        except (OSError, EOFError):
            raise AssociationAborted("the peer closed the connection in the TLS handshake") from None
        self.certificate, self.protection = stream.certificate, stream.protection

    def read_pdu(
        self, admit: Callable[[int, int], None], first_byte: float, whole: float | None = None
    ) -> tuple[int, memoryview]:
        """The next PDU: its type and its body, which is valid until the next read.

        `admit(type, length)` sees the header before anything else is read and raises to refuse. `first_byte`
        and `whole` are points of the monotonic clock; without `whole` the PDU has `deadlines.pdu` seconds
        from its first byte, or from now if that is here already. Raises AssociationAborted when a deadline
        passes or the connection ends.
        """
        deadline = whole
        if self._end - self._start < HEADER.size:
            self._fill(1, first_byte)
            deadline = deadline or time.monotonic() + self.deadlines.pdu
            self._fill(HEADER.size, deadline)
        pdu_type, length = HEADER.unpack_from(self._view, self._start)
        admit(pdu_type, length)
        if self._end - self._start < HEADER.size + length:
            self._fill(HEADER.size + length, deadline or time.monotonic() + self.deadlines.pdu)
        return pdu_type, self._take(length)

    def arriving(self, deadline: float) -> bool:
        """Whether bytes are here before this point of the monotonic clock. They stay in the buffer. Raises
        AssociationAborted when the connection ends."""
        while self._start == self._end:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            self._make_room(1)
            with contextlib.suppress(TimeoutError):
                self._receive(remaining)
        return True

    def is_left(self) -> bool:
        """Whether the peer has closed its side already, so that nothing that is answered will be used."""
        return self._stream.is_left()

    def arrived(self) -> tuple[int, memoryview] | None:
        """The next PDU if all of it is here already, without blocking; it stays in the buffer until
        `skip`."""
        self._receive_available()
        size = self._end - self._start
        if size < HEADER.size:
            return None
        pdu_type, length = HEADER.unpack_from(self._view, self._start)
        if size < HEADER.size + length:
            return None
        body = self._start + HEADER.size
        return pdu_type, self._view[body : body + length]

    def skip(self, body: memoryview) -> None:
        """Consumes the PDU that `arrived` returned."""
        self._take(len(body))

    def grow(self, capacity: int) -> None:
        """Makes room for `capacity` bytes; what was handed out before stays valid."""
        if capacity <= len(self._view):
            return
        grown = memoryview(bytearray(capacity))
        kept = self._end - self._start
        grown[:kept] = self._view[self._start : self._end]
        self._view, self._start, self._end = grown, 0, kept

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Sends all buffers. Raises AssociationAborted if the peer takes nothing for `deadlines.write`
        seconds."""
        try:
            with self._writing:
                self._stream.send(buffers, self.deadlines.write)
        except TimeoutError:
            raise AssociationAborted("the peer stopped reading") from None
        except OSError:
            raise AssociationAborted("the connection was lost while sending") from None

    def close(self, farewell: bytes = b"") -> None:
        """Sends `farewell`, gives the peer `deadlines.linger` seconds to read it and to close, then closes.

        Closing with unread bytes in the kernel sends RST, and the peer might never see our last PDU. Never
        raises.
        """
        with contextlib.suppress(OSError):
            if farewell:
                self._part(farewell)
        self._stream.close()

    def interrupt(self, farewell: bytes) -> None:
        """Ends the connection from another thread; whoever waits in a read or write gets
        AssociationAborted. The farewell is dropped while something else is being sent."""
        if self._writing.acquire(blocking=False):
            try:
                with contextlib.suppress(OSError):
                    self._stream.send_now(farewell)
            finally:
                self._writing.release()
        with contextlib.suppress(OSError):
            self._stream.cut()

    def _part(self, farewell: bytes) -> None:
        with self._writing:
            self._stream.send([farewell], self.deadlines.linger)
        self._outlast()

    def _outlast(self) -> None:
        """Lets the peer read what was sent, and close."""
        deadline = time.monotonic() + self.deadlines.linger
        with self._writing:
            self._stream.finish()
        while (remaining := deadline - time.monotonic()) > 0:
            if not self._stream.discard(self._view, remaining):
                return

    def _take(self, length: int) -> memoryview:
        body = self._start + HEADER.size
        self._start = body + length
        return self._view[body : self._start]

    def _fill(self, size: int, deadline: float) -> None:
        while self._end - self._start < size:
            self._make_room(size)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise AssociationAborted("the peer was silent for too long", AbortReason.NOT_SPECIFIED)
            try:
                self._receive(remaining)
            except TimeoutError:
                continue

    def _receive_available(self) -> None:
        self._make_room(len(self._view))
        if self._end == len(self._view):
            return
        with contextlib.suppress(BlockingIOError):
            self._receive(0)

    def _receive(self, seconds: float) -> None:
        try:
            count = self._stream.receive(self._view[self._end :], seconds)
        except (TimeoutError, BlockingIOError):
            raise
        except ssl.SSLError as error:
            raise SecurityFailure(why(error)) from None
        except OSError:
            raise AssociationAborted("the connection was lost") from None
        if not count:
            raise AssociationAborted("the peer closed the connection without A-RELEASE")
        self._end += count

    def _make_room(self, size: int) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        if size > len(self._view):
            self.grow(size)
        elif self._start + size > len(self._view):
            kept = self._end - self._start
            self._view[:kept] = self._view[self._start : self._end]
            self._start, self._end = 0, kept
