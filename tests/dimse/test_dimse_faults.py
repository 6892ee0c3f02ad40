"""Faults of our own are a status, the association goes on, and no log line names a patient (H19)."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_ECHO
from structlog.testing import capture_logs

from archive.dimse import server
from archive.dimse.exchange import Exchange
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from archive.security.operations import Operation
from door import Door, context_id, keep, response, store
from identifiers import data_set
from objects import ct, encoded
from receivers import receiver

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
CANARY = "ZZCANARY^PHI"


def test_a_fault_in_a_handler(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Exchange) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setitem(server.HANDLERS, Operation.ECHO, server.Handler(C_ECHO, broken, "query"))  # type: ignore
    with capture_logs() as logs, door.open(Proposal(VERIFICATION, (ImplicitVRLittleEndian,))) as association:
        for number in (1, 2):
            request = request_of(C_ECHO, MessageID=number, AffectedSOPClassUID=VERIFICATION)
            association.send(context_id(association, VERIFICATION), request)
            answer = response(association).command
            assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0xC000, number)
            assert CANARY not in answer.ErrorComment
    faults = [line for line in logs if line["log_level"] == "error"]
    assert [line["type"] for line in faults] == ["RuntimeError"] * 2
    assert CANARY not in str(logs)


def test_no_log_line_names_a_patient(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    made = ct(PatientName=CANARY, PatientID=CANARY)
    with capture_logs() as logs:
        keep(door, made)
        other = ct(SOPInstanceUID=made.SOPInstanceUID, PatientName=CANARY, PatientID=CANARY)
        with door.open(Proposal(CTImageStorage, (ExplicitVRLittleEndian,))) as association:
            answer = store(association, encoded(other), CTImageStorage, made.SOPInstanceUID)
            assert answer.Status == 0x0111
            assert CANARY not in answer.ErrorComment
            answer = store(association, encoded(made)[:-3], CTImageStorage, made.SOPInstanceUID)
            assert CANARY not in answer.ErrorComment
        asking = door.associate([(STUDY_ROOT, [ExplicitVRLittleEndian])])
        for asked in (
            data_set("STUDY", PatientName=CANARY, PatientID=CANARY),
            data_set("EXAM", PatientName=CANARY),
            data_set("STUDY", PatientID=[CANARY, CANARY]),
        ):
            for status, _ in asking.send_c_find(asked, STUDY_ROOT):
                assert CANARY not in status.get("ErrorComment", "")
        asking.release()
    said = capfd.readouterr()
    assert CANARY not in str(logs) + said.out + said.err
    assert {line["event"] for line in logs} >= {"C-STORE", "C-FIND"}


def test_what_a_receiver_says_is_passed_on_and_not_logged(door: Door) -> None:
    def refuses(_: evt.Event) -> Any:
        answer = Dataset()
        answer.Status, answer.ErrorComment = 0xA700, CANARY
        return answer

    made = ct()
    keep(door, made)
    with capture_logs() as logs, receiver([(CTImageStorage, [ExplicitVRLittleEndian])], refuses) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        asking = door.associate([(STUDY_MOVE, [ImplicitVRLittleEndian])])
        asked = data_set("STUDY", StudyInstanceUID=made.StudyInstanceUID)
        *_, (final, _) = asking.send_c_move(asked, "RECEIVER", STUDY_MOVE)
        asking.release()
    assert (final.Status, final.ErrorComment) == (0xA702, CANARY)
    assert CANARY not in str(logs)
    (line,) = (line for line in logs if line["event"] == "C-MOVE")
    assert (line["status"], line["log_level"]) == ("A702", "info")
