"""A worker process, first line to last: `python -m archive.supervisor.worker DOOR LISTENERS HEARTBEAT`.

Settings come as one line of JSON on stdin, which the supervisor then keeps open: its end is how a worker
learns that the supervisor is gone, however that happened. Heartbeats are bytes in a pipe, written by the
door's own main loop and at most one a second, so a loop that hangs falls silent. The first one says: ready.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

import structlog

from archive import config
from archive.bootstrap import Archive, build
from archive.supervisor import logs

ORPHAN_SECONDS = 5.0
"""How long an orphan may take to end what it has begun: the next supervisor needs its port."""

HEARTBEAT_SECONDS = 1.0

Heartbeat = Callable[[], None]
Listeners = tuple[socket.socket, ...]
Door = Callable[[Archive, Listeners, Heartbeat, threading.Event], None]


def _dimse(archive: Archive, listeners: Listeners, beat: Heartbeat, stop: threading.Event) -> None:
    from archive.dimse import server
    from archive.network.acceptor import Listener
    from archive.security import tls

    # The supervisor has seen the files be right. A worker that starts amid their renewal still serves without TLS.
    plain, *secured = listeners
    contexts = tls.server(archive.settings.tls, at_once=False) if secured else None
    served = [Listener(plain), *(Listener(each, contexts) for each in secured)]
    server.run(archive, served, beat, stop)


def _http(archive: Archive, listeners: Listeners, beat: Heartbeat, stop: threading.Event) -> None:
    from archive.web.http import server

    server.run(archive, listeners[0], beat, stop)


def _hl7(archive: Archive, listeners: Listeners, beat: Heartbeat, stop: threading.Event) -> None:
    from archive.hl7 import server
    from archive.network.acceptor import Listener
    from archive.security import tls

    # The supervisor opens what the settings ask for, in this order.
    settings, left = archive.settings, list(listeners)
    served = [Listener(left.pop(0))] if settings.hl7.listen else []
    served += [Listener(each, tls.server(settings.tls, at_once=False)) for each in left]
    server.run(archive, served, beat, stop)


def _jobs(archive: Archive, _listeners: Listeners, beat: Heartbeat, stop: threading.Event) -> None:
    from archive.jobs import worker

    worker.run(archive, beat, stop)


# Each imports its own room only: a DIMSE worker carries no web server.
DOORS: dict[str, Door] = {"dimse": _dimse, "http": _http, "hl7": _hl7, "jobs": _jobs}


def heartbeat(pipe: int, clock: Callable[[], float] = time.monotonic) -> Heartbeat:
    """What a main loop calls on each turn, as often as it likes, from any thread. Never blocks or raises."""
    os.set_blocking(pipe, False)
    last = float("-inf")

    def beat() -> None:
        nonlocal last
        now = clock()
        if now - last >= HEARTBEAT_SECONDS:
            last = now
            # A full pipe: the supervisor is busy; a broken one: it is gone. Neither is ours to mend.
            with contextlib.suppress(OSError):
                os.write(pipe, b".")

    return beat


def main(arguments: list[str]) -> None:
    """Serve one door until told to stop."""
    door, descriptors, heartbeat_fd = arguments[0], arguments[1], int(arguments[2])
    settings = config.from_json(sys.stdin.readline())
    logs.configure(settings.log.level, door)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_await_supervisor, args=(stop,), name="supervisor", daemon=True).start()
    listeners = tuple(socket.socket(fileno=int(each)) for each in descriptors.split(",") if each)
    archive = build(settings)
    structlog.get_logger().debug("worker started", pid=os.getpid())
    try:
        DOORS[door](archive, listeners, heartbeat(heartbeat_fd), stop)
    finally:
        archive.close()


def _await_supervisor(stop: threading.Event) -> None:
    """Nothing more is ever written to stdin: reading returns when the supervisor has ended."""
    os.read(sys.stdin.fileno(), 1)
    stop.set()
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
