"""Killed between any two steps of a rejection note, of taking one back, and of dropping what it holds (dimse.md 1.5
IOCM, reliability.md 4.3): wholly done or not at all, no bytes lost, and doing it again ends as it should. On both
engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from archive.bootstrap.building import Archive
from archive.jobs.worker import work
from archive.services.rejections import Fate, State
from held import digest, settle_down, store
from rejecting_here import check_all, fates, held, pointed_to, reject, series_of, shown, store_all, uids
from rejection_notes import PATIENT_SAFETY, rejection_note
from test_crashes_of_duplicates import Crashing


@pytest.fixture
def crashing(tmp_path: Path, index_url: str) -> Iterator[Crashing]:
    made = Crashing(tmp_path, index_url)
    yield made
    made.archive.close()


def check_without_orphans(archive: Archive) -> None:
    """Bytes that were published and never entered: nobody points to them, nobody was told of them."""
    settle_down(archive)
    archive.store.sweep(0)
    orphans = set(archive.store.keys()) - set(pointed_to(archive))
    assert len(orphans) <= 1
    for key in orphans:
        archive.store.delete(key)
    check_all(archive)


@pytest.mark.parametrize("point", ["received", "published", "changed", "committed"])
def test_killed_while_a_note_is_stored(crashing: Crashing, point: str) -> None:
    series = store_all(crashing.archive, series_of(3))
    note = rejection_note(PATIENT_SAFETY, series[:2])
    crashing.kill(point, "store", file=note)
    archive = crashing.again("reject")
    done = point == "committed"
    assert shown(archive) == uids(series[2:] if done else series)
    assert set(held(archive)) == ({one.SOPInstanceUID for one in series[:2]} if done else set())
    check_without_orphans(archive)
    store(archive, note)  # as its sender does, who heard nothing
    assert shown(archive) == uids(series[2:])
    assert held(archive) == {one.SOPInstanceUID: digest(one) for one in series[:2]}
    check_all(archive)


@pytest.mark.parametrize("point", ["published", "changed", "committed"])
def test_killed_while_what_a_note_waits_for_comes(crashing: Crashing, point: str) -> None:
    early, late = series_of(2)
    store(crashing.archive, early)
    number = reject(crashing.archive, PATIENT_SAFETY, [early, late])
    crashing.kill(point, "store", file=late)
    archive = crashing.again("reject")
    state = Fate.HELD if point == "committed" else Fate.AWAITED
    assert fates(archive, number)[late.SOPInstanceUID] == state
    assert shown(archive) == []
    check_without_orphans(archive)


def rejected(crashing: Crashing) -> tuple[list[Dataset], int]:
    series = store_all(crashing.archive, series_of(3))
    return series, reject(crashing.archive, PATIENT_SAFETY, series)


@pytest.mark.parametrize("point", ["changed", "committed"])
def test_killed_while_a_note_is_taken_back(crashing: Crashing, point: str) -> None:
    """Each instance is here or there, and the note is taken back once none is left."""
    series, number = rejected(crashing)
    crashing.kill(point, "restore", number=number)
    archive = crashing.again("reject")
    assert len(shown(archive)) == (1 if point == "committed" else 0)
    assert sorted([*shown(archive), *held(archive)]) == uids(series)
    assert archive.rejections.get(number).state == State.ACTIVE
    check_all(archive)
    archive.rejections.restore(number, "test")
    assert shown(archive) == uids(series)
    assert archive.rejections.get(number).state == State.RESTORED
    check_all(archive)


@pytest.mark.parametrize("point", ["changed", "committed"])
def test_killed_while_what_is_held_is_dropped(crashing: Crashing, point: str) -> None:
    series, number = rejected(crashing)
    crashing.kill(point, "drop rejected", number=number)
    archive = crashing.again("reject")
    assert len(held(archive)) == (0 if point == "committed" else len(series))
    check_all(archive)
    archive.rejections.drop(number, "test")
    assert set(fates(archive, number).values()) == {Fate.DROPPED}
    check_all(archive)


def test_killed_while_the_bytes_of_what_was_dropped_go(crashing: Crashing) -> None:
    _, number = rejected(crashing)
    others = store_all(crashing.archive, series_of(1))
    crashing.archive.rejections.drop(number, "test")
    crashing.kill("deleted", "work")
    archive = crashing.again("reject")
    while work(archive, now=lambda: time.time() + 3e6):
        pass  # once nobody believes any more that the dead one is at it
    assert shown(archive) == uids(others)
    check_all(archive)
