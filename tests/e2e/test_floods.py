"""Floods leave a known modality at least half of its rate, and afterwards the memory is what it was (reliability.md
D1, D4, D7, D8, D10, D14 and O4 all at once, 250 times a second)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.encaps import encapsulate

import dicomweb
import flood
from archive_process import ArchiveServer, children
from kept_share import assert_kept
from objects import part10, secondary_capture
from test_crowds import LEAST_SHARE, objects_per_second

sys.path.append(str(Path(__file__).resolve().parents[1] / "decoding"))
from bombs import endless_jpeg

LEAST_OF_A_FLOOD = 30
"""Connections, in half a second or more."""
BACK_SECONDS = 5
MOST_LEFT = 32 << 20
"""Of all dozen processes together: what each keeps of freed memory for the next object (`supervisor.heap`)."""
JPEG = "1.2.840.10008.1.2.4.50"

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """One for all floods; a frame may take two seconds."""
    begun = module_archive(environment={"ARCHIVE_DECODING_SECONDS": "2", "ARCHIVE_LOG_LEVEL": "error"})
    objects_per_second(begun)  # the first files and pages are not what is measured
    return begun


@contextmanager
def flooded(server: ArchiveServer, kind: str) -> Iterator[None]:
    """While a flood comes."""
    command = [sys.executable, flood.__file__, kind, str(server.dimse_port), server.ae_title]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        time.sleep(0.5)
        try:
            yield
        finally:
            process.stdin.close()
            made = int(process.stdout.read() or 0)
    assert made > LEAST_OF_A_FLOOD, "that was no flood"


def memory(server: ArchiveServer) -> int:
    """Bytes that all processes of the archive have to themselves or share among them, each page once."""
    return sum(_proportional(pid) for pid in _tree(server.process.pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in children(pid):
        yield from _tree(child)


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def assert_memory_is_back(server: ArchiveServer, before: int) -> None:
    """Within five seconds of the end."""
    deadline = time.monotonic() + BACK_SECONDS
    while (left := memory(server) - before) > MOST_LEFT:
        assert time.monotonic() < deadline, f"{left >> 20} MiB more than before"
        time.sleep(0.2)


@pytest.mark.parametrize("kind", [*flood.KINDS, *flood.PATIENT])
def test_a_modality_amid_a_flood(server: ArchiveServer, kind: str) -> None:
    """Reliability: D1, D4, D8, D14."""
    with flooded(server, kind):
        pass  # so that what a first one of its kind needs is there
    before = memory(server)
    assert_kept(server, objects_per_second, lambda: flooded(server, kind), LEAST_SHARE)
    assert_memory_is_back(server, before)


def test_a_modality_while_bombs_are_rendered(server: ArchiveServer) -> None:
    """O4: eight viewers ask for frames of which each takes all the time that a frame may take."""
    bomb, array = endless_jpeg()
    data_set = secondary_capture(Rows=array.shape[0], Columns=array.shape[1])
    data_set.PixelData = encapsulate([bomb + b"\0" * (len(bomb) % 2)])
    data_set["PixelData"].is_undefined_length = True
    assert dicomweb.store(server.dicomweb_url, part10(data_set, JPEG)).status_code == 200
    path = (
        f"studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
        f"/instances/{data_set.SOPInstanceUID}/rendered"
    )
    stop, statuses = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            statuses.append(dicomweb.CLIENT.get(f"{server.dicomweb_url}/{path}").status_code)

    @contextmanager
    def viewers() -> Iterator[None]:
        stop.clear()
        with ThreadPoolExecutor(8) as threads:
            asking = [threads.submit(ask) for _ in range(8)]
            try:
                time.sleep(0.5)  # they are at it
                yield
            finally:
                stop.set()
        assert all(one.exception() is None for one in asking)

    with viewers():
        objects_per_second(server)  # so that what the first ones need is there, in each worker
    before = memory(server)
    assert_kept(server, objects_per_second, viewers, LEAST_SHARE)
    assert set(statuses) <= {406, 503}
    assert 406 in statuses
    assert_memory_is_back(server, before)
    assert os.path.exists(f"/proc/{server.process.pid}")
