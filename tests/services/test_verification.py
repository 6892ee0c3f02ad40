"""Whatever happens to stored bytes is found, in every table that points to some, and told until it is mended
(reliability.md 1.5, 4.3)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Scope
from archive.services import verification
from archive.services.verification import Examined, Fault, Held, Level
from corrected import opened_archive
from held import store
from objects import secondary_capture
from verified import TABLES, all_held, cut, empty, filled_archive, flip, grow, path_of


@pytest.fixture
def filled(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with filled_archive(tmp_path, index_url) as archive:
        yield archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """On the embedded default, with one object."""
    with opened_archive(tmp_path, "") as opened:
        store(opened, secondary_capture())
        yield opened


def verify(archive: Archive, level: Level = Level.CHECKSUM) -> dict[str, Fault | None]:
    """What is wrong, by key; noted."""
    found = [archive.verification.examined(one, level) for one in all_held(archive)]
    return {one.held.blob_key: one.fault for one in archive.verification.note(found)}


def known(archive: Archive) -> dict[str, str]:
    return {one.blob_key: one.fault for one in archive.verification.found(100)}


DAMAGES: dict[str, tuple[Callable[[Path], None], Fault, Level]] = {
    "missing": (Path.unlink, Fault.MISSING, Level.EXISTS),
    "truncated": (cut, Fault.CUT, Level.SIZE),
    "zero-length": (empty, Fault.CUT, Level.SIZE),
    "longer": (grow, Fault.CUT, Level.SIZE),
    "bit rot": (lambda path: flip(path, path.stat().st_size - 1), Fault.ALTERED, Level.CHECKSUM),
    "bit rot in the header": (lambda path: flip(path, 131), Fault.ALTERED, Level.CHECKSUM),
}
"""What is done to a file, what that is called, and the first level that sees it."""


def test_each_damage_is_found_in_each_table(filled: Archive) -> None:
    victims = {one.holder: one for one in all_held(filled)}
    assert set(victims) == TABLES
    whole = {one: path_of(filled, one).read_bytes() for one in victims.values()}
    for name, (damage, fault, seen_from) in DAMAGES.items():
        assert verify(filled) == {}
        for one in whole:
            damage(path_of(filled, one))
        damaged = {one.blob_key: fault for one in whole}
        for level in Level:
            sees = list(Level).index(level) >= list(Level).index(seen_from)
            assert verify(filled, level) == (damaged if sees else {}), (name, level)
        assert known(filled) == damaged
        assert filled.verification.counts() == {fault: len(victims)}
        for one, content in whole.items():
            path_of(filled, one).write_bytes(content)


def test_files_that_changed_places_are_found(archive: Archive) -> None:
    place = {"StudyInstanceUID": "2.25.10", "SeriesInstanceUID": "2.25.11"}
    for uid in ("2.25.21", "2.25.22"):
        store(archive, secondary_capture(SOPInstanceUID=uid, **place))
    _, one, two = all_held(archive)
    assert one.blob_length == two.blob_length
    between = path_of(archive, one).with_name("between")
    path_of(archive, one).rename(between)
    path_of(archive, two).rename(path_of(archive, one))
    between.rename(path_of(archive, two))
    assert verify(archive) == {one.blob_key: Fault.ALTERED, two.blob_key: Fault.ALTERED}


def test_a_header_that_names_another_transfer_syntax_is_found(archive: Archive) -> None:
    """The digest is of the data set alone."""
    [one] = all_held(archive)
    path = path_of(archive, one)
    whole = path.read_bytes()
    other = whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0", 1)
    path.write_bytes(other)
    assert (len(other), other == whole) == (len(whole), False)
    assert verify(archive) == {one.blob_key: Fault.ALTERED}


def test_a_disk_that_cannot_read_is_no_missing_file(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = all_held(archive)

    def fails(*_: object) -> None:
        raise OutOfResources("a blob cannot be looked at: Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(type(archive.store), "stat", fails)
        assert verify(archive) == {one.blob_key: Fault.UNREADABLE}
    assert verify(archive, Level.SIZE) == {}
    assert known(archive) == {one.blob_key: Fault.UNREADABLE}  # its bytes were not read
    assert verify(archive) == {}
    assert known(archive) == {}


def test_what_is_sound_again_is_forgotten_by_who_would_have_seen_it(archive: Archive) -> None:
    [one] = all_held(archive)
    path = path_of(archive, one)
    whole = path.read_bytes()
    flip(path, len(whole) - 1)
    assert verify(archive) == {one.blob_key: Fault.ALTERED}
    path.write_bytes(whole)
    for level in (Level.EXISTS, Level.SIZE):
        assert verify(archive, level) == {}
        assert known(archive) == {one.blob_key: Fault.ALTERED}
    assert verify(archive) == {}
    assert known(archive) == {}


def test_what_was_deleted_meanwhile_is_not_missing(archive: Archive) -> None:
    [one] = all_held(archive)
    archive.deletion.delete(Scope((one.StudyInstanceUID,)))
    archive.store.delete(one.blob_key)
    found = archive.verification.examined(one, Level.CHECKSUM)
    assert found.fault is Fault.MISSING
    assert archive.verification.note([found]) == []
    assert known(archive) == {}


def test_damage_to_what_is_deleted_then_is_forgotten(archive: Archive) -> None:
    [one] = all_held(archive)
    empty(path_of(archive, one))
    assert verify(archive) == {one.blob_key: Fault.CUT}
    archive.deletion.delete(Scope((one.StudyInstanceUID,)))
    assert archive.verification.forget_what_went() == 0  # a job still points to them
    archive.deletion.discard([one.blob_key])
    archive.database.write(lambda connection: connection.exec_driver_sql("DELETE FROM outbox").close())
    assert archive.verification.forget_what_went() == 1
    assert known(archive) == {}


def test_the_other_instances_of_a_study_are_not_called_damaged(archive: Archive) -> None:
    [first] = all_held(archive)
    others = [
        secondary_capture(StudyInstanceUID=first.StudyInstanceUID, SeriesInstanceUID=first.SeriesInstanceUID)
        for _ in range(2)
    ]
    for other in others:
        store(archive, other)
    path_of(archive, first).unlink()
    assert verify(archive) == {first.blob_key: Fault.MISSING}
    assert {one.SOPInstanceUID for one in archive.verification.found(10)} == {first.SOPInstanceUID}


def test_missing_bytes_come_back_from_the_quarantine(archive: Archive) -> None:
    [one] = all_held(archive)
    archive.store.set_aside(one.blob_key, "by mistake")
    assert verify(archive) == {one.blob_key: Fault.MISSING}
    assert archive.verification.recover(one)
    assert verify(archive) == {}
    assert not archive.verification.recover(one)


def test_what_is_not_what_it_was_stays_in_the_quarantine(archive: Archive) -> None:
    [one] = all_held(archive)
    flip(path_of(archive, one), one.blob_length - 1)
    archive.store.set_aside(one.blob_key, "altered")
    assert not archive.verification.recover(one)
    assert [found.key for found in archive.store.aside()] == [one.blob_key]
    assert verify(archive) == {one.blob_key: Fault.MISSING}


def test_a_disk_that_is_not_there_is_said_once_and_not_object_by_object(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MOST_LOST_ALONE", 2)
    for _ in range(3):
        store(archive, secondary_capture())
    shutil.rmtree(archive.settings.data / "objects")
    (archive.settings.data / "objects").mkdir()
    with pytest.raises(OutOfResources, match="mounted"):
        verify(archive)
    assert known(archive) == {}


def test_no_file_is_changed_by_looking(filled: Archive) -> None:
    def files() -> dict[str, tuple[int, int]]:
        found = (path for path in filled.settings.data.rglob("*.dcm") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before = files()
    empty(path_of(filled, all_held(filled)[0]))
    verify(filled)
    assert files() == before
    assert len(list(filled.store.keys())) == len(all_held(filled))


def test_reading_is_told_in_pieces(archive: Archive) -> None:
    """By which the scrubber keeps its rate."""
    [one] = all_held(archive)
    told = list(archive.verification.examine(one, Level.CHECKSUM))
    assert sum(told) == one.blob_length + verification.OF_A_LOOK
    assert Examined(one, None, Level.CHECKSUM) == archive.verification.examined(one, Level.CHECKSUM)
    assert isinstance(one, Held)
    assert os.path.getsize(path_of(archive, one)) == one.blob_length
