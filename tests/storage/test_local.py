"""Local files: the shared suite, and what is particular to a file system: order of syncs, errors, modes."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive.dicom.errors import ArchiveError, ConfigurationError, NotFound, OutOfResources
from archive.storage import local
from archive.storage.local import LocalStore
from suites.blob_store import CONTENT, BlobStoreSuite, stored


class TestLocalStore(BlobStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "data")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that matter for durability, in the order in which they are made."""
    made: list[str] = []
    names: dict[int, str] = {}

    def watched(name: str, describe: Callable[..., str]) -> None:
        original = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if name == "open":
                names[result] = Path(args[0]).name
            else:
                made.append(describe(*args))
            return result

        monkeypatch.setattr(local.os, name, call)

    watched("open", lambda *args: "")
    watched("fsync", lambda descriptor: f"fsync {names[descriptor]}")
    watched("link", lambda source, target: f"link {Path(source).suffix}")
    return made


def test_the_bytes_are_synced_before_the_name_and_the_name_before_it_counts(
    tmp_path: Path, calls: list[str]
) -> None:
    store = LocalStore(tmp_path / "data")
    calls.clear()
    writer = store.create()
    folders, calls[:] = calls[:], []
    writer.write(CONTENT)
    writer.publish()
    first, second, _ = writer.key.split("/")
    assert folders == ["fsync objects", f"fsync {first}"]
    assert calls[0].endswith(".part")
    assert calls[0].startswith("fsync ")
    assert calls[1:] == ["link .part", f"fsync {second}"]


def test_together_every_byte_is_synced_before_a_name_and_the_names_before_they_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> None:
    monkeypatch.setattr(local, "BLOBS_PER_FOLDER", 2)
    store = LocalStore(tmp_path / "data")
    writers = [store.create() for _ in range(3)]
    for writer in writers:
        writer.write(CONTENT[:1000])
    calls.clear()
    assert store.publish_all(writers) == [None] * 3
    assert [call.endswith(".part") and call.startswith("fsync ") for call in calls[:3]] == [True] * 3
    assert calls[3:6] == ["link .part"] * 3
    assert sorted(calls[6:]) == sorted({f"fsync {writer.key.split('/')[1]}" for writer in writers})


@pytest.mark.parametrize("name", ["write", "fsync", "link"])
@pytest.mark.parametrize("nth", range(3))
def test_what_fails_together_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, nth: int
) -> None:
    store = LocalStore(tmp_path)
    writers = [store.create() for _ in range(3)]
    for writer in writers:
        writer.write(b"some")
    with monkeypatch.context() as patched:
        fail_at(patched, name, nth, errno.EIO)
        faults = store.publish_all(writers)
    assert sum(fault is not None for fault in faults) == 1
    for writer, fault in zip(writers, faults, strict=True):
        if fault is not None:
            writer.discard()
    whole = [writer.key for writer, fault in zip(writers, faults, strict=True) if fault is None]
    assert sorted(store.keys()) == sorted(whole)
    assert store.sweep(0) == 0


def test_a_folder_that_is_not_synced_fails_all_that_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    writers = [store.create() for _ in range(3)]
    with monkeypatch.context() as patched:
        fail_at(patched, "fsync", 3, errno.EIO)
        assert all(store.publish_all(writers))
    for writer in writers:
        writer.discard()
    assert not files(tmp_path)


def test_the_roots_folders_are_durable(tmp_path: Path, calls: list[str]) -> None:
    LocalStore(tmp_path / "a" / "b")
    assert calls[:3] == [f"fsync {tmp_path.name}", "fsync a", "fsync a"]
    assert [call for call in calls if call == "fsync b"] == ["fsync b"] * 3


def test_blobs_are_for_our_eyes_only(tmp_path: Path) -> None:
    stored(LocalStore(tmp_path / "data"), b"x")
    [path] = files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_folder_is_filled_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "BLOBS_PER_FOLDER", 3)
    store = LocalStore(tmp_path)
    folders = [stored(store, b"x").rpartition("/")[0] for _ in range(6)]
    assert folders[:3] == folders[:1] * 3
    assert folders[3:] == folders[3:4] * 3


def test_a_blob_never_replaces_another(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    writer = store.create()
    writer.write(b"new")
    taken = tmp_path / "objects" / writer.key
    taken.write_bytes(b"old")
    with pytest.raises(OutOfResources):
        writer.publish()
    assert taken.read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS, errno.ENOENT])
@pytest.mark.parametrize("name", ["open", "write", "fsync", "link"])
def test_whatever_fails_is_reported_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    """Each call in turn fails, the first, the second, … until the blob gets through."""
    for nth in range(20):
        store = LocalStore(tmp_path / str(nth))
        with monkeypatch.context() as patched:
            failures = fail_at(patched, name, nth, number)
            try:
                key = attempt(store)
            except OutOfResources:
                key = ""
        left = [
            path.relative_to(tmp_path / str(nth) / "objects").as_posix()
            for path in files(tmp_path / str(nth))
        ]
        assert left == ([key] if key else [])
        assert stored(store, b"the next one is fine")
        if not failures:
            assert nth > 0
            return
    pytest.fail("never got through")


def fail_at(patched: pytest.MonkeyPatch, name: str, nth: int, number: int) -> list[int]:
    """Let the nth call from now on fail, once; the list says that it did."""
    original, calls, failures = getattr(os, name), iter(range(1_000_000)), []

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == nth:
            failures.append(number)
            raise OSError(number, os.strerror(number))
        return original(*args, **kwargs)

    patched.setattr(local.os, name, call)
    return failures


