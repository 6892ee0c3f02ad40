"""Storage commitment push model as SCP: the request, and its result on the association that asked or on one of ours
(PS3.4 J.3; dimse.md 1.5 rows 1 to 5; trap T16)."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.sop_class import StorageCommitmentPushModel

from archive.dicom.instance import Source
from archive.dicom.receiving import commitment
from archive.dicom.receiving.commitment import Reference
from archive.index.reports import Progress
from archive.network.commands import request_of, response_to
from archive.network.requestor import Proposal
from archive.security.operations import Operation
from archive.security.rules import Rules
from committing import COMMITMENT, DAYS, SECONDS, ask, report, request, run_jobs, sent, stored, until
from door import Door, open_door, response
from objects import encoded, part10, secondary_capture
from report_receivers import WELL_KNOWN, Told, action, committed, failed, listening

VERIFICATION = "1.2.840.10008.1.1"


def test_what_is_stored_is_promised_on_the_association_that_asked(prompt: Door) -> None:
    references, uid, told = stored(prompt, 3), new_uid(), Told()
    assert ask(prompt, action(uid, *references), told) == 0
    [(event_type, information, _)] = told.reports
    assert event_type == 1
    assert information.TransactionUID == uid
    assert information.RetrieveAETitle == "ARCHIVE"
    assert committed(information) == [instance for _, instance in references]
    assert "FailedSOPSequence" not in information
    assert report(prompt).progress is Progress.DELIVERED
    run_jobs(prompt, time.time() + DAYS)
    assert len(told.reports) == 1


def test_implicit_vr_is_spoken_as_well(prompt: Door) -> None:
    """Google's adapter needed it (healthcare-dicom-dicomweb-adapter 161)."""
    references, told = stored(prompt), Told()
    assert ask(prompt, action(new_uid(), *references), told, syntax=ImplicitVRLittleEndian) == 0
    assert committed(told.reports[0][1]) == [references[0][1]]


def test_what_is_not_safe_is_not_promised(prompt: Door) -> None:
    """0112, 0119 and 0110 of PS3.3 C.14.1.1; the bytes are read again, whatever the index says."""
    good, damaged, other = stored(prompt, 3)
    path = prompt.data / "objects" / prompt.stored()[damaged[1]].blob_key
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    absent, wrong = (good[0], new_uid()), ("1.2.840.10008.5.1.4.1.1.4", other[1])
    told = Told()
    assert ask(prompt, action(new_uid(), good, damaged, absent, wrong), told) == 0
    event_type, information, _ = told.reports[0]
    assert event_type == 2
    assert committed(information) == [good[1]]
    assert failed(information) == {damaged[1]: 0x0110, absent[1]: 0x0112, other[1]: 0x0119}
    asked = [Reference(*each) for each in (good, damaged, absent, wrong)]
    verdicts = prompt.archive.commitment.request(new_uid(), asked, Source("DICOMweb")) or ()
    assert [one.failure_reason for one in verdicts] == [0, 0x0110, 0x0112, 0x0119], "as over HTTP"


def test_late_instances_are_waited_for(patient: Door) -> None:
    """What the requestor stores after its request, on the same association, belongs to the result."""
    early, late = stored(patient)[0], secondary_capture()
    told = Told()
    association = patient.associate(
        [
            (StorageCommitmentPushModel, [ExplicitVRLittleEndian]),
            (late.SOPClassUID, [ExplicitVRLittleEndian]),
        ],
        ae_title="MODALITY",
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, told.handler(lambda event: 0))],
    )
    asked = action(new_uid(), early, (late.SOPClassUID, late.SOPInstanceUID))
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, WELL_KNOWN)
    assert status.Status == 0
    until(lambda: report(patient).checked == 1)
    run_jobs(patient, time.time() + 10)
    assert report(patient).checked == 1
    assert not told.reports
    assert association.send_c_store(_readable(late)).Status == 0
    run_jobs(patient, time.time() + 20)
    assert told.came.wait(SECONDS)
    association.release()
    assert told.reports[0][0] == 1
    assert committed(told.reports[0][1]) == [early[1], late.SOPInstanceUID]


def _readable(data_set: Dataset) -> Dataset:
    return dcmread(BytesIO(part10(data_set)))


