"""Receivers for tests: pynetdicom's AE as C-STORE and C-ECHO SCP, on a port that the system chooses, and one that
answers as no AE would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import AE, evt

from archive.network.acceptor import Listener, serve
from archive.network.association import Association
from archive.network.caller import Caller
from archive.network.commands import response_to
from archive.network.user_information import CommonExtended
from archive.remote.peer import Peer

VERIFICATION = "1.2.840.10008.1.1"


@dataclass
class Received:
    """What a receiver got: (SOP Instance UID, transfer syntax, bytes of the data set, the request primitive)."""

    port: int = 0
    objects: list[tuple[str, str, bytes, Any]] = field(default_factory=list)
    associations: int = 0
    released: int = 0

    @property
    def by_uid(self) -> dict[str, bytes]:
        """The data set of each instance."""
        return {uid: data for uid, _, data, _ in self.objects}

    def peer(self, **options: Any) -> Peer:
        """How to reach it."""
        defaults = {"called_ae_title": "RECEIVER", "calling_ae_title": "ARCHIVE", "connect_deadline": 5.0}
        return Peer("127.0.0.1", self.port, **{**defaults, "response_deadline": 10.0, **options})


Answer = Callable[[evt.Event], int]


@contextmanager
def receiver(
    contexts: Sequence[tuple[str, Sequence[str]]],
    answer: Answer = lambda event: 0,
    *,
    ae_title: str = "RECEIVER",
    only_from: Sequence[str] = (),
    verification: bool = True,
    maximum_associations: int = 100,
) -> Iterator[Received]:
    """A running SCP of these (abstract syntax, transfer syntaxes); `answer` gives the status of each C-STORE."""
    received = Received()

    def on_store(event: evt.Event) -> int:
        request = event.request
        data = request.DataSet.getvalue()
        syntax = event.context.transfer_syntax
        received.objects.append((str(request.AffectedSOPInstanceUID), str(syntax), data, request))
        return answer(event)

    def on_accepted(_: evt.Event) -> None:
        received.associations += 1

    def on_released(_: evt.Event) -> None:
        received.released += 1

    ae = AE(ae_title)
    ae.maximum_associations = maximum_associations
    ae.require_called_aet = bool(only_from)
    ae.require_calling_aet = list(only_from)
    for abstract, transfers in contexts:
        ae.add_supported_context(abstract, list(transfers))
    if verification:
        ae.add_supported_context(VERIFICATION)
    handlers = [(evt.EVT_C_STORE, on_store), (evt.EVT_ACCEPTED, on_accepted), (evt.EVT_RELEASED, on_released)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    received.port = server.server_address[1]
    try:
        yield received
    finally:
        server.shutdown()


def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def silent_listener() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


class _Everybody:
    """An acceptor's policy without reservations, and whoever it lets in."""

    identity_answer = None

    def admit(self, caller: Caller) -> _Everybody:
        """Always."""
        return self

    def turned_away(self, caller: Caller, reason: str) -> None:
        """Nobody is."""

    def negotiate(
        self,
        abstract_syntax: str,
        transfer_syntaxes: tuple[str, ...],
        as_scu: bool,
        common: CommonExtended | None,
    ) -> str | None:
        """The first."""
        return transfer_syntaxes[0]

    def extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        """Never."""
        return None

    def leave(self) -> None:
        """Nothing was held."""


@contextmanager
def receiver_without_status(*silent: str) -> Iterator[Peer]:
    """It takes everything, and its response for these SOP Instance UIDs has no Status."""

    def answer(association: Association) -> None:
        while (message := association.receive()) is not None:
            status: Any = None if getattr(message.command, "AffectedSOPInstanceUID", "") in silent else 0
            association.send(message.context.id, response_to(message.command, status))

    with _acceptor(answer) as port:
        yield Peer("127.0.0.1", port, called_ae_title="X", calling_ae_title="Y")


@contextmanager
def receiver_that_never_answers() -> Iterator[tuple[int, threading.Semaphore]]:
    """It takes one object over each association and says nothing of it. Its port, and how many it has taken."""
    taken, ended = threading.Semaphore(0), threading.Event()

    def answer(association: Association) -> None:
        message = association.receive()
        for _ in (message.data if message else None) or ():
            pass
        taken.release()
        ended.wait(60)

    with _acceptor(answer) as port:
        try:
            yield port, taken
        finally:
            ended.set()


@contextmanager
def _acceptor(answer: Callable[[Association], None]) -> Iterator[int]:
    """Our own acceptor, and what it does with each association; its port."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=([Listener(listener)], _Everybody(), answer, stop))
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            thread.join()
