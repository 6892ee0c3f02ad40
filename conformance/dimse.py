"""The few DIMSE requests of the suite (`--dimse HOST:PORT:AET`): echo, store, find, get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from conformance import uids
from conformance.objects import Object
from conformance.verdicts import Failed, Skipped, expect

if TYPE_CHECKING:
    from conformance.world import DimsePeer

SUCCESS, PENDING = 0x0000, (0xFF00, 0xFF01)
SECONDS = 30


@contextmanager
def association(
    peer: DimsePeer, *contexts: tuple[str, str], roles: Any = (), handlers: Any = (), maximum_pdu: int = 0
) -> Iterator[Any]:
    """An association with these (SOP class, transfer syntax). Raises `Skipped` without pynetdicom."""
    held = request(peer, *contexts, roles=roles, handlers=handlers, maximum_pdu=maximum_pdu)
    expect(held.is_established, f"no association with {peer.called} at {peer.host}:{peer.port}")
    try:
        yield held
    finally:
        held.release()


def request(
    peer: DimsePeer, *contexts: tuple[str, str], roles: Any = (), handlers: Any = (), maximum_pdu: int = 0
) -> Any:
    """The same, established or not; whoever asks has to release it."""
    try:
        from pynetdicom import AE

        from conformance import pausing
    except ImportError:
        raise Skipped("pynetdicom is not installed") from None
    pausing.mend()
    ae = AE(ae_title=peer.calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = SECONDS
    for sop_class, transfer_syntax in contexts:
        ae.add_requested_context(sop_class, transfer_syntax)
    return ae.associate(
        peer.host,
        peer.port,
        ae_title=peer.called,
        ext_neg=list(roles),
        evt_handlers=list(handlers),
        **({"max_pdu": maximum_pdu} if maximum_pdu else {}),
    )


def status_of(response: Dataset) -> int:
    """The Status of a response. Raises `Failed` when none came."""
    if "Status" not in response:
        raise Failed("no response came (timed out, aborted or invalid)")
    return int(response.Status)


def echo(peer: DimsePeer) -> int:
    """C-ECHO's Status."""
    with association(peer, (uids.VERIFICATION, uids.IMPLICIT)) as held:
        return status_of(held.send_c_echo())


def store(peer: DimsePeer, one: Object) -> None:
    """C-STORE one object in its own transfer syntax. Raises `Failed` unless Success."""
    with association(peer, (str(one.dataset.SOPClassUID), one.transfer_syntax)) as held:
        expect(held.accepted_contexts, f"transfer syntax {one.transfer_syntax} was not accepted by DIMSE")
        status = status_of(held.send_c_store(dcmread(BytesIO(one.file()))))
    expect(status == SUCCESS, f"C-STORE ended with {status:04X}")


def find(peer: DimsePeer, identifier: Dataset) -> list[Dataset]:
    """What a study root C-FIND matches. Raises `Failed` unless it ends with Success."""
    found: list[Dataset] = []
    status = -1
    with association(peer, (uids.STUDY_ROOT_FIND, uids.EXPLICIT)) as held:
        expect(held.accepted_contexts, "Study Root Query is not accepted")
        for response, match in held.send_c_find(identifier, uids.STUDY_ROOT_FIND):
            status = status_of(response)
            if status in PENDING and match is not None:
                found.append(match)
    expect(status == SUCCESS, f"C-FIND ended with {status:04X}")
    return found


def get(peer: DimsePeer, identifier: Dataset, sop_class: str) -> list[Dataset]:
    """What a study root C-GET brings. Raises `Skipped` when C-GET is not accepted."""
    from pynetdicom import build_role, evt

    received: list[Dataset] = []

    def keep(event: Any) -> int:
        received.append(event.dataset)
        return SUCCESS

    with association(
        peer,
        (uids.STUDY_ROOT_GET, uids.EXPLICIT),
        (sop_class, uids.EXPLICIT),
        roles=[build_role(sop_class, scp_role=True)],
        handlers=[(evt.EVT_C_STORE, keep)],
    ) as held:
        if not any(one.abstract_syntax == uids.STUDY_ROOT_GET for one in held.accepted_contexts):
            raise Skipped("Study Root C-GET is not accepted")
        for response, _ in held.send_c_get(identifier, uids.STUDY_ROOT_GET):
            status_of(response)
    return received
