"""One kind of flood, in a process of its own: `python flood.py KIND PORT AE_TITLE`, until its standard input ends. It
comes from many addresses of this machine: as fast as `PER_SECOND`, and never waits for an answer that does not come;
or `AT_ONCE` at a time, each of which is begun anew when it has been answered.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import selectors
import socket
import sys
import time
from collections.abc import Callable, Mapping

from archive.network import pdu
from archive.network.negotiation import AssociateRequest, ProposedContext, encode_request
from archive.network.user_information import UserInformation

PER_SECOND = 250
TURN = 0.02
AT_ONCE = 25
_VERIFICATION = "1.2.840.10008.1.1"


def request(called: str, contexts: int = 1, syntaxes: int = 1) -> bytes:
    """An A-ASSOCIATE-RQ, as long as is wanted."""
    uids = tuple(f"1.2.840.10008.1.2.{number}" for number in range(syntaxes))
    asked = tuple(ProposedContext(2 * number + 1, _VERIFICATION, uids) for number in range(contexts))
    return encode_request(AssociateRequest(called, "FLOOD", asked, UserInformation(16384)))


KINDS: Mapping[str, Callable[[str], bytes]] = {
    "connections that go at once": lambda _: b"",
    "requests that are refused": lambda _: request("NOBODY"),
    "requests as long as can be": lambda ae_title: request(ae_title, 128, 60),
    "associations that are aborted": lambda ae_title: request(ae_title) + pdu.abort_pdu(),
    "garbage": lambda _: os.urandom(2000),
    "PDUs of 4 GiB": lambda _: pdu.HEADER.pack(pdu.A_ASSOCIATE_RQ, 0xFFFFFFF0) + bytes(1000),
}
"""What each connection says before it is closed."""

WAITING = ", waited for"
PATIENT = tuple(name + WAITING for name in ("requests as long as can be", "requests that are refused"))
"""Kinds that come also from peers that wait to be answered."""


def connect(port: int, longest: int) -> socket.socket:
    """From any of forty addresses, with room for all that it will say."""
    connection = socket.socket()
    connection.settimeout(0.5)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(longest, 1 << 14))
    connection.bind((f"127.0.{random.randint(1, 40)}.1", 0))
    connection.connect(("127.0.0.1", port))
    return connection


def wait_for_answers(said: bytes, port: int) -> int:
    """On another machine, so with what the other programs leave of the processors of this one."""
    os.nice(19)
    asked = 0
    with selectors.DefaultSelector() as selector:

        def ask() -> None:
            nonlocal asked
            asked += 1
            connection = connect(port, len(said))
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(said)

        for _ in range(AT_ONCE):
            ask()
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if not isinstance(key.fileobj, socket.socket):
                    return asked
                selector.unregister(key.fileobj)
                with contextlib.suppress(OSError), key.fileobj as connection:
                    connection.recv(1 << 16)
                ask()


def keep_coming(said: bytes, port: int) -> int:
    """As many as are due."""
    made = 0
    begin = time.monotonic()
    while not select.select([sys.stdin], [], [], TURN)[0]:
        due = int((time.monotonic() - begin) * PER_SECOND)
        for _ in range(min(due - made, PER_SECOND)):
            with contextlib.suppress(OSError), connect(port, len(said)) as connection:
                connection.sendall(said)
        made = due
    return made


def main(kind: str, port: int, ae_title: str) -> None:
    """Says `begun`, and at the end how many there were."""
    print("begun", flush=True)
    name, waiting, _ = kind.partition(WAITING)
    flood = wait_for_answers if waiting else keep_coming
    sys.stdout.write(f"{flood(KINDS[name](ae_title), port)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
