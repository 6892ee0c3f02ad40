"""A note and what it rejects that come at the same moment (dimse.md 1.5 IOCM, reliability.md I1 to I5): whatever the
order was, nothing that a note rejects is shown in the end, and nothing is lost. On both engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import ArchiveError, InstanceConflict, NotFound, ObjectTooLarge
from archive.dicom.instance import Scope
from archive.index import transactions
from archive.services.receipts import Receipt
from archive.services.rejecting import MOST_STUDIES
from archive.services.rejections import Fate, Reason, State
from held import SCANNER, digest, settle_down, store, stored
from objects import secondary_capture
from rejecting_here import check_all, fates, held, reject, series_of, shown, store_all, uids
from rejection_notes import PATIENT_SAFETY, QUALITY, rejection_note
from suites.sqlite import prepare

ROUNDS = 8


@pytest.fixture
def here(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    overrides = {"index.url": index_url, "storage.minimum_free_bytes": 0}
    settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
    prepare(settings)
    archive = building.build(settings)
    yield archive
    archive.close()


def at_once(*doing: Callable[[], object]) -> list[object]:
    """What each returns, or raises if that is one of ours."""
    start = threading.Barrier(len(doing), timeout=60)

    def run(do: Callable[[], object]) -> object:
        start.wait()
        try:
            return do()
        except ArchiveError as error:
            return error

    with ThreadPoolExecutor(len(doing)) as threads:
        return [one.result() for one in [threads.submit(run, do) for do in doing]]


def storing(archive: Archive, data_set: Dataset) -> Callable[[], Receipt]:
    return lambda: store(archive, data_set)


def test_a_note_and_its_instances(here: Archive) -> None:
    for _ in range(ROUNDS):
        series = series_of(4)
        note = rejection_note(PATIENT_SAFETY, series)
        done = at_once(storing(here, note), *(storing(here, one) for one in series))
        assert all(isinstance(one, Receipt) for one in done)
        assert shown(here) == []
        assert held(here).items() >= {one.SOPInstanceUID: digest(one) for one in series}.items()
    check_all(here)


def test_a_note_that_has_looked_while_an_instance_is_entered(
    here: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither can see the other before both are done, unless one waits; on SQLite all do."""
    series = series_of(1)
    looked, entered = threading.Event(), threading.Event()
    original = transactions.commit

    def slowly(connection: object) -> None:
        if threading.current_thread().name.startswith("instance"):
            looked.set()
            entered.wait(2)  # the note gets a chance to overtake
        original(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(transactions, "commit", slowly)
    with ThreadPoolExecutor(1, "instance") as first, ThreadPoolExecutor(1, "note") as second:
        storing_one = first.submit(storing(here, series[0]))
        assert looked.wait(30)
        rejecting_it = second.submit(storing(here, rejection_note(PATIENT_SAFETY, series)))
        rejecting_it.add_done_callback(lambda _: entered.set())
        storing_one.result(60)
        rejecting_it.result(60)
    assert shown(here) == []
    check_all(here)


def test_the_same_note_twice_and_another_one(here: Archive) -> None:
    for _ in range(ROUNDS):
        series = store_all(here, series_of(3))
        note, other = rejection_note(QUALITY, series), rejection_note(PATIENT_SAFETY, series[:2])
        done = at_once(*(storing(here, one) for one in (note, note, other, other)))
        assert all(isinstance(one, Receipt) for one in done)
        assert shown(here) == []
    assert len(here.rejections.last()) == 2 * ROUNDS
    check_all(here)


def test_a_note_and_a_deletion(here: Archive) -> None:
    for _ in range(ROUNDS):
        series = store_all(here, series_of(2))
        note = rejection_note(QUALITY, series)
        scope = Scope((series[0].StudyInstanceUID,))
        at_once(storing(here, note), lambda scope=scope: here.deletion.delete(scope))
        assert shown(here) == []
        number = here.rejections.last(1)[0][0].id
        assert set(fates(here, number).values()) <= {Fate.HELD, Fate.AWAITED}
    check_all(here)


def test_taking_back_while_a_note_and_an_instance_come(here: Archive) -> None:
    for _ in range(ROUNDS):
        series = series_of(2)
        store(here, series[0])
        first = reject(here, QUALITY, series)
        again = rejection_note(PATIENT_SAFETY, series)
        done = at_once(
            lambda first=first: here.rejections.restore(first, "test"),
            storing(here, again),
            storing(here, series[1]),
        )
        assert not any(isinstance(one, NotFound) for one in done)
        safety = next(one.id for one, _ in here.rejections.last(5) if one.reason == PATIENT_SAFETY)
        assert shown(here) == []
        here.rejections.restore(safety, "test")
        missing = [one for one in series if one.SOPInstanceUID not in shown(here)]
        for one in missing:  # refused by one of the notes, as its sender was told
            assert isinstance(done[2], InstanceConflict)
            store(here, one)
        assert shown(here) == uids(series)
        here.deletion.delete(Scope((series[0].StudyInstanceUID,)))
    check_all(here)


def test_several_who_take_back_and_drop(here: Archive) -> None:
    """Each instance is either back or dropped, and none is both."""
    for _ in range(ROUNDS):
        series = store_all(here, series_of(4))
        number = reject(here, QUALITY, series)
        at_once(
            lambda number=number: here.rejections.restore(number, "one"),
            lambda number=number: here.rejections.restore(number, "two"),
            lambda number=number: here.rejections.drop(number, "three"),
        )
        back = set(shown(here))
        for uid, fate in fates(here, number).items():
            assert (uid in back) <= (fate == Fate.RESTORED)
        assert not set(held(here)) & back
        here.rejections.drop(number, "test")
        for uid in back:
            assert uid in uids(series)
        check_all(here)
        if back:
            here.deletion.delete(Scope((series[0].StudyInstanceUID,)))


def test_rejecting_by_request_while_more_comes(here: Archive) -> None:
    """What was there when the request came is hidden; what came later is shown, or hidden, and whole in any case."""
    for _ in range(ROUNDS):
        series = series_of(6)
        store_all(here, series[:3])
        scope = Scope((series[0].StudyInstanceUID,))
        done = at_once(
            lambda scope=scope: here.rejections.reject(scope, Reason.QUALITY, SCANNER),
            *(storing(here, one) for one in series[3:]),
        )
        assert isinstance(done[0], int)
        assert not set(uids(series[:3])) & set(shown(here))
        assert set(uids(series)) <= set(shown(here)) | set(held(here))
        assert len(stored(here)) + len(held(here)) == len(set(stored(here)) | set(held(here)))
    check_all(here)


def test_a_note_whose_commit_was_not_confirmed(here: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was carried out: its sender hears Success, and its bytes stay."""
    from archive.dicom.errors import OutcomeUnknown

    (one, late) = series_of(2)
    store(here, one)
    original = transactions.commit

    def unsure(connection: object) -> None:
        original(connection)  # type: ignore[arg-type]
        raise OutcomeUnknown("the connection broke")

    note = rejection_note(PATIENT_SAFETY, [one, late])
    monkeypatch.setattr(transactions, "commit", unsure)
    assert not store(here, note).already_there
    assert store(here, late).kept_aside
    monkeypatch.undo()
    settle_down(here)
    assert shown(here) == []
    assert held(here) == {each.SOPInstanceUID: digest(each) for each in (one, late)}
    assert (
        here.rejections.last(states=(State.ACTIVE,))[0][0].note.stored.SOPInstanceUID == note.SOPInstanceUID
    )
    check_all(here)


def test_a_note_that_is_refused_leaves_no_bytes(here: Archive) -> None:
    (one,) = store_all(here, series_of(1))
    settle_down(here)
    before = sorted(here.store.keys())
    with pytest.raises(ArchiveError):
        store(here, rejection_note(PATIENT_SAFETY, [one], PatientID="OTHER"))
    settle_down(here)
    assert sorted(here.store.keys()) == before


def test_a_note_about_more_studies_than_can_be_locked(here: Archive) -> None:
    """It is refused whole: on PostgreSQL its locks would leave none for anybody else."""
    of_many = [secondary_capture() for _ in range(MOST_STUDIES + 1)]
    with pytest.raises(ObjectTooLarge, match="several notes"):
        store(here, rejection_note(PATIENT_SAFETY, of_many))
    assert here.rejections.last() == []
    check_all(here)
    store(here, rejection_note(PATIENT_SAFETY, of_many[1:]))
    assert len(here.rejections.last()) == 1
