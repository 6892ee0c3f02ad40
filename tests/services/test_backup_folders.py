"""Backups and restores that meet damage, another clock, a disk that is not there, or each other."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap import upkeep
from archive.bootstrap.building import Archive
from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.services import backing_up, restoring
from archive.services.backing_up import Report
from archive.storage import backup_folder
from archive.storage.backup_folder import SUMS, UNFINISHED, BackupFolder
from corrected import opened_archive
from held import store
from objects import secondary_capture
from reliability.lossy_disk import Journal, remains


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with opened_archive(tmp_path, "") as opened:
        for _ in range(3):
            store(opened, secondary_capture())
        yield opened


def backed_up(archive: Archive, folder: Path) -> Report:
    work = upkeep.backing_up(archive, folder, bytes_per_second=0, check=False)
    return work.run(lambda *_: None)


def restored(folder: Path, data: Path, moment: str = "") -> restoring.Report:
    return restoring.Restoring(BackupFolder(folder), data, moment).run(lambda *_: None)


def blobs(folder: Path) -> list[Path]:
    return sorted((folder / "objects").glob("*/*/*"))


def test_a_clock_that_is_put_back_makes_no_older_backup_the_last(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    assert backed_up(archive, folder).blobs == 3
    first = BackupFolder(folder).moments()[0]
    (folder / "backups" / first).rename(folder / "backups" / "20990101T000000.000000Z")
    store(archive, secondary_capture())
    assert backed_up(archive, folder).blobs == 4
    assert BackupFolder(folder).moments()[-1] > "20990101T000000.000000Z"
    assert restored(folder, tmp_path / "new").blobs == 4


def test_a_damaged_object_does_not_take_the_place_of_its_good_copy(archive: Archive, tmp_path: Path) -> None:
    folder, data = tmp_path / "backups", archive.settings.data
    backed_up(archive, folder)
    good = blobs(folder)[0]
    before = good.read_bytes()
    in_archive = data / "objects" / good.relative_to(folder / "objects")
    in_archive.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    for path in (folder / "backups").iterdir():
        (path / SUMS).unlink()  # what it has is not known any more
    report = backed_up(archive, folder)
    assert len(report.damaged) == 1
    assert good.read_bytes() == before
    again = restored(folder, tmp_path / "new")
    assert (again.blobs, again.damaged, again.damaged_before) == (3, [], 1)
    assert before in [path.read_bytes() for path in blobs(tmp_path / "new")]


def test_a_store_that_is_not_mounted_makes_no_backup(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backing_up, "MOST_LOST_ALONE", 2)
    folder = tmp_path / "backups"
    for path in blobs(archive.settings.data):
        path.unlink()
    with pytest.raises(OutOfResources, match="mounted"):
        backed_up(archive, folder)
    assert BackupFolder(folder).moments() == []


def test_what_an_interrupted_backup_has_copied_is_not_copied_again(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    told: list[int] = []

    def hear(what: str, done: int, _number: int) -> None:
        told.append(done)
        if what == "Objects" and done == 2:
            raise KeyboardInterrupt

    work = upkeep.backing_up(archive, folder, bytes_per_second=0, check=False)
    with pytest.raises(KeyboardInterrupt):
        work.run(hear)
    assert told[-1] == 2
    report = backed_up(archive, folder)
    assert (report.blobs, report.copied) == (3, 1)


def test_a_backup_is_durable_when_it_is_told(archive: Archive, tmp_path: Path) -> None:
    """Also what an interrupted one had copied and not synced; SQLite is taken at its word."""
    disk = tmp_path / "disk"
    (disk / "backups").mkdir(parents=True)
    with Journal(disk, ["backups/backups/*"]).noting() as journal:
        work = upkeep.backing_up(archive, disk / "backups", bytes_per_second=0, check=False)

        def hear(what: str, done: int, _number: int) -> None:
            if (what, done) == ("Objects", 3):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work.run(hear)
        report = backed_up(archive, disk / "backups")
    left = remains(journal.events, lambda: False).files
    there = {name for name, content in left.items() if name.startswith("backups/objects/") and content}
    assert len(there) == report.blobs == 3


def test_the_list_of_a_backup_is_synced(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(backup_folder, "sync_file", lambda path: synced.append(path.name))
    backed_up(archive, tmp_path / "backups")
    assert synced == [SUMS]


def test_a_restore_goes_into_the_root_of_an_empty_disk(archive: Archive, tmp_path: Path) -> None:
    backed_up(archive, tmp_path / "backups")
    (tmp_path / "new" / "lost+found").mkdir(parents=True)
    assert restored(tmp_path / "backups", tmp_path / "new").blobs == 3


def test_a_file_of_the_backup_that_cannot_be_read_keeps_no_other(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    backed_up(archive, folder)
    bad = blobs(folder)[0]
    bad.unlink()
    bad.mkdir()  # gives EISDIR, as a bad sector gives EIO
    report = restored(folder, tmp_path / "new")
    assert (report.blobs, len(report.damaged)) == (2, 1)


def test_two_restores_do_not_meet_in_one_folder(archive: Archive, tmp_path: Path) -> None:
    folder, new = tmp_path / "backups", tmp_path / "new"
    backed_up(archive, folder)
    new.mkdir()
    with (new / restoring.MARK).open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="another restore"):
            restored(folder, new)
    assert restored(folder, new).blobs == 3  # the empty mark is what a power cut may leave


@pytest.mark.parametrize("name", ["index.sqlite", "notes.jsonl"])
def test_a_backup_whose_index_is_damaged_claims_no_folder(
    archive: Archive, tmp_path: Path, name: str
) -> None:
    """Else another one could not be restored there."""
    folder, new = tmp_path / "backups", tmp_path / "new"
    backed_up(archive, folder)
    backed_up(archive, folder)
    first, last = BackupFolder(folder).moments()
    (folder / "backups" / last / name).unlink()
    with pytest.raises(OutOfResources, match="restore another"):
        restored(folder, new)
    assert restored(folder, new, first).blobs == 3


def test_an_unfinished_backup_is_no_backup(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    whole = backed_up(archive, folder).path
    assert whole is not None
    shutil.copytree(whole, whole.with_name(f"29990101T000000.000000Z{UNFINISHED}"))
    assert BackupFolder(folder).moments() == [whole.name]
