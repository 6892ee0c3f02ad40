"""What is recorded, when, and what remains of it when the index is away or a process is killed."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import Dataset

from archive.audit import codes, messages
from archive.audit.events import Reporter
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.dicom.patient_key import PatientKey
from archive.index import audit
from archive.index.audit_schema import audit_head, audit_record, receiving
from archive.security.actor import Actor, operator
from archive.services import receiving as receiving_service
from archive.services import trail as trail_service
from archive.services.audit_log import Head, Sought
from archive.services.auditing import Auditing
from archive.services.receipts import Receipt
from archive.services.rejections import Reason
from objects import part10, secondary_capture

DOCTOR = Actor("HTTP", "192.0.2.9", user="jdoe")
SCANNER = Actor("DIMSE", "192.0.2.7", "SCANNER")
SOURCE = Source("DIMSE", "192.0.2.7", "SCANNER", "ARCHIVE")


def instances(number: int, study: str = "1.2") -> list[StoredInstance]:
    return [
        StoredInstance(study, "1.2.1", f"1.2.1.{n}", "1.2.840.1", "1.2", "k", 0, 1, "") for n in range(number)
    ]


def told(archive: Archive) -> list[tuple[str, str, int]]:
    """Event, action, and how many instances, in the order in which they were recorded."""
    return [
        (
            one.message.event.value,
            one.message.action,
            sum(n for s in one.message.subjects for _, n in s.sop_classes),
        )
        for one in archive.audit_log.all()
    ]


def change(archive: Archive, *statements: sa.Executable) -> None:
    def run(connection: Any) -> None:
        for statement in statements:
            connection.execute(statement)

    archive.database.write(run)


def three(archive: Archive) -> None:
    for reason in ("one", "two", "three"):
        archive.auditing.refused(SCANNER, reason)
    archive.auditing.trail.flush()


def test_what_is_seen_is_recorded_before_it_goes_and_summed_up_after(archive: Archive) -> None:
    some = instances(5)
    for one in some:
        archive.auditing.out.viewed(DOCTOR, [one])
    assert told(archive) == [("110103", "R", 1)]
    archive.auditing.out.viewed(DOCTOR, some)
    archive.auditing.trail.flush()
    assert told(archive) == [("110103", "R", 1), ("110103", "R", 5)]


def test_what_was_recorded_whole_is_not_recorded_again(archive: Archive) -> None:
    archive.auditing.out.viewed(DOCTOR, instances(3))
    archive.auditing.out.viewed(DOCTOR, instances(2))
    archive.auditing.trail.flush()
    assert told(archive) == [("110103", "R", 3)]


def test_what_is_fetched_begins_and_ends(archive: Archive) -> None:
    archive.auditing.out.fetched(DOCTOR, instances(3) + instances(2, "1.3"))
    assert told(archive) == [("110102", "E", 3), ("110102", "E", 2)]
    archive.auditing.trail.flush()
    assert told(archive)[2:] == [("110104", "R", 3), ("110104", "R", 2)]


def test_each_asker_is_recorded(archive: Archive) -> None:
    for actor in (DOCTOR, SCANNER, Actor("HTTP", "192.0.2.9", user="other"), DOCTOR):
        archive.auditing.out.viewed(actor, instances(1))
    who = [one.message.requestor.UserID for one in archive.audit_log.all()]
    assert who == ["jdoe", "SCANNER", "other"]


def test_reads_end_when_they_are_quiet(archive: Archive) -> None:
    now = [1000.0]
    auditing = Auditing(archive.database, Reporter("ARCHIVE"))
    auditing.out._clock = lambda: now[0]
    auditing.out.fetched(DOCTOR, instances(1))
    auditing.trail.flush(everything=False)
    assert len(told(archive)) == 1
    now[0] += 11.0
    auditing.trail.flush(everything=False)
    assert told(archive) == [("110102", "E", 1), ("110104", "R", 1)]
    auditing.close()


def test_sub_operations_that_fail_are_a_record_of_their_own(archive: Archive) -> None:
    some = instances(3)
    sending = archive.auditing.out.sending(SCANNER, some, Actor("DIMSE", "host", "PEER"))
    for one in some:
        sending.note(one, failed=one is some[0])
    sending.close()
    archive.auditing.trail.flush()
    found = list(archive.audit_log.all())
    assert told(archive) == [("110102", "E", 3), ("110104", "R", 2), ("110104", "R", 1)]
    assert [one.message.outcome for one in found] == [0, 0, 4]
    assert [one.message.participants[1].UserID for one in found] == ["PEER"] * 3


def test_the_same_question_again_and_again_is_one_record(archive: Archive) -> None:
    for _ in range(50):
        archive.auditing.out.asked(SCANNER, "1.2.840", b"query")
    archive.auditing.out.asked(DOCTOR, "1.2.840", b"query")
    archive.auditing.trail.flush()
    first, second = archive.audit_log.all()
    assert first.message.subjects[0].query == b"query"
    assert first.message.subjects[0].details == (("Times", "50"),)
    assert second.message.requestor.UserID == "jdoe"


def test_questions_are_recorded_by_themselves_soon(archive: Archive) -> None:
    archive.auditing.out.asked(SCANNER, "1.2.840", b"query")
    deadline = time.monotonic() + 30
    while not told(archive):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def store(archive: Archive, data_set: Dataset, source: Source) -> None:
    with archive.ingest.part10(source) as reception:
        reception.write(part10(data_set))
        reception.finish()


def receipt(number: int, study: str = "1.2", already_there: bool = False) -> Receipt:
    return Receipt("1.2.840.1", f"{study}.{number}", f"{study}.1", study, already_there)


def test_what_a_sender_brings_is_summed_up_by_study(archive: Archive) -> None:
    receptions = archive.auditing.receptions
    for number in range(4):
        one = receipt(number, f"1.{number % 2}", already_there=number == 3)
        archive.database.write(
            partial(receptions.enter, source=SOURCE, study_instance_uid=one.StudyInstanceUID)
        )
        receptions.note(SOURCE, one)
    assert told(archive) == []
    archive.auditing.trail.flush(everything=False)
    assert told(archive) == []  # there may come more
    archive.auditing.trail.flush()
    assert sorted(told(archive)) == [("110104", "C", 1), ("110104", "C", 2), ("110104", "R", 1)]
    with archive.database.read() as connection:
        assert connection.execute(sa.select(receiving)).all() == []


def test_objects_that_come_in_are_recorded_with_their_patient(archive: Archive) -> None:
    first, second = (secondary_capture(PatientID="P1", StudyInstanceUID="1.2.3") for _ in range(2))
    for one in (first, second, second):
        store(archive, one, SOURCE)
    with archive.database.read() as connection:
        assert len(connection.execute(sa.select(receiving)).all()) == 1
    archive.auditing.trail.flush()
    new, held = archive.audit_log.all()
    assert told(archive) == [("110104", "C", 2), ("110104", "R", 1)]
    assert new.message.patient_ids == held.message.patient_ids == ("P1",)
    assert (new.message.requestor.UserID, new.message.requestor.address) == ("SCANNER", "192.0.2.7")


def test_what_is_imported_is_said_to_be(archive: Archive) -> None:
    store(archive, secondary_capture(), Source("IMPORT"))
    archive.auditing.trail.flush()
    (one,) = archive.audit_log.all()
    assert one.message.event == codes.IMPORT
    assert one.message.requestor.UserID == operator().user


def test_what_a_killed_process_received_is_recorded_from_what_is_stored(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = building.build(archive.settings)
    store(killed, secondary_capture(PatientID="P1"), SOURCE)
    assert archive.auditing.sweep() == 0
    monkeypatch.setattr(receiving_service, "DEAD_SECONDS", -1.0)
    assert archive.auditing.sweep() == 1
    assert archive.auditing.sweep() == 0
    (one,) = archive.audit_log.all()
    assert told(archive) == [("110104", "C", 1)]
    assert one.message.patient_ids == ("P1",)
    assert (one.message.requestor.UserID, one.message.requestor.address) == ("SCANNER", "192.0.2.7")
    assert one.message.outcome == messages.MINOR_FAILURE
    killed.database.close()


def refuse(*_: object) -> None:
    raise OutOfResources("the index is away")


def test_nothing_stops_when_it_cannot_be_recorded_and_nothing_is_forgotten(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(archive.database, "write", refuse)
        archive.auditing.out.viewed(DOCTOR, instances(1))
        archive.auditing.refused(SCANNER, "not known")
        assert not archive.auditing.trail.flush()
        assert not archive.auditing.trail.flush()
    assert archive.auditing.trail.flush()
    assert [event for event, *_ in told(archive)] == ["110103", "110113"]


def test_what_had_to_be_given_up_is_said_in_the_trail(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_service, "MOST_WAITING", 2)
    with monkeypatch.context() as broken:
        broken.setattr(archive.database, "write", refuse)
        three(archive)
    assert archive.auditing.trail.flush()
    *_, gap = archive.audit_log.all()
    assert gap.message.types == (codes.RECORDING_STOPPED,)
    assert gap.message.outcome_text == "1 events could not be recorded"


def test_where_records_are_required_nothing_goes_without(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditing = Auditing(archive.database, Reporter("ARCHIVE"), required=True)
    with monkeypatch.context() as broken:
        broken.setattr(archive.database, "write", refuse)
        for _ in range(2):
            with pytest.raises(OutOfResources):
                auditing.out.viewed(DOCTOR, instances(1))
    auditing.out.viewed(DOCTOR, instances(1))
    assert told(archive) == [("110103", "R", 1)]
    auditing.close()


def test_a_whole_chain_is_verified(archive: Archive) -> None:
    assert archive.audit_log.verify().records == 0
    three(archive)
    verdict = archive.audit_log.verify()
    assert (verdict.records, verdict.anchors, verdict.fault) == (3, 0, "")
    assert archive.audit_log.anchor()
    assert not archive.audit_log.anchor()
    assert archive.audit_log.verify().anchors == 1


C = audit_record.c
SWAP = (
    sa.update(audit_record).where(C.id == 1).values(id=99),
    sa.update(audit_record).where(C.id == 2).values(id=1),
    sa.update(audit_record).where(C.id == 99).values(id=2),
)


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (
            (
                sa.update(audit_record)
                .where(C.id == 2)
                .values(message=sa.func.replace(C.message, "two", "2")),
            ),
            "record 2 was",
        ),
        ((sa.update(audit_record).where(C.id == 2).values(hash="0" * 64),), "record 2 was"),
        (
            (sa.update(audit_record).where(C.id == 2).values(actor="somebody"),),
            "record 2 was altered in what",
        ),
        (
            (sa.update(audit_record).where(C.id == 3).values(PatientID="somebody"),),
            "record 3 was altered in what",
        ),
        ((sa.delete(audit_record).where(C.id == 2),), "record 2 is missing"),
        ((sa.delete(audit_record).where(C.id == 1),), "record 1 is missing"),
        ((sa.delete(audit_record).where(C.id == 3),), "the end is cut off: the last record is 2"),
        (SWAP, "record 1 was altered"),
        ((sa.delete(audit_record),), "the end is cut off: the last record is 0"),
        ((sa.delete(audit_head),), "the end is cut off: the last record is 3, the chain had come to 0"),
    ],
)
def test_what_was_done_to_the_chain_shows(archive: Archive, statements: tuple[Any, ...], fault: str) -> None:
    three(archive)
    change(archive, *statements)
    assert fault in archive.audit_log.verify().fault


def test_who_forges_the_head_as_well_is_found_by_an_anchor(archive: Archive) -> None:
    three(archive)
    archive.audit_log.anchor()
    with archive.database.read() as connection:
        second = audit.records(connection)[1]
    cut = sa.update(audit_head).values(position=2, hash=second.hash)
    change(archive, sa.delete(audit_record).where(C.id == 3), cut)
    assert archive.audit_log.verify().fault.endswith("an anchor tells of record 3")
    archive.auditing.refused(SCANNER, "another three")
    archive.auditing.trail.flush()
    assert "record 3, or one before it" in archive.audit_log.verify().fault


def test_anchors_that_were_kept_elsewhere_count(archive: Archive) -> None:
    three(archive)
    head = archive.audit_log.search(Sought(), 1)[0]
    assert archive.audit_log.verify(further=(Head(3, head.hash),)).anchors == 1
    assert archive.audit_log.verify(further=(Head(3, "0" * 64),)).fault
    assert archive.audit_log.verify(further=(Head(4, "0" * 64),)).fault


def test_a_line_of_the_anchors_that_was_cut_short_says_nothing(archive: Archive, tmp_path: Path) -> None:
    three(archive)
    archive.audit_log.anchor()
    path = archive.settings.data / "audit.anchors"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(path.read_text() + "17 abc")
    assert archive.audit_log.verify().fault == ""


def test_a_rejection_is_recorded_of_whom_it_hides(archive: Archive) -> None:
    one = secondary_capture(PatientID="P1", StudyInstanceUID="1.2.3")
    store(archive, one, SOURCE)
    archive.rejections.reject(Scope(("1.2.3",)), Reason.QUALITY, SOURCE)
    (rejected,) = archive.audit_log.search(Sought(PatientID="P1"))
    assert (rejected.message.event, rejected.message.action) == (codes.INSTANCES_ACCESSED, messages.DELETE)
    assert rejected.message.subjects[0].details == (("Rejected", Reason.QUALITY.value),)


def test_a_correction_is_recorded_of_its_patient(archive: Archive) -> None:
    store(archive, secondary_capture(PatientID="P1"), SOURCE)
    numbers = archive.corrections.update_patient(PatientKey("P1", ""), {"PatientName": "Doe^Jo"}, "jdoe")
    (corrected,) = archive.audit_log.search(Sought(actor="jdoe"))
    assert corrected.message.event == codes.PATIENT_RECORD
    assert corrected.message.patient_ids == ("P1",)
    assert corrected.message.subjects[0].details[0] == ("Correction", str(numbers[0]))
    assert "Doe" not in messages.kept(corrected.message).decode()
