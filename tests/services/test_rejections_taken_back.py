"""Taking rejection notes back, letting go of what they hold, and notes of our own (dimse.md 1.5 IOCM). On both
engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import Gone, InstanceConflict, NotFound
from archive.dicom.instance import Scope
from archive.services.rejections import Fate, Reason, Rejections, State
from held import SCANNER, digest, files, settle_down, store, stored, version_of
from objects import new_uid
from rejecting_here import check_all, fates, held, reject, series_of, shown, store_all, uids
from rejection_notes import PATIENT_SAFETY, QUALITY, RETENTION, rejection_note
from suites.sqlite import prepare

DAY = 86_400.0


@pytest.fixture
def here(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    overrides = {"index.url": index_url, "storage.minimum_free_bytes": 0}
    settings = replace(config.load(environment={}, overrides=overrides), data=tmp_path / "data")
    prepare(settings)
    archive = building.build(settings)
    yield archive
    archive.close()


def test_everything_comes_back_byte_for_byte(here: Archive) -> None:
    series = store_all(here, series_of(3))
    before = stored(here)
    number = reject(here, PATIENT_SAFETY, series)
    done = here.rejections.restore(number, "somebody")
    assert (done.number, done.failed) == (3, {})
    assert stored(here) == before
    note = here.rejections.get(number)
    assert (note.state, note.settled_by) == (State.RESTORED, "somebody")
    assert set(fates(here, number).values()) == {Fate.RESTORED}
    source = here.conflicts.last()
    assert source == []
    check_all(here)


def test_what_is_restored_can_be_deleted_and_stored_again(here: Archive) -> None:
    (one,) = store_all(here, series_of(1))
    here.rejections.restore(reject(here, PATIENT_SAFETY, [one]), "test")
    here.deletion.delete(Scope((one.StudyInstanceUID,)))
    store(here, one)
    assert shown(here) == uids([one])
    check_all(here)


def test_a_note_is_taken_back_once(here: Archive) -> None:
    note = rejection_note(PATIENT_SAFETY, store_all(here, series_of(1)))
    store(here, note)
    here.rejections.restore(1, "test")
    with pytest.raises(InstanceConflict, match="taken back already"):
        here.rejections.restore(1, "test")
    with pytest.raises(InstanceConflict, match="send a new one"):
        store(here, note)
    with pytest.raises(NotFound):
        here.rejections.restore(2, "test")
    assert len(shown(here)) == 1
    check_all(here)


def test_a_note_that_is_taken_back_waits_for_nothing(here: Archive) -> None:
    there, awaited = series_of(2)
    store(here, there)
    number = reject(here, PATIENT_SAFETY, [there, awaited])
    here.rejections.restore(number, "test")
    assert not store(here, awaited).warning
    assert shown(here) == uids([there, awaited])


def test_one_instance_of_a_note(here: Archive) -> None:
    series = store_all(here, series_of(2))
    number = reject(here, PATIENT_SAFETY, series)
    done = here.rejections.restore(number, "test", series[0].SOPInstanceUID)
    assert done.number == 1
    assert shown(here) == uids(series[:1])
    assert here.rejections.get(number).state == State.ACTIVE
    with pytest.raises(NotFound):
        here.rejections.restore(number, "test", new_uid())
    here.rejections.restore(number, "test")
    assert shown(here) == uids(series)
    check_all(here)


def test_what_stands_in_the_way_is_told_and_the_rest_comes_back(here: Archive) -> None:
    """The UID has been taken by another object since, which the retention's end allows."""
    series = store_all(here, series_of(2))
    number = reject(here, RETENTION, series)
    store(here, version_of(series[0]))
    done = here.rejections.restore(number, "test")
    assert done.number == 1
    assert list(done.failed) == [series[0].SOPInstanceUID]
    assert "other content" in done.failed[series[0].SOPInstanceUID]
    assert here.rejections.get(number).state == State.ACTIVE
    assert stored(here)[series[0].SOPInstanceUID] == digest(version_of(series[0]))
    assert held(here) == {series[0].SOPInstanceUID: digest(series[0])}
    here.deletion.delete(scope_of(series[0]))
    assert here.rejections.restore(number, "test").failed == {}
    assert shown(here) == uids(series)
    check_all(here)


def scope_of(one: object) -> Scope:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return Scope(*((str(getattr(one, name)),) for name in names))


def test_another_patient_has_taken_the_study_since(here: Archive) -> None:
    (mine,) = store_all(here, series_of(1))
    number = reject(here, PATIENT_SAFETY, [mine])
    store(here, series_of(1, StudyInstanceUID=mine.StudyInstanceUID, PatientID="THEIRS")[0])
    done = here.rejections.restore(number, "test")
    assert done.number == 0
    assert "another patient" in done.failed[mine.SOPInstanceUID]
    assert held(here) == {mine.SOPInstanceUID: digest(mine)}
    check_all(here)


