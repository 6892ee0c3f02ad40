"""Answers whose bytes lie in files: passed on by the system, from the file to the connection, without being read.

That takes a third of what reading and writing them does. The transport has to have nothing to send meanwhile, and is
not told; so what it does else is done here: to wait for a client who is slow, without a thread and not for ever, and
to notice one that has gone.

What was fetched together with the answer goes out at once, from the event loop. What has to come from the disk goes out
from a thread, several megabytes at a time, and a thread waits only as long for the client as it takes one that reads.
"""

from __future__ import annotations

import asyncio
import enum
import errno
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from archive.dicom.errors import NotFound
from archive.services.stretches import Piece
from archive.web.http.bodies import ClientGone
from archive.web.http.crossing import close
from archive.web.http.joining import Joined
from archive.web.http.stalling import reset
from archive.web.http.threads import check_cancelled

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

PASSING = "archive.passing"
"""The ASGI extension: the `Passing` of one exchange."""

TURN_BYTES = 16 << 20
"""So much goes out until others have their turn with the thread."""
PATIENCE_MILLISECONDS = 2
"""So long a thread waits for a client to make room; one that reads takes half a megabyte in that time."""


_CLIENT_GONE = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN}


class Progress(enum.Enum):
    """How far it has come."""

    COMPLETE = enum.auto()
    FULL = enum.auto()
    """The client has to read first."""
    MORE = enum.auto()


Call = Callable[[Callable[[], Progress]], Awaitable[Progress]]
"""Runs a function in a thread."""


