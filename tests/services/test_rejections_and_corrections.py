"""Rejection notes and corrections of patients together (dimse.md 1.4, 1.5): what comes back after a merge is the
survivor's, and a note that still says the prior patient is followed. On both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope
from archive.dicom.patient_key import PatientKey
from archive.services.rejections import Fate
from held import store
from rejecting_here import check_all, fates, reject, series_of, shown, store_all, uids
from rejection_notes import PATIENT_SAFETY, rejection_note
from suites.sqlite import prepare

DOE, ROE = PatientKey("DOE"), PatientKey("ROE")


@pytest.fixture
def here(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    overrides = {"index.url": index_url, "storage.minimum_free_bytes": 0}
    settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
    prepare(settings)
    archive = building.build(settings)
    yield archive
    archive.close()


def patients(archive: Archive) -> set[str]:
    """Of whom the stored objects say that they are."""
    found = archive.retrieve.instances(Scope())
    return {archive.retrieve.attributes(one)["00100020"]["Value"][0] for one in found}


@pytest.mark.parametrize("whole", [True, False], ids=["the whole study", "a part of it"])
def test_what_comes_back_after_a_merge_is_the_survivor_s(here: Archive, whole: bool) -> None:
    series = store_all(here, series_of(3, PatientID="DOE"))
    number = reject(here, PATIENT_SAFETY, series if whole else series[:2])
    here.corrections.merge(DOE, ROE, {}, "test")
    done = here.rejections.restore(number, "test")
    assert (done.number, done.failed) == (3 if whole else 2, {})
    assert shown(here) == uids(series)
    assert patients(here) == {"ROE"}
    assert set(fates(here, number).values()) == {Fate.RESTORED}


def test_a_note_with_the_prior_patient_is_followed(here: Archive) -> None:
    """Whoever sends it has not heard of the merge."""
    series = store_all(here, series_of(3, PatientID="DOE"))
    here.corrections.merge(DOE, ROE, {}, "test")
    assert patients(here) == {"ROE"}
    store(here, rejection_note(PATIENT_SAFETY, series[:2]))
    assert shown(here) == uids(series[2:])


def test_a_note_is_followed_the_moment_that_a_merge_is_known(here: Archive) -> None:
    """This process believes for a second that nothing is corrected; the transaction that enters the note knows."""
    series = store_all(here, series_of(2, PatientID="DOE"))
    other = building.build(here.settings)
    try:
        other.corrections.merge(DOE, ROE, {}, "test")
    finally:
        other.close()
    store(here, rejection_note(PATIENT_SAFETY, series[:1]))
    assert shown(here) == uids(series[1:])


def test_what_a_note_waits_for_is_held_as_the_survivor_s(here: Archive) -> None:
    early, late = series_of(2, PatientID="DOE")
    store(here, early)
    number = reject(here, PATIENT_SAFETY, [early, late])
    here.corrections.merge(DOE, ROE, {}, "test")
    assert store(here, late).kept_aside
    here.rejections.restore(number, "test")
    assert shown(here) == uids([early, late])
    assert patients(here) == {"ROE"}


def test_nothing_is_left_over(here: Archive) -> None:
    series = store_all(here, series_of(2, PatientID="DOE"))
    number = reject(here, PATIENT_SAFETY, series)
    here.corrections.merge(DOE, ROE, {}, "test")
    here.rejections.drop(number, "test", series[0].SOPInstanceUID)
    here.rejections.restore(number, "test")
    assert shown(here) == uids(series[1:])
    check_all(here)
