"""C-STORE as SCU: one stored instance over an open association, in the best form that the receiver takes.

Which transfer syntaxes an object can be had in, and how it is made to be so, is not decided here: `Objects` says, the
best form first. Among the contexts that the receiver accepted the best is tried first; a form that turns out not to be
possible before the first byte went out leaves room for the next. `transfer` sends many.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import structlog
from pynetdicom.dimse_primitives import C_STORE

from archive.dicom.errors import ArchiveError, AssociationAborted, NotAcceptable, PeerFailure
from archive.dicom.instance import StoredInstance
from archive.network.association import Association, Context
from archive.network.commands import request_of

_WARNINGS = frozenset({0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)})
"""PS3.7 Annex C and PS3.4 Table B.2-1: stored, but."""

NO_CONTEXT = 0x0122
NO_BYTES = 0x0110
NO_STATUS = 0x0110
NO_ASSOCIATION = 0xA702

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Objects:
    """The stored objects. `forms`: the transfer syntaxes in which an instance may be had, the best first. `opened`: its
    encoded data set in one of these; raises NotAcceptable when it cannot be had so, NotFound when it is not there, both
    before anything was sent."""

    forms: Callable[[StoredInstance], Sequence[str]]
    opened: Callable[[StoredInstance, str], AbstractContextManager[Iterable[bytes]]]


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What every C-STORE-RQ of a transfer says. The move originator is the SCU of the C-MOVE (PS3.7
    9.1.1.1)."""

    priority: int = 0
    move_originator_ae_title: str = ""
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance: the receiver's status, or ours when it was never sent. `reason` is ours unless
    `of_receiver`, whose words may name a patient."""

    instance: StoredInstance
    status: int
    reason: str = ""
    of_receiver: bool = False

    @property
    def warned(self) -> bool:
        """Stored, but."""
        return self.status in _WARNINGS

    @property
    def failed(self) -> bool:
        """Not stored."""
        return self.status != 0 and not self.warned


def store(
    association: Association,
    instance: StoredInstance,
    objects: Objects,
    request: StoreRequest,
    message_id: int,
) -> Outcome:
    """One C-STORE over an open association. Raises PeerFailure when the association is lost."""
    refused = ""
    for context in fitting_contexts(association, instance, objects):
        with ExitStack() as opened:
            try:
                pieces = opened.enter_context(objects.opened(instance, context.transfer_syntax))
            except NotAcceptable as refusal:
                refused = refused or refusal.reason
                continue
            except ArchiveError as missing:
                return Outcome(instance, NO_BYTES, missing.reason)
            except Exception as fault:  # noqa: BLE001 - a fault of ours with one object must not cost those behind it
                _log_fault(instance, fault)
                return Outcome(instance, NO_BYTES, "internal error: see the log of the archive")
            _send(association, context, instance, _command(instance, request, message_id), pieces)
        answer = _response(association, message_id)
        if answer.Status is None:
            return Outcome(instance, NO_STATUS, "the receiver answered without a status")
        return Outcome(instance, answer.Status, str(answer.ErrorComment or ""), of_receiver=True)
    return Outcome(instance, NO_CONTEXT, refused or _untaken(association, instance))


def fitting_contexts(association: Association, instance: StoredInstance, objects: Objects) -> list[Context]:
    """The accepted contexts in which we may send this instance, the best first."""
    ranks = {uid: rank for rank, uid in enumerate(objects.forms(instance))}
    fitting = (
        context
        for context in association.contexts.values()
        if context.as_scu
        and context.abstract_syntax == instance.SOPClassUID
        and context.transfer_syntax in ranks
    )
    return sorted(fitting, key=lambda context: ranks[context.transfer_syntax])


def _untaken(association: Association, instance: StoredInstance) -> str:
    takes_class = any(
        context.as_scu and context.abstract_syntax == instance.SOPClassUID
        for context in association.contexts.values()
    )
    if takes_class:
        return f"transfer syntax not taken: {instance.transfer_syntax_uid}"
    return f"receiver takes no form of {instance.SOPClassUID}"


def _command(instance: StoredInstance, request: StoreRequest, message_id: int) -> C_STORE:
    return request_of(
        C_STORE,
        MessageID=message_id,
        AffectedSOPClassUID=instance.SOPClassUID,
        AffectedSOPInstanceUID=instance.SOPInstanceUID,
        Priority=request.priority,
        MoveOriginatorApplicationEntityTitle=request.move_originator_ae_title or None,
        MoveOriginatorMessageID=request.move_originator_message_id,
    )


def _send(
    association: Association,
    context: Context,
    instance: StoredInstance,
    command: C_STORE,
    pieces: Iterable[bytes],
) -> None:
    """A data set that breaks off half way cannot be taken back: `send` aborts the association."""
    broken = "the stored bytes cannot be read, or converted, to their end"
    try:
        association.send(context.id, command, pieces)
    except PeerFailure:
        raise
    except ArchiveError as damage:
        raise AssociationAborted(broken) from damage
    except Exception as fault:
        _log_fault(instance, fault)
        raise AssociationAborted(broken) from fault


def _log_fault(instance: StoredInstance, fault: Exception) -> None:
    """The type and the place, never the message: it may quote a value of the object."""
    place = traceback.extract_tb(fault.__traceback__)[-1]
    _log.error(
        "internal error",
        SOPInstanceUID=instance.SOPInstanceUID,
        type=type(fault).__name__,
        file=place.filename,
        line=place.lineno,
    )


def _response(association: Association, message_id: int) -> C_STORE:
    message = association.receive()
    if message is None:
        raise AssociationAborted("the receiver released the association without an answer")
    command = message.command
    if not isinstance(command, C_STORE) or command.MessageIDBeingRespondedTo != message_id:
        association.abort()
        raise AssociationAborted("the receiver answered something else than the C-STORE-RSP")
    return command
