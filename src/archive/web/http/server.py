"""One HTTP worker: uvicorn on a listening socket that the supervisor made.

What uvicorn's protocol leaves open is mended in `protocol`. Signals belong to the supervisor and are left alone.
There is no access log, as the URLs of searches hold names.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from archive.network.spreading import Place, alone
from archive.web.app import create_app
from archive.web.http.intake import Intake
from archive.web.http.protocol import Protocol
from archive.web.http.room import Room
from archive.web.http.web_socket import LONGEST_MESSAGE, EventProtocol

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

KEEP_ALIVE_SECONDS = 75
"""Longer than reverse proxies keep idle connections, so that they close first."""

_TICKS_PER_HEARTBEAT = 10
_OF_WEB_SOCKETS = re.compile(r"uvicorn/protocols/|websockets/")


def run(
    archive: Archive,
    listener: socket.socket,
    heartbeat: Callable[[], None],
    stop: threading.Event,
    place: Place | None = None,
) -> None:
    """Serve until `stop` is set, then finish running requests and return. `heartbeat` is called about each second by
    the event loop; its first call means that connections are accepted. `place`: among the workers that share the
    socket."""
    settings = archive.settings
    for silence in (_without_tracebacks, _without_urls):
        logging.getLogger("uvicorn.error").addFilter(silence)
    listener.setblocking(False)
    idle_seconds = float(settings.http.idle_deadline)
    room = Room(settings.http.maximum_connections)
    config = uvicorn.Config(
        create_app(archive),
        http=partial(Protocol, idle_seconds=idle_seconds, room=room),  # type: ignore[arg-type]
        ws=partial(EventProtocol, idle_seconds=idle_seconds),  # type: ignore[arg-type]
        ws_max_size=LONGEST_MESSAGE,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        loop="uvloop",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(settings.drain_seconds - 2, 1),
    )
    Server(config, place or alone(), heartbeat, stop).run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn's server, told to stop by an event instead of a signal."""

    def __init__(
        self,
        config: uvicorn.Config,
        place: Place,
        heartbeat: Callable[[], None],
        stop: threading.Event,
    ) -> None:
        super().__init__(config)
        self._place = place
        self._intakes: list[Intake] = []
        self._heartbeat = heartbeat
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets=[])
        connections = self.server_state.connections
        self._intakes = [
            Intake(each, self._place, lambda: len(connections), self._protocol) for each in sockets or ()
        ]
        self.servers = [*self._intakes]  # type: ignore[list-item]

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second while serving."""
        for intake in self._intakes:
            intake.count()
        if counter % _TICKS_PER_HEARTBEAT == 0:
            self._heartbeat()
        return self._stop.is_set() or await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the supervisor."""
        yield


def _without_tracebacks(record: logging.LogRecord) -> bool:
    """uvicorn logs exceptions of the application with all they quote; our own middleware has logged them by type."""
    return record.exc_info is None


def _without_urls(record: logging.LogRecord) -> bool:
    """uvicorn logs each WebSocket with its URL, and the websockets library each connection; there is no access log."""
    return record.levelno > logging.INFO or not _OF_WEB_SOCKETS.search(record.pathname)
