"""Associations that others ask for: the accept loop, one thread for each connection, drain at the end.

TLS is agreed on in the thread of the connection and within the time that it has for its request, so that one
silent connection to a TLS port keeps nobody waiting.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from archive.dicom.errors import ArchiveError, AssociationAborted, CallerRefused, SecurityFailure
from archive.network import negotiation, pdu
from archive.network.association import Agreement, Association, Context
from archive.network.caller import Caller
from archive.network.floor import AcceptorSettings, Floor, Visitor
from archive.network.negotiation import Admitted, AssociateAccept, AssociateRequest
from archive.network.pdu import AbortReason
from archive.network.spreading import LOOK, PATIENCE, Place, alone
from archive.network.transport import Wire

_log = structlog.get_logger()

_TURN = 0.1
"""Seconds between looks at `stop`."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LONGEST_REQUEST = 1 << 20
SPEAKS_TLS = "it speaks TLS, and this port is not for TLS: send it to that of tls.listen"
_TLS_HANDSHAKE = 0x16
"""Content type of the first TLS record (RFC 8446 5.1), where a PDU has its type."""


class AcceptorPolicy(Protocol):
    """What the acceptor asks: whom to let in; what to speak with them, `Admitted` says."""

    def admit(self, caller: Caller) -> Admitted:
        """Lets the caller in or raises CallerRefused, of which the policy keeps its own record."""

    def turned_away(self, caller: Caller, reason: str) -> None:
        """A caller was turned away without `admit` having refused it: no seat is free, what it sent is no
        request, or TLS failed before it could name itself (the titles are empty then)."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, which may be shared with other processes. With `secure`, what it accepts speaks TLS; it
    is asked for the context at each connection, so that new certificates are in effect at once."""

    socket: socket.socket
    secure: Callable[[], ssl.SSLContext] | None = None


_SETTINGS = AcceptorSettings()


def serve(
    listeners: Sequence[Listener] | socket.socket,
    policy: AcceptorPolicy,
    handle: Callable[[Association], None],
    stop: threading.Event,
    settings: AcceptorSettings = _SETTINGS,
    heartbeat: Callable[[], None] = lambda: None,
    place: Place | None = None,
) -> None:
    """Accepts on all `listeners` (left open) until `stop` is set, then drains. `place`: among the processes that share
    them.

    Each association runs `handle` in a daemon thread of its own; `handle` loops over `receive()`. An
    exception that leaves it becomes A-ABORT and a log line with its type. At stop, associations that wait
    between messages are aborted, the others may finish for `drain_seconds`. `heartbeat` is called at least
    every half second.
    """
    if isinstance(listeners, socket.socket):
        listeners = [Listener(listeners)]
    poll = select.poll()
    by_descriptor = {listener.socket.fileno(): listener for listener in listeners}
    for listener in listeners:
        listener.socket.setblocking(False)
        poll.register(listener.socket, select.POLLIN)
    place = place or alone()
    floor = Floor(settings, place)
    attend = partial(_attend, floor=floor, policy=policy, handle=handle)
    while not stop.is_set():
        heartbeat()
        floor.rest(stop)
        if poll.poll(_TURN * 1000):
            _give_way(place, poll)
        began = time.thread_time()
        for descriptor, _ in poll.poll(0):
            _accept(by_descriptor[descriptor], floor, attend)
        floor.spent(time.thread_time() - began)
    floor.drain(heartbeat)


def _give_way(place: Place, poll: select.poll) -> None:
    """Leave what comes to a worker that holds less, for as long as nobody takes it."""
    until = time.monotonic() + PATIENCE
    while place.is_fuller() and poll.poll(0):
        if time.monotonic() >= until:
            place.waited_in_vain()
            return
        time.sleep(LOOK)


def _accept(listener: Listener, floor: Floor, attend: Callable[[Visitor], None]) -> None:
    try:
        connection, address = listener.socket.accept()
    except OSError as error:
        if error.errno in _EXHAUSTED:
            _log.warning("no_room_for_connections", error=type(error).__name__)
            floor.evict_oldest()
            time.sleep(_TURN / 2)  # back-off: the listener stays readable
        return
    # an IPv4 peer of a socket that listens on both families is still an IPv4 peer
    visitor = Visitor(connection, address[0].removeprefix("::ffff:"), listener.secure)
    if not floor.enter(visitor):
        connection.close()
        return
    try:
        threading.Thread(target=attend, args=(visitor,), name="association", daemon=True).start()
    except RuntimeError:  # no more threads
        _log.warning("no_room_for_connections", error="RuntimeError")
        floor.leave(visitor)
        floor.evict_oldest()
        connection.close()


def _attend(
    visitor: Visitor, floor: Floor, policy: AcceptorPolicy, handle: Callable[[Association], None]
) -> None:
    """The life of one connection, in its own thread. Nothing escapes."""
    wire = Wire(visitor.connection, floor.settings.deadlines)
    try:
        try:
            association = _establish(wire, visitor, floor, policy)
        finally:
            floor.spent(time.thread_time())  # all of it: this thread began with them
        if association is not None:
            _converse(association, handle)
    except AssociationAborted as aborted:
        _log.info("connection_dropped", reason=aborted.reason, peer=visitor.address)
        wire.close(pdu.abort_pdu(aborted.diagnostic) if aborted.diagnostic is not None else b"")
    except Exception as error:  # noqa: BLE001 - the DIMSE handler wrapper: a policy that fails must not end us
        _log.error("association_failed", error=type(error).__name__, peer=visitor.address)
        wire.close(pdu.abort_pdu(AbortReason.NOT_SPECIFIED))
    finally:
        if visitor.admitted is not None:
            visitor.admitted.leave()
        floor.leave(visitor)
        visitor.connection.close()


