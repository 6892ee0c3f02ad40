"""One kind of flood, in a process of its own: `python flood.py KIND PORT AE_TITLE`, until its standard input ends. It
comes as fast as `PER_SECOND`, from many addresses of this machine, and never waits for an answer that does not come.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping

from archive.network import pdu
from archive.network.negotiation import AssociateRequest, ProposedContext, encode_request
from archive.network.user_information import UserInformation

PER_SECOND = 250
TURN = 0.02
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


def main(kind: str, port: int, ae_title: str) -> None:
    said = KINDS[kind](ae_title)
    made = 0
    print("begun", flush=True)
    begin = time.monotonic()
    while not select.select([sys.stdin], [], [], TURN)[0]:
        due = int((time.monotonic() - begin) * PER_SECOND)
        for _ in range(min(due - made, PER_SECOND)):
            with contextlib.suppress(OSError), socket.socket() as connection:
                connection.settimeout(0.5)
                connection.bind((f"127.0.{random.randint(1, 40)}.1", 0))
                connection.connect(("127.0.0.1", port))
                connection.sendall(said)
        made = due
    sys.stdout.write(f"{made}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