def test_damaged_bytes_are_not_brought_back(here: Archive) -> None:
    (one,) = store_all(here, series_of(1))
    number = reject(here, PATIENT_SAFETY, [one])
    settle_down(here)
    instance, blob = here.rejections.open_copy(number, one.SOPInstanceUID)
    blob.close()
    (path,) = [path for path in files(here) if instance.blob_key.endswith(path.name)]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    done = here.rejections.restore(number, "test")
    assert "damaged" in done.failed[one.SOPInstanceUID]
    assert shown(here) == []


def test_dropped_bytes_are_gone_and_stay_rejected(here: Archive) -> None:
    series = store_all(here, series_of(3))
    number = reject(here, PATIENT_SAFETY, series)
    assert here.rejections.drop(number, "test", series[0].SOPInstanceUID) == 1
    assert held(here).keys() == {one.SOPInstanceUID for one in series[1:]}
    assert here.rejections.drop(number, "test") == 2
    assert here.rejections.drop(number, "test") == 0
    assert set(fates(here, number).values()) == {Fate.DROPPED}
    with pytest.raises(InstanceConflict, match="rejected"):
        store(here, series[0])
    with pytest.raises(NotFound):
        here.rejections.open_copy(number, series[0].SOPInstanceUID)
    check_all(here)
    here.rejections.restore(number, "test")
    store(here, series[0])
    assert shown(here) == uids(series[:1])
    check_all(here)


def test_what_two_notes_hold_is_dropped_for_both(here: Archive) -> None:
    series = store_all(here, series_of(1))
    first, second = reject(here, QUALITY, series), reject(here, PATIENT_SAFETY, series)
    assert here.rejections.drop(second, "test") == 0
    assert here.rejections.drop(first, "test") == 1
    assert [*fates(here, first).values(), *fates(here, second).values()] == [Fate.DROPPED] * 2
    check_all(here)


def test_held_so_many_days(here: Archive) -> None:
    series = store_all(here, series_of(2))
    number = reject(here, QUALITY, series)
    import time

    later = Rejections(here.store, here.database, here.ingest, now=lambda: time.time() + 10 * DAY)
    assert later.expire(0) == 0
    assert later.expire(11) == 0
    assert later.expire(9) == 2
    assert set(fates(here, number).values()) == {Fate.EXPIRED}
    with pytest.raises(InstanceConflict, match="rejected"):
        store(here, series[0])
    check_all(here)


def test_notes_of_our_own(here: Archive) -> None:
    """As dcm4chee's `reject` makes them; they are notes like others."""
    series = store_all(here, series_of(3))
    others = store_all(here, series_of(2, StudyInstanceUID=series[0].StudyInstanceUID))
    assert here.rejections.reject(scope_of(series[0]), Reason.QUALITY, SCANNER) == 1
    assert shown(here) == uids([*series[1:], *others])
    study, of_series = series[0].StudyInstanceUID, series[0].SeriesInstanceUID
    assert here.rejections.reject(Scope((study,), (of_series,)), Reason.PATIENT_SAFETY, SCANNER) == 2
    assert shown(here) == uids(others)
    assert here.rejections.reject(Scope((study,)), Reason.RETENTION, SCANNER) == 2
    assert shown(here) == []
    with pytest.raises(Gone):
        here.rejections.reject(Scope((study,)), Reason.QUALITY, SCANNER)
    with pytest.raises(NotFound):
        here.rejections.reject(Scope((new_uid(),)), Reason.QUALITY, SCANNER)
    for number in (1, 2, 3):
        here.rejections.restore(number, "test")
    assert shown(here) == uids([*series, *others])
    check_all(here)


def test_a_large_study_takes_several_notes(here: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.services.rejections.IN_ONE_NOTE", 2)
    series = store_all(here, series_of(5))
    assert here.rejections.reject(Scope((series[0].StudyInstanceUID,)), Reason.QUALITY, SCANNER) == 5
    assert [counts for _, counts in here.rejections.last()] == [{"held": 1}, {"held": 2}, {"held": 2}]
    assert shown(here) == []


def test_who_is_listed(here: Archive) -> None:
    first, second = store_all(here, series_of(1)), store_all(here, series_of(1))
    numbers = [reject(here, QUALITY, first), reject(here, PATIENT_SAFETY, second)]
    here.rejections.restore(numbers[0], "test")

    def listed(*states: State, study: str = "") -> list[int]:
        return [one.id for one, _ in here.rejections.last(10, states, study)]

    assert listed() == numbers[::-1]
    assert listed(State.ACTIVE) == numbers[1:]
    assert listed(study=first[0].StudyInstanceUID) == numbers[:1]
    note = here.rejections.get(numbers[1]).note
    assert (note.source, note.stored.StudyInstanceUID) == (SCANNER, second[0].StudyInstanceUID)
