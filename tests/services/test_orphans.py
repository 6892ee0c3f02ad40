"""Files that nothing points to are set aside and never deleted; and nothing that anything points to is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import NotFound, OutOfResources
from archive.dicom.instance import Scope
from archive.services import orphans
from archive.services.orphans import DAY, Orphans
from held import settle_down, store
from objects import secondary_capture
from verified import all_held, filled_archive


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Archive]:
    with filled_archive(tmp_path) as archive:
        yield archive


@pytest.fixture
def on_each_engine(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with filled_archive(tmp_path, index_url) as archive:
        yield archive


class Clock:
    """Time goes when it is told to."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def left_by_a_crash(archive: Archive) -> str:
    """Bytes that are safe, and that the index never heard of."""
    writer = archive.store.create()
    writer.write(b"whole, and nobody's")
    writer.publish()
    return writer.key


def keys(archive: Archive) -> set[str]:
    return set(archive.store.keys())


def sweep(one: Orphans) -> int:
    steps = one.sweep()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return int(end.value)


def test_only_what_nothing_points_to_is_found(on_each_engine: Archive) -> None:
    assert on_each_engine.orphans.found(0) == []
    key = left_by_a_crash(on_each_engine)
    [found] = on_each_engine.orphans.found(0)
    assert (found.key, found.length) == (key, 19)
    assert on_each_engine.orphans.found(60) == []


def test_what_is_set_aside_is_kept(filled: Archive) -> None:
    before, key = keys(filled), left_by_a_crash(filled)
    [found] = filled.orphans.set_aside(filled.orphans.found(0))
    assert found.key == key
    assert keys(filled) == before
    assert [one.key for one in filled.store.aside()] == [key]
    filled.store.put_back(key)
    assert keys(filled) == {*before, key}


def test_what_a_job_is_about_to_remove_is_left_to_it(filled: Archive) -> None:
    one = next(one for one in all_held(filled) if one.holder == "instance")
    filled.deletion.delete(Scope((one.StudyInstanceUID,)))
    assert one.blob_key in keys(filled)
    assert filled.orphans.found(0) == []
    settle_down(filled)
    assert one.blob_key not in keys(filled)
    assert filled.orphans.found(0) == []


def test_what_is_entered_between_the_look_and_the_act_stays(on_each_engine: Archive) -> None:
    """The index is asked again, for just these keys."""
    key = left_by_a_crash(on_each_engine)
    found = on_each_engine.orphans.found(0)
    one = all_held(on_each_engine)[0]
    on_each_engine.database.write(
        lambda connection: connection.exec_driver_sql(
            f"UPDATE {one.holder} SET blob_key = '{key}' WHERE blob_key = '{one.blob_key}'"
        ).close()
    )
    assert on_each_engine.orphans.set_aside(found) == []
    assert key in keys(on_each_engine)


def test_what_somebody_has_removed_meanwhile_is_no_error(filled: Archive) -> None:
    key = left_by_a_crash(filled)
    found = filled.orphans.found(0)
    filled.store.delete(key)
    assert filled.orphans.set_aside(found) == []


def test_by_itself_it_waits_for_a_day_and_looks_twice(filled: Archive) -> None:
    clock = Clock()
    swept = Orphans(filled.store, filled.database, clock.now, clock.monotonic)
    key = left_by_a_crash(filled)
    for ahead, done in (
        (0.0, 0),
        (DAY - 60, 0),
        (DAY + 1, 0),
        (DAY + 60, 0),
        (DAY + 3700, 1),
        (DAY + 3800, 0),
    ):
        clock.ahead = ahead
        assert sweep(swept) == done, ahead
        assert (key in keys(filled)) is (ahead < DAY + 3700)
    assert [one.key for one in filled.store.aside()] == [key]


def test_a_clock_that_jumps_takes_nothing_at_once(filled: Archive) -> None:
    """Bytes that were published a moment ago, and are about to be entered, look ten years old."""
    clock = Clock()
    swept = Orphans(filled.store, filled.database, clock.now)
    key = left_by_a_crash(filled)
    for years in (10, -10, 10):
        clock.ahead = years * 365 * DAY
        assert sweep(swept) == 0
    assert key in keys(filled)


def test_many_at_once_are_left_to_a_person(filled: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older index was put back: its files are no rubbish."""
    monkeypatch.setattr(orphans, "MOST_BY_ITSELF", 2)
    clock = Clock()
    clock.ahead = 2 * DAY
    swept = Orphans(filled.store, filled.database, clock.now, clock.monotonic)
    for _ in range(3):
        left_by_a_crash(filled)
    with pytest.raises(OutOfResources, match="archive reindex"):
        sweep(swept)
    assert list(filled.store.aside()) == []


def test_many_files_are_looked_at_in_steps(filled: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "_KEYS_PER_STEP", 3)
    lost = {left_by_a_crash(filled) for _ in range(7)}
    assert {one.key for one in filled.orphans.found(0)} == lost
    assert len(list(filled.orphans.find(0))) > 5


def test_an_object_set_aside_by_mistake_fails_alone_and_comes_back(filled: Archive) -> None:
    one = next(one for one in all_held(filled) if one.holder == "instance")
    filled.store.set_aside(one.blob_key, "by mistake")
    [stored] = filled.retrieve.instances(Scope(sop_instance_uids=(one.SOPInstanceUID,)))
    with pytest.raises(NotFound):
        filled.retrieve.open(stored)
    store(filled, secondary_capture())
    assert filled.verification.recover(one)
    filled.retrieve.open(stored).close()


def test_a_file_that_is_no_key_of_ours_is_nobodys_business(filled: Archive) -> None:
    folder = filled.settings.data / "objects" / os.listdir(filled.settings.data / "objects")[0]
    (folder / "notes.txt").write_text("by hand")
    assert filled.orphans.found(0) == []
    assert (folder / "notes.txt").exists()
