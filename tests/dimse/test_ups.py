"""Unified Procedure Steps over DIMSE, with pynetdicom as SCU (PS3.4 annex CC; dimse.md 1.5 UPS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_FIND, C_STORE, N_ACTION, N_CREATE, N_DELETE, N_GET, N_SET
from pynetdicom.sop_class import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

from archive.dicom.worklist import keyword_form
from archive.dimse.contexts import choose, service
from archive.dimse.extended import answer
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.security.operations import ALL_OPERATIONS, Operation
from archive.security.rules import Rules
from archive.services.workitems import FILTERED, GLOBAL
from door import Door, cancel, context_id, response
from objects import encoded
from workitem_sets import as_dataset, code, performed, workitem

PUSH, PULL = str(UnifiedProcedureStepPush), str(UnifiedProcedureStepPull)
WATCH, QUERY = str(UnifiedProcedureStepWatch), str(UnifiedProcedureStepQuery)
CLASSES = (PUSH, PULL, WATCH, QUERY)
LOCK = "1.2.840.99"


@pytest.fixture(params=[ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
def console(door: Door, request: pytest.FixtureRequest) -> Iterator[Association]:
    """An association of somebody who does everything."""
    contexts = [(uid, [request.param]) for uid in CLASSES]
    association = door.associate(contexts, ae_title="LINAC")
    yield association
    association.release()


def create(console: Association, uid: str | None = None, **said: Any) -> str:
    uid = uid or generate_uid()
    status, _ = console.send_n_create(as_dataset(workitem(**said)), PUSH, uid)
    assert status.Status == 0
    return uid


def state(console: Association, uid: str, wanted: str, lock: str = LOCK) -> Dataset:
    data = as_dataset({"ProcedureStepState": wanted, "TransactionUID": lock})
    status, _ = console.send_n_action(data, 1, PUSH, uid, meta_uid=PULL)
    return status


def change(console: Association, uid: str, **said: Any) -> Dataset:
    status, _ = console.send_n_set(as_dataset(said), PUSH, uid, meta_uid=PULL)
    return status


def act(console: Association, action: int, uid: str, context: str = WATCH, **said: Any) -> int:
    status, _ = console.send_n_action(as_dataset(said) if said else None, action, PUSH, uid, meta_uid=context)
    return int(status.Status)


def shown(console: Association, uid: str, tags: list[int] | None = None, context: str = PULL) -> Dataset:
    status, found = console.send_n_get(tags, PUSH, uid, meta_uid=context)
    assert status.Status == 0
    assert found is not None
    return found


def find(console: Association, model: str = PULL, **keys: Any) -> list[Dataset]:
    answers = list(console.send_c_find(as_dataset(keys), model))
    assert answers[-1][0].Status == 0
    assert all(one.Status == 0xFF00 for one, _ in answers[:-1])
    assert all(found is not None for _, found in answers[:-1]), "pynetdicom could not read an answer"
    return [found for _, found in answers[:-1] if found is not None]


def test_from_beginning_to_end(console: Association, door: Door) -> None:
    """Push, pull, complete: in both transfer syntaxes."""
    uid = create(console, PatientName="Müller^Jörg", ScheduledStationNameCodeSequence=[code("LINAC1")])
    [found] = find(console, SOPInstanceUID="", ProcedureStepState="SCHEDULED", PatientName="müller*")
    assert (found.SOPInstanceUID, found.ProcedureStepState) == (uid, "SCHEDULED")
    assert state(console, uid, "IN PROGRESS").Status == 0
    assert door.archive.workitems.find(uid).performer == "LINAC"
    progress = [{"ProcedureStepProgress": "50", "ProcedureStepProgressDescription": "Strahl an, größer"}]
    said = {"ProcedureStepProgressInformationSequence": progress, "TransactionUID": LOCK}
    assert change(console, uid, **said).Status == 0
    assert change(console, uid, **performed(), TransactionUID=LOCK).Status == 0
    assert state(console, uid, "COMPLETED").Status == 0
    whole = shown(console, uid)
    assert whole.ProcedureStepState == "COMPLETED"
    assert str(whole.PatientName) == "Müller^Jörg"
    item = whole.ProcedureStepProgressInformationSequence[0]
    assert item.ProcedureStepProgressDescription == "Strahl an, größer"
    assert "TransactionUID" not in whole
    again = state(console, uid, "COMPLETED")
    assert (again.Status, again.ErrorComment) == (
        0xB306,
        "the UPS is already in the requested state of COMPLETED",
    )


def test_without_a_uid_the_archive_gives_one(door: Door) -> None:
    """PS3.7 10.1.5.1.4."""
    data = encoded(as_dataset(workitem()))
    answer = ask(door, PUSH, N_CREATE, data, AffectedSOPClassUID=PUSH)
    assert answer.Status == 0
    assert door.archive.workitems.get(answer.AffectedSOPInstanceUID)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"ProcedureStepState": "IN PROGRESS"}, 0xC309),
        ({"ProcedureStepLabel": None}, 0x0120),
        ({"ProcedureStepLabel": ""}, 0x0121),
        ({"ScheduledProcedureStepPriority": "URGENT"}, 0x0106),
        ({"TransactionUID": LOCK}, 0x0106),
    ],
)
def test_a_creation_that_is_none(console: Association, said: dict[str, Any], status: int) -> None:
    """PS3.4 CC.2.5.4, 5.4.2.1."""
    uid = generate_uid()
    answer, _ = console.send_n_create(as_dataset(workitem(**said)), PUSH, uid)
    assert answer.Status == status
    assert answer.ErrorComment
    gone, _ = console.send_n_get([], PUSH, uid, meta_uid=PULL)
    assert gone.Status == 0xC307


def test_a_uid_is_used_once(console: Association) -> None:
    uid = create(console)
    for taken in (uid, GLOBAL):
        status, _ = console.send_n_create(as_dataset(workitem(PatientID="P2")), PUSH, taken)
        assert status.Status == 0x0111


def test_statuses_of_change_state(console: Association) -> None:
    """PS3.4 Table CC.2.1-2; the states are in tests/dicom/test_workitem_rules."""
    uid = create(console)
    assert state(console, uid, "COMPLETED").Status == 0xC310
    assert state(console, uid, "IN PROGRESS", "").Status == 0xC301
    assert state(console, uid, "IN PROGRESS").Status == 0
    assert state(console, uid, "IN PROGRESS").Status == 0xC302
    assert state(console, uid, "IN PROGRESS", "1.2.3").Status == 0xC301
    assert state(console, uid, "SCHEDULED").Status == 0xC303
    assert state(console, uid, "COMPLETED").Status == 0xC304
    assert state(console, uid, "PAUSED").Status == 0x0115
    assert state(console, uid, "CANCELED").Status == 0
    assert state(console, uid, "CANCELED").Status == 0xB304
    assert state(console, uid, "COMPLETED").Status == 0xC300
    assert state(console, "1.2.3.4", "IN PROGRESS").Status == 0xC307
    assert state(console, GLOBAL, "IN PROGRESS").Status == 0xC314


def test_statuses_of_set(console: Association) -> None:
    """PS3.4 CC.2.6.3."""
    uid = create(console)
    assert change(console, uid, ProcedureStepLabel="Other").Status == 0
    assert change(console, uid, ProcedureStepLabel="Other", TransactionUID=LOCK).Status == 0xC310
    assert change(console, uid, PatientID="P2").Status == 0x0106
    assert change(console, uid, ProcedureStepLabel="").Status == 0x0121
    state(console, uid, "IN PROGRESS")
    assert change(console, uid, ProcedureStepState="SCHEDULED", TransactionUID=LOCK).Status == 0xC303
    assert change(console, uid, ProcedureStepLabel="x").Status == 0xC301
    assert change(console, uid, ProcedureStepLabel="x", TransactionUID="1.2").Status == 0xC301
    state(console, uid, "CANCELED")
    assert change(console, uid, ProcedureStepLabel="x", TransactionUID=LOCK).Status == 0xC300
    assert change(console, "1.2.3.4", ProcedureStepLabel="x").Status == 0xC307
    assert shown(console, uid).ProcedureStepLabel == "Other"
    assert shown(console, uid).PatientID == "P1"


@pytest.mark.parametrize("context", [PUSH, WATCH])
def test_statuses_of_request_cancel(console: Association, context: str) -> None:
    """PS3.4 Table CC.2.2-2."""
    uid = create(console)
    assert act(console, 2, uid, context, ReasonForCancellation="moved") == 0
    assert shown(console, uid).ProcedureStepState == "CANCELED"
    assert act(console, 2, uid, context) == 0xB304
    other = create(console)
    state(console, other, "IN PROGRESS")
    assert act(console, 2, other, context) == 0xC312
    change(console, other, **performed(), TransactionUID=LOCK)
    state(console, other, "COMPLETED")
    assert act(console, 2, other, context) == 0xC311
    assert act(console, 2, "1.2.3.4", context) == 0xC307


def test_statuses_of_subscribe(console: Association, door: Door) -> None:
    """PS3.4 Table CC.2.3-3."""
    uid = create(console)
    door.archive.ae_titles.add("WARD", "127.0.0.1", 1)
    subscription = {"ReceivingAE": "WARD", "DeletionLock": "TRUE"}
    assert act(console, 3, uid, **subscription) == 0
    assert act(console, 3, uid, **{**subscription, "ReceivingAE": "NOBODY"}) == 0xC308
    assert act(console, 3, uid, **{**subscription, "DeletionLock": "MAYBE"}) == 0x0115
    assert act(console, 3, uid, DeletionLock="TRUE") == 0x0115
    assert act(console, 3, "1.2.3.4", **subscription) == 0xC307
    assert act(console, 3, FILTERED, **subscription) == 0x0115
    assert act(console, 3, FILTERED, **subscription, PatientID="P*") == 0
    assert act(console, 3, GLOBAL, **subscription) == 0
    assert act(console, 5, uid, ReceivingAE="WARD") == 0xC314
    assert act(console, 5, GLOBAL, ReceivingAE="WARD") == 0
    assert act(console, 4, uid, ReceivingAE="WARD") == 0
    assert act(console, 4, uid, ReceivingAE="WARD") == 0
    assert door.archive.workitems.subscribers(uid) == []


def test_a_filter_in_a_sequence(console: Association, door: Door) -> None:
    door.archive.ae_titles.add("WARD", "127.0.0.1", 1)
    keys = {"ScheduledWorkitemCodeSequence": [{"CodeValue": "121726"}]}
    assert act(console, 3, FILTERED, ReceivingAE="WARD", DeletionLock="FALSE", **keys) == 0
    wanted = create(console, ScheduledWorkitemCodeSequence=[code("121726")])
    other = create(console, ScheduledWorkitemCodeSequence=[code("121727")])
    assert [len(door.archive.workitems.subscribers(uid)) for uid in (wanted, other)] == [1, 0]


def test_some_attributes_are_got(console: Association) -> None:
    """PS3.4 CC.2.7: the named ones, empty where they are; never the Transaction UID."""
    uid = create(console)
    state(console, uid, "IN PROGRESS")
    found = shown(console, uid, [0x00741204, 0x00081195, 0x00404025, 0x00420011], WATCH)
    assert [element.keyword for element in found] == [
        "ScheduledStationNameCodeSequence",
        "ProcedureStepLabel",
    ]
    assert shown(console, uid, [0x00100010], PUSH).PatientName == "Doe^Jane"


@pytest.mark.parametrize("model", [PULL, WATCH, QUERY])
def test_what_is_asked_for_is_returned(console: Association, model: str) -> None:
    """PS3.4 CC.2.8."""
    late = create(console, ScheduledProcedureStepStartDateTime="20261201")
    early = create(console, ScheduledProcedureStepStartDateTime="20261101", PatientID="P2")
    keys: dict[str, Any] = {"SOPInstanceUID": "", "PatientID": "", "TransactionUID": ""}
    found = find(console, model, **keys)
    assert [one.SOPInstanceUID for one in found] == [early, late]
    assert {element.keyword for element in found[0]} == {"SOPInstanceUID", "PatientID", "TransactionUID"}
    assert not found[0].TransactionUID
    ranged = find(console, model, SOPInstanceUID="", ScheduledProcedureStepStartDateTime="20261102-20261231")
    assert [one.SOPInstanceUID for one in ranged] == [late]
    listed = Dataset()
    listed.SOPInstanceUID = [early, "1.2.3"]
    answers = [one for _, one in console.send_c_find(listed, model) if one]
    assert [one.SOPInstanceUID for one in answers] == [early]


def test_a_sequence_is_matched(console: Association) -> None:
    stations = [code("LINAC1"), code("LINAC2", "99OTHER")]
    uid = create(console, ScheduledStationNameCodeSequence=stations)
    create(console, ScheduledStationNameCodeSequence=[code("LINAC3")])
    one = {"CodeValue": "LINAC2", "CodingSchemeDesignator": "99OTHER"}
    [found] = find(console, SOPInstanceUID="", ScheduledStationNameCodeSequence=[one])
    assert found.SOPInstanceUID == uid
    mixed = {"CodeValue": "LINAC1", "CodingSchemeDesignator": "99OTHER"}
    assert find(console, SOPInstanceUID="", ScheduledStationNameCodeSequence=[mixed]) == []


def test_nobody_finds_a_workitem_by_its_lock(console: Association) -> None:
    uid = create(console)
    state(console, uid, "IN PROGRESS")
    answers = list(console.send_c_find(as_dataset({"SOPInstanceUID": "", "TransactionUID": "1.2.3"}), PULL))
    assert [status.Status for status, _ in answers] == [0xFF01, 0x0000]


def ask(door: Door, abstract: str, primitive: type[Any], data: bytes | None, **values: Any) -> Any:
    """One request, byte for byte."""
    with door.open(Proposal(abstract, (ExplicitVRLittleEndian,))) as association:
        request = request_of(primitive, MessageID=1, **values)
        association.send(context_id(association, abstract), request, None if data is None else [data])
        return response(association).command


def named(uid: str = "1.2.3", **values: Any) -> dict[str, Any]:
    return {"RequestedSOPClassUID": PUSH, "RequestedSOPInstanceUID": uid, **values}


@pytest.mark.parametrize(
    ("abstract", "primitive", "values", "status"),
    [
        (PUSH, N_SET, named(), 0x0211),
        (PUSH, C_FIND, {"AffectedSOPClassUID": PUSH, "Priority": 0}, 0x0122),
        (PULL, N_CREATE, {"AffectedSOPClassUID": PUSH, "AffectedSOPInstanceUID": "1.2.3"}, 0x0211),
        (WATCH, N_SET, named(), 0x0211),
        (QUERY, N_GET, named(), 0x0211),
        (QUERY, N_ACTION, named(ActionTypeID=1), 0x0211),
        (PUSH, N_ACTION, named(ActionTypeID=1), 0x0123),
        (PULL, N_ACTION, named(ActionTypeID=2), 0x0123),
        (WATCH, N_ACTION, named(ActionTypeID=1), 0x0123),
        (WATCH, N_ACTION, named(ActionTypeID=6), 0x0123),
        (PULL, N_ACTION, named("1.2.x", ActionTypeID=1), 0x0117),
        (PULL, N_ACTION, named("", ActionTypeID=1), 0x0117),
        (PULL, N_SET, named("1..2"), 0x0117),
        (PULL, N_GET, named("1.2." * 20), 0x0117),
        (PUSH, N_CREATE, {"AffectedSOPClassUID": PUSH, "AffectedSOPInstanceUID": "x"}, 0x0117),
        (PULL, N_GET, named(RequestedSOPClassUID="1.2.840.10008.1.1"), 0x0118),
        (PULL, N_GET, named(RequestedSOPClassUID=PULL), 0xC307),
        (PUSH, N_DELETE, named(), 0x0211),
        (
            PUSH,
            C_STORE,
            {"AffectedSOPClassUID": PUSH, "AffectedSOPInstanceUID": "1.2", "Priority": 0},
            0x0122,
        ),
    ],
)
def test_what_does_not_belong_into_its_context(
    door: Door, abstract: str, primitive: type[Any], values: dict[str, Any], status: int
) -> None:
    """PS3.4 Tables CC.2-1 to CC.2-5, CC.3.1; PS3.7 annex C."""
    data = b"" if primitive in (N_GET, N_DELETE) else encoded(as_dataset(workitem()))
    answer = ask(door, abstract, primitive, data or None, **values)
    assert answer.Status == status
    assert answer.ErrorComment


@pytest.mark.parametrize("primitive", [N_CREATE, N_SET, N_ACTION])
def test_requests_without_attributes(door: Door, primitive: type[Any]) -> None:
    context = PUSH if primitive is N_CREATE else PULL
    values = {"AffectedSOPClassUID": PUSH} if primitive is N_CREATE else named(ActionTypeID=1)
    answer = ask(door, context, primitive, None, **values)
    assert answer.Status in (0x0110, 0x0115)
    assert "attributes" in answer.ErrorComment


@pytest.mark.parametrize("broken", [b"\x10", b"\x10\0\x20\0LO\xff\xff", b"\xff" * 40])
@pytest.mark.parametrize("action", [1, 2])
def test_broken_bytes_change_nothing(door: Door, broken: bytes, action: int) -> None:
    door.archive.workitems.create("1.2.3", keyword_form.data_set(workitem()))
    answer = ask(door, PULL if action == 1 else WATCH, N_ACTION, broken, **named(ActionTypeID=action))
    assert answer.Status == 0x0115
    assert door.archive.workitems.find("1.2.3").state == "SCHEDULED"


def test_failures_of_a_query_are_those_of_queries(door: Door) -> None:
    """PS3.4 CC.2.8.4: A900, not the Invalid Argument Value of N-ACTION."""
    key = encoded(as_dataset({"PatientID": "x"})).replace(b"x ", b"\r\n")
    values = {"AffectedSOPClassUID": PULL, "Priority": 0}
    assert ask(door, PULL, C_FIND, key, **values).Status == 0xA900
    assert ask(door, PULL, C_FIND, b"\x10", **values).Status == 0xC000
    assert ask(door, PULL, C_FIND, key, **{**values, "AffectedSOPClassUID": "1.2"}).Status == 0x0122


def test_a_query_is_cancelled(door: Door) -> None:
    for number in range(5):
        door.archive.workitems.create(f"1.2.{number}", keyword_form.data_set(workitem()))
    with door.open(Proposal(PULL, (ExplicitVRLittleEndian,))) as association:
        context = context_id(association, PULL)
        request = request_of(C_FIND, MessageID=1, AffectedSOPClassUID=PULL, Priority=0)
        cancel(association, context, 1)
        association.send(context, request, [encoded(as_dataset({"PatientID": ""}))])
        cancel(association, context, 1)
        statuses = []
        while not statuses or statuses[-1] == 0xFF00:
            statuses.append(response(association).command.Status)
    assert statuses[-1] in (0x0000, 0xFE00)


def test_workitems_are_a_right_of_their_own(door: Door) -> None:
    rules = Rules(operations=ALL_OPERATIONS - {Operation.UPS})
    door.archive.ae_titles.add("WORKSTATION", "127.0.0.1", 104, rules)
    proposals = [Proposal(uid, (ExplicitVRLittleEndian,)) for uid in CLASSES]
    with door.open(*proposals, Proposal("1.2.840.10008.1.1", (ExplicitVRLittleEndian,))) as association:
        assert [one.abstract_syntax for one in association.contexts.values()] == ["1.2.840.10008.1.1"]


def test_contexts() -> None:
    assert all(service(uid) is not None for uid in CLASSES)
    assert service(str(UnifiedProcedureStepEvent)) is None
    assert choose(str(UnifiedProcedureStepEvent), (ExplicitVRLittleEndian,)) is None


def test_fuzzy_names_are_agreed_upon() -> None:
    """PS3.4 CC.3.1: as for the modality worklist."""
    assert answer(PULL, bytes((1, 1, 1, 1))) == bytes((1, 1, 1, 0))
    assert answer(PUSH, bytes((1, 1, 1, 1))) is None
