"""Associations that others ask for: the accept loop, one thread for each connection, drain at the end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from archive.network.association import Association, Limits
from archive.network.transport import Deadlines


class AcceptorPolicy(Protocol):
    """What the acceptor asks: whom to let in and what to speak."""

    def admit(self, calling_ae_title: str, called_ae_title: str, address: str) -> None:
        """Lets the caller in or raises CallerRefused. The titles are as sent, in latin-1, without the spaces and
        NULs around them: blank, non-ASCII or control characters are possible."""

    def negotiate(self, abstract_syntax: str, transfer_syntaxes: tuple[str, ...]) -> str | None:
        """The transfer syntax to accept a context with; None: abstract syntax not supported (result 3);
        "": none of the transfer syntaxes is (result 4). Roles that the requestor proposes are granted."""


@dataclass(frozen=True, slots=True)
class AcceptorSettings:
    """`maximum_associations` holds for this process, `maximum_waiting` for connections of one address that have
    not sent A-ASSOCIATE-RQ yet: beyond it the oldest of them is closed."""

    maximum_associations: int = 100
    maximum_waiting: int = 64
    drain_seconds: float = 10.0
    deadlines: Deadlines = field(default_factory=Deadlines)
    limits: Limits = field(default_factory=Limits)


def serve(
    listener: socket.socket,
    policy: AcceptorPolicy,
    handle: Callable[[Association], None],
    stop: threading.Event,
    settings: AcceptorSettings = AcceptorSettings(),
    heartbeat: Callable[[], None] = lambda: None,
) -> None:
    """Accepts on `listener` (shared with other processes, left open) until `stop` is set, then drains.

    Each association runs `handle` in a daemon thread of its own; `handle` loops over `receive()`. An exception that
    leaves it becomes A-ABORT and a log line with its type. At stop, associations that wait between messages are
    aborted, the others may finish for `drain_seconds`. `heartbeat` is called at least every half second.
    """
    raise NotImplementedError
