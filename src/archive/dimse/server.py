"""The DIMSE door: from an association to the handler of each request, and from whatever goes wrong to a
status.

This is one of the three places where everything is caught: a request that fails gets its failure status, and
the association goes on. Only the loss of the association itself ends it."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom.dimse_primitives import (
    C_ECHO,
    C_FIND,
    C_GET,
    C_MOVE,
    C_STORE,
    N_ACTION,
    N_CREATE,
    N_GET,
    N_SET,
)

from archive.bootstrap.building import Archive
from archive.dicom.errors import (
    ArchiveError,
    AssociationAborted,
    NotAuthorized,
    PeerFailure,
    UnknownDestination,
)
from archive.dicom.instance import Source
from archive.dimse import commitment, echo, find, get, move, mpps, store, ups, worklist
from archive.dimse.admission import Policy
from archive.dimse.contexts import STORAGE, Service, service
from archive.dimse.exchange import Exchange
from archive.dimse.identifier import MAXIMUM_BYTES
from archive.dimse.statuses import (
    NO_SUCH_SOP_CLASS,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    Status,
    misplaced,
    unexpected,
    worded,
)
from archive.dimse.telling import Telling
from archive.network import acceptor
from archive.network.association import Association, Limits, Message
from archive.network.floor import AcceptorSettings
from archive.network.spreading import Place
from archive.network.transport import Deadlines
from archive.security.operations import Operation
from archive.services.refusals import Instance
from archive.settings.whole import Settings

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Handler:
    """How one operation is served: `answer` sends the responses and returns the final status. `column` is where its
    failures stand in the table of statuses. `also` are further requests that belong to it."""

    primitive: type[Any]
    answer: Callable[[Exchange], Status]
    column: str
    also: tuple[type[Any], ...] = ()

    @property
    def primitives(self) -> tuple[type[Any], ...]:
        """All requests that belong to it."""
        return (self.primitive, *self.also)

    def column_of(self, command: Any) -> str:
        """Where the failures of this request stand: a C-FIND's are its own, beside whatever it is asked."""
        return "query" if type(command) is C_FIND else self.column


HANDLERS: Mapping[Operation, Handler] = {
    Operation.ECHO: Handler(C_ECHO, echo.answer, "query"),
    Operation.STORE: Handler(C_STORE, store.answer, "store"),
    Operation.FIND: Handler(C_FIND, find.answer, "query"),
    Operation.MOVE: Handler(C_MOVE, move.answer, "retrieve"),
    Operation.GET: Handler(C_GET, get.answer, "retrieve"),
    Operation.COMMIT: Handler(N_ACTION, commitment.answer, "normalized"),
    Operation.WORKLIST: Handler(C_FIND, worklist.answer, "query"),
    Operation.MPPS: Handler(N_CREATE, mpps.answer, "normalized", also=(N_SET,)),
    Operation.UPS: Handler(N_CREATE, ups.answer, "normalized", also=(N_SET, N_GET, N_ACTION, C_FIND)),
}

_MOST_IDENTIFIER_BYTES = 16 * MAXIMUM_BYTES
"""What is read of an Identifier so that a status can be sent; no more than its maximum is held."""

_COMMANDS: frozenset[type[Any]] = frozenset(
    one for handler in HANDLERS.values() for one in handler.primitives
)


def run(
    archive: Archive,
    listeners: Sequence[acceptor.Listener] | socket.socket,
    heartbeat: Callable[[], None],
    stop: threading.Event,
    place: Place | None = None,
) -> None:
    """Serve on all `listeners`, or one without TLS, until `stop` is set and running requests have ended. Blocks."""
    acceptor.serve(
        listeners,
        Policy(archive),
        lambda association: handle(archive, association),
        stop,
        acceptor_settings(archive.settings),
        heartbeat,
        place,
    )


def acceptor_settings(settings: Settings) -> AcceptorSettings:
    """The part of the settings that the network needs.

    An object past `limits.maximum_object_bytes`, or an Identifier past its maximum, is refused with a status; one
    that does not end is cut off."""
    dimse = settings.dimse
    return AcceptorSettings(
        maximum_associations=dimse.maximum_associations,
        maximum_waiting=dimse.maximum_connections_per_address,
        drain_seconds=settings.drain_seconds,
        deadlines=Deadlines(
            association=dimse.association_deadline,
            pdu=dimse.pdu_deadline,
            write=dimse.pdu_deadline,
            idle=dimse.idle_deadline,
        ),
        limits=Limits(
            maximum_pdu_length=dimse.maximum_pdu_length,
            maximum_object_bytes=2 * settings.limits.maximum_object_bytes,
            maximum_identifier_bytes=_MOST_IDENTIFIER_BYTES,
        ),
    )


