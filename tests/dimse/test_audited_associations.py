"""Whoever asks, gets, sends or is refused by DIMSE is in the audit trail."""

from __future__ import annotations

from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, build_role, evt

from door import Door, keep, open_door
from identifiers import data_set
from objects import secondary_capture
from receivers import receiver

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
BY_STUDY = data_set("STUDY", StudyInstanceUID="1.2.3")
SECONDARY = (SecondaryCaptureImageStorage, [ExplicitVRLittleEndian])


def filled(door: Door) -> None:
    keep(door, *(secondary_capture(PatientID="P1", StudyInstanceUID="1.2.3") for _ in range(2)))
    door.archive.auditing.trail.flush()


def told(door: Door) -> list[tuple[str, str, str, str]]:
    """Event, action, who asked, and how many instances."""
    door.archive.auditing.trail.flush()
    found = []
    for one in door.archive.audit_log.all():
        number = sum(number for subject in one.message.subjects for _, number in subject.sop_classes)
        found.append((one.message.event.value, one.message.action, one.message.requestor.UserID, str(number)))
    assert door.archive.audit_log.verify().fault == ""
    return found


def test_objects_that_an_association_brings_are_one_record(door: Door) -> None:
    keep(door, *(secondary_capture(PatientID="P1", StudyInstanceUID="1.2.3") for _ in range(3)))
    assert told(door) == [("110104", "C", "WORKSTATION", "3")]
    (one,) = door.archive.audit_log.all()
    assert (one.message.patient_ids, one.message.requestor.address) == (("P1",), "127.0.0.1")


def test_a_query_is_recorded_with_its_identifier(door: Door) -> None:
    filled(door)
    association = door.associate([(FIND, [ImplicitVRLittleEndian])])
    list(association.send_c_find(BY_STUDY, FIND))
    association.release()
    assert told(door)[1:] == [("110112", "E", "WORKSTATION", "0")]
    *_, query = door.archive.audit_log.all()
    (asked,) = query.message.subjects
    assert (asked.ParticipantObjectID, asked.details) == (FIND, (("TransferSyntax", ImplicitVRLittleEndian),))
    assert b"1.2.3" in asked.query


def test_a_get_begins_and_ends(door: Door) -> None:
    filled(door)
    role = build_role(SecondaryCaptureImageStorage, scp_role=True)
    association = door.associate(
        [(GET, [ImplicitVRLittleEndian]), SECONDARY],
        ext_neg=[role],
        evt_handlers=[(evt.EVT_C_STORE, lambda _: 0)],
    )
    list(association.send_c_get(BY_STUDY, GET))
    association.release()
    assert told(door)[1:] == [("110102", "E", "WORKSTATION", "2"), ("110104", "R", "WORKSTATION", "2")]


def test_a_move_names_who_asked_and_who_received(door: Door) -> None:
    filled(door)
    with receiver([SECONDARY]) as received:
        door.archive.ae_titles.add("RECEIVER", "127.0.0.1", received.port)
        association = door.associate([(MOVE, [ImplicitVRLittleEndian])])
        list(association.send_c_move(BY_STUDY, "RECEIVER", MOVE))
        association.release()
    _, known, *moved = told(door)  # that RECEIVER was made known stands there too
    assert known[:2] == ("110113", "E")
    assert moved == [("110102", "E", "WORKSTATION", "2"), ("110104", "R", "WORKSTATION", "2")]
    for one in list(door.archive.audit_log.all())[2:]:
        assert [who.UserID for who in one.message.participants[1:]] == ["RECEIVER", "WORKSTATION"]


def test_a_refused_caller_is_a_security_alert(tmp_path: Path) -> None:
    with open_door(tmp_path / "data", dimse__trust_this_machine=False) as door:
        for _ in range(3):
            ae = AE("STRANGER")
            ae.add_requested_context(*SECONDARY)
            assert not ae.associate("127.0.0.1", door.port).is_established
        assert told(door) == [("110113", "E", "STRANGER", "0")]
        (alert,) = door.archive.audit_log.all()
        assert [kind.value for kind in alert.message.types] == ["110126"]
