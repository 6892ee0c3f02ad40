"""A crowd of peers that only cost: silent, slow, and half open. A process of its own, so that the test has its time.

`python crowd.py PORT TLS_PORT AE_TITLE`: it says `ready` when all are there, keeps them there, as fast as
`CONNECTS_PER_SECOND`, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import select
import selectors
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from archive.network import pdu
from archive.network.negotiation import AssociateRequest, ProposedContext, encode_request
from archive.network.user_information import UserInformation

SILENT, SILENT_TLS, SLOW_REQUESTS, SLOW_SENDERS, HALF_OPEN = 260, 80, 60, 50, 50
"""Five hundred: connected and mute, on both ports; asking for an association byte by byte; associated and sending an
object byte by byte; associated and never heard of again."""

CONNECTS_PER_SECOND = 100
TURN = 0.1

_MR = "1.2.840.10008.5.1.4.1.1.4"


def request(ae_title: str) -> bytes:
    context = ProposedContext(1, _MR, ("1.2.840.10008.1.2.1",))
    return encode_request(AssociateRequest(ae_title, "CROWD", (context,), UserInformation(16384)))


@dataclass(eq=False)
class Peer:
    """One of them: where it calls, what it says at once, and what it then says byte by byte."""

    port: int
    at_once: bytes = b""
    slowly: bytes = b""
    connection: socket.socket | None = None
    said: int = 0

    def connect(self) -> None:
        """From some address of this machine, so that they are many callers."""
        self.connection = socket.socket()
        self.connection.setblocking(False)
        self.connection.bind((f"127.0.{random.randint(1, 40)}.1", 0))
        with contextlib.suppress(BlockingIOError):
            self.connection.connect(("127.0.0.1", self.port))
        self.said = -1

    def go_on(self) -> bool:
        """Say the next; False when the other side has closed."""
        assert self.connection is not None
        try:
            if self.said < 0:
                if self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    return False
                if self.at_once:
                    self.connection.send(self.at_once)
                self.said = 0
            elif self.said < len(self.slowly):
                self.connection.send(self.slowly[self.said : self.said + 1])
                self.said += 1
            return self._is_open()
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.ENOTCONN, errno.EINPROGRESS)

    def _is_open(self) -> bool:
        assert self.connection is not None
        with contextlib.suppress(BlockingIOError):
            return bool(self.connection.recv(4096))
        return True


def crowd(port: int, tls_port: int, ae_title: str) -> list[Peer]:
    asking = request(ae_title)
    object_slowly = pdu.HEADER.pack(pdu.P_DATA_TF, 16000) + bytes(16000)
    made: list[tuple[int, Callable[[], Peer]]] = [
        (SILENT, lambda: Peer(port)),
        (SILENT_TLS, lambda: Peer(tls_port)),
        (SLOW_REQUESTS, lambda: Peer(port, slowly=asking)),
        (SLOW_SENDERS, lambda: Peer(port, asking, object_slowly)),
        (HALF_OPEN, lambda: Peer(port, asking)),
    ]
    peers = [make() for count, make in made for _ in range(count)]
    random.shuffle(peers)
    return peers


def main(port: int, tls_port: int, ae_title: str) -> None:
    peers = crowd(port, tls_port, ae_title)
    greeted = False
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
                peer.connect()
        if not greeted and all(peer.connection for peer in peers):
            greeted = True
            sys.stdout.write("ready\n")
            sys.stdout.flush()


def wait_for_ready(output: int, seconds: float) -> bool:
    """Whether the crowd is complete in time; `output` is the descriptor of its standard output."""
    deadline, said = time.monotonic() + seconds, b""
    while b"ready" not in said and (left := deadline - time.monotonic()) > 0:
        if select.select([output], [], [], left)[0]:
            piece = os.read(output, 64)
            said += piece
            if not piece:
                break
    return b"ready" in said


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
