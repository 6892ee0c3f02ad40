"""Associations that we ask for: C-STORE sub-operations, forwarding, C-ECHO."""

from __future__ import annotations

import operator
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from archive.dicom.errors import (
    AssociationAborted,
    AssociationRejected,
    ConfigurationError,
    PeerUnreachable,
    SecurityFailure,
)
from archive.network import negotiation, pdu
from archive.network.association import Agreement, Association, Context, Limits
from archive.network.caller import Caller, UserIdentity
from archive.network.negotiation import AssociateAccept, AssociateRequest, ProposedContext
from archive.network.pdu import AbortReason
from archive.network.transport import Deadlines, Wire
from archive.network.user_information import CommonExtended, UserInformation

_DEADLINES = Deadlines()
_LIMITS = Limits()
_LONGEST_ANSWER = 1 << 20
_TLS_ALERT = 0x15
"""Content type of the record with which a TLS server answers what is no TLS (RFC 8446 5.1)."""
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
_UNSAID: Mapping[str, CommonExtended] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Proposal:
    """A presentation context to propose. `as_scp`: we also offer to be SCP of it (SCP/SCU role selection); without
    `as_scu`, SCP only."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    as_scp: bool = False
    as_scu: bool = True


@dataclass(frozen=True, slots=True)
class Protection:
    """TLS for an association of ours. `context` is asked for each time, and may raise ConfigurationError; `host`
    is what the certificate of the peer is checked for where the context wants that; `certificate`: what it has to
    be (`Certificate.is_known_as`), "" for any that is trusted."""

    context: Callable[[], ssl.SSLContext]
    host: str
    certificate: str = ""


def open_association(
    host: str,
    port: int,
    *,
    calling_ae_title: str,
    called_ae_title: str,
    contexts: Sequence[Proposal],
    deadlines: Deadlines = _DEADLINES,
    limits: Limits = _LIMITS,
    protection: Protection | None = None,
    identity: UserIdentity | None = None,
    extended: Mapping[str, bytes] = _NOTHING,
    common: Mapping[str, CommonExtended] = _UNSAID,
) -> Association:
    """Connects and negotiates; at most 128 contexts. `Association.contexts` holds those that were accepted.
    `extended`: service class application information by SOP Class UID (PS3.7 D.3.3.5); `common`: what there is to be
    said of SOP classes that the peer may not know (D.3.3.6).

    Use it as a context manager: released at the end, aborted on an exception. Raises PeerUnreachable,
    AssociationRejected, AssociationAborted, and of these SecurityFailure when TLS is what failed.
    """
    roles = {each.abstract_syntax: (each.as_scu, True) for each in contexts if each.as_scp}
    ours = UserInformation(
        limits.maximum_pdu_length,
        roles=roles,
        extended=dict(extended),
        common=dict(common),
        identity=identity,
    )
    request = AssociateRequest(called_ae_title, calling_ae_title, _proposed(contexts), ours)
    wire = Wire(_connect(host, port, deadlines.connect), deadlines)
    accept = _agree(wire, request, protection, f"{host}:{port}")
    theirs = accept.user_information
    agreement = Agreement(
        _contexts(request, accept), theirs.maximum_pdu_length, theirs.extended, theirs.identity_answer
    )
    caller = Caller(
        calling_ae_title, called_ae_title, host, secured=protection is not None, certificate=wire.certificate
    )
    return Association(wire, caller, agreement, limits)


def _agree(wire: Wire, request: AssociateRequest, protection: Protection | None, at: str) -> AssociateAccept:
    """TLS, if it is wanted, and the answer to our request; the connection is closed if it comes to nothing."""
    deadline = time.monotonic() + wire.deadlines.association
    try:
        if protection is not None:
            _secure(wire, protection, deadline)
        return _negotiate(wire, request, deadline)
    except AssociationAborted as aborted:
        if time.monotonic() >= deadline:
            wire.close(pdu.abort_pdu())
            raise PeerUnreachable(f"no answer from {at} to A-ASSOCIATE-RQ") from None
        wire.close(pdu.abort_pdu(aborted.diagnostic) if aborted.diagnostic is not None else b"")
        raise
    except BaseException:
        wire.close()
        raise


def _secure(wire: Wire, protection: Protection, deadline: float) -> None:
    try:
        context = protection.context()
    except ConfigurationError as error:
        raise SecurityFailure(error.reason) from None
    wire.secure(context, deadline, protection.host)
    if protection.certificate and not (
        wire.certificate and wire.certificate.is_known_as(protection.certificate)
    ):
        raise SecurityFailure("the peer shows another certificate than the one that its AE title is bound to")


def _proposed(proposals: Sequence[Proposal]) -> tuple[ProposedContext, ...]:
    if not 0 < len(proposals) <= negotiation.MAXIMUM_CONTEXTS:
        raise ValueError("1 to 128 presentation contexts")
    return tuple(
        ProposedContext(2 * position + 1, proposal.abstract_syntax, proposal.transfer_syntaxes)
        for position, proposal in enumerate(proposals)
    )


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), seconds)
    except (OSError, UnicodeError) as error:
        # a name that is too long or has empty labels is UnicodeError
        raise PeerUnreachable(f"no connection to {host}:{port} ({_why(error)})") from None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or (
        "timed out" if isinstance(error, TimeoutError) else "no address"
    )


def _negotiate(wire: Wire, request: AssociateRequest, deadline: float) -> AssociateAccept:
    wire.write([negotiation.encode_request(request)])
    pdu_type, body = wire.read_pdu(_admit_header, deadline, deadline)
    if pdu_type == pdu.A_ABORT:
        raise AssociationAborted("the peer aborted the association request")
    if pdu_type == pdu.A_ASSOCIATE_RJ:
        result, source, diagnostic = bytes(body[1:4].tobytes().ljust(3, b"\0"))
        raise AssociationRejected(
            f"the peer rejected the association (result {result}, source {source}, diagnostic {diagnostic})",
            result,
            source,
            diagnostic,
        )
    return negotiation.decode_accept(body)


def _admit_header(pdu_type: int, length: int) -> None:
    if pdu_type == _TLS_ALERT:
        raise SecurityFailure("the peer speaks TLS on this port: its AE title has to be set to TLS")
    if pdu_type not in (pdu.A_ASSOCIATE_AC, pdu.A_ASSOCIATE_RJ, pdu.A_ABORT):
        raise AssociationAborted("an unexpected PDU", AbortReason.UNEXPECTED_PDU)
    if length > _LONGEST_ANSWER:
        raise AssociationAborted("an A-ASSOCIATE PDU of more than 1 MiB", AbortReason.INVALID_PDU_PARAMETER)


def _contexts(request: AssociateRequest, accept: AssociateAccept) -> dict[int, Context]:
    """The accepted contexts with our roles; an answer to nothing we proposed is no acceptance (PS3.8
    9.3.3.2), and no role is ours that we did not propose (PS3.7 D.3.3.4)."""
    proposed = {context.id: context for context in request.contexts}
    wanted = request.user_information.roles
    contexts = {}
    for answer in accept.results:
        context = proposed.get(answer.id)
        if context is None or answer.result or answer.transfer_syntax not in context.transfer_syntaxes:
            continue
        scu, scp = True, False  # as it is where the acceptor says nothing
        granted = accept.user_information.roles.get(context.abstract_syntax)
        if granted is not None and context.abstract_syntax in wanted:
            scu, scp = map(operator.and_, wanted[context.abstract_syntax], granted)
        contexts[answer.id] = Context(answer.id, context.abstract_syntax, answer.transfer_syntax, scu, scp)
    return contexts
