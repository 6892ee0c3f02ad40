"""N-CREATE of Instance Availability Notifications as SCU (PS3.4 R.3.2.1, PS3.7 10.1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pynetdicom.dimse_primitives import N_CREATE

from archive.dicom.errors import AssociationAborted, PeerFailure
from archive.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from archive.dicom.writing.availability import INSTANCE_AVAILABILITY_NOTIFICATION
from archive.dicom.writing.encoder import encode_data_set
from archive.network.association import Association, Context
from archive.network.commands import request_of
from archive.remote.peer import Peer

Created = tuple[str, Mapping[str, Any]]
"""SOP Instance UID and attributes, as DICOM JSON."""

_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


def create(peer: Peer, instances: Iterable[Created]) -> list[int]:
    """Create these in one association; the statuses that were answered. Raises PeerFailure."""
    association = peer.associate([(INSTANCE_AVAILABILITY_NOTIFICATION, _SYNTAXES)])
    try:
        context = next((one for one in association.contexts.values() if one.as_scu), None)
        if context is None:
            raise PeerFailure("the peer does not accept Instance Availability Notification: allow it there")
        statuses = [_create(association, context, number + 1, *one) for number, one in enumerate(instances)]
    except BaseException:
        association.abort()
        raise
    with suppress(PeerFailure):  # it has been told, however the other side takes its leave
        association.release()
    return statuses


def _create(
    association: Association, context: Context, number: int, uid: str, attributes: Mapping[str, Any]
) -> int:
    request = request_of(
        N_CREATE,
        MessageID=number,
        AffectedSOPClassUID=INSTANCE_AVAILABILITY_NOTIFICATION,
        AffectedSOPInstanceUID=uid,
    )
    implicit = transfer_syntax(context.transfer_syntax).implicit
    association.send(context.id, request, [encode_data_set(attributes, implicit=implicit)])
    message = association.receive()
    if message is None:
        raise AssociationAborted("the peer released the association without an answer")
    command = message.command
    if (
        not isinstance(command, N_CREATE)
        or command.MessageIDBeingRespondedTo != number
        or command.Status is None
    ):
        raise AssociationAborted("the peer answered something else than N-CREATE-RSP")
    return int(command.Status)
