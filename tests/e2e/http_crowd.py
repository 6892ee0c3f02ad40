"""A crowd of HTTP clients that only cost: silent, slow with a head or with a body, or asking without end. A process of
its own, so that the test has its time.

`python http_crowd.py PORT KIND`: it says `ready` when all are there, keeps them there, as fast as
`CONNECTS_PER_SECOND`, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

SILENT, SLOW_HEADS, SLOW_BODIES, HALF_OPEN = 260, 80, 80, 80
"""Five hundred: connected and mute; sending a head byte by byte, or a body; having asked once and never again."""

FLOODING = 24
"""Connections of those who ask as fast as they are answered."""

CONNECTS_PER_SECOND = 200
TURN = 0.1

HEAD = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
BODY = HEAD + b"Content-Length: 100000000\r\n\r\n" + bytes(128) + b"DICM"
ONCE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
FLOOD = (
    b"GET /dicom-web/studies?PatientName=*nobody*&limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /dicom-web/studies/1.2.3/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
    b"Content-Length: 5\r\n\r\nhello",
    b"GET /dicom-web/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


@dataclass(eq=False)
class Peer:
    """One of them: what it says at once, and what it then says byte by byte."""

    at_once: bytes = b""
    slowly: bytes = b""
    connection: socket.socket | None = None
    said: int = 0

    def connect(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        if self.at_once:
            self.connection.sendall(self.at_once)
        self.connection.setblocking(False)
        self.said = 0

    def go_on(self) -> bool:
        """Say the next; False when the other side has closed."""
        assert self.connection is not None
        try:
            if self.said < len(self.slowly):
                self.connection.send(self.slowly[self.said : self.said + 1])
                self.said += 1
            with contextlib.suppress(BlockingIOError):
                return bool(self.connection.recv(4096))
        except OSError:
            return False
        return True


def crowd() -> list[Peer]:
    made: list[tuple[int, Callable[[], Peer]]] = [
        (SILENT, Peer),
        (SLOW_HEADS, lambda: Peer(slowly=HEAD)),
        (SLOW_BODIES, lambda: Peer(BODY, bytes(100_000))),
        (HALF_OPEN, lambda: Peer(ONCE)),
    ]
    peers = [make() for count, make in made for _ in range(count)]
    random.shuffle(peers)
    return peers


def ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def stand_about(port: int) -> None:
    """Be there, and be slow."""
    peers, greeted = crowd(), False
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    while not selector.select(TURN):
        room = int(CONNECTS_PER_SECOND * TURN)
        for peer in peers:
            if peer.connection is not None and not peer.go_on():
                peer.connection.close()
                peer.connection = None
            if peer.connection is None and room:
                room -= 1
                with contextlib.suppress(OSError):
                    peer.connect(port)
        if not greeted and all(peer.connection for peer in peers):
            greeted = True
            ready()


def flood(port: int) -> None:
    """Ask on many connections, each time it is answered; on another machine, so with what the other programs leave of
    the processors of this one."""
    os.nice(19)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for number in range(FLOODING):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.sendall(FLOOD[number % len(FLOOD)])
        selector.register(connection, selectors.EVENT_READ, number)
    ready()
    while True:
        for key, _ in selector.select():
            connection = key.fileobj
            if not isinstance(connection, socket.socket):
                return
            if not connection.recv(1 << 20):
                selector.unregister(connection)
                connection = socket.create_connection(("127.0.0.1", port), timeout=30)
                selector.register(connection, selectors.EVENT_READ, key.data)
            connection.sendall(FLOOD[key.data % len(FLOOD)])


KINDS = {"crowd": stand_about, "flood": flood}

if __name__ == "__main__":
    KINDS[sys.argv[2]](int(sys.argv[1]))
