"""Accepts the connections of one HTTP worker, in turns with those that share its socket (`network.spreading`).

An event loop's own server accepts whatever it sees: the worker that is woken first would have most.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable

import structlog

from archive.network.spreading import LOOK, PATIENCE, Place

_EXHAUSTED_SECONDS = 1.0

_log = structlog.get_logger()


class Intake:
    """Stands where uvicorn has an asyncio server. `held`: how many connections there are."""

    def __init__(
        self,
        listener: socket.socket,
        place: Place,
        held: Callable[[], int],
        protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listener = listener
        self._place = place
        self._held = held
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self.count()
        self._watch()

    def count(self) -> None:
        """Write down for the others how many connections there are."""
        self._place.holds(self._held() + len(self._coming))

    def close(self) -> None:
        """Accept no more."""
        self._place.leave()
        self._loop.remove_reader(self._listener)
        if self._pause is not None:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """There is nothing to wait for: uvicorn has waited for the connections."""

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._look)

    def _look(self) -> None:
        self._until = self._loop.time() + PATIENCE
        self._accept_or_give_way()

    def _accept_or_give_way(self) -> None:
        """Leave what comes to a worker that holds less, for as long as nobody takes it."""
        self.count()
        if self._place.is_fuller():
            if self._loop.time() < self._until:
                self._look_after(LOOK)
                return
            self._place.waited_in_vain()
        self._accept()

    def _look_after(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._watch()
        if self._poll.poll(0):
            self._accept_or_give_way()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            _log.warning("no_room_for_connections", error=type(error).__name__)
            self._until = self._loop.time() + _EXHAUSTED_SECONDS + PATIENCE
            self._look_after(_EXHAUSTED_SECONDS)
            return
        task = self._loop.create_task(self._attend(connection))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)
        self.count()

    async def _attend(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # gone again
            connection.close()
