"""C-MOVE and C-GET end to end: the bytes that were stored, right counts, and no failure that ends the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import C_GET, C_MOVE, C_STORE

from archive.network.association import Association
from archive.network.commands import request_of, response_to
from archive.network.requestor import Proposal
from door import AE_TITLE, Door, cancel, context_id, keep, open_door, response
from identifiers import data_set, encoded
from objects import ct, mr, new_uid, secondary_capture, series
from receivers import dead_port, receiver

MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_GET = "1.2.840.10008.5.1.4.1.2.1.3"

CT = (CTImageStorage, [ExplicitVRLittleEndian])
MR = (MRImageStorage, [ExplicitVRLittleEndian])
STUDY = "1.2.3.4"
BY_STUDY = data_set("STUDY", StudyInstanceUID=STUDY)


def small(make: Callable[..., Dataset], **keywords: Any) -> Dataset:
    return make(**{"Rows": 8, "Columns": 8, "PixelData": bytes(128), "StudyInstanceUID": STUDY, **keywords})


def filled(door: Door) -> dict[str, bytes]:
    """One study with two CT and one MR instance; the bytes by SOP Instance UID."""
    made = [small(ct), small(ct), small(mr)]
    keep(door, small(ct, StudyInstanceUID="1.2.3.5", PatientID="ANOTHER"))
    return dict(zip([str(one.SOPInstanceUID) for one in made], keep(door, *made), strict=True))


def move(
    door: Door, identifier: Dataset, destination: str = "RECEIVER", root: str = MOVE, **options: Any
) -> list[tuple[Dataset, Dataset | None]]:
    """All responses of a C-MOVE by pynetdicom."""
    association = door.associate([(root, [ImplicitVRLittleEndian])])
    try:
        return list(association.send_c_move(identifier, destination, root, **options))
    finally:
        association.release()


def counts(status: Dataset) -> tuple[Any, ...]:
    """Completed, failed and warning sub-operations; remaining has to be absent."""
    assert "NumberOfRemainingSuboperations" not in status
    return (
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    )


def failed(identifier: Dataset | None) -> set[str]:
    """The UIDs of a Failed SOP Instance UID List."""
    if identifier is None or "FailedSOPInstanceUIDList" not in identifier:
        return set()
    value = identifier.FailedSOPInstanceUIDList
    return {str(value)} if isinstance(value, str) else {str(uid) for uid in value}


def test_move_passes_stored_bytes_through(door: Door) -> None:
    sent = filled(door)
    with receiver([CT, MR]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        responses = move(door, BY_STUDY, msg_id=7, priority=1)
    final, identifier = responses[-1]
    assert (final.Status, counts(final), failed(identifier)) == (0, (3, 0, 0), set())
    assert all(status.Status == 0xFF00 for status, _ in responses[:-1])
    assert responses[0][0].NumberOfRemainingSuboperations == 3
    assert received.by_uid == sent
    requests = [request for *_, request in received.objects]
    assert {one.MoveOriginatorApplicationEntityTitle for one in requests} == {"WORKSTATION"}
    assert {(one.MoveOriginatorMessageID, one.Priority) for one in requests} == {(7, 1)}


@pytest.mark.parametrize(
    ("root", "level", "expected"),
    [(PATIENT_MOVE, "PATIENT", 3), (MOVE, "STUDY", 3), (MOVE, "SERIES", 1), (MOVE, "IMAGE", 2)],
)
def test_levels_and_lists(door: Door, root: str, level: str, expected: int) -> None:
    made = [small(ct, PatientID="P9"), small(ct, PatientID="P9"), small(mr, PatientID="P9")]
    keep(door, *made, small(ct, StudyInstanceUID=new_uid()))
    keys: dict[str, Any] = {
        "PATIENT": {"PatientID": "P9"},
        "STUDY": {"StudyInstanceUID": [STUDY, "1.9.9"]},
        "SERIES": {"StudyInstanceUID": STUDY, "SeriesInstanceUID": made[2].SeriesInstanceUID},
        "IMAGE": {"SOPInstanceUID": [made[0].SOPInstanceUID, made[1].SOPInstanceUID]},
    }[level]
    with receiver([CT, MR]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        final, _ = move(door, data_set(level, **keys), root=root)[-1]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0, expected)
    assert len(received.objects) == expected


def test_unknown_destination_is_never_connected_to(door: Door) -> None:
    filled(door)
    ((status, _),) = move(door, BY_STUDY, "NOWHERE")
    assert status.Status == 0xA801
    assert "archive ae add" in status.ErrorComment or status.ErrorComment


def test_dead_destination(door: Door) -> None:
    sent = filled(door)
    door.archive.ae_titles.add("DEAD", "127.0.0.1", dead_port())
    final, identifier = move(door, BY_STUDY, "DEAD")[-1]
    assert (final.Status, counts(final)) == (0xA702, (0, 3, 0))
    assert "no connection" in final.ErrorComment
    assert failed(identifier) == set(sent)


def test_nothing_to_move(door: Door) -> None:
    door.archive.ae_titles.add("DEAD", "127.0.0.1", dead_port())
    ((status, identifier),) = move(door, data_set("STUDY", StudyInstanceUID="1.9.9"), "DEAD")
    assert (status.Status, counts(status), identifier) == (0, (0, 0, 0), None)


def test_a_class_that_the_destination_does_not_take(door: Door) -> None:
    sent = filled(door)
    (mr_uid,) = (uid for uid, one in door.stored().items() if one.SOPClassUID == MRImageStorage)
    with receiver([CT]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        final, identifier = move(door, BY_STUDY)[-1]
    assert (final.Status, counts(final)) == (0xB000, (2, 1, 0))
    assert failed(identifier) == {mr_uid}
    assert set(received.by_uid) == set(sent) - {mr_uid}


def test_a_destination_that_refuses_and_warns(door: Door) -> None:
    sent = filled(door)
    refused, warned, _ = sorted(sent)

    def answer(event: evt.Event) -> int:
        return {refused: 0xA700, warned: 0xB000}.get(event.request.AffectedSOPInstanceUID, 0)

    with receiver([CT, MR], answer) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        final, identifier = move(door, BY_STUDY)[-1]
    assert (final.Status, counts(final)) == (0xB000, (1, 1, 1))
    assert failed(identifier) == {refused}


@pytest.mark.parametrize(
    "asked",
    [data_set("STUDY"), data_set("STUDY", StudyInstanceUID="*"), data_set(None, StudyInstanceUID="1.2")],
)
def test_identifiers_that_name_nothing(door: Door, asked: Dataset) -> None:
    filled(door)
    with receiver([CT, MR]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        ((status, _),) = move(door, asked)
    assert status.Status == 0xA900
    assert received.associations == 0


def test_cancel_of_a_move(door: Door) -> None:
    keep(door, *(small(ct) for _ in range(20)))
    cancel_is_sent = threading.Event()

    def answer(event: evt.Event) -> int:
        assert cancel_is_sent.wait(10)
        return 0

    with receiver([CT], answer) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        with door.open(Proposal(MOVE, (ImplicitVRLittleEndian,))) as association:
            context = context_id(association, MOVE)
            request = request_of(
                C_MOVE, MessageID=3, AffectedSOPClassUID=MOVE, Priority=0, MoveDestination="RECEIVER"
            )
            association.send(context, request, [encoded(BY_STUDY, implicit=True)])
            cancel(association, context, 3)
            cancel_is_sent.set()
            final = last_response(association)
    assert final.Status == 0xFE00
    done = final.NumberOfCompletedSuboperations
    assert done + final.NumberOfRemainingSuboperations == 20
    assert done == len(received.objects) < 20


def last_response(association: Association) -> Any:
    """The response that is not pending."""
    while (command := response(association).command).Status == 0xFF00:
        pass
    return command


# --- C-GET


@pytest.fixture
def getter(
    door: Door,
) -> Callable[..., Any]:
    """A function that gets by pynetdicom and returns the responses and the bytes that came."""

    def get(
        identifier: Dataset,
        contexts: list[tuple[str, list[str]]],
        root: str = GET,
        answer: Callable[[evt.Event], int] = lambda event: 0,
    ) -> tuple[list[tuple[Dataset, Dataset | None]], dict[str, bytes]]:
        came: dict[str, bytes] = {}

        def on_store(event: evt.Event) -> int:
            came[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
            return answer(event)

        ae = AE("WORKSTATION")
        ae.add_requested_context(root, ExplicitVRLittleEndian)
        for abstract, transfers in contexts:
            ae.add_requested_context(abstract, transfers)
        association = ae.associate(
            "127.0.0.1",
            door.port,
            ae_title=AE_TITLE,
            ext_neg=[build_role(abstract, scp_role=True) for abstract in {one for one, _ in contexts}],
            evt_handlers=[(evt.EVT_C_STORE, on_store)],
        )
        assert association.is_established
        responses = list(association.send_c_get(identifier, root))
        association.release()
        return responses, came

    return get


def test_get_passes_stored_bytes_through(door: Door, getter: Any) -> None:
    sent = filled(door)
    responses, came = getter(BY_STUDY, [CT, MR])
    final, identifier = responses[-1]
    assert (final.Status, counts(final), failed(identifier)) == (0, (3, 0, 0), set())
    assert came == sent


def test_get_in_the_patient_root(door: Door, getter: Any) -> None:
    made = small(ct, PatientID="P9")
    (data,) = keep(door, made)
    responses, came = getter(data_set("PATIENT", PatientID="P9"), [CT], PATIENT_GET)
    assert responses[-1][0].Status == 0
    assert came == {made.SOPInstanceUID: data}


def test_get_chooses_among_several_contexts_of_a_class(door: Door, getter: Any) -> None:
    explicit, implicit = small(ct), small(ct)
    keep(door, explicit)
    keep(door, implicit, transfer_syntax=ImplicitVRLittleEndian)
    two = [(CTImageStorage, [ImplicitVRLittleEndian]), (CTImageStorage, [ExplicitVRLittleEndian])]
    responses, came = getter(BY_STUDY, two)
    assert responses[-1][0].Status == 0
    assert came == {uid: door.data_set(uid) for uid in door.stored()}


def test_get_of_what_was_not_negotiated(door: Door, getter: Any) -> None:
    filled(door)
    (mr_uid,) = (uid for uid, one in door.stored().items() if one.SOPClassUID == MRImageStorage)
    responses, came = getter(BY_STUDY, [CT])
    final, identifier = responses[-1]
    assert (final.Status, counts(final)) == (0xB000, (2, 1, 0))
    assert failed(identifier) == {mr_uid}
    assert mr_uid not in came


def test_get_with_nothing_acceptable(door: Door, getter: Any) -> None:
    sent = filled(door)
    responses, came = getter(BY_STUDY, [(SecondaryCaptureImageStorage, [ExplicitVRLittleEndian])])
    final, identifier = responses[-1]
    assert (final.Status, counts(final), failed(identifier)) == (0xA702, (0, 3, 0), set(sent))
    assert came == {}


def test_get_goes_on_after_a_refusal(door: Door, getter: Any) -> None:
    sent = filled(door)
    refused = sorted(sent)[0]
    responses, came = getter(
        BY_STUDY, [CT, MR], answer=lambda event: 0xA700 * (event.request.AffectedSOPInstanceUID == refused)
    )
    final, identifier = responses[-1]
    assert (final.Status, counts(final), failed(identifier)) == (0xB000, (2, 1, 0), {refused})
    assert set(came) == set(sent)


def test_get_of_nothing(door: Door, getter: Any) -> None:
    ((status, _),), _ = getter(data_set("STUDY", StudyInstanceUID="1.9.9"), [CT])
    assert (status.Status, counts(status)) == (0, (0, 0, 0))


def test_cancel_of_a_get(door: Door) -> None:
    keep(door, *(small(ct) for _ in range(5)))
    proposals = Proposal(GET, (ImplicitVRLittleEndian,)), Proposal(CT[0], tuple(CT[1]), as_scp=True)
    with door.open(*proposals) as association:
        context = context_id(association, GET)
        request = request_of(C_GET, MessageID=3, AffectedSOPClassUID=GET, Priority=0)
        association.send(context, request, [encoded(BY_STUDY, implicit=True)])
        assert response(association).command.Status == 0xFF00
        store = response(association)
        assert isinstance(store.command, C_STORE)
        assert b"".join(store.data or ()) == door.data_set(store.command.AffectedSOPInstanceUID)
        cancel(association, context, 3)
        association.send(store.context.id, response_to(store.command, 0))
        final = response(association).command
    assert final.Status == 0xFE00
    assert final.NumberOfCompletedSuboperations == 1
    assert final.NumberOfRemainingSuboperations == 4


def test_failed_uids_in_explicit_vr(door: Door) -> None:
    sent = filled(door)
    with door.open(Proposal(GET, (ExplicitVRLittleEndian,))) as association:
        request = request_of(C_GET, MessageID=3, AffectedSOPClassUID=GET, Priority=0)
        association.send(context_id(association, GET), request, [encoded(BY_STUDY)])
        message = response(association)
        while message.command.Status == 0xFF00:
            message = response(association)
        identifier = read_dataset(BytesIO(b"".join(message.data or ())), False, True)
    assert failed(identifier) == set(sent)


def test_another_host_of_the_same_name_is_another_destination(tmp_path: Path) -> None:
    """A destination that changes is in effect at the next request."""
    with open_door(tmp_path / "data") as door, receiver([CT]) as first, receiver([CT]) as second:
        keep(door, *series(small_ct, 1))
        for received in (first, second):
            door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
            assert move(door, BY_STUDY)[-1][0].Status == 0
            assert len(received.objects) == 1
        door.archive.ae_titles.remove("RECEIVER")
        assert move(door, BY_STUDY)[-1][0].Status == 0xA801


def small_ct(**keywords: Any) -> Dataset:
    return small(ct, **{**keywords, "StudyInstanceUID": STUDY})


def test_secondary_captures_move_too(door: Door) -> None:
    keep(door, secondary_capture(StudyInstanceUID=STUDY), transfer_syntax=ImplicitVRLittleEndian)
    with receiver([(SecondaryCaptureImageStorage, [ImplicitVRLittleEndian])]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        assert move(door, BY_STUDY)[-1][0].Status == 0
    assert received.by_uid == {uid: door.data_set(uid) for uid in door.stored()}
