"""N-EVENT-REPORT of storage commitment as its SCP (PS3.4 J.3.3, PS3.7 10.1.1): on the association on which it was
asked for, or on one of our own.

On our own we propose the SCP role alone (PS3.7 D.3.3.4). A peer that refuses the role is not reported to. One that
accepts the context and says nothing about roles is: by the letter we are SCU then, and such a context would be of no
use at all, but consoles in use answer like that and wait for the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pynetdicom.dimse_primitives import N_EVENT_REPORT

from archive.dicom.errors import AssociationAborted, PeerFailure
from archive.dicom.receiving.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from archive.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from archive.dicom.writing.encoder import encode_data_set
from archive.network.association import Association, Context, Message
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.remote.peer import Peer

_PROPOSAL = Proposal(
    PUSH_MODEL, (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN), as_scp=True, as_scu=False
)


@dataclass(frozen=True, slots=True)
class Event:
    """What is told: Event Type ID and Event Information, as DICOM JSON."""

    type_id: int
    information: Mapping[str, Any]


def report(peer: Peer, event: Event) -> int:
    """Tell it on an association of our own; the status that was answered. Raises PeerFailure."""
    association = peer.propose([_PROPOSAL])
    try:
        send(association, _context(association), event, message_id=1)
        status = _answer(association)
    except BaseException:
        association.abort()
        raise
    with suppress(PeerFailure):  # it has been told, however the other side takes its leave
        association.release()
    return status


def send(association: Association, context: Context, event: Event, message_id: int) -> None:
    """The request alone, between the messages of any association. Raises AssociationAborted."""
    request = request_of(
        N_EVENT_REPORT,
        MessageID=message_id,
        AffectedSOPClassUID=PUSH_MODEL,
        AffectedSOPInstanceUID=PUSH_MODEL_INSTANCE,
        EventTypeID=event.type_id,
    )
    implicit = transfer_syntax(context.transfer_syntax).implicit
    association.send(context.id, request, [encode_data_set(event.information, implicit=implicit)])


def is_answer(message: Message) -> bool:
    """Whether this is an N-EVENT-REPORT-RSP."""
    command = message.command
    return isinstance(command, N_EVENT_REPORT) and command.MessageIDBeingRespondedTo is not None


def _context(association: Association) -> Context:
    context = next(iter(association.contexts.values()), None)
    if context is None:
        raise PeerFailure(
            "the peer does not accept the storage commitment context: it has to be allowed there"
        )
    if not (context.as_scp or context.as_scu):
        raise PeerFailure("the peer does not let us be SCP of storage commitment (role selection)")
    return context


def _answer(association: Association) -> int:
    message = association.receive()
    if message is None:
        raise AssociationAborted("the peer released the association without an answer to the report")
    if not is_answer(message) or message.command.Status is None:
        raise AssociationAborted("the peer answered something else than N-EVENT-REPORT-RSP")
    return int(message.command.Status)
