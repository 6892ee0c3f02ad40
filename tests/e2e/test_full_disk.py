"""A disk that fills up (reliability.md 4.3, dimse.md T8): A700 from the reserve on, nothing torn, what was acknowledged
is served, the archive starts again on the full disk, and takes objects as soon as there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

import scu
from archive_process import ArchiveServer, StartArchive
from objects import ct, data_set_bytes, encoded

MIB = 1 << 20
DISK, RESERVE = 32 * MIB, 12 * MIB
OUT_OF_RESOURCES = 0xA700
SENDERS = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("this machine cannot mount a file system: there is no mount")
    if mounted.returncode:
        pytest.skip("this machine cannot mount a file system: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def send(server: ArchiveServer, *data_sets: Dataset) -> list[int]:
    """The status of each."""
    pair = CTImageStorage, ExplicitVRLittleEndian
    answers = [scu.store(server, pair, each.SOPInstanceUID, [encoded(each)]) for each in data_sets]
    assert all(comment for status, comment in answers if status)
    return [status for status, _ in answers]


def free(disk: Path) -> int:
    room = os.statvfs(disk)
    return room.f_bavail * room.f_frsize


def test_a_disk_that_fills_up(disk: Path, start_archive: StartArchive) -> None:
    environment = {"ARCHIVE_STORAGE_MINIMUM_FREE_BYTES": str(RESERVE)}
    server = start_archive("--workers", "1", data=disk / "data", environment=environment)
    made = [[ct() for _ in range(20)] for _ in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as senders:
        answers = list(senders.map(lambda sent: send(server, *sent), made))
    told = {
        each.SOPInstanceUID: status
        for sent, statuses in zip(made, answers, strict=True)
        for each, status in zip(sent, statuses, strict=True)
    }
    assert set(told.values()) == {0, OUT_OF_RESOURCES}
    assert free(disk) > RESERVE - SENDERS * MIB
    assert list((disk / "data" / "spool").iterdir()) == []
    assert server.stop() == 0
    server = start_archive("--workers", "1", data=disk / "data", environment=environment)
    check_served(server.dicomweb_url, made, told)
    made.append([ct() for _ in range(20)])  # the index was put in order, which has made a little room
    again = send(server, *made[-1])
    assert again[-1] == OUT_OF_RESOURCES
    told |= {each.SOPInstanceUID: status for each, status in zip(made[-1], again, strict=True)}
    remount = ["mount", "-o", f"remount,size={4 * DISK}", str(disk)]
    subprocess.run(remount, check=True, capture_output=True)
    refused = [each for sent in made for each in sent if told[each.SOPInstanceUID]]
    assert set(send(server, *refused)) == {0}
    check_served(server.dicomweb_url, made, dict.fromkeys(told, 0))


def check_served(url: str, made: list[list[Dataset]], told: dict[str, int]) -> None:
    """What was acknowledged is there, byte for byte, and nothing else."""
    for each in (each for sent in made for each in sent):
        path = f"{url}/studies/{each.StudyInstanceUID}/series/{each.SeriesInstanceUID}/instances/{each.SOPInstanceUID}"
        answer = httpx.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"}, timeout=60)
        if told[each.SOPInstanceUID]:
            assert answer.status_code == 404
        else:
            assert data_set_bytes(answer.content) == encoded(each)
