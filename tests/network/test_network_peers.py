"""Associations with real implementations at the other end: pynetdicom's AE and DCMTK, in both roles."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from archive.dicom.errors import AssociationAborted, AssociationRejected, CallerRefused, PeerUnreachable
from archive.network.association import Association, Limits
from archive.network.commands import response_to
from archive.network.requestor import Proposal, open_association
from archive.network.transport import Deadlines
from association_peers import (
    EXPLICIT,
    IMPLICIT,
    MR_IMAGE_STORAGE,
    PATIENCE,
    VERIFICATION,
    Server,
    store_request,
)
from objects import encoded, mr, part10

SIZES = [0, 2, 4086, 4090, 16376, 16378, 16380, 131072, 262138, 262144, 3_000_000]


def echo_request() -> C_ECHO:
    primitive = C_ECHO()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = VERIFICATION
    return primitive


def dcmtk(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} of DCMTK is not installed")
    return path


@pytest.fixture
def store_scp() -> Iterator[Callable[..., tuple[int, list[Any]]]]:
    """pynetdicom as Storage and Verification SCP: `store_scp(maximum_pdu_size)` gives its port and what it got."""
    running = []

    def start(maximum_pdu_size: int = 16382) -> tuple[int, list[Any]]:
        got: list[Any] = []

        def on_store(event: evt.Event) -> int:
            got.append((event.request.AffectedSOPInstanceUID, event.request.DataSet.getvalue()))
            return 0

        ae = AE("PEER")
        ae.maximum_pdu_size = maximum_pdu_size
        ae.add_supported_context(VERIFICATION)
        ae.add_supported_context(MR_IMAGE_STORAGE, [EXPLICIT, IMPLICIT])
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
        running.append(server)
        return server.socket.getsockname()[1], got

    yield start
    for server in running:
        server.shutdown()


def open_to(port: int, *contexts: Proposal, **more: Any) -> Association:
    return open_association(
        "127.0.0.1",
        port,
        calling_ae_title="ARCHIVE",
        called_ae_title="PEER",
        contexts=contexts
        or (Proposal(VERIFICATION, (IMPLICIT,)), Proposal(MR_IMAGE_STORAGE, (EXPLICIT, IMPLICIT))),
        **more,
    )


def test_pynetdicom_echoes_and_stores_objects_of_many_sizes(serving: Callable[..., Server]) -> None:
    server = serving()
    ae = AE("SENDER")
    ae.add_requested_context(VERIFICATION)
    ae.add_requested_context(MR_IMAGE_STORAGE, EXPLICIT)
    association = ae.associate("127.0.0.1", server.port, ae_title="ARCHIVE")
    assert association.is_established
    assert association.send_c_echo().Status == 0
    files = [part10(mr(PixelData=bytes(size)), EXPLICIT) for size in SIZES]
    assert [association.send_c_store(dcmread(BytesIO(file))).Status for file in files] == [0] * len(SIZES)
    association.release()
    for file in files:
        uid, data_set = server.stored.get(timeout=PATIENCE)
        assert uid == dcmread(BytesIO(file)).SOPInstanceUID
        assert file.endswith(data_set)
    assert server.endings.get(timeout=PATIENCE) == "released"


@pytest.mark.parametrize("maximum", [4096, 16382, 0])
def test_we_send_objects_of_many_sizes_to_pynetdicom(store_scp: Callable[..., Any], maximum: int) -> None:
    port, got = store_scp(maximum)
    # pynetdicom takes a message without data set bytes for one that is not finished
    objects = [
        (f"1.2.{size}", bytes(range(256)) * (size // 256) + bytes(size % 256)) for size in SIZES if size
    ]
    with open_to(port) as association:
        for uid, encoded in objects:
            pieces = [encoded[start : start + 10_000] for start in range(0, len(encoded), 10_000)]
            association.send(3, store_request(uid=uid), iter(pieces))
            answer = association.receive()
            assert answer is not None
            assert answer.command.Status == 0
        association.send(1, echo_request())
        echoed = association.receive()
        assert echoed is not None
        assert (echoed.command.MessageIDBeingRespondedTo, echoed.data) == (7, None)
    assert got == objects


def test_contexts_and_roles_as_requestor(store_scp: Callable[..., Any]) -> None:
    port, _ = store_scp()
    with open_to(
        port,
        Proposal("1.2.3.4", (IMPLICIT,)),
        Proposal(MR_IMAGE_STORAGE, (EXPLICIT,)),
        Proposal(VERIFICATION, ("1.9",)),
    ) as association:
        (context,) = association.contexts.values()
    assert (context.id, context.transfer_syntax, context.as_scu, context.as_scp) == (3, EXPLICIT, True, False)


def test_a_rejection_carries_its_three_numbers(serving: Callable[..., Server]) -> None:
    server = serving()
    server.policy.refused["PEER"] = CallerRefused("called AE title not recognized", 1, 1, 7)
    with pytest.raises(AssociationRejected) as caught:
        open_to(server.port)
    assert (caught.value.result, caught.value.source, caught.value.diagnostic) == (1, 1, 7)


def test_nobody_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(PeerUnreachable):
        open_to(port)


def test_a_peer_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(PeerUnreachable):
        open_to(silent.getsockname()[1], deadlines=Deadlines(association=0.05, linger=0.05))


def test_the_storage_sub_operations_of_c_get(serving: Callable[..., Server]) -> None:
    """The requestor proposes the SCP role (PS3.4 C.4.3.1.4); we send C-STORE-RQ within its C-GET."""
    roles = []

    def handle(association: Association) -> None:
        get = association.receive()
        assert get is not None
        b"".join(get.data or ())
        storage = next(c for c in association.contexts.values() if c.abstract_syntax == MR_IMAGE_STORAGE)
        roles.append((storage.as_scu, storage.as_scp))
        association.send(storage.id, store_request(uid="1.2.9"), [encoded_mr()])
        answer = association.receive()
        assert answer is not None
        assert answer.command.Status == 0
        association.send(get.context.id, response_to(get.command, 0, NumberOfCompletedSuboperations=1))
        assert association.receive() is None

    server = serving(handle)
    ae = AE("GETTER")
    ae.add_requested_context("1.2.840.10008.5.1.4.1.2.2.3")
    ae.add_requested_context(MR_IMAGE_STORAGE, EXPLICIT)
    got = []
    association = ae.associate(
        "127.0.0.1",
        server.port,
        ext_neg=[build_role(MR_IMAGE_STORAGE, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, lambda event: got.append(event.dataset.Modality) or 0)],
    )
    statuses = [
        status.Status
        for status, _ in association.send_c_get(mr(PixelData=None), "1.2.840.10008.5.1.4.1.2.2.3")
    ]
    association.release()
    assert server.endings.get(timeout=PATIENCE) == "released"
    assert (statuses, got, roles) == ([0], ["MR"], [(True, False)])


def encoded_mr() -> bytes:
    return encoded(mr(PixelData=bytes(40_000)), EXPLICIT)


def test_c_cancel_is_seen_while_an_operation_runs(serving: Callable[..., Server]) -> None:
    asked = threading.Event()
    seen = []

    def handle(association: Association) -> None:
        find = association.receive()
        assert find is not None
        b"".join(find.data or ())
        seen.append(association.cancelled(find.command.MessageID))
        association.send(find.context.id, response_to(find.command, 0xFF00), [b""])
        asked.wait(PATIENCE)
        patience = time.monotonic() + PATIENCE
        while not association.cancelled(find.command.MessageID):
            assert time.monotonic() < patience
        association.send(find.context.id, response_to(find.command, 0xFE00))
        assert association.receive() is None

    server = serving(handle)
    ae = AE("FINDER")
    model = "1.2.840.10008.5.1.4.1.2.2.1"
    ae.add_requested_context(model)
    association = ae.associate("127.0.0.1", server.port)
    answers = association.send_c_find(mr(PixelData=None), model, msg_id=5)
    first = next(answers)[0].Status
    association.send_c_cancel(5, query_model=model)
    asked.set()
    rest = [status.Status for status, _ in answers]
    association.release()
    assert server.endings.get(timeout=PATIENCE) == "released"
    assert (seen, first, rest) == ([False], 0xFF00, [0xFE00])


def test_async_operations_window_is_answered_one_one(serving: Callable[..., Server]) -> None:
    server = serving()
    ae = AE("ASYNC")
    ae.add_requested_context(VERIFICATION)
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 0
    window.maximum_number_operations_performed = 0
    association = ae.associate("127.0.0.1", server.port, ext_neg=[window])
    assert association.acceptor.asynchronous_operations == (1, 1)
    association.release()


def test_an_exception_from_the_data_aborts_and_passes(store_scp: Callable[..., Any]) -> None:
    port, got = store_scp()

    def broken() -> Iterator[bytes]:
        yield bytes(100_000)
        raise KeyError("the store failed")

    with open_to(port) as association:
        with pytest.raises(KeyError):
            association.send(3, store_request(), broken())
        assert association.ended
        with pytest.raises(AssociationAborted):
            association.receive()
    assert got == []


def test_echoscu_and_storescu(serving: Callable[..., Server], tmp_path: Path) -> None:
    echoscu, storescu = dcmtk("echoscu"), dcmtk("storescu")
    server = serving()
    subprocess.run([echoscu, "127.0.0.1", str(server.port)], check=True, timeout=PATIENCE)
    pixels = {f"1.2.{size}": bytes([7]) * size for size in SIZES}
    for uid, pixel_data in pixels.items():
        file = part10(mr(SOPInstanceUID=uid, PixelData=pixel_data), EXPLICIT)
        (tmp_path / f"{uid}.dcm").write_bytes(file)
    command = [storescu, "-xe", "+sd", "127.0.0.1", str(server.port), str(tmp_path)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    stored = dict(server.stored.get(timeout=PATIENCE) for _ in SIZES)
    assert stored.keys() == pixels.keys()
    for uid, pixel_data in pixels.items():
        assert stored[uid].endswith(len(pixel_data).to_bytes(4, "little") + pixel_data)


def test_storescp_takes_what_we_send(tmp_path: Path) -> None:
    storescp = dcmtk("storescp")
    uids = ["1.2.1", "1.2.2", "1.2.3"]
    data_sets = [encoded(mr(SOPInstanceUID=uid, PixelData=bytes(40_000)), EXPLICIT) for uid in uids]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([storescp, "+xe", "-od", str(tmp_path), str(port)])
    try:
        with until_it_listens(port) as association:
            for uid, data_set in zip(uids, data_sets, strict=True):
                association.send(3, store_request(uid=uid), [data_set])
                answer = association.receive()
                assert answer is not None
                assert answer.command.Status == 0
    finally:
        process.terminate()
        process.wait(PATIENCE)
    files = sorted(tmp_path.iterdir(), key=lambda path: path.name)
    assert [
        len(path.read_bytes().partition(data)[1]) for path, data in zip(files, data_sets, strict=True)
    ] == [len(data) for data in data_sets]


def until_it_listens(port: int) -> Association:
    while True:
        try:
            return open_to(port, limits=Limits(maximum_pdu_length=16384))
        except PeerUnreachable:
            continue
