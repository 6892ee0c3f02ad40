"""N-EVENT-REPORT as SCP (PS3.7 10.1.1): of storage commitment (PS3.4 J.3.3), on the association on which it was asked
for or on one of our own, and of workitems (CC.2.4).

On our own we propose the SCP role alone (PS3.7 D.3.3.4). A peer that refuses the role is not reported to. One that
accepts the context and says nothing about roles is: by the letter we are SCU then, and such a context would be of no
use at all, but consoles in use answer like that and wait for the report.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pynetdicom.dimse_primitives import N_EVENT_REPORT

from archive.dicom.errors import AssociationAborted, PeerFailure
from archive.dicom.receiving.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE
from archive.dicom.sop_classes import sop_class_name
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

_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_UTF_8 = "ISO_IR 192"


@dataclass(frozen=True, slots=True)
class Event:
    """What is told: Event Type ID and Event Information, as DICOM JSON, and of which instance."""

    type_id: int
    information: Mapping[str, Any]
    sop_class_uid: str = PUSH_MODEL
    sop_instance_uid: str = PUSH_MODEL_INSTANCE


def report(peer: Peer, event: Event) -> int:
    """Tell it on an association of our own; the status that was answered. Raises PeerFailure."""
    with reporting(peer, PUSH_MODEL) as tell:
        return tell(event)


@contextmanager
def reporting(peer: Peer, abstract_syntax: str) -> Generator[Callable[[Event], int]]:
    """An association of our own, and what tells one event after another on it and returns the status that was
    answered. Raises PeerFailure."""
    association = peer.propose([Proposal(abstract_syntax, _SYNTAXES, as_scp=True, as_scu=False)])
    told = 0

    def tell(event: Event) -> int:
        nonlocal told
        told = told % 0xFFFF + 1
        send(association, _context(association, abstract_syntax), event, message_id=told)
        return _answer(association)

    try:
        yield tell
    except BaseException:
        association.abort()
        raise
    with suppress(PeerFailure):  # it has been told, however the other side takes its leave
        association.release()


def send(association: Association, context: Context, event: Event, message_id: int) -> None:
    """The request alone, between the messages of any association. Raises AssociationAborted."""
    request = request_of(
        N_EVENT_REPORT,
        MessageID=message_id,
        AffectedSOPClassUID=event.sop_class_uid,
        AffectedSOPInstanceUID=event.sop_instance_uid,
        EventTypeID=event.type_id,
    )
    implicit = transfer_syntax(context.transfer_syntax).implicit
    association.send(context.id, request, [_encoded(event.information, implicit=implicit)])


def is_answer(message: Message) -> bool:
    """Whether this is an N-EVENT-REPORT-RSP."""
    command = message.command
    return isinstance(command, N_EVENT_REPORT) and command.MessageIDBeingRespondedTo is not None


def _encoded(information: Mapping[str, Any], *, implicit: bool) -> bytes:
    """Without a character set as long as none is needed."""
    try:
        return encode_data_set(information, implicit=implicit)
    except UnicodeEncodeError:
        named = {**information, "00080005": {"vr": "CS", "Value": [_UTF_8]}}
        return encode_data_set(named, implicit=implicit, specific_character_set=(_UTF_8,))


def _context(association: Association, abstract_syntax: str) -> Context:
    context = next(iter(association.contexts.values()), None)
    name = sop_class_name(abstract_syntax)
    if context is None:
        raise PeerFailure(f"the peer does not accept the context of {name}: it has to be allowed there")
    if not (context.as_scp or context.as_scu):
        raise PeerFailure(f"the peer does not let us be SCP of {name} (role selection)")
    return context


def _answer(association: Association) -> int:
    message = association.receive()
    if message is None:
        raise AssociationAborted("the peer released the association without an answer to the report")
    if not is_answer(message) or message.command.Status is None:
        raise AssociationAborted("the peer answered something else than N-EVENT-REPORT-RSP")
    return int(message.command.Status)
