"""An SCU that sends exactly the bytes it is given, however wrong they are, and one that gets without re-encoding.

DCMTK's tools re-encode and refuse to send what is broken; modalities do not. C-STORE and C-ECHO go over the project's
own requestor, C-GET and C-MOVE over pynetdicom, whose eye is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association as Associated
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from archive.network.association import Association
from archive.network.commands import request_of
from archive.network.requestor import Proposal, open_association
from archive_process import ArchiveServer

CALLING_AE_TITLE = "TESTSCU"
MODELS = {
    str(StudyRootQueryRetrieveInformationModelGet),
    str(StudyRootQueryRetrieveInformationModelMove),
}
Pair = tuple[str, str]


def open_to(server: ArchiveServer, *pairs: Pair) -> Association:
    """An association that proposes each (SOP Class UID, transfer syntax UID)."""
    return open_association(
        "127.0.0.1",
        server.dimse_port,
        calling_ae_title=CALLING_AE_TITLE,
        called_ae_title=server.ae_title,
        contexts=[Proposal(sop_class_uid, (syntax,)) for sop_class_uid, syntax in pairs],
    )


def store(
    server: ArchiveServer, pair: Pair, sop_instance_uid: str, data_set: Iterable[bytes]
) -> tuple[int, str]:
    """C-STORE of an encoded data set as it is; status and Error Comment of the answer."""
    with open_to(server, pair) as association:
        (context_id,) = association.contexts
        request = request_of(
            C_STORE,
            MessageID=1,
            AffectedSOPClassUID=pair[0],
            AffectedSOPInstanceUID=sop_instance_uid,
            Priority=0,
        )
        association.send(context_id, request, data_set)
        answer = association.receive()
        assert answer is not None
        return int(answer.command.Status), str(answer.command.ErrorComment or "")


def echo(server: ArchiveServer) -> int:
    """C-ECHO; its status."""
    with open_to(server, (Verification, "1.2.840.10008.1.2")) as association:
        (context_id,) = association.contexts
        association.send(context_id, request_of(C_ECHO, MessageID=1, AffectedSOPClassUID=Verification))
        answer = association.receive()
        assert answer is not None
        return int(answer.command.Status)


def get(server: ArchiveServer, pairs: Iterable[Pair], **keys: str) -> dict[str, bytes]:
    """C-GET of what `keys` name: SOP Instance UID to the encoded data set as it came."""
    received: dict[str, bytes] = {}

    def take(event: evt.Event) -> int:
        received[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
        return 0x0000

    model = StudyRootQueryRetrieveInformationModelGet
    proposed = [(str(model), "1.2.840.10008.1.2"), *pairs]
    with _associated(server, proposed, take) as association:
        for status, _ in association.send_c_get(_identifier(keys), model):
            assert status.Status in (0x0000, 0xFF00), status
    return received


def move(server: ArchiveServer, destination: str, **keys: str) -> Dataset:
    """C-MOVE; the final response."""
    model = StudyRootQueryRetrieveInformationModelMove
    with _associated(server, [(str(model), "1.2.840.10008.1.2")]) as association:
        statuses = [status for status, _ in association.send_c_move(_identifier(keys), destination, model)]
    return statuses[-1]


def _identifier(keys: dict[str, str]) -> Dataset:
    identifier = Dataset()
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


@contextmanager
def _associated(server: ArchiveServer, pairs: Iterable[Pair], take: object = None) -> Iterator[Associated]:
    ae = AE(CALLING_AE_TITLE)
    roles = []
    for sop_class_uid, syntax in dict.fromkeys(pairs):
        ae.add_requested_context(sop_class_uid, syntax)
        if take is not None and sop_class_uid not in MODELS:
            roles.append(build_role(sop_class_uid, scp_role=True))
    handlers = [(evt.EVT_C_STORE, take)] if take is not None else []
    association = ae.associate(
        "127.0.0.1", server.dimse_port, ae_title=server.ae_title, ext_neg=roles, evt_handlers=handlers
    )
    assert association.is_established
    try:
        yield association
    finally:
        association.release()
