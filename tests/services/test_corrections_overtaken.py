"""Corrections that somebody else carries out as well, and undoing where studies were of the surviving patient all
along. On both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InstanceConflict, NotFound
from archive.services import correction_work
from archive.services.correction_work import CorrectionWork
from corrected import DOE, POE, ROE, agree, of, opened_archive, says, store_all, whose
from objects import new_uid


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url, **{"dimse.duplicates": "conflict"}) as opened:
        yield opened


def overtake(archive: Archive, monkeypatch: pytest.MonkeyPatch, meanwhile: object) -> None:
    """Let this happen when the first who carries a correction out is about to write a study anew."""
    write_anew = CorrectionWork._write_anew

    def wait_and_write(self: CorrectionWork, one: object, uid: str) -> Iterator[None]:
        monkeypatch.undo()
        meanwhile()  # type: ignore[operator]
        yield from write_anew(self, one, uid)  # type: ignore[arg-type]

    monkeypatch.setattr(CorrectionWork, "_write_anew", wait_and_write)


def test_who_is_overtaken_does_not_take_a_later_correction_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs and whoever asked may both carry a correction out."""
    [one] = store_all(archive, of(DOE, "Doe"))
    overtake(
        archive,
        monkeypatch,
        lambda: (
            list(archive.corrections.work(1)),
            archive.corrections.update_patient(DOE, {"PatientName": "Newer"}, "test"),
        ),
    )
    archive.corrections.update_patient(DOE, {"PatientName": "Older"}, "test")
    assert says(archive, one, "PatientName") == ("Newer",)
    agree(archive)


def test_who_is_overtaken_does_not_merge_again_what_was_undone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, _] = store_all(archive, of(DOE, "Doe"), of(ROE, "Roe"))
    overtake(
        archive,
        monkeypatch,
        lambda: (list(archive.corrections.work(1)), archive.corrections.undo(1, "test")),
    )
    archive.corrections.merge(DOE, ROE, {}, "test")
    assert whose(archive)[one.SOPInstanceUID] == ("1", "", "Doe")
    agree(archive)


def test_who_is_overtaken_and_fails_leaves_what_is_done(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = store_all(archive, of(DOE, "Doe"))

    def meanwhile() -> None:
        list(archive.corrections.work(1))
        monkeypatch.setattr(
            correction_work.rewriting, "stage", lambda *_: (_ for _ in ()).throw(NotFound("x"))
        )

    overtake(archive, monkeypatch, meanwhile)
    archive.corrections.update_patient(DOE, {"PatientName": "Right"}, "test")
    monkeypatch.undo()
    assert says(archive, one, "PatientName") == ("Right",)
    assert {state for state, _ in archive.corrections.studies(1).values()} == {"done"}
    assert archive.corrections.get(1).state == "done"


def test_undoing_a_merge_takes_no_study_from_the_patient_whose_it_always_was(archive: Archive) -> None:
    """An object of the prior patient came into it after the merge: until then it would have been refused."""
    study = new_uid()
    mine, prior = store_all(archive, of(ROE, "Roe", study), of(DOE, "Doe"))
    [number] = archive.corrections.merge(DOE, ROE, {}, "test")
    [late] = store_all(archive, of(DOE, "Doe", study))
    archive.corrections.undo(number, "test")
    found = whose(archive)
    assert found[prior.SOPInstanceUID] == ("1", "", "Doe")
    assert found[mine.SOPInstanceUID] == ("2", "", "Roe")
    assert found[late.SOPInstanceUID] == ("2", "", "Roe")
    agree(archive)


def test_undoing_a_merge_gives_back_a_study_that_came_later(archive: Archive) -> None:
    study = new_uid()
    store_all(archive, of(ROE, "Roe"), of(DOE, "Doe"))
    [number] = archive.corrections.merge(DOE, ROE, {}, "test")
    late, right = store_all(archive, of(DOE, "Doe", study), of(ROE, "Roe", study))
    archive.corrections.undo(number, "test")
    found = whose(archive)
    assert found[late.SOPInstanceUID] == found[right.SOPInstanceUID] == ("1", "", "Doe")
    agree(archive)


def test_what_failed_is_not_tried_again_over_what_came_since(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study could not be merged, and went to a third patient later: trying the merge again would take it back."""
    [one, _, _] = store_all(archive, of(DOE, "Doe"), of(ROE, "Roe"), of(POE, "Poe"))

    def fail(*_: object) -> None:
        raise NotFound("damaged")

    monkeypatch.setattr(correction_work.rewriting, "stage", fail)
    [number] = archive.corrections.merge(DOE, ROE, {}, "test")
    monkeypatch.undo()
    assert archive.corrections.get(number).state == "failed"
    [moved] = archive.corrections.move_study(one.StudyInstanceUID, POE, {}, "test")
    archive.corrections.update_study(one.StudyInstanceUID, {"AccessionNumber": "A7"}, "test")
    with pytest.raises(InstanceConflict, match=f"correction {moved} "):
        archive.corrections.retry(number)
    assert whose(archive)[one.SOPInstanceUID] == ("3", "HOSPITAL", "Poe")
    agree(archive)


def test_what_failed_is_tried_again_beside_what_touches_something_else(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one, _] = store_all(archive, of(DOE, "Doe"), of(ROE, "Roe"))

    def fail(*_: object) -> None:
        raise NotFound("damaged")

    monkeypatch.setattr(correction_work.rewriting, "stage", fail)
    [number] = archive.corrections.merge(DOE, ROE, {}, "test")
    monkeypatch.undo()
    archive.corrections.update_study(one.StudyInstanceUID, {"AccessionNumber": "A7"}, "test")
    archive.corrections.retry(number)
    assert says(archive, one, "PatientID", "AccessionNumber") == ("2", "A7")
    agree(archive)