def attempt(store: LocalStore) -> str:
    writer = store.create()
    try:
        writer.write(CONTENT)
        writer.publish()
    except OutOfResources:
        writer.discard()
        raise
    return writer.key


def test_a_failed_fsync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    writer = store.create()
    fail_at(monkeypatch, "fsync", 0, errno.EIO)
    with pytest.raises(OutOfResources):
        writer.publish()
    writer.discard()
    assert not files(tmp_path)


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(local.os, "write", lambda descriptor, piece: write(descriptor, piece[:10_000]))
    store = LocalStore(tmp_path)
    with store.open(stored(store, CONTENT)) as blob:
        assert blob.read(0, blob.length) == CONTENT


def test_the_disk_begins_with_a_large_blob_while_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte is handed on once, and the sync is the same."""
    handed_on: list[tuple[int, int]] = []
    monkeypatch.setattr(local, "WRITE_BEHIND", 1000)
    monkeypatch.setattr(
        local.os, "posix_fadvise", lambda _, begin, length, __: handed_on.append((begin, length))
    )
    monkeypatch.setattr(local, "WRITE_SIZE", 300)
    store = LocalStore(tmp_path / "data")
    writer = store.create()
    for number in range(100):
        writer.write(bytes([number]) * 70)
    writer.publish()
    with store.open(writer.key) as blob:
        assert blob.read(0, 7000) == b"".join(bytes([number]) * 70 for number in range(100))
    ends = [begin + length for begin, length in handed_on]
    assert [begin for begin, _ in handed_on] == [0, *ends[:-1]]
    assert all(1000 <= length <= 1300 for _, length in handed_on)
    assert ends[-1] > 6000


def test_below_the_low_water_mark_nothing_is_taken(tmp_path: Path) -> None:
    key = stored(LocalStore(tmp_path), b"x")
    full = LocalStore(tmp_path, minimum_free_bytes=1 << 62)
    with pytest.raises(OutOfResources):
        full.create()
    with pytest.raises(OutOfResources):
        full.check()
    full.open(key).close()
    full.delete(key)


def test_a_long_write_stops_at_the_low_water_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "ROOM_CHECK_INTERVAL", 3 * len(CONTENT))
    store = LocalStore(tmp_path)
    writer = store.create()
    fail_at(monkeypatch, "statvfs", 0, errno.EIO)
    for _ in range(3):
        writer.write(CONTENT)
    with pytest.raises(OutOfResources):
        writer.write(CONTENT)
    writer.discard()
    assert not files(tmp_path)


def test_a_truncated_blob_is_not_found_where_it_ends(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = stored(store, CONTENT)
    with store.open(key) as blob:
        os.truncate(tmp_path / "objects" / key, 1000)
        assert blob.read(0, 1000) == CONTENT[:1000]
        with pytest.raises(NotFound):
            blob.read(0, 1001)
    with store.open(key) as blob:
        assert blob.length == 1000


def test_a_link_in_the_store_is_not_followed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = stored(store, b"x")
    path = tmp_path / "objects" / key
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(ArchiveError):
        store.open(key)


def test_strange_files_are_no_keys(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = stored(store, b"x")
    (tmp_path / "objects" / key).with_name("lost+found").touch()
    assert list(store.keys()) == [key]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError):
        LocalStore(tmp_path / "file" / "data")


def test_sweep_takes_what_a_dead_writer_left(tmp_path: Path) -> None:
    """reliability.md I6. The writer is a process of its own, killed in the middle of a blob."""
    script = (
        "import os, pathlib, signal, sys; from archive.storage.local import LocalStore;"
        "LocalStore(pathlib.Path(sys.argv[1])).create().write(bytes(1 << 20));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    store = LocalStore(tmp_path)
    assert len(list((tmp_path / "spool").iterdir())) == 1
    assert store.sweep(3600) == 0
    assert store.sweep(0) == 1
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_stretch_that_cannot_be_fetched_says_what_reading_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    writer = store.create()
    writer.write(bytes(1000))
    writer.publish()
    [path] = tmp_path.glob("objects/*/*/*")
    with store.open(writer.key) as blob:
        stretch = blob.stretch(0, 1000)
        assert stretch.fetch()
        with monkeypatch.context() as patch:
            patch.setattr(os, "sendfile", _refuses)
            assert not stretch.fetch()
        os.truncate(path, 100)
        with pytest.raises(NotFound):
            stretch.fetch()


def _refuses(*_: object) -> int:
    raise OSError(errno.EINVAL, "this file system cannot")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail_at(monkeypatch, "link", 0, number)
    with pytest.raises(ConfigurationError, match="hard links"):
        LocalStore(tmp_path)


def test_a_disk_that_takes_nothing_is_no_wrong_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LocalStore(tmp_path)
    fail_at(monkeypatch, "open", 1, errno.ENOSPC)  # the first syncs the folder
    LocalStore(tmp_path)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_folder_that_cannot_be_read_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """An index that is made from what is left would know nothing of the rest."""
    store = LocalStore(tmp_path)
    key = stored(store, b"x")
    assert list(store.keys()) == [key]
    fail_at(monkeypatch, "listdir", depth, errno.EACCES)
    with pytest.raises(OutOfResources):
        list(store.keys())


@pytest.mark.parametrize("name", ["write", "fsync"])
def test_readiness_knows_of_a_disk_that_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store = LocalStore(tmp_path)
    store.create().discard()  # has a folder made
    with monkeypatch.context() as patched:
        fail_at(patched, name, 0, errno.EIO)
        with pytest.raises(OutOfResources):
            store.check()
    store.check()
    assert not files(tmp_path)
