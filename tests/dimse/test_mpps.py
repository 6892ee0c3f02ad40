"""Modality Performed Procedure Step over N-CREATE and N-SET (PS3.4 F.7; dimse.md 1.5: MPPS SCP)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_CREATE, N_SET
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)

from archive.dicom.worklist import keyword_form
from archive.dimse.contexts import service
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.rules import Rules
from door import Door, context_id, response
from objects import encoded
from worklists import ended, performed, written

MPPS = str(ModalityPerformedProcedureStep)
PROPOSAL = Proposal(MPPS, (ExplicitVRLittleEndian,))


@pytest.fixture
def modality(door: Door) -> Iterator[Association]:
    """An association of a modality."""
    association = door.associate([(MPPS, [ExplicitVRLittleEndian])], ae_title="CT1")
    yield association
    association.release()


def create(modality: Association, data: Dataset, uid: str | None = None) -> tuple[str, Dataset]:
    uid = uid or generate_uid()
    status, _ = modality.send_n_create(data, MPPS, uid)
    return uid, status


def change(modality: Association, uid: str, data: Dataset) -> Dataset:
    status, _ = modality.send_n_set(data, MPPS, uid)
    return status


def kept(door: Door, uid: str) -> dict[str, Any]:
    return keyword_form.written(door.archive.performed_steps.find(uid).data_set)


def test_from_beginning_to_end(door: Door, modality: Association) -> None:
    of = written(PatientName="Müller^Jörg")
    [key] = door.archive.worklist.add(keyword_form.data_set(of), "test")
    making = performed(of, SpecificCharacterSet="ISO_IR 100")
    uid, status = create(modality, making)
    assert status.Status == 0
    assert door.archive.worklist.get(key).state == "STARTED"
    step = door.archive.performed_steps.find(uid)
    assert (step.calling_ae_title, step.status) == ("CT1", "IN PROGRESS")
    assert kept(door, uid)["PatientName"] == "Müller^Jörg"
    assert change(modality, uid, ended()).Status == 0
    assert door.archive.worklist.get(key).state == "COMPLETED"
    assert kept(door, uid)["PerformedSeriesSequence"][0]["SeriesInstanceUID"] == "1.2.3.4.5"


def test_the_uid_of_a_step_is_used_once(modality: Association) -> None:
    """PS3.7 C.5.7: 0111."""
    uid, _ = create(modality, performed())
    _, status = create(modality, performed(), uid)
    assert status.Status == 0x0111


@pytest.mark.parametrize(
    ("attributes", "code", "tag"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106, 0x00400252),
        ({"PerformedProcedureStepID": None}, 0x0120, 0x00400253),
        ({"PerformedStationAETitle": ""}, 0x0121, 0x00400241),
        ({"ScheduledStepAttributesSequence": []}, 0x0121, 0x00400270),
    ],
)
def test_a_beginning_that_is_none(door: Door, attributes: dict[str, Any], code: int, tag: int) -> None:
    """PS3.4 F.7.2.1.3 and PS3.7 annex C: which attribute is at fault is said. pynetdicom's SCU does not show it."""
    making = performed()
    for keyword, value in attributes.items():
        delattr(making, keyword) if value is None else setattr(making, keyword, value)
    answer = ask(door, N_CREATE, encoded(making), AffectedSOPClassUID=MPPS, AffectedSOPInstanceUID="1.2")
    assert answer.Status == code
    assert answer.AttributeIdentifierList == [tag]
    assert answer.ErrorComment
    assert door.archive.performed_steps.newest(10) == []


def test_an_end_that_is_none(door: Door, modality: Association) -> None:
    uid, _ = create(modality, performed())
    missing = ended()
    missing.PerformedProcedureStepEndTime = ""
    status = change(modality, uid, missing)
    assert (status.Status, status.AttributeIdentifierList) == (0x0121, 0x00400251)
    assert change(modality, uid, ended("PAUSED")).Status == 0x0106
    assert kept(door, uid)["PerformedProcedureStepStatus"] == "IN PROGRESS"


def test_nothing_is_set_after_the_end(modality: Association) -> None:
    """PS3.4 Table F.7.2-2: 0110, Error ID A710, and this comment."""
    uid, _ = create(modality, performed())
    change(modality, uid, ended("DISCONTINUED"))
    status = change(modality, uid, ended())
    assert (status.Status, status.ErrorID) == (0x0110, 0xA710)
    assert status.ErrorComment == "Performed Procedure Step Object may no longer be updated"