def test_late_instances_are_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_door(tmp_path / "data", dimse__commitment_wait=60) as door:
        absent = ("1.2.840.10008.5.1.4.1.1.7", new_uid())
        assert ask(door, action(new_uid(), absent)) == 0
        run_jobs(door)
        assert not report(door).finished
        monkeypatch.setattr(time, "time", lambda now=time.time: now() + 61)
        run_jobs(door)
        assert report(door).failed == 1


GOOD = action("2.25.1", ("1.2.840.10008.5.1.4.1.1.7", "2.25.2"))


def without(*keywords: str) -> Dataset:
    made = Dataset()
    made.update({element.tag: element for element in GOOD if element.keyword not in keywords})
    return made


def half_named() -> Dataset:
    made = action("2.25.1", ("1.2.840.10008.5.1.4.1.1.7", "2.25.2"))
    del made.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    return made


@pytest.mark.parametrize(
    ("asked", "values", "status"),
    [
        (GOOD, {"RequestedSOPClassUID": "1.2.840.10008.1.20.2"}, 0x0118),
        (GOOD, {"RequestedSOPInstanceUID": "1.2.840.10008.1.20.1.2"}, 0x0112),
        (GOOD, {"RequestedSOPInstanceUID": None}, 0x0112),
        (GOOD, {"RequestedSOPInstanceUID": "1.2.x"}, 0x0117),
        (GOOD, {"ActionTypeID": 2}, 0x0123),
        (GOOD, {"ActionTypeID": None}, 0x0123),
        (None, {}, 0x0115),
        (without("TransactionUID"), {}, 0x0115),
        (without("ReferencedSOPSequence"), {}, 0x0115),
        (action("2.25.1"), {}, 0x0115),
        (encoded(GOOD).replace(b"2.25.1", b"no uid"), {}, 0x0115),
        (half_named(), {}, 0x0115),
    ],
)
def test_requests_that_are_none(
    prompt: Door, asked: Dataset | bytes | None, values: dict[str, Any], status: int
) -> None:
    """The statuses of PS3.7 10.1.4.1.10; nothing is entered, and the association goes on. An empty request must not
    set off anything (dcm4chee-arc-light 3660)."""
    with prompt.open(COMMITMENT) as association:
        answered = sent(association, asked, **values)
        assert answered.Status == status
        assert answered.ErrorComment
        assert prompt.archive.reports.newest() == []
        assert sent(association, GOOD).Status == 0


def test_too_much_at_once_is_refused(prompt: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """0213, resource limitation."""
    monkeypatch.setattr(commitment, "MAXIMUM_REFERENCES", 2)
    with prompt.open(COMMITMENT) as association:
        assert sent(association, action("2.25.1", *[("1.2", "1.3")] * 3)).Status == 0x0213
        assert sent(association, action("2.25.1", *[("1.2", "1.3")] * 2)).Status == 0


def test_what_is_broken_is_refused(prompt: Door) -> None:
    with prompt.open(COMMITMENT) as association:
        command, data = request(GOOD)
        assert data is not None
        association.send(next(iter(association.contexts)), command, [data[0][:-3]])
        assert response(association).command.Status == 0x0115


def test_other_operations_do_not_belong_there(prompt: Door) -> None:
    with prompt.open(COMMITMENT) as association:
        echo = request_of(C_ECHO, MessageID=1, AffectedSOPClassUID=StorageCommitmentPushModel)
        association.send(next(iter(association.contexts)), echo)
        assert response(association).command.Status == 0x0122


def test_a_transaction_uid_is_used_once(prompt: Door) -> None:
    """PS3.4 J.3.3.1.2: not for other transactions. The same request again is the same transaction while its requestor
    has not been told; afterwards it is not."""
    uid, first, other = new_uid(), *stored(prompt, 2)
    assert ask(prompt, action(uid, first)) == 0
    assert ask(prompt, action(uid, first)) == 0
    assert ask(prompt, action(uid, other)) == 0x0115
    assert ask(prompt, action(uid, first), title="STRANGER") == 0x0115
    with listening() as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt)
        assert len(told.reports) == 1
        assert report(prompt).progress is Progress.DELIVERED
        assert ask(prompt, action(uid, first)) == 0x0115


