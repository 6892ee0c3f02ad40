"""The index and the objects on disks of their own, of which one fills up under load (reliability.md 4.3, "disk full of
only the DB, only the spool"): objects are refused with A700, what is there is served, and when there is room again
they are taken, without a new start."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reliability import checker, dimse
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES, made
from reliability.senders import enter, sending, store
from reliability.servers import Archive
from reliability.target import Target
from reliability.web import Web

MIB = 1 << 20
SIZE, RESERVE = 64 * MIB, 8 * MIB
OUT_OF_RESOURCES = 0xA700
SECONDS = 60


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Two small file systems."""
    with contextlib.ExitStack() as mounts:
        yield {name: mounts.enter_context(small_disk(tmp_path / name)) for name in ("index", "objects")}


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("this machine cannot mount a file system: there is no mount")
    if mounted.returncode:
        pytest.skip("this machine cannot mount a file system: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """To the last byte."""
    filler = disk / "somebody's"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(64 * 1024))
    return filler


def await_that(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.parametrize("full", ["index", "objects"])
def test_one_of_two_disks_fills_up(tmp_path: Path, disks: dict[str, Path], full: str) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "data").symlink_to(disks["objects"])
    index_url = f"sqlite:///{disks['index'] / 'index.sqlite'}"
    environment = {"ARCHIVE_INDEX_URL": index_url, "ARCHIVE_STORAGE_MINIMUM_FREE_BYTES": str(RESERVE)}
    running = Archive(folder, ("--workers", "1"), environment).start()
    ledger = Ledger()
    try:
        with sending(ledger, running.target, f"two-{full}", threads=2, by_stow=1):
            await_that(lambda: ledger.acknowledged >= 20, "nothing was taken")
            filler = fill(disks[full])
            await_that(lambda: refusals(ledger) >= 5, "nothing was refused")
        refused_and_served(running.target, ledger, f"full-{full}")
        filler.unlink()
        with dimse.storing(running.target, SOP_CLASSES) as association:
            one = made(f"late-{full}", 0)
            await_that(lambda: store(ledger, association, one) == 0, "nothing is taken any more")
        report = checker.check(ledger, running.target)
        assert report.ok, report
    finally:
        running.kill()


def refusals(ledger: Ledger) -> int:
    return sum(entry.refused for entry in ledger.entries())


def refused_and_served(target: Target, ledger: Ledger, name: str) -> None:
    one, other = made(name, 0), made(name, 1)
    with dimse.storing(target, SOP_CLASSES) as association:
        assert store(ledger, association, one) == OUT_OF_RESOURCES
        assert association.echo() == 0
    with Web(target) as web:
        enter(ledger, other)
        assert web.store([other]) != {other.SOPInstanceUID: 0}  # 503 before anything was read, or A700
        assert web.search(f"/studies/{other.StudyInstanceUID}/instances") == []
    served = checker.check_served(ledger, target)
    assert served.ok, served
