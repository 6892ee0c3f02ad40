"""The real archive on a disk that hangs (reliability.md 4.3): whoever writes to it waits, and cannot be ended. Probes
are answered, the archive ends when it is told to, and all is well when the disk goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from archive_process import StartArchive, await_end
from reliability import dimse, objects, senders
from reliability.checker import check
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES
from reliability.target import Target
from small_disks import SmallDisk, small_disk

SENDERS = 40
"""More than there are threads for requests."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


def test_a_disk_that_hangs(disk: SmallDisk, start_archive: StartArchive) -> None:
    settings = {"ARCHIVE_STORAGE_MINIMUM_FREE_BYTES": "0", "ARCHIVE_DRAIN_SECONDS": "1"}
    data = disk.folder / "data"
    server = start_archive("--workers", "1", data=data, environment=settings)
    target, ledger = Target(server.http_port, server.dimse_port, data=data), Ledger()
    with dimse.storing(target, SOP_CLASSES) as association:
        assert senders.store(ledger, association, objects.made("before", 1)) == 0
    assert probed(server.http_url) == (200, 200)
    workers = server.worker_pids()
    with disk.hanging():
        waiting = [threading.Thread(target=stow, args=(server.dicomweb_url, n)) for n in range(SENDERS)]
        for each in waiting:
            each.start()
        assert probed(server.http_url) == (200, 503), server.log
        assert server.stop() == 1
        assert "worker does not end" in server.log
        left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        assert left, "nobody waited for the disk: nothing was tried"
    for each in waiting:
        each.join()
    for pid in left:
        await_end(pid)
    server = start_archive("--workers", "1", data=data, environment=settings)
    assert probed(server.http_url) == (200, 200)
    target = Target(server.http_port, server.dimse_port, data=data)
    report = check(ledger, target, resend=True)
    assert report.ok, report
    assert report.acknowledged > 0


def probed(url: str) -> tuple[int, int]:
    """What is answered to those who ask whether it is alive, and ready."""
    return (
        httpx.get(f"{url}/health/live", timeout=30).status_code,
        httpx.get(f"{url}/health/ready", timeout=30).status_code,
    )


def stow(url: str, number: int) -> None:
    """Store one object, which is answered or not."""
    body = (
        b"--B\r\nContent-Type: application/dicom\r\n\r\n"
        + objects.made("hanging", number).file
        + b"\r\n--B--\r\n"
    )
    kind = 'multipart/related; type="application/dicom"; boundary=B'
    with suppress(httpx.HTTPError, os.error):
        httpx.post(f"{url}/studies", content=body, headers={"Content-Type": kind}, timeout=60)
