"""A worker process, first line to last, forked from the supervisor.

Of a pipe nobody ever writes to, the end is how a worker learns that the supervisor is gone, however that happened.
Heartbeats are bytes in another pipe, written by the door's own main loop and at most one a second, so a loop that hangs
falls silent. The first one says: ready.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from archive.bootstrap.building import Archive, build
from archive.decoding import nursery
from archive.dimse import server as dimse_server
from archive.hl7 import server as hl7_server
from archive.jobs import worker as jobs_worker
from archive.network.acceptor import Listener
from archive.security import tls
from archive.services.throughput import Throughput
from archive.services.throughput_metrics import Meters
from archive.settings.whole import Settings
from archive.supervisor import heap, logs, room
from archive.supervisor.fleet import Post
from archive.web.http import metrics as counted
from archive.web.http import server as http_server

ORPHAN_SECONDS = 5.0
"""How long an orphan may take to end what it has begun: the next supervisor needs its port."""

HEARTBEAT_SECONDS = 1.0

HTTP_NICENESS = 5
"""Where processors are short (setpriority(2)): a modality that cannot send stops an examination. Amid a flood of
requests it keeps 0.7 of its rate; with a niceness of 2 that was 0.6, and 95 of 100 frames amid storing came in 11 ms
instead of 12."""

Heartbeat = Callable[[], None]
Door = Callable[[Archive, Post, Heartbeat, threading.Event], None]


def _dimse(archive: Archive, post: Post, beat: Heartbeat, stop: threading.Event) -> None:
    # The supervisor has seen the files be right. A worker that starts amid their renewal still serves without TLS.
    plain, *secured = post.listeners
    contexts = tls.server(archive.settings.tls, at_once=False) if secured else None
    served = [Listener(plain), *(Listener(each, contexts) for each in secured)]
    dimse_server.run(archive, served, beat, stop, post.place)


def _http(archive: Archive, post: Post, beat: Heartbeat, stop: threading.Event) -> None:
    os.nice(HTTP_NICENESS)
    http_server.run(archive, post.listeners[0], beat, stop, post.place)


def _hl7(archive: Archive, post: Post, beat: Heartbeat, stop: threading.Event) -> None:
    # The supervisor opens what the settings ask for, in this order.
    settings, left = archive.settings, list(post.listeners)
    served = [Listener(left.pop(0))] if settings.hl7.listen else []
    served += [Listener(each, tls.server(settings.tls, at_once=False)) for each in left]
    hl7_server.run(archive, served, beat, stop)


def _jobs(archive: Archive, _post: Post, beat: Heartbeat, stop: threading.Event) -> None:
    jobs_worker.run(archive, beat, stop)


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


def work(
    settings: Settings, metrics: Path, read_only: bool, post: Post, heartbeat_pipe: int, alive: int
) -> None:
    """Serve one door until told to stop; `metrics`: the folder in which all workers share theirs."""
    logs.configure(settings.log.level, post.door)
    room.share_metrics(metrics)
    counted.begin()
    heap.keep_freed_memory()
    nursery.OF_THIS_PROCESS.fork()  # before there are threads
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_await_supervisor, args=(alive, stop), name="supervisor", daemon=True).start()
    throughput = Throughput(room.shared_counts(metrics, post.name), Meters().tell)
    archive = build(settings, read_only=read_only, throughput=throughput)
    structlog.get_logger().debug("worker started", pid=os.getpid())
    try:
        DOORS[post.door](archive, post, heartbeat(heartbeat_pipe), stop)
    finally:
        archive.close()


def _await_supervisor(alive: int, stop: threading.Event) -> None:
    """Nothing is ever written to the pipe: it can be read when the supervisor has ended."""
    surplus = heap.Surplus()
    ended = select.poll()
    ended.register(alive, select.POLLIN)
    while not ended.poll(HEARTBEAT_SECONDS * 1000):
        surplus.look()
    stop.set()
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)
