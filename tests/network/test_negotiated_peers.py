"""What an association is about besides its contexts, with pynetdicom at the other end, in both roles: SCP/SCU role
selection, SOP class extended and common extended negotiation, user identity (dimse.md 1.1)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import (
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from archive.dicom.errors import AssociationRejected
from archive.network import pdu
from archive.network.association import Association
from archive.network.caller import JWT, USER_AND_PASSCODE, UserIdentity
from archive.network.negotiation import (
    AssociateAccept,
    ContextResult,
    decode_request,
    encode_accept,
)
from archive.network.requestor import Proposal, open_association
from archive.network.user_information import CommonExtended, UserInformation
from association_peers import IMPLICIT, MR_IMAGE_STORAGE, PATIENCE, VERIFICATION, Guest, Policy, Server

Serving = Callable[..., Server]
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
COMMITMENT = "1.2.840.10008.1.20.1"


def call(port: int, *proposals: Proposal, **options: Any) -> Association:
    return open_association(
        "127.0.0.1", port, calling_ae_title="US", called_ae_title="PEER", contexts=proposals, **options
    )


def associated(server: Server, *items: Any) -> Any:
    """An established association of pynetdicom's with these user items."""
    ae = AE("PEER")
    ae.add_requested_context(VERIFICATION)
    ae.add_requested_context(FIND)
    association = ae.associate("127.0.0.1", server.port, ext_neg=list(items))
    assert association.is_established
    return association


def test_extended_negotiation_of_pynetdicom(serving: Serving) -> None:
    """PS3.7 D.3.3.5: it gets our answer, and our side of the association knows what was agreed."""
    agreed: list[Any] = []

    def handle(association: Association) -> None:
        agreed.append(dict(association.extended))
        assert association.receive() is None

    server = serving(handle, Policy(guest=lambda: Guest(answers={FIND: b"\1\0\1"})))
    offered = SOPClassExtendedNegotiation()
    offered.sop_class_uid = FIND
    offered.service_class_application_information = b"\1\1\1\1\1"
    association = associated(server, offered)
    assert association.acceptor.sop_class_extended == {FIND: b"\1\0\1"}
    association.release()
    assert server.endings.get(timeout=PATIENCE) == "released"
    assert agreed == [{FIND: b"\1\0\1"}]
    assert (FIND, b"\1\1\1\1\1") in server.policy.guests[0].asked


def test_common_extended_negotiation_of_pynetdicom(serving: Serving) -> None:
    server = serving()
    described = SOPClassCommonExtendedNegotiation()
    described.sop_class_uid = FIND
    described.service_class_uid = "1.2.840.10008.4.2"
    described.related_general_sop_class_identification = [MR_IMAGE_STORAGE]
    associated(server, described).release()
    common = CommonExtended("1.2.840.10008.4.2", (MR_IMAGE_STORAGE,))
    assert (FIND, False, common) in server.policy.guests[0].asked


@pytest.mark.parametrize("answer", [b"", b"a server's ticket", None])
def test_user_identity_of_pynetdicom(serving: Serving, answer: bytes | None) -> None:
    """PS3.7 D.3.3.7."""
    server = serving(policy=Policy(guest=lambda: Guest(identity_answer=answer)))
    given = UserIdentityNegotiation()
    given.user_identity_type = 2
    given.primary_field, given.secondary_field = b"radiologist", b"secret"
    given.positive_response_requested = True
    association = associated(server, given)
    theirs = association.acceptor.user_identity
    assert (theirs.server_response if theirs else None) == answer
    association.release()
    identity = server.policy.callers[0].identity
    assert identity == UserIdentity(USER_AND_PASSCODE, b"radiologist", b"secret", True)


@contextmanager
def pynetdicom_scp(**handlers: Any) -> Iterator[int]:
    """pynetdicom as acceptor with handlers by the name of their event."""
    ae = AE("PEER")
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    ae.add_supported_context(MR_IMAGE_STORAGE, scu_role=True, scp_role=True)
    bound = [(getattr(evt, name), handler) for name, handler in handlers.items()]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound)
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@pytest.mark.parametrize("right", [True, False])
def test_our_user_identity_to_pynetdicom(right: bool) -> None:
    seen = []

    def verify(event: evt.Event) -> tuple[bool, bytes | None]:
        seen.append((event.user_id_type, event.primary_field, event.secondary_field))
        return right, b"welcome"

    identity = UserIdentity(JWT, b"a.b.c", answer_wanted=True)
    with pynetdicom_scp(EVT_USER_ID=verify) as port:
        if right:
            with call(port, Proposal(VERIFICATION, (IMPLICIT,)), identity=identity) as association:
                assert association.identity_answer == b"welcome"
        else:
            with pytest.raises(AssociationRejected):
                call(port, Proposal(VERIFICATION, (IMPLICIT,)), identity=identity)
    assert seen == [(JWT, b"a.b.c", b"")] or seen == [(JWT, b"a.b.c", None)]


