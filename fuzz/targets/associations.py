"""Bytes on a connection: read by the acceptor, by the requestor, and as a command set (D4-D8, D11, D12).

The acceptor's own thread of a connection runs here, on one end of a pair of sockets: what the stranger says is all in
the other end before it begins, so no input takes longer than reading it does. What it caught must not have been a
fault of ours, and what it said must be legal (PS3.8 9.2).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from pynetdicom.dimse_primitives import C_CANCEL, C_ECHO, C_FIND, C_STORE, N_ACTION, N_CREATE

from archive.dicom.errors import AssociationAborted, PeerFailure
from archive.network import acceptor, negotiation, pdu, requestor
from archive.network.association import Agreement, Association, Limits
from archive.network.caller import Caller, UserIdentity
from archive.network.commands import decode_command, encode_command, request_of, response_to
from archive.network.floor import AcceptorSettings, Floor, Visitor
from archive.network.negotiation import (
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    Result,
)
from archive.network.spreading import alone
from archive.network.transport import Deadlines, Wire
from archive.network.user_information import CommonExtended, UserInformation

VERIFICATION, MR = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
_QUICK = Deadlines(0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.05)
_LIMITS = Limits(4096, maximum_object_bytes=8192, maximum_identifier_bytes=4096, maximum_command_bytes=1024)
_SETTINGS = AcceptorSettings(deadlines=_QUICK, limits=_LIMITS)
_FIRST_ANSWERS = (pdu.A_ASSOCIATE_AC, pdu.A_ASSOCIATE_RJ, pdu.A_ABORT)
_LAST_ANSWERS = (pdu.A_ASSOCIATE_RJ, pdu.A_RELEASE_RP, pdu.A_ABORT)
_ROOM = 1 << 20
"""Of the sockets: neither end ever waits for the other."""


class Guest:
    """Takes every abstract syntax, in the first transfer syntax that is one of DICOM."""

    identity_answer = b"answer"

    def negotiate(
        self, abstract: str, transfer_syntaxes: tuple[str, ...], _scu: bool, common: CommonExtended | None
    ) -> str | Result | None:
        """As an Admission does."""
        if common is not None and common.service_class_uid == VERIFICATION:
            return Result.USER_REJECTION
        return next((uid for uid in transfer_syntaxes if uid.startswith("1.2.840.10008.1.2")), "")

    def extended(self, _uid: str, information: bytes) -> bytes | None:
        """The same back."""
        return information or None

    def leave(self) -> None:
        """Nothing was taken."""


class Policy:
    """Lets everybody in."""

    def admit(self, _caller: Caller) -> Guest:
        """Whoever it is."""
        return Guest()

    def turned_away(self, caller: Caller, _reason: str) -> None:
        """Its title goes into a log line."""
        acceptor.printable(caller.calling_ae_title)


@contextmanager
def faults() -> Iterator[list[str]]:
    """What is logged as an error within the block: that is how the doors tell of a fault of ours."""
    found: list[str] = []

    def note(_logger: Any, level: str, event: MutableMapping[str, Any]) -> Any:
        if level == "error":
            found.append(repr(dict(event)))
        raise structlog.DropEvent

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[note])
    try:
        yield found
    finally:
        structlog.configure(processors=before)


def caller(data: bytes) -> None:
    """A connection from its first to its last byte."""
    ours, theirs = pair()
    with ours, theirs, faults() as found:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        floor, visitor = Floor(_SETTINGS, alone()), Visitor(ours, "192.0.2.1")
        assert floor.enter(visitor)
        acceptor._attend(visitor, floor, Policy(), lambda association: _serve(association, len(data)))
        said = _everything(theirs)
    assert not found, found
    _check_answers(said)


def _serve(association: Association, length: int) -> None:
    """What the doors do with an association, without an archive behind it."""
    heard = 0
    while (message := association.receive()) is not None:
        if message.number % 2:
            heard += sum(map(len, message.data or ()))
        elif message.data is not None:
            taken = bytearray()
            association.pass_on(message, taken.extend)
            heard += len(taken)
        assert heard <= length
        if message.command.MessageID is None:
            raise AssociationAborted("a request without Message ID")
        association.cancelled(message.command.MessageID)
        association.send(message.context.id, response_to(message.command, 0, ErrorComment="ü\\\n" * 40))


def _check_answers(said: bytes) -> None:
    types = []
    while said:
        assert len(said) >= pdu.HEADER.size, "half a PDU was sent"
        pdu_type, length = pdu.HEADER.unpack_from(said)
        assert len(said) >= pdu.HEADER.size + length, "half a PDU was sent"
        body, said = said[pdu.HEADER.size : pdu.HEADER.size + length], said[pdu.HEADER.size + length :]
        if pdu_type == pdu.P_DATA_TF:
            pdu.fragments(memoryview(body))
        types.append(pdu_type)
    for at, pdu_type in enumerate(types):
        assert pdu_type in (_FIRST_ANSWERS if at == 0 else (pdu.P_DATA_TF, *_LAST_ANSWERS[1:])), types
        assert at == len(types) - 1 or pdu_type not in _LAST_ANSWERS, types


def called(data: bytes) -> None:
    """A peer of ours: its answer to A-ASSOCIATE-RQ, and then to C-STORE."""
    ours, theirs = pair()
    request = _request()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        wire = Wire(ours, _QUICK)
        try:
            accept = requestor._agree(wire, request, None, "peer")
            _store(wire, request, accept)
        except PeerFailure:
            pass
        finally:
            wire.close()


def _store(wire: Wire, request: AssociateRequest, accept: AssociateAccept) -> None:
    contexts = requestor._contexts(request, accept)
    peer = Caller("ARCHIVE", "PEER", "192.0.2.1")
    agreement = Agreement(contexts, accept.user_information.maximum_pdu_length)
    with Association(wire, peer, agreement, _LIMITS) as association:
        for context in list(contexts.values())[:2]:
            assert context.transfer_syntax == IMPLICIT
            command = request_of(C_STORE, MessageID=1, AffectedSOPClassUID=MR, AffectedSOPInstanceUID="1.2.3")
            association.send(context.id, command, [bytes(1000)])
            answer = association.receive()
            if answer is None:
                return
            for _ in answer.data or ():
                pass


def command(data: bytes) -> None:
    """A command set that is understood is the same when it has been encoded and decoded again, and has a response."""
    try:
        first = decode_command(data)
    except AssociationAborted:
        return
    again = decode_command(encode_command(first.primitive, first.has_data_set))
    assert again.has_data_set == first.has_data_set
    # what cannot be said becomes a blank, and a blank is left out the next time
    twice = decode_command(encode_command(again.primitive, again.has_data_set))
    once = encode_command(twice.primitive, twice.has_data_set)
    same = decode_command(once)
    assert encode_command(same.primitive, same.has_data_set) == once
    if not first.is_cancel:
        answer = response_to(first.primitive, 0x0110, ErrorComment="\\ü\0", OffendingElement=[0x00100020])
        decoded = decode_command(encode_command(answer, has_data_set=False))
        assert decoded.primitive.MessageIDBeingRespondedTo == first.primitive.MessageID


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets with room for all that is said."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
    return ours, theirs


def _everything(end: socket.socket) -> bytes:
    end.settimeout(1)
    said = bytearray()
    while piece := end.recv(65536):
        said += piece
    return bytes(said)


# --- seeds ---


def _request() -> AssociateRequest:
    information = UserInformation(
        4096,
        asynchronous=True,
        roles={MR: (True, True)},
        extended={MR: b"\0\1"},
        common={MR: CommonExtended("1.2.840.10008.4.2", (MR,))},
        identity=UserIdentity(2, b"name", b"word", answer_wanted=True),
    )
    contexts = (ProposedContext(1, VERIFICATION, (IMPLICIT,)), ProposedContext(3, MR, (IMPLICIT, "1.2.3")))
    return AssociateRequest("ARCHIVE", "CALLER", contexts, information)


def _commands() -> list[tuple[int, Any, bytes | None]]:
    """Context, request, data set."""
    uids = {"AffectedSOPClassUID": MR, "AffectedSOPInstanceUID": "1.2.3"}
    return [
        (1, request_of(C_ECHO, MessageID=1, AffectedSOPClassUID=VERIFICATION), None),
        (
            3,
            request_of(C_STORE, MessageID=2, Priority=0, **uids),
            b"\x08\x00\x18\x00\x06\0\0\x001.2.3\0" * 400,
        ),
        (3, request_of(C_FIND, MessageID=3, AffectedSOPClassUID=MR), b"\x08\x00\x52\x00\x06\0\0\0STUDY "),
        (3, request_of(C_CANCEL, MessageIDBeingRespondedTo=3), None),
        (3, request_of(N_ACTION, MessageID=4, RequestedSOPClassUID=MR, ActionTypeID=1), b"\0" * 8),
        (3, request_of(N_CREATE, MessageID=5, **uids), None),
    ]


def _message(context: int, primitive: Any, data: bytes | None) -> bytes:
    encoded = encode_command(primitive, data is not None)
    parts = list(pdu.p_data(context, pdu.COMMAND, [encoded], 4096))
    if data is not None:
        parts += pdu.p_data(context, 0, [data], 4096)
    return b"".join(b"".join(buffers) for buffers in parts)


def caller_seeds() -> list[bytes]:
    """Whole conversations, and one that is aborted."""
    begin = negotiation.encode_request(_request())
    messages = [_message(*each) for each in _commands()]
    return [
        *(begin + message + pdu.RELEASE_RQ for message in messages),
        begin + b"".join(messages) + pdu.RELEASE_RQ,
        begin + pdu.abort_pdu(2),
    ]


def called_seeds() -> list[bytes]:
    """Accepted, rejected, aborted."""
    information = UserInformation(4096, roles={MR: (True, True)}, identity_answer=b"yes")
    results = (ContextResult(1, 0, IMPLICIT), ContextResult(3, 0, IMPLICIT))
    accept = negotiation.encode_accept(AssociateAccept(results, information, (b"A" * 16, b"B" * 16)))
    stored = request_of(C_STORE, MessageID=1, AffectedSOPClassUID=MR, AffectedSOPInstanceUID="1.2.3")
    answers = b"".join(_message(context, response_to(stored, 0), None) for context in (1, 3))
    return [
        accept + answers + pdu.RELEASE_RP,
        accept + answers + pdu.RELEASE_RQ + pdu.RELEASE_RP,
        accept + pdu.abort_pdu(),
        pdu.reject_pdu(1, 1, 1),
    ]


def command_seeds() -> list[bytes]:
    """Requests and their responses."""
    requests = [primitive for _, primitive, _ in _commands()]
    answers = [response_to(one, 0) for one in requests if not isinstance(one, C_CANCEL)]
    return [
        encode_command(one, has_data_set) for one in (*requests, *answers) for has_data_set in (True, False)
    ]