def test_the_same_request_is_checked_anew(prompt: Door) -> None:
    """What was true when it came first may not be when it comes again."""
    uid, one = new_uid(), stored(prompt)[0]
    assert ask(prompt, action(uid, one)) == 0
    run_jobs(prompt)
    assert report(prompt).finished
    path = prompt.data / "objects" / prompt.stored()[one[1]].blob_key
    path.chmod(0o600)
    path.write_bytes(b"x" * path.stat().st_size)
    told = Told()
    assert ask(prompt, action(uid, one), told) == 0
    assert failed(told.reports[0][1]) == {one[1]: 0x0110}


@pytest.mark.parametrize("manner", ["fails", "aborts"])
def test_who_cannot_be_told_there_is_told_elsewhere(prompt: Door, manner: str) -> None:
    """An SCU that does not know reports on its own association says so, or aborts."""

    def answer(event: evt.Event) -> int:
        if manner == "aborts":
            event.assoc.abort()
        return 0x0211

    one, here = stored(prompt)[0], Told()
    with listening() as there:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", there.port)
        association = prompt.associate(
            [(StorageCommitmentPushModel, [ExplicitVRLittleEndian])],
            ae_title="MODALITY",
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, here.handler(answer))],
        )
        asked = action(new_uid(), one)
        association.send_n_action(asked, 1, StorageCommitmentPushModel, WELL_KNOWN)
        assert here.came.wait(SECONDS)
        until(lambda: report(prompt).scheduled)
        run_jobs(prompt)
        association.release()
        assert [kind for kind, _, _ in there.reports] == [1]


def test_requests_come_between_a_report_and_its_answer(prompt: Door) -> None:
    """Each side may have one operation under way (PS3.7 D.3.3.3): the requestor's go on meanwhile."""
    one = stored(prompt)[0]
    verification = Proposal(VERIFICATION, (ImplicitVRLittleEndian,))
    with prompt.open(COMMITMENT, verification, calling_ae_title="MODALITY") as association:
        assert sent(association, action(new_uid(), one)).Status == 0
        event = response(association)
        assert event.command.EventTypeID == 1
        echo = request_of(C_ECHO, MessageID=9, AffectedSOPClassUID=VERIFICATION)
        context = next(c.id for c in association.contexts.values() if c.abstract_syntax == VERIFICATION)
        association.send(context, echo)
        assert response(association).command.MessageIDBeingRespondedTo == 9
        assert report(prompt).progress is Progress.WAITING
        association.send(event.context.id, response_to(event.command, 0))
        until(lambda: report(prompt).progress is Progress.DELIVERED)


def test_two_results_are_told_one_after_the_other(prompt: Door) -> None:
    first, second = stored(prompt, 2)
    with prompt.open(COMMITMENT) as association:
        for number, one in enumerate((first, second)):
            assert sent(association, action(new_uid(), one), MessageID=number + 1).Status == 0
        event = response(association)
        assert not association.arriving(0.3), "one at a time"
        association.send(event.context.id, response_to(event.command, 0))
        event = response(association)
        association.send(event.context.id, response_to(event.command, 0))
        until(lambda: {one.progress for one in prompt.archive.reports.newest()} == {Progress.DELIVERED})


def test_who_does_not_answer_is_told_elsewhere(tmp_path: Path, hurry: None) -> None:
    with open_door(tmp_path / "data", dimse__response_deadline=1) as door:
        one = stored(door)[0]
        with door.open(COMMITMENT) as association:
            assert sent(association, action(new_uid(), one)).Status == 0
            response(association)
            until(lambda: report(door).scheduled)


def test_who_has_no_right_is_refused(prompt: Door) -> None:
    """In the negotiation, and when the right was taken since (0124)."""
    titles, local = prompt.archive.ae_titles, "127.0.0.1"
    titles.add("MODALITY", local, 104, Rules(operations=frozenset({Operation.COMMIT})))
    with prompt.open(COMMITMENT, calling_ae_title="MODALITY") as association:
        titles.add("MODALITY", local, 104, Rules(operations=frozenset({Operation.STORE})))
        until(lambda: sent(association, action(new_uid(), ("1.2", "1.3"))).Status == 0x0124)
    with prompt.open(COMMITMENT, calling_ae_title="MODALITY") as association:
        assert not association.contexts
