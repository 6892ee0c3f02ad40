"""Corrections while everybody else goes on: objects that come in, conflicts, rejections, deletions, another correction.
Nobody is let in beside a correction under what it has put right. On both engines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InstanceConflict, OutOfResources
from archive.dicom.instance import Scope
from archive.dicom.patient_key import PatientKey
from archive.services import correction_work, corrections, late_arrivals
from archive.services.conflicts import Decision
from archive.services.corrections import State
from corrected import DOE, POE, ROE, agree, of, opened_archive, says, store_all, whose
from held import settle_down, store, version_of
from objects import new_uid


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url, **{"dimse.duplicates": "conflict"}) as opened:
        yield opened


def store_until_taken(archive: Archive, one: object) -> None:
    """As a sender does who hears "try again"."""
    for _ in range(50):
        with suppress(OutOfResources):
            store(archive, one)  # type: ignore[arg-type]
            return
    raise AssertionError("never taken")


def test_objects_come_in_while_patients_are_merged_in_a_chain(archive: Archive) -> None:
    studies = [new_uid() for _ in range(3)]
    store_all(archive, *(of(DOE, "Doe", study) for study in studies), of(ROE, "Roe"), of(POE, "Poe"))
    begun, failures = threading.Event(), list[BaseException]()

    def send(number: int) -> None:
        try:
            for turn in range(8):
                key, name = ((DOE, "Doe"), (ROE, "Roe"))[(turn + number) % 2]
                study = studies[turn % 3] if key is DOE and turn % 4 else ""
                store_until_taken(archive, of(key, name, study))
                begun.set()
        except BaseException as error:  # noqa: BLE001 - for the main thread
            failures.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    archive.corrections.merge(DOE, ROE, {}, "test")
    archive.corrections.merge(ROE, POE, {}, "test")
    for thread in threads:
        thread.join()
    assert not failures
    settle_down(archive)
    assert set(whose(archive).values()) == {("3", "HOSPITAL", "Poe")}
    assert archive.conflicts.last() == []
    agree(archive)


def test_a_correction_that_is_made_between_the_look_and_the_record(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shaper has seen no rule: the transaction that records the object does."""
    [first] = store_all(archive, of(DOE, "Doe"))
    look = late_arrivals.LateArrivals.__call__

    def look_and_wait(self: late_arrivals.LateArrivals, received: object) -> object:
        seen = look(self, received)  # type: ignore[arg-type]
        monkeypatch.undo()
        archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
        return seen

    monkeypatch.setattr(late_arrivals.LateArrivals, "__call__", look_and_wait)
    store_all(archive, of(DOE, "Doe"), of(DOE, "Doe", first.StudyInstanceUID))
    assert set(whose(archive).values()) == {("2", "", "Roe")}
    agree(archive)


