"""A process that is killed between making a folder, or a file, and syncing that: what another one promises afterwards
survives a power cut all the same. On a disk that forgets all that it may."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.storage.local import LocalStore
from archive.storage.notes import NAME, Notes
from reliability.lossy_disk import Journal, remains
from suites.blob_store import stored

PLACE = "data/objects"


def blobs(journal: Journal) -> dict[str, bytes | None]:
    """What is left of what was not synced: nothing."""
    left = remains(journal.events, lambda: False).files
    return {name: content for name, content in left.items() if name.startswith(PLACE) and content is not None}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    made.mkdir()
    return made


@pytest.mark.parametrize("made", ["data", "data/objects", "data/spool"])
def test_folders_that_were_there_unsynced(disk: Path, made: str) -> None:
    """As `serve` makes the data folder before its workers do."""
    if made != "data":
        (disk / "data").mkdir()
    with Journal(disk).noting() as journal:
        os.mkdir(disk / made)
        key = stored(LocalStore(disk / "data"), b"bytes")
    assert blobs(journal) == {f"{PLACE}/{key}": b"bytes"}


def test_a_folder_of_a_blob_that_is_put_back(disk: Path) -> None:
    store = LocalStore(disk / "data")
    key = stored(store, b"bytes")
    store.set_aside(key, "a test")
    folder = (disk / PLACE / key).parent
    folder.rmdir()
    folder.parent.rmdir()
    with Journal(disk).noting() as journal:
        os.mkdir(folder.parent)
        os.mkdir(folder)
        store.put_back(key)
    assert blobs(journal) == {f"{PLACE}/{key}": b"bytes"}


def new_file(disk: Path) -> None:
    os.close(os.open(disk / NAME, os.O_WRONLY | os.O_CREAT, 0o600))


def tidied(disk: Path) -> None:
    made = disk / f"{NAME}.new"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT, 0o600)
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(made, disk / NAME)


@pytest.mark.parametrize("leave", [new_file, tidied])
def test_notes_in_a_file_whose_name_was_not_synced(disk: Path, leave: Callable[[Path], None]) -> None:
    notes = Notes(disk)
    if leave is tidied:
        notes.append(lambda: {"before": "{}"})
    with Journal(disk).noting() as journal:
        leave(disk)
        notes.append(lambda: {"after": "{}"})
    left = remains(journal.events, lambda: False).files[NAME]
    assert left is not None
    assert b"after" in left


def test_notes_behind_bytes_that_a_disk_has_lost(disk: Path) -> None:
    """Whose sync failed, and then the system wrote nothing where they were."""
    notes = Notes(disk)
    notes.append(lambda: {"first": "{}"})
    first = notes.path.stat().st_size
    notes.append(lambda: {"lost": "{}"})
    second = notes.path.stat().st_size
    notes.append(lambda: {"third": "{}"})
    with notes.path.open("r+b") as file:
        file.seek(first)
        file.write(bytes(second - first))
    assert Notes(disk).all() == {"first": "{}", "third": "{}"}
