"""What the tests of hostile peers share: what we answer, and the proof that the server goes on."""

from __future__ import annotations

from collections.abc import Callable

from archive.network import pdu
from archive.network.commands import encode_command
from association_peers import PATIENCE, Server, p_data_pdus, store_request

ABORTED = {reason: (pdu.A_ABORT, bytes((0, 0, 2, reason))) for reason in pdu.AbortReason}
INVALID = ABORTED[pdu.AbortReason.INVALID_PDU_PARAMETER]
UNRECOGNIZED = ABORTED[pdu.AbortReason.UNRECOGNIZED_PDU]
UNEXPECTED = ABORTED[pdu.AbortReason.UNEXPECTED_PDU]
STORE_COMMAND = p_data_pdus(3, pdu.COMMAND, encode_command(store_request(), has_data_set=True))

Serving = Callable[..., Server]


def rejected(result: int, source: int, diagnostic: int) -> tuple[int, bytes]:
    return pdu.A_ASSOCIATE_RJ, bytes((0, result, source, diagnostic))


def stores_one(server: Server, address: str = "127.0.0.1") -> bool:
    """Whether an ordinary association is served, and its object is the only one that was stored."""
    with server.connect(address) as peer:
        peer.associate()
        peer.send(STORE_COMMAND, p_data_pdus(3, 0, b"good"), pdu.RELEASE_RQ)
        answers = [peer.receive()[0], peer.receive()[0]]
    stored = server.stored.get(timeout=PATIENCE)
    return (
        answers == [pdu.P_DATA_TF, pdu.A_RELEASE_RP]
        and stored == ("1.2.3", b"good")
        and server.stored.empty()
    )


def unfinished(context_id: int, kind: int, size: int) -> bytes:
    """A P-DATA-TF with one fragment that is not the last."""
    return (
        pdu.HEADER.pack(pdu.P_DATA_TF, size + 6)
        + (size + 2).to_bytes(4, "big")
        + bytes((context_id, kind))
        + bytes(size)
    )
