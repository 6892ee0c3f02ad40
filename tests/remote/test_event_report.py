"""N-EVENT-REPORT as SCP on an association of ours: what a peer may say to the role (PS3.7 D.3.3.4) and the report."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from archive.dicom.errors import AssociationAborted, PeerFailure
from archive.dicom.receiving.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Reference, Verdict, event
from archive.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from archive.network import negotiation, pdu
from archive.network.negotiation import AssociateAccept, ContextResult
from archive.network.user_information import UserInformation
from archive.remote import event_report
from archive.remote.event_report import Event
from archive.remote.peer import Peer
from receivers import receiver_without_status

TOLD = Event(*event("2.25.1", [Verdict(Reference("1.2", "1.3"), 0)], "ARCHIVE"))


@contextmanager
def acceptor(roles: Mapping[str, tuple[bool, bool]]) -> Iterator[Peer]:
    """It accepts the association with these roles, and then waits for our leave."""

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            header = connection.recv(pdu.HEADER.size, socket.MSG_WAITALL)
            connection.recv(pdu.HEADER.unpack(header)[1], socket.MSG_WAITALL)
            results = (ContextResult(1, 0, IMPLICIT_VR_LITTLE_ENDIAN),)
            accept = AssociateAccept(results, UserInformation(16384, roles=roles), (bytes(16), bytes(16)))
            connection.sendall(negotiation.encode_accept(accept))
            while connection.recv(1 << 16):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        yield Peer("127.0.0.1", listener.getsockname()[1], "MODALITY", "ARCHIVE")
        thread.join()


@pytest.mark.parametrize("granted", [(False, False), (True, False)])
def test_a_refused_role_is_not_taken(granted: tuple[bool, bool]) -> None:
    """Nor is the SCU role, which was not proposed."""
    with acceptor({PUSH_MODEL: granted}) as peer, pytest.raises(PeerFailure, match="role selection"):
        event_report.report(peer, TOLD)


def test_an_answer_without_a_status_is_none() -> None:
    with receiver_without_status(PUSH_MODEL_INSTANCE) as peer, pytest.raises(AssociationAborted):
        event_report.report(peer, TOLD)
    with receiver_without_status() as peer:
        assert event_report.report(peer, TOLD) == 0


def test_whence_to_retrieve_is_said_of_what_is_promised_only() -> None:
    """PS3.4 table J.3-2."""
    bad = Verdict(Reference("1.2", "1.4"), 0x0112)
    assert event("2.25.1", [bad], "ARCHIVE") == (
        2,
        {
            "00081195": {"vr": "UI", "Value": ["2.25.1"]},
            "00081198": {
                "vr": "SQ",
                "Value": [
                    {
                        "00081150": {"vr": "UI", "Value": ["1.2"]},
                        "00081155": {"vr": "UI", "Value": ["1.4"]},
                        "00081197": {"vr": "US", "Value": [0x0112]},
                    }
                ],
            },
        },
    )
    assert TOLD.type_id == 1
    assert TOLD.information["00080054"] == {"vr": "AE", "Value": ["ARCHIVE"]}