def _establish(wire: Wire, visitor: Visitor, floor: Floor, policy: AcceptorPolicy) -> Association | None:
    request = _request(wire, visitor, policy)
    calling, called = request.calling_ae_title, request.called_ae_title
    names = {"calling": printable(calling), "called": printable(called), "peer": visitor.address}
    if wire.protection:
        names["tls"] = wire.protection
    caller = Caller(
        calling,
        called,
        visitor.address,
        secured=visitor.secure is not None,
        certificate=wire.certificate,
        identity=request.user_information.identity,
    )
    try:
        visitor.admitted = _admit(request, caller, policy)
        _seat(visitor, caller, floor, policy)
    except CallerRefused as refused:
        _log.warning("association_rejected", reason=refused.reason, **names)
        wire.close(pdu.reject_pdu(refused.result, refused.source, refused.diagnostic))
        return None
    limits = floor.settings.limits
    accept = negotiation.answer(request, visitor.admitted, limits.maximum_pdu_length)
    contexts = _contexts(request, accept)
    wire.write([negotiation.encode_accept(accept)])
    _log.info("association_accepted", contexts=len(contexts), proposed=len(request.contexts), **names)
    agreement = Agreement(
        contexts,
        request.user_information.maximum_pdu_length,
        accept.user_information.extended,
        admitted=visitor.admitted,
    )
    visitor.association = Association(wire, caller, agreement, limits)
    return visitor.association


def _request(wire: Wire, visitor: Visitor, policy: AcceptorPolicy) -> AssociateRequest:
    """What the peer asks for, after TLS where that is spoken. A peer that speaks something else is told of: its
    administrator will look for the reason here."""
    deadline = time.monotonic() + wire.deadlines.association
    try:
        if visitor.secure is not None:
            wire.secure(visitor.secure(), deadline)
        _, body = wire.read_pdu(_admit_header, deadline, deadline)
    except SecurityFailure as failure:
        stranger = Caller("", "", visitor.address, secured=visitor.secure is not None)
        _tell(policy, stranger, failure)
        raise
    if wire.is_left():  # in a flood most have gone before it is their turn
        raise AssociationAborted("the peer closed the connection without waiting for the answer")
    return negotiation.decode_request(body)


def _tell(policy: AcceptorPolicy, caller: Caller, refusal: ArchiveError) -> None:
    """A policy that cannot take it down just now is no reason not to answer as we should."""
    try:
        policy.turned_away(caller, refusal.reason)
    except ArchiveError as trouble:
        _log.warning("refusal_not_recorded", reason=trouble.reason, peer=caller.address)


def _admit(request: AssociateRequest, caller: Caller, policy: AcceptorPolicy) -> Admitted:
    try:
        negotiation.check_request(request)
    except CallerRefused as refused:
        _tell(policy, caller, refused)
        raise
    return policy.admit(caller)


def _seat(visitor: Visitor, caller: Caller, floor: Floor, policy: AcceptorPolicy) -> None:
    try:
        floor.seat(visitor)
    except CallerRefused as refused:
        _tell(policy, caller, refused)
        raise


def _converse(association: Association, handle: Callable[[Association], None]) -> None:
    began = time.monotonic()
    outcome = "released"
    try:
        handle(association)
    except AssociationAborted as aborted:
        outcome = aborted.reason
    except Exception as error:  # noqa: BLE001 - the DIMSE handler wrapper: its type only, as its text may name a patient
        outcome = f"failed: {type(error).__name__}"
        _log.error("association_handler_failed", error=type(error).__name__, peer=association.peer_address)
    association.abort()
    _log.info(
        "association_ended",
        outcome=outcome,
        seconds=round(time.monotonic() - began, 3),
        calling=printable(association.calling_ae_title),
        peer=association.peer_address,
    )


def _admit_header(pdu_type: int, length: int) -> None:
    if pdu_type == _TLS_HANDSHAKE:
        raise SecurityFailure(
            SPEAKS_TLS,
            AbortReason.UNRECOGNIZED_PDU,
        )
    if pdu_type != pdu.A_ASSOCIATE_RQ:
        known = pdu.A_ASSOCIATE_RQ < pdu_type <= pdu.A_ABORT
        raise AssociationAborted(
            "no A-ASSOCIATE-RQ", AbortReason.UNEXPECTED_PDU if known else AbortReason.UNRECOGNIZED_PDU
        )
    if length > _LONGEST_REQUEST:
        raise AssociationAborted("an A-ASSOCIATE-RQ of more than 1 MiB", AbortReason.INVALID_PDU_PARAMETER)


def _contexts(request: AssociateRequest, accept: AssociateAccept) -> dict[int, Context]:
    """The accepted contexts; our roles mirror those of the requestor."""
    roles = accept.user_information.roles
    contexts = {}
    for proposed, result in zip(request.contexts, accept.results, strict=True):
        if not result.result:
            scu, scp = roles.get(proposed.abstract_syntax, (True, False))
            contexts[result.id] = Context(
                result.id, proposed.abstract_syntax, result.transfer_syntax, as_scu=scp, as_scp=scu
            )
    return contexts


def printable(ae_title: str) -> str:
    """An AE title as it may be logged: ASCII, control characters escaped."""
    return ae_title.encode("unicode_escape").decode("ascii")