def test_a_study_that_grows_while_it_is_written_anew(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = store_all(archive, of(DOE, "Doe"))
    monkeypatch.setattr(corrections, "AT_ONCE_INSTANCES", -1)  # left to the jobs
    [number] = archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    store_all(archive, of(DOE, "Doe", first.StudyInstanceUID))
    assert list(whose(archive).values()) == [("1", "", "Doe")] * 2  # it goes with its study
    store_all(archive, of(DOE, "Doe"))
    write_anew = correction_work.CorrectionWork._write_anew

    def write_and_grow(self: object, one: object, uid: str) -> Iterator[None]:
        yield from write_anew(self, one, uid)  # type: ignore[arg-type]
        monkeypatch.setattr(correction_work.CorrectionWork, "_write_anew", write_anew)
        store_all(archive, of(DOE, "Doe", first.StudyInstanceUID))
        monkeypatch.undo()

    monkeypatch.setattr(correction_work.CorrectionWork, "_write_anew", write_and_grow)
    settle_down(archive)
    assert archive.corrections.get(number).state == State.DONE
    assert list(whose(archive).values()) == [("2", "", "Roe")] * 4
    agree(archive)


def test_a_large_object_is_written_anew_in_steps(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that shows no life for half a minute is taken for dead."""
    store_all(archive, of(DOE, "Doe"))
    monkeypatch.setattr(corrections, "AT_ONCE_BYTES", 10)  # too large to be waited for
    [number] = archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    assert archive.corrections.get(number).state == State.PENDING
    monkeypatch.setattr(correction_work, "LARGE", 10)
    monkeypatch.setattr(correction_work, "STEP_SECONDS", 0.001)
    rewrite = correction_work.CorrectionWork._anew
    steps = threading.Event()

    def slowly(*arguments: object) -> object:
        assert steps.wait(30)
        return rewrite(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(correction_work.CorrectionWork, "_anew", slowly)
    for count, _ in enumerate(archive.corrections.work(number)):
        if count == 3:
            steps.set()
    assert set(whose(archive).values()) == {("2", "", "Roe")}
    agree(archive)


def test_two_who_carry_out_the_same_correction(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(archive, *(of(DOE, "Doe") for _ in range(4)))
    monkeypatch.setattr(corrections, "AT_ONCE_INSTANCES", -1)
    [number] = archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    one, other = archive.corrections.work(number), archive.corrections.work(number)
    steps = [one, other]
    while steps:
        for each in list(steps):
            if next(each, steps) is steps:
                steps.remove(each)
    assert archive.corrections.get(number).state == State.DONE
    assert set(whose(archive).values()) == {("2", "", "Roe")}
    agree(archive)


def test_what_fits_only_when_a_correction_is_done_is_no_conflict(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = store_all(archive, of(DOE, "Doe"))
    monkeypatch.setattr(corrections, "AT_ONCE_INSTANCES", -1)
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    late = of(ROE, "Roe", one.StudyInstanceUID)
    with pytest.raises(OutOfResources):
        store(archive, late)
    settle_down(archive)
    store_all(archive, late)
    assert set(whose(archive).values()) == {("2", "", "Roe")}
    assert archive.conflicts.last() == []
    agree(archive)


def test_a_copy_that_is_accepted_after_a_merge(archive: Archive) -> None:
    """It was kept aside under the identity that is wrong by now."""
    [one] = store_all(archive, of(DOE, "Doe"))
    another = version_of(one)
    number = store(archive, another).conflict_id
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    assert archive.conflicts.decide(number, Decision.ACCEPT, "test").state == "accepted"
    assert says(archive, one, "PatientName", "PatientComments") == ("Roe", "another version")
    agree(archive)
    [back] = [each for each in archive.conflicts.last() if each.has_copy]
    archive.conflicts.decide(back.id, Decision.ACCEPT, "test")
    assert says(archive, one, "PatientName", "PatientComments") == (
        "Roe",
        str(one.get("PatientComments", "")),
    )
    agree(archive)


def test_another_version_of_what_was_corrected(archive: Archive) -> None:
    [one] = store_all(archive, of(DOE, "Doe"))
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    receipt = store(archive, version_of(one))
    assert receipt.kept_aside
    archive.conflicts.decide(receipt.conflict_id, Decision.ACCEPT, "test")
    assert says(archive, one, "PatientName", "PatientComments") == ("Roe", "another version")
    with pytest.raises(InstanceConflict):
        archive.conflicts.decide(receipt.conflict_id, Decision.ACCEPT, "test")
    agree(archive)


def test_what_is_deleted_amid_a_correction(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, stays = store_all(archive, of(DOE, "Doe"), of(DOE, "Doe"))
    partly, rest = store_all(archive, of(DOE, "Doe", stays.StudyInstanceUID), of(PatientKey("8"), "Other"))
    monkeypatch.setattr(corrections, "AT_ONCE_INSTANCES", -1)
    [number] = archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    steps = archive.corrections.work(number)
    next(steps)
    archive.deletion.delete(Scope((gone.StudyInstanceUID,)))
    place = (partly.StudyInstanceUID,), (partly.SeriesInstanceUID,), (partly.SOPInstanceUID,)
    archive.deletion.delete(Scope(*place))
    for _ in steps:
        pass
    found = whose(archive)
    assert found == {stays.SOPInstanceUID: ("2", "", "Roe"), rest.SOPInstanceUID: ("8", "", "Other")}
    assert archive.corrections.get(number).state == State.DONE
    agree(archive)
