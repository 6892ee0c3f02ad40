"""What the tests of the network layer share: a policy, a server that keeps what it gets, a plain socket to torment
it with, and PDUs as bytes."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pynetdicom.dimse_primitives import C_STORE

from archive.dicom.errors import AssociationAborted, CallerRefused
from archive.network import pdu
from archive.network.association import Association
from archive.network.caller import Caller
from archive.network.commands import response_to
from archive.network.negotiation import AssociateRequest, ProposedContext, Result, encode_request
from archive.network.transport import Deadlines
from archive.network.user_information import CommonExtended, UserInformation

VERIFICATION = "1.2.840.10008.1.1"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PATIENCE = 20.0
"""Seconds after which something that should happen is not happening."""

Stored = tuple[str, bytes]
Handler = Callable[[Association], None]


@dataclass
class Guest:
    """Who was let in. Takes every abstract syntax but those in `unknown`, with the first transfer syntax that is a
    DICOM one; `answers` and `identity_answer` are given back, `asked` is what it was asked."""

    unknown: tuple[str, ...] = ()
    answers: dict[str, bytes] = field(default_factory=dict)
    identity_answer: bytes | None = None
    asked: list[Any] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    def negotiate(
        self,
        abstract_syntax: str,
        transfer_syntaxes: tuple[str, ...],
        as_scu: bool,
        common: CommonExtended | None,
    ) -> str | Result | None:
        self.asked.append((abstract_syntax, as_scu, common))
        if abstract_syntax in self.unknown:
            return None
        return next((uid for uid in transfer_syntaxes if uid.startswith("1.2.840.10008.1.2")), "")

    def extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        self.asked.append((sop_class_uid, information))
        return self.answers.get(sop_class_uid)

    def leave(self) -> None:
        assert not self.left.is_set(), "left twice"
        self.left.set()


@dataclass
class Policy:
    """Lets in all but the titles in `refused`, each as what `guest` makes."""

    refused: dict[str, CallerRefused] = field(default_factory=dict)
    guest: Callable[[], Guest] = Guest
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    guests: list[Guest] = field(default_factory=list)
    away: queue.Queue[tuple[Caller, str]] = field(default_factory=queue.Queue)

    def admit(self, caller: Caller) -> Guest:
        self.callers.append(caller)
        self.seen.append((caller.calling_ae_title, caller.called_ae_title, caller.address))
        for title in (caller.called_ae_title, caller.calling_ae_title):
            if title in self.refused:
                raise self.refused[title]
        self.guests.append(self.guest())
        return self.guests[-1]

    def turned_away(self, caller: Caller, reason: str) -> None:
        self.away.put((caller, reason))


@dataclass
class Server:
    """A running acceptor: its port, what it stored, and how each association ended."""

    port: int
    policy: Policy
    stored: queue.Queue[Stored]
    endings: queue.Queue[str]
    stop: threading.Event
    thread: threading.Thread

    def connect(self, address: str = "127.0.0.1") -> RawPeer:
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (address, 0))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return RawPeer(connection)

    def halt(self) -> None:
        self.stop.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


class RawPeer:
    """A socket that says exactly what a test wants said."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._received = bytearray()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def associate(self, request: bytes | None = None) -> None:
        """Sends an A-ASSOCIATE-RQ and expects acceptance."""
        self.send(request or associate_request())
        pdu_type, _ = self.receive()
        assert pdu_type == pdu.A_ASSOCIATE_AC

    def receive(self) -> tuple[int, bytes]:
        """The next PDU; (0, b"") when the connection was closed or reset."""
        header = self._exactly(pdu.HEADER.size)
        if not header:
            return 0, b""
        pdu_type, length = pdu.HEADER.unpack(header)
        return pdu_type, self._exactly(length)

    def wait_for_close(self) -> None:
        """Reads until the other side closes; fails if it does not."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Closes with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                piece = b""
            if not piece:
                return b""
            self._received += piece
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken


def associate_request(**changes: Any) -> bytes:
    """A-ASSOCIATE-RQ for verification and MR storage; `changes` replace fields of AssociateRequest."""
    fields: dict[str, Any] = {
        "called_ae_title": "ARCHIVE",
        "calling_ae_title": "TEST",
        "contexts": (
            ProposedContext(1, VERIFICATION, (IMPLICIT,)),
            ProposedContext(3, MR_IMAGE_STORAGE, (EXPLICIT,)),
        ),
        "user_information": UserInformation(16384),
    }
    return encode_request(AssociateRequest(**{**fields, **changes}))


def p_data_pdus(context_id: int, kind: int, data: bytes, maximum: int = 16384) -> bytes:
    """P-DATA-TF PDUs as one string of bytes."""
    return b"".join(b"".join(buffers) for buffers in pdu.p_data(context_id, kind, [data], maximum))


def store_request(message_id: int = 1, uid: str = "1.2.3") -> C_STORE:
    """A C-STORE-RQ primitive for MR storage."""
    primitive = C_STORE()
    primitive.MessageID = message_id
    primitive.Priority = 0
    primitive.AffectedSOPClassUID = MR_IMAGE_STORAGE
    primitive.AffectedSOPInstanceUID = uid
    return primitive


QUICK = Deadlines(association=10, pdu=10, idle=10, write=10, release=10, linger=0.5)


def recording(handle: Handler, endings: queue.Queue[str]) -> Handler:
    """`handle`, with the way each association ended put into `endings`."""

    def attend(association: Association) -> None:
        try:
            handle(association)
        except AssociationAborted as aborted:
            endings.put(aborted.reason)
            raise
        except Exception as error:
            endings.put(type(error).__name__)
            raise
        endings.put("released")

    return attend


def store_all(association: Association, stored: queue.Queue[Stored]) -> None:
    """Answers every request with Success; an object counts as stored when all of it has been read."""
    while (message := association.receive()) is not None:
        if message.data is not None:
            stored.put((message.command.AffectedSOPInstanceUID, b"".join(message.data)))
        association.send(message.context.id, response_to(message.command, 0))