class Outgoing:
    """What is still to go out of one answer, from one thread at a time; `sent`: bytes that the system has taken, of
    which `tell` is told in each turn."""

    def __init__(
        self,
        ahead: Iterable[Piece],
        rest: Iterator[Piece] | None,
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ahead = deque(ahead)
        self._rest = rest
        self._piece: Piece = b""
        self._left = self._length = 0
        self._own = -1
        self._lock = threading.Lock()
        self._tell = tell
        self._told = self.sent = 0

    @property
    def needs_thread(self) -> bool:
        """Whether there is more than what was made ahead, so that files may have to be opened, read or closed."""
        return self._rest is not None

    def begin(self, head: bytes) -> None:
        """These bytes go first; they do not count as sent."""
        self._ahead.appendleft(head)
        self.sent -= len(head)

    def send_ahead(self, descriptor: int) -> Progress:
        """What was made ahead, as far as the connection takes it now. Raises ConnectionError, NotFound."""
        try:
            return self._send(descriptor, lambda: self._ahead.popleft() if self._ahead else None)
        finally:
            self._tell_sent()

    def own(self, descriptor: int) -> int:
        """A descriptor of the same connection that stays until `close`, whoever closes the other one."""
        self._own = os.dup(descriptor)
        return self._own

    def send(self) -> Progress:
        """The same of all, to the descriptor that it owns. To be run in a thread that can be cancelled."""
        with self._lock:
            if self._own < 0:
                return Progress.COMPLETE
            room = select.poll()
            room.register(self._own, select.POLLOUT)
            limit = self.sent + TURN_BYTES
            try:
                return self._turn(room, limit)
            finally:
                self._tell_sent()

    def _turn(self, room: select.poll, limit: int) -> Progress:
        progress = Progress.MORE
        while progress is Progress.MORE and self.sent < limit:
            progress = self._send(self._own, self._next, limit)
            if progress is Progress.FULL and room.poll(PATIENCE_MILLISECONDS):
                progress = Progress.MORE
        return progress

    def _tell_sent(self) -> None:
        if self.sent > self._told:
            length, self._told = self.sent - self._told, self.sent
            self._tell(length)

    def close(self) -> None:
        """Let go of everything, when no thread is busy with it any more: a descriptor that was closed may soon be that
        of somebody else's connection."""
        with self._lock:
            own, self._own = self._own, -1
            if own >= 0:
                os.close(own)
            self._let_go()

    def _let_go(self) -> None:
        self._finish_piece()
        for piece in self._ahead:
            if not isinstance(piece, bytes):
                piece.close()
        self._ahead.clear()
        rest, self._rest = self._rest, None
        close(rest)

    def _next(self) -> Piece | None:
        check_cancelled()
        if self._ahead:
            return self._ahead.popleft()
        piece = next(self._rest, None) if self._rest is not None else None
        if piece is None:
            self._let_go()
        return piece

    def _send(
        self, descriptor: int, following: Callable[[], Piece | None], limit: int | None = None
    ) -> Progress:
        while limit is None or self.sent < limit:
            if not self._left:
                piece = following()
                if piece is None:
                    return Progress.COMPLETE if self._rest is None else Progress.MORE
                self._piece = piece
                self._left = self._length = len(piece) if isinstance(piece, bytes) else piece.length
            try:
                self._pass(descriptor)
            except BlockingIOError:
                return Progress.FULL
        return Progress.MORE

    def _pass(self, descriptor: int) -> None:
        piece, position = self._piece, self._length - self._left
        if isinstance(piece, bytes):
            passed = os.write(descriptor, memoryview(piece)[position:]) if self._left else 0
        else:
            passed = os.sendfile(descriptor, piece.descriptor, piece.offset + position, self._left)
            if not passed:
                raise NotFound("the blob is shorter than it was when it was opened")
        self.sent += passed
        self._left -= passed
        if not self._left:
            self._finish_piece()

    def _finish_piece(self) -> None:
        piece, self._piece, self._left = self._piece, b"", 0
        if not isinstance(piece, bytes):
            piece.close()


class Passing:
    """Of one exchange of uvicorn's: what it and its transport know of the connection."""

    def __init__(
        self,
        transport: asyncio.Transport,
        connection: Callable[[], socket.socket],
        joined: Joined,
        cycle: RequestResponseCycle,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._joined = joined
        self._cycle = cycle
        self._loop = loop
        self._seconds = seconds

    @property
    def is_free(self) -> bool:
        """Whether nothing else waits to be sent."""
        return not (self._transport.is_closing() or self._transport.get_write_buffer_size())

    async def room(self) -> None:
        """Wait until the transport takes more. uvicorn waits only when there is more to be sent, with that in hand."""
        if self._cycle.flow.write_paused and not self._cycle.disconnected:
            await self._cycle.flow.drain()

    async def send(self, outgoing: Outgoing, call: Call) -> None:
        """All of a body of known length, behind the head that was written before. Raises ClientGone, NotFound."""
        if self._transport.is_closing():  # its descriptor may be that of another connection by now
            raise ClientGone
        connection = self._connection()
        outgoing.begin(self._joined.taken())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        try:
            progress = outgoing.send_ahead(connection.fileno())
            if progress is not Progress.COMPLETE:
                await self._go_on(outgoing, progress, connection.fileno(), call)
        except OSError as error:
            if error.errno not in _CLIENT_GONE and not isinstance(error, ConnectionError):
                raise
            await self._leave()
        self._cycle.expected_content_length -= outgoing.sent
        if not self._transport.is_closing():
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    async def _go_on(self, outgoing: Outgoing, progress: Progress, connection: int, call: Call) -> None:
        """With a descriptor of our own: the transport may close the other one, and the event loop does not let others
        wait for it."""
        descriptor = outgoing.own(connection)
        while progress is not Progress.COMPLETE:
            if progress is Progress.FULL:
                await self._room(descriptor)
            progress = await call(outgoing.send)

    async def _room(self, descriptor: int) -> None:
        """Wait until the client has read some of what was sent, but not for ever."""
        room = self._loop.create_future()
        self._loop.add_writer(descriptor, _done, room)
        try:
            async with asyncio.timeout(self._seconds):
                await room
        except TimeoutError:
            reset(self._transport)
            await self._leave()
        finally:
            self._loop.remove_writer(descriptor)

    async def _leave(self) -> None:
        """The connection is lost; whoever it belongs to is told, and ends this."""
        self._transport.abort()
        await asyncio.sleep(self._seconds)
        raise ClientGone


def _done(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)
