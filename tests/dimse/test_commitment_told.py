"""The result of storage commitment on an association of ours: to whom, as what, how often, and what if it fails
(PS3.4 J.3.3; dimse.md 1.5 rows 2 to 4; reliability.md D15)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid as new_uid

from archive.dicom.instance import Scope, Source
from archive.dicom.receiving.commitment import Reference
from archive.index.reports import Progress
from archive.network.requestor import open_association
from archive.security.rules import Rules
from archive.services import reports
from committing import COMMITMENT, DAYS, ask, report, run_jobs, sent, stored, until, waiting
from door import Door, open_door
from report_receivers import action, committed, failed, listening

VERIFICATION = "1.2.840.10008.1.1"


def test_who_has_released_is_told_on_an_association_of_ours(prompt: Door) -> None:
    """As SCP only, by role selection (PS3.7 D.3.3.4), from the AE title that was called."""
    one = stored(prompt)[0]
    with listening() as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        assert ask(prompt, action(new_uid(), one)) == 0
        until(lambda: not report(prompt).held_until)
        run_jobs(prompt)
    [(event_type, information, calling)] = told.reports
    assert (event_type, committed(information), calling) == (1, [one[1]], "ARCHIVE")
    assert told.roles == [(False, True)]
    assert report(prompt).progress is Progress.DELIVERED


def test_where_the_site_says_so_it_is_a_new_association_always(tmp_path: Path, hurry: None) -> None:
    with (
        listening() as told,
        open_door(
            tmp_path / "data", dimse__commitment_same_association=False, dimse__commitment_wait=0
        ) as door,
    ):
        one = stored(door)[0]
        door.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        with door.open(COMMITMENT, calling_ae_title="MODALITY") as association:
            assert sent(association, action(new_uid(), one)).Status == 0
            run_jobs(door)
            assert len(told.reports) == 1
            assert not association.arriving(0.2)


def test_a_console_that_is_off_is_told_when_it_is_on_again(prompt: Door) -> None:
    """Reliability: D15."""
    waiting(prompt)
    with listening() as told:
        port = told.port
    prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", port)
    run_jobs(prompt)
    failure = report(prompt)
    assert (failure.progress, failure.attempts) == (Progress.WAITING, 1)
    assert str(port) in failure.reason
    with listening() as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt, time.time() + 10)
        assert len(told.reports) == 1
    assert report(prompt).progress is Progress.DELIVERED


def test_it_is_given_up_where_everybody_sees_it_and_taken_up_again(
    prompt: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(prompt)
    prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", 1)
    run_jobs(prompt)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 8 * DAYS)
    run_jobs(prompt)
    assert report(prompt).progress is Progress.GIVEN_UP
    with listening() as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt, now() + 30 * DAYS)
        assert not told.reports
        prompt.archive.reports.again(report(prompt).TransactionUID)
        run_jobs(prompt)
        assert len(told.reports) == 1
    assert report(prompt).progress is Progress.DELIVERED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sop_class": VERIFICATION}, "context"),
        ({"roles": (True, False)}, "context"),
        ({"only_from": ("SOMEBODY",)}, "rejected"),
        ({"answer": lambda event: 0x0110}, "0110"),
    ],
)
def test_who_does_not_want_to_be_told_is_asked_again(
    prompt: Door, options: dict[str, Any], words: str
) -> None:
    """No such context, no SCP role for us, no association at all, a failure that may be over some day."""
    waiting(prompt)
    with listening(**options) as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt)
    assert (report(prompt).progress, report(prompt).attempts) == (Progress.WAITING, 1)
    assert words in report(prompt).reason


def test_who_says_nothing_about_roles_is_told(prompt: Door) -> None:
    waiting(prompt)
    with listening(roles=(None, None)) as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt)
    assert len(told.reports) == 1


def test_who_refuses_for_good_is_not_asked_again(prompt: Door) -> None:
    waiting(prompt)
    with listening(lambda event: 0x0115) as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt, time.time() + DAYS)
    assert len(told.reports) == 1
    assert report(prompt).progress is Progress.GIVEN_UP
    assert "0115" in report(prompt).reason


def test_only_known_ae_titles_are_called(prompt: Door) -> None:
    """reliability.md D15."""
    waiting(prompt)
    run_jobs(prompt)
    assert report(prompt).progress is Progress.WAITING
    assert "archive ae add" in report(prompt).reason


def test_it_is_told_under_the_titles_by_which_we_know_each_other(tmp_path: Path, hurry: None) -> None:
    """An alias is that of a known AE title, and the AE title of ours that was called is the one that calls."""
    with (
        open_door(tmp_path / "data", dimse__commitment_wait=0, dimse__more_ae_titles=["SECOND"]) as door,
        listening() as told,
    ):
        one = stored(door)[0]
        door.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port, Rules(aliases=("CT_OLD",)))
        with open_association(
            "127.0.0.1",
            door.port,
            calling_ae_title="CT_OLD",
            called_ae_title="SECOND",
            contexts=[COMMITMENT],
        ) as association:
            assert sent(association, action(new_uid(), one)).Status == 0
        until(lambda: not report(door).held_until)
        assert report(door).calling_ae_title == "MODALITY"
        run_jobs(door)
        [(_, information, calling)] = told.reports
        assert (information.RetrieveAETitle, calling) == ("SECOND", "SECOND")


def test_what_waits_too_long_is_given_up_for_whatever_reason(
    patient: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was given up itself would not say so."""
    now = time.time
    assert ask(patient, action(new_uid(), ("1.2", "1.3"))) == 0
    monkeypatch.setattr(time, "time", lambda: now() + 7 * DAYS)
    patient.archive.reports.give_up()
    assert report(patient).progress is Progress.WAITING
    monkeypatch.setattr(time, "time", lambda: now() + 9 * DAYS)
    patient.archive.reports.give_up()
    assert report(patient).progress is Progress.GIVEN_UP