def test_a_step_that_nobody_created(modality: Association) -> None:
    assert change(modality, "1.2.3", ended()).Status == 0x0112


def test_what_may_not_be_set_is_left_and_named(door: Door, modality: Association) -> None:
    """PS3.4 Table F.7.2-1: not allowed; PS3.7 C.4.2: 0107 with the list."""
    uid, _ = create(modality, performed())
    status = change(modality, uid, ended(PatientName="Roe^Ann", StudyID="9"))
    assert status.Status == 0x0107
    assert list(status.AttributeIdentifierList) == [0x00100010, 0x00200010]
    assert kept(door, uid)["PatientName"] == "Doe^Jane"
    assert kept(door, uid)["PerformedProcedureStepStatus"] == "COMPLETED"


def test_another_patient_is_refused(door: Door, modality: Association) -> None:
    uid, _ = create(modality, performed())
    assert change(modality, uid, ended(PatientID="P2")).Status == 0x0106
    assert kept(door, uid)["PerformedProcedureStepStatus"] == "IN PROGRESS"


def ask(
    door: Door, kind: type[Any], data: bytes | None, syntax: str = ExplicitVRLittleEndian, **values: Any
) -> Any:
    """A request as it is, however wrong; the response."""
    with door.open(Proposal(MPPS, (syntax,))) as association:
        context = context_id(association, MPPS)
        association.send(context, request_of(kind, MessageID=3, **values), None if data is None else [data])
        return response(association).command


def test_without_a_uid_the_archive_gives_one(door: Door) -> None:
    """PS3.7 10.1.5.1.4."""
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        data = encoded(performed(), syntax)
        answer = ask(door, N_CREATE, data, syntax, AffectedSOPClassUID=MPPS)
        assert answer.Status == 0
        assert door.archive.performed_steps.find(answer.AffectedSOPInstanceUID).status == "IN PROGRESS"


@pytest.mark.parametrize(
    ("kind", "data", "values", "code"),
    [
        (N_CREATE, b"", {"AffectedSOPClassUID": MPPS, "AffectedSOPInstanceUID": "no uid"}, 0x0117),
        (N_SET, b"", {"RequestedSOPClassUID": MPPS, "RequestedSOPInstanceUID": ""}, 0x0117),
        (N_CREATE, None, {"AffectedSOPClassUID": MPPS, "AffectedSOPInstanceUID": "1.2"}, 0x0110),
        (N_CREATE, b"junk", {"AffectedSOPClassUID": MPPS, "AffectedSOPInstanceUID": "1.2"}, 0x0110),
        (N_CREATE, b"", {"AffectedSOPClassUID": "1.2.3", "AffectedSOPInstanceUID": "1.2"}, 0x0118),
        (N_SET, b"", {"RequestedSOPClassUID": "1.2.3", "RequestedSOPInstanceUID": "1.2"}, 0x0118),
    ],
)
def test_requests_that_are_none(
    door: Door, kind: type[Any], data: bytes | None, values: dict[str, str], code: int
) -> None:
    assert ask(door, kind, data, **values).Status == code


def test_a_right_of_its_own(door: Door, modality: Association) -> None:
    """Taken away while the association runs: the next request gets 0124."""
    door.archive.ae_titles.add("CT1", "127.0.0.1", 104)
    again = door.associate([(MPPS, [ExplicitVRLittleEndian])], ae_title="CT1")
    uid, status = create(again, performed())
    assert status.Status == 0
    door.archive.ae_titles.add("CT1", "127.0.0.1", 104, Rules(operations=ALL_OPERATIONS - {Operation.MPPS}))
    import time

    until = time.monotonic() + 10
    code = 0
    while code != 0x0124 and time.monotonic() < until:
        code = change(again, uid, ended("IN PROGRESS")).Status
    again.release()
    assert code == 0x0124


def test_the_other_two_classes_are_not_served() -> None:
    """Retrieve (F.8) and Notification (F.9)."""
    assert service(ModalityPerformedProcedureStepRetrieve) is None
    assert service(ModalityPerformedProcedureStepNotification) is None
