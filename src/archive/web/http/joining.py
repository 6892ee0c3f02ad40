"""The head of an answer leaves with the first piece of its body: a system call for each would cost more than many
handlers do, and wake the client twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_INTERIM = b"HTTP/1.1 100 "


class Joined:
    """What one exchange of uvicorn's writes to in place of the transport. The first write of an answer is its head,
    and it is followed by another, or by the end."""

    def __init__(self, transport: asyncio.Transport, ended: Callable[[], None]) -> None:
        self._transport = transport
        self._ended = ended
        self._begun = False
        self._head = b""

    def write(self, data: bytes) -> None:
        """As of a transport, but the head waits."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif self._begun or data.startswith(_INTERIM):
            self._transport.write(data)
        else:
            self._begun, self._head = True, data

    def taken(self) -> bytes:
        """The head that waits, for who writes it in another way, and the body behind it."""
        head, self._head = self._head, b""
        return head

    def close(self) -> None:
        """As of a transport: what was written goes out before."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """As of a transport."""
        return self._transport.is_closing()

    def end(self) -> None:
        """The answer is complete; it may have been a head alone."""
        self._flush()
        self._ended()

    def _flush(self) -> None:
        if self._head:
            self.write(b"")