def test_what_was_deleted_since_is_not_promised(prompt: Door) -> None:
    kept, lost = stored(prompt, 2)
    waiting(prompt, [kept, lost])
    instance = prompt.stored()[lost[1]]
    with listening() as told:
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", 1)
        run_jobs(prompt)
        assert (report(prompt).finished, report(prompt).failed) == (True, 0)
        prompt.archive.deletion.delete(
            Scope((instance.StudyInstanceUID,), (instance.SeriesInstanceUID,), (instance.SOPInstanceUID,))
        )
        prompt.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt, time.time() + 30)
    event_type, information, _ = told.reports[0]
    assert event_type == 2
    assert committed(information) == [kept[1]]
    assert failed(information) == {lost[1]: 0x0112}
    assert report(prompt).failed == 1


def test_a_restart_loses_nothing(tmp_path: Path, hurry: None) -> None:
    """Asked before it, told after it."""
    with listening() as told:
        with open_door(tmp_path / "data") as door:
            door.archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
            waiting(door)
        with open_door(tmp_path / "data") as door:
            run_jobs(door)
            assert len(told.reports) == 1
            assert report(door).progress is Progress.DELIVERED


def test_what_a_dead_worker_held_is_taken_over(prompt: Door) -> None:
    """It cannot let go of what it was about to tell."""
    one = stored(prompt)[0]
    archive = prompt.archive
    held = archive.reports.accept(new_uid(), [Reference(*one)], Source("DIMSE", "", "MODALITY", "ARCHIVE"))
    run_jobs(prompt)
    assert report(prompt).finished
    assert archive.reports.sweep() == 0, "it may be alive"
    past = time.time() - 1
    archive.database.write(lambda c: reports.reports.take(c, held.key, held_until=past, turn=held.turn))
    assert archive.reports.sweep() == 1
    assert archive.reports.sweep() == 0
    assert not archive.reports.hold(held), "when it comes back it has nothing to tell any more"
    with listening() as told:
        archive.ae_titles.add("MODALITY", "127.0.0.1", told.port)
        run_jobs(prompt)
        assert len(told.reports) == 1
