"""The real archive on a disk that is full, has no room for a file, turns read-only or is taken away (reliability.md
4.3): what was acknowledged is served all the while, what cannot be taken is refused with A700 or 503, and all is well
by itself as soon as the disk is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from archive_process import ArchiveServer, StartArchive, await_end
from reliability import dimse, objects, senders
from reliability.checker import check
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES, Object
from reliability.senders import sending
from reliability.target import Target
from small_disks import MIB, SmallDisk, small_disk

RESERVE = 12 * MIB
OUT_OF_RESOURCES = 0xA700
SECONDS = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


class Tried:
    """An archive on a small disk, and the ledger of what it was sent."""

    def __init__(self, start: StartArchive, data: Path, **settings: str) -> None:
        self._start = start
        self._data = data
        self._settings = {"ARCHIVE_STORAGE_MINIMUM_FREE_BYTES": str(RESERVE), **settings}
        self.ledger = Ledger()
        self._number = 0
        self.start()

    def start(self) -> None:
        self.server: ArchiveServer = self._start(
            "--workers", "1", data=self._data, environment=self._settings
        )

    @property
    def target(self) -> Target:
        url = self._settings.get("ARCHIVE_INDEX_URL", "")
        return Target(self.server.http_port, self.server.dimse_port, data=self._data, index_url=url)

    def made(self) -> Object:
        self._number += 1
        return objects.made("limits", self._number)

    def store(self, count: int = 1) -> list[int]:
        """The status of each C-STORE."""
        with dimse.storing(self.target, SOP_CLASSES) as association:
            return [senders.store(self.ledger, association, self.made()) for _ in range(count)]

    def stow(self) -> httpx.Response:
        """STOW-RS of one object, outside the ledger."""
        body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + self.made().file + b"\r\n--B--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=B'
        return httpx.post(
            f"{self.server.dicomweb_url}/studies",
            content=body,
            headers={"Content-Type": kind},
            timeout=SECONDS,
        )

    def ready(self) -> int:
        return httpx.get(f"{self.server.http_url}/health/ready", timeout=SECONDS).status_code

    def check(self, *, resend: bool = False) -> None:
        at_rest = self.target if resend else replace(self.target, data=None)
        report = check(self.ledger, at_rest, resend=resend)
        assert report.ok, report
        assert report.acknowledged > 0

    def check_refuses_and_serves(self) -> None:
        assert self.store(3) == [OUT_OF_RESOURCES] * 3
        answer = self.stow()
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert self.ready() == 503
        assert httpx.get(f"{self.server.http_url}/health/live", timeout=SECONDS).status_code == 200
        self.check()

    def await_well(self) -> None:
        """Without anybody doing anything to it."""
        await_true(lambda: self.ready() == 200)
        assert self.store(3) == [0] * 3
        assert self.stow().status_code == 200
        self.check(resend=True)

    def delete_a_study(self) -> None:
        """Below the reserve there is deleted still, which makes room."""
        study = next(entry.study for entry in self.ledger.entries() if entry.acknowledged)
        uids = [entry.uid for entry in self.ledger.entries() if entry.study == study]
        self.ledger.deleting(uids)
        answer = httpx.delete(f"{self.server.dicomweb_url}/studies/{study}", timeout=SECONDS)
        assert answer.status_code == 204
        self.ledger.deleted(uids, done=True)

    @property
    def is_read_only(self) -> bool:
        return "READ-ONLY" in self.server.greeting


def await_true(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not _safely(is_so):
        assert time.monotonic() < deadline, "it did not recover by itself"
        time.sleep(0.1)


def _safely(is_so: Callable[[], bool]) -> bool:
    try:
        return is_so()
    except (OSError, httpx.HTTPError):
        return False


def test_a_disk_that_is_filled(disk: SmallDisk, start_archive: StartArchive) -> None:
    """By senders up to the reserve, then by another program to its last byte. The archive is ended, killed, and started
    on it, and comes back when there is room."""
    tried = Tried(start_archive, disk.folder / "data")
    disk.fill(but=RESERVE + 3 * MIB)
    with sending(tried.ledger, tried.target, "filling", threads=4, by_stow=1):
        await_true(lambda: disk.free < RESERVE)
    assert disk.free > RESERVE - 4 * MIB
    tried.check_refuses_and_serves()
    tried.delete_a_study()
    disk.fill()
    assert disk.free == 0
    tried.check_refuses_and_serves()
    check_started_again(tried, signal.SIGTERM)
    check_started_again(tried, signal.SIGKILL)
    disk.make_room()
    tried.await_well()
    assert len(tried.server.worker_pids("jobs")) == 1
    disk.fill()
    check_started_again(tried, signal.SIGKILL)  # now with a log that was not put away
    disk.make_room()
    tried.await_well()


def check_started_again(tried: Tried, ended_by: signal.Signals) -> None:
    """It is there for who reads."""
    code = tried.server.stop(ended_by)
    assert code == (0 if ended_by is signal.SIGTERM else -ended_by)
    tried.start()
    assert tried.is_read_only
    tried.check_refuses_and_serves()


def test_a_disk_that_can_hold_no_more_files(tmp_path: Path, start_archive: StartArchive) -> None:
    with small_disk(tmp_path / "disk", options=("-N", "256")) as disk:
        tried = Tried(start_archive, disk.folder / "data")
        assert tried.store(5) == [0] * 5
        disk.take_all_files(but=24)
        answers = tried.store(20)
        assert set(answers) == {0, OUT_OF_RESOURCES}
        assert answers == sorted(answers), "from the first that is refused on"
        tried.check_refuses_and_serves()
        disk.take_all_files()
        tried.check_refuses_and_serves()
        check_started_again(tried, signal.SIGTERM)
        disk.let_files_be_made()
        tried.await_well()


def test_a_disk_that_turns_read_only(disk: SmallDisk, start_archive: StartArchive) -> None:
    """As ext4 does when it finds an error, under the archive."""
    tried = Tried(start_archive, disk.folder / "data")
    assert tried.store(5) == [0] * 5
    disk.fail()
    tried.check_refuses_and_serves()
    kill_workers(tried)
    tried.check_refuses_and_serves()
    check_started_again(tried, signal.SIGKILL)
    tried.server.stop()
    disk.unplug()
    disk.plug_in()
    tried.start()
    tried.await_well()


def test_a_disk_that_is_mounted_read_only(disk: SmallDisk, start_archive: StartArchive) -> None:
    """And then to be written: nobody has to start anything."""
    tried = Tried(start_archive, disk.folder / "data")
    assert tried.store(5) == [0] * 5
    assert tried.server.stop() == 0
    disk.remount("ro")
    before = files(disk.folder)
    tried.start()
    assert tried.is_read_only
    tried.check_refuses_and_serves()
    assert files(disk.folder) == before
    disk.remount("rw")
    tried.await_well()


def test_a_disk_that_is_taken_away(disk: SmallDisk, start_archive: StartArchive) -> None:
    """Nothing is kept beneath its mount point, where nobody would ever find it."""
    tried = Tried(start_archive, disk.folder / "data")
    assert tried.store(5) == [0] * 5
    disk.unplug()
    check_refuses_all(tried)
    kill_workers(tried)
    check_refuses_all(tried)
    assert files(disk.folder) == {}
    disk.plug_in()
    tried.await_well()


def check_refuses_all(tried: Tried) -> None:
    """Nobody can tell any more who may associate."""
    with pytest.raises(dimse.Broken, match="not accepted"):
        tried.store()
    assert tried.stow().status_code == 503
    assert tried.ready() == 503


def test_the_disk_of_the_index_alone_is_full(
    tmp_path: Path, disk: SmallDisk, start_archive: StartArchive
) -> None:
    """Refused from the reserve on, before the index could fail."""
    index = {"ARCHIVE_INDEX_URL": f"sqlite:///{disk.folder}/index/index.sqlite"}
    tried = Tried(start_archive, tmp_path / "data", **index)
    assert tried.store(5) == [0] * 5
    disk.fill(but=RESERVE - MIB)
    tried.check_refuses_and_serves()
    assert list((tmp_path / "data" / "spool").iterdir()) == []
    disk.fill()
    check_started_again(tried, signal.SIGTERM)
    disk.make_room()
    tried.await_well()


def kill_workers(tried: Tried) -> None:
    """New ones must find their way without a disk as well."""
    for pid in [*tried.server.worker_pids("dimse"), *tried.server.worker_pids("http")]:
        os.kill(pid, signal.SIGKILL)
        await_end(pid)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and the time of its last change."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