def handle(archive: Archive, association: Association) -> None:
    """Answer the requests of one association until it is released. Raises PeerFailure when it is lost."""
    with Telling(archive.reports, association, archive.settings.dimse) as telling:
        while (message := telling.receive()) is not None:
            if message.command.MessageID is None:
                raise AssociationAborted("a request without Message ID")
            respond(archive, association, message, telling)


def respond(archive: Archive, association: Association, message: Message, telling: Telling) -> None:
    """Answer one request, whatever happens. Raises PeerFailure when the association is lost."""
    wanted = service(message.context.abstract_syntax) or STORAGE
    exchange, handler = Exchange(archive, association, message, wanted, telling), HANDLERS[wanted.operation]
    begun = time.monotonic()
    wrong = _sanity(handler, wanted, message)
    final, failure, error = (wrong, wrong, None) if wrong else _attempt(handler, exchange)
    if failure is not None:
        _drain(message)
        exchange.respond(failure)
        _keep(exchange, failure, error or ArchiveError(failure.comment))
    _note(exchange, final, time.monotonic() - begun, reason=failure.comment if failure else "")


def _sanity(handler: Handler, wanted: Service, message: Message) -> Status | None:
    """The status for a request that does not belong into its presentation context.

    C-STORE judges the SOP class itself, as PS3.4 B.2.3 has a status of its own for it."""
    command, context = message.command, message.context
    if type(command) not in _COMMANDS:
        return Status(UNRECOGNIZED_OPERATION, "no such operation here")
    if type(command) not in handler.primitives or not context.as_scp:
        return misplaced(command)
    named = command.AffectedSOPClassUID or getattr(command, "RequestedSOPClassUID", None)
    if handler.primitive is not C_STORE and named not in (None, context.abstract_syntax, *wanted.family):
        normalized = handler.column_of(command) == "normalized"
        code = NO_SUCH_SOP_CLASS if normalized else SOP_CLASS_NOT_SUPPORTED
        return Status(code, "SOP class is not that of the context")
    return None


def _attempt(handler: Handler, exchange: Exchange) -> tuple[Status, Status | None, ArchiveError | None]:
    """Let the handler answer; the final status, and once more if it is a failure that has yet to be sent, with the
    error that it words."""
    error = None
    try:
        view = exchange.admission.check(exchange.service.operation)
        if handler.primitive is not C_STORE:  # what a modality sends is not refused for what it may look at
            exchange = exchange.seen_by(view)
        return handler.answer(exchange), None, None
    except PeerFailure:
        raise
    except ArchiveError as refusal:
        error = refusal
        failure = worded(refusal, handler.column_of(exchange.request))
    except Exception as fault:  # noqa: BLE001  one of the three places: the association goes on
        # The type and the place, never the message: it may quote a value of the object.
        place = traceback.extract_tb(fault.__traceback__)[-1]
        _log.error("internal error", type=type(fault).__name__, file=place.filename, line=place.lineno)
        failure = unexpected(handler.column_of(exchange.request))
    return failure, failure, error


def _keep(exchange: Exchange, failure: Status, error: ArchiveError) -> None:
    """What was refused, for the administrator whom its requestor will ask: an object, or a request that a rule of the
    AE title, or one more entry, would have let in."""
    if not isinstance(exchange.request, C_STORE):
        if isinstance(error, NotAuthorized | UnknownDestination):
            caller = exchange.association.caller
            exchange.archive.refusals.keep_association(caller, error.reason, error.remedy)
        return
    what = Instance(
        str(exchange.request.AffectedSOPClassUID or exchange.message.context.abstract_syntax),
        str(exchange.request.AffectedSOPInstanceUID or ""),
        exchange.message.context.transfer_syntax,
    )
    association = exchange.association
    source = Source("DIMSE", association.peer_address, exchange.ae_title, association.called_ae_title)
    exchange.archive.refusals.keep_object(what, source, f"{failure.code:04X}", error)


def _drain(message: Message) -> None:
    """Read what the handler left of the data set, so that the response comes in its turn."""
    for _ in message.data or ():
        pass


def _note(exchange: Exchange, final: Status, seconds: float, *, reason: str) -> None:
    """One line for each request: refused ones, queries and retrieves where an administrator sees them. `reason` is in
    our own words: what a receiver said of a sub-operation may name a patient."""
    operation = exchange.service.operation
    routine = final.code == SUCCESS and operation in (Operation.ECHO, Operation.STORE)
    (_log.debug if routine else _log.info)(
        operation.command,
        calling_ae_title=exchange.association.calling_ae_title,
        SOPClassUID=exchange.message.context.abstract_syntax,
        SOPInstanceUID=str(getattr(exchange.request, "AffectedSOPInstanceUID", None) or "")[:64],
        status=f"{final.code:04X}",
        reason=reason,
        seconds=round(seconds, 3),
    )