def test_our_extended_negotiation_to_pynetdicom() -> None:
    def answer(event: evt.Event) -> dict[str, bytes]:
        return {uid: information[:1] for uid, information in event.app_info.items()}

    with (
        pynetdicom_scp(EVT_SOP_EXTENDED=answer) as port,
        call(port, Proposal(VERIFICATION, (IMPLICIT,)), extended={VERIFICATION: b"\1\1"}) as association,
    ):
        assert association.extended == {VERIFICATION: b"\1"}


def test_roles_that_we_propose_to_pynetdicom() -> None:
    """PS3.7 D.3.3.4: SCU alone, both, and SCP alone, as for N-EVENT-REPORT to an SCU of storage commitment."""
    with (
        pynetdicom_scp() as port,
        call(
            port,
            Proposal(VERIFICATION, (IMPLICIT,)),
            Proposal(MR_IMAGE_STORAGE, (IMPLICIT,), as_scp=True),
            Proposal(COMMITMENT, (IMPLICIT,), as_scp=True, as_scu=False),
        ) as association,
    ):
        roles = {each.abstract_syntax: (each.as_scu, each.as_scp) for each in association.contexts.values()}
    assert roles == {VERIFICATION: (True, False), MR_IMAGE_STORAGE: (True, True), COMMITMENT: (False, True)}


@pytest.mark.parametrize(
    ("proposed", "granted", "ours"),
    [
        ((True, False), None, (True, False)),
        ((True, True), None, (True, False)),
        ((True, True), (True, False), (True, False)),
        ((True, True), (False, True), (False, True)),
        ((True, True), (True, True), (True, True)),
        ((False, True), (True, True), (False, True)),
        ((False, True), (False, False), (False, False)),
        ((False, True), None, (True, False)),
    ],
)
def test_no_role_is_ours_that_we_did_not_propose(
    proposed: tuple[bool, bool], granted: tuple[bool, bool] | None, ours: tuple[bool, bool]
) -> None:
    """PS3.7 D.3.3.4: the acceptor may leave out what was proposed, and nothing more; without an answer the
    requestor is SCU."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, granted))
        accepting.start()
        scu, scp = proposed
        association = call(
            listener.getsockname()[1], Proposal(COMMITMENT, (IMPLICIT,), as_scp=scp, as_scu=scu)
        )
        (context,) = association.contexts.values()
        association.abort()
        accepting.join(PATIENCE)
    assert (context.as_scu, context.as_scp) == ours


def _accept(listener: socket.socket, granted: tuple[bool, bool] | None) -> None:
    """An acceptor that grants these roles, whatever was proposed."""
    connection, _ = listener.accept()
    with connection:
        request = decode_request(memoryview(connection.recv(65536))[pdu.HEADER.size :])
        roles = {COMMITMENT: granted} if granted else {}
        accept = AssociateAccept(
            (ContextResult(1, 0, IMPLICIT),), UserInformation(16384, roles=roles), request.titles
        )
        connection.sendall(encode_accept(accept))
        connection.recv(64)


def test_roles_that_pynetdicom_proposes_are_granted_and_mirrored(serving: Serving) -> None:
    """PS3.7 D.3.3.4; the roles of `Context` are ours."""
    from pynetdicom import build_role

    roles: list[tuple[bool, bool]] = []

    def handle(association: Association) -> None:
        roles.extend((each.as_scu, each.as_scp) for each in association.contexts.values())
        assert association.receive() is None

    server = serving(handle)
    for scu, scp in ((True, True), (False, True), (True, False)):
        ae = AE("PEER")
        ae.add_requested_context(MR_IMAGE_STORAGE)
        proposed = build_role(MR_IMAGE_STORAGE, scu_role=scu, scp_role=scp)
        association = ae.associate("127.0.0.1", server.port, ext_neg=[proposed])
        assert association.is_established
        association.release()
        assert server.endings.get(timeout=PATIENCE) == "released"
    assert roles == [(True, True), (True, False), (False, True)]
