"""C-ECHO as SCU, for the administrator: not whether it works, but at which step it does not, and what to
do."""

from __future__ import annotations

import enum
import socket
from contextlib import suppress
from dataclasses import dataclass

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_ECHO

from archive.dicom.errors import AssociationRejected, PeerFailure, PeerUnreachable, SecurityFailure
from archive.network.association import Association
from archive.remote.peer import Peer

VERIFICATION = "1.2.840.10008.1.1"

_REJECTIONS = {
    (1, 2): "the peer does not support the DICOM application context",
    (1, 3): "the peer does not know our calling AE title: it has to be added there",
    (1, 7): "the peer does not call itself by this called AE title: correct it here",
    (2, 2): "the peer does not support our protocol version",
    (3, 1): "the peer is congested: try again later",
    (3, 2): "the peer has too many associations: try again later",
}
"""Source and diagnostic of A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

_LOOK = "look whether it runs, whether this is its address and port, and for a firewall between"


class Step(enum.Enum):
    """Where a C-ECHO can end; ANSWERED is the good one."""

    HOST_NAME = "the host name cannot be resolved"
    CONNECT = "it was not reached"
    SECURITY = "TLS could not be agreed on"
    REJECTED = "the association was rejected"
    NO_CONTEXT = "the Verification service was not accepted"
    NO_ANSWER = "no answer to the C-ECHO"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class EchoOutcome:
    """How far it came; `reason` is a sentence for a person, `status` that of the C-ECHO-RSP."""

    step: Step
    reason: str = ""
    status: int | None = None

    @property
    def ok(self) -> bool:
        """True when the peer answered Success."""
        return self.step is Step.ANSWERED and self.status == 0


def echo(peer: Peer) -> EchoOutcome:
    """Associate, ask, release. Never raises for what the peer or the network does."""
    try:
        socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return EchoOutcome(Step.HOST_NAME, f"{peer.host}: {error.strerror or error}")
    try:
        association = peer.associate([(VERIFICATION, (ImplicitVRLittleEndian, ExplicitVRLittleEndian))])
    except PeerUnreachable as error:
        return EchoOutcome(Step.CONNECT, f"{error.reason}: {_LOOK}")
    except SecurityFailure as error:
        return EchoOutcome(Step.SECURITY, error.reason)
    except AssociationRejected as error:
        return EchoOutcome(Step.REJECTED, _REJECTIONS.get((error.source, error.diagnostic), error.reason))
    except PeerFailure as error:
        return EchoOutcome(Step.NO_ANSWER, error.reason)
    try:
        return _ask(association)
    except PeerFailure as error:
        return EchoOutcome(Step.NO_ANSWER, error.reason)
    finally:
        with suppress(PeerFailure):
            association.release()


def _ask(association: Association) -> EchoOutcome:
    context = next(iter(association.contexts.values()), None)
    if context is None:
        return EchoOutcome(Step.NO_CONTEXT, "the peer accepts associations, but not for Verification")
    request = C_ECHO()
    request.MessageID = 1
    request.AffectedSOPClassUID = VERIFICATION
    association.send(context.id, request)
    message = association.receive()
    if message is None or not isinstance(message.command, C_ECHO):
        return EchoOutcome(Step.NO_ANSWER, "the peer answered something else than C-ECHO-RSP")
    status = message.command.Status
    if status is None:
        return EchoOutcome(Step.NO_ANSWER, "the peer answered without a status")
    return EchoOutcome(
        Step.ANSWERED, "" if status == 0 else f"the peer answered with status {status:04X}", status
    )
