"""What tests of hostile objects share: how one is stored, what may come of it, and that the archive goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian

import dicomweb
import scu
from archive_process import ArchiveServer
from objects import data_set_bytes, part10, secondary_capture

MOST_MEMORY = 64 << 20


@contextmanager
def going_on(server: ArchiveServer) -> Iterator[None]:
    """The workers are the same, their memory was bounded all the while, and they answer at once."""
    workers = server.worker_pids()
    before = {pid: _memory(pid, "VmRSS") for pid in workers}
    for pid in workers:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
    yield
    assert server.worker_pids() == workers
    grown = {pid: _memory(pid, "VmHWM") - before[pid] for pid in workers}
    assert max(grown.values()) < MOST_MEMORY, grown
    begin = time.monotonic()
    assert scu.echo(server) == 0x0000
    assert dicomweb.CLIENT.get(f"{server.http_url}/health/ready").status_code == 200
    assert time.monotonic() - begin < 1
    assert "Traceback" not in server.log


def _memory(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{what}:"))


def path_of(data_set: Dataset) -> str:
    return (
        f"studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
        f"/instances/{data_set.SOPInstanceUID}"
    )


def asked(server: ArchiveServer, path: str, accept: str = "*/*") -> httpx.Response:
    return dicomweb.CLIENT.get(f"{server.dicomweb_url}/{path}", headers={"Accept": accept})


def stored(server: ArchiveServer, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Bytes are bytes: it is stored, and comes back as it was sent."""
    file = part10(data_set, syntax)
    assert dicomweb.store(server.dicomweb_url, file).status_code == 200
    (part,) = dicomweb.parts(asked(server, path_of(data_set), dicomweb.AS_STORED))
    assert data_set_bytes(part.body) == data_set_bytes(file)
    return file


def pictured(*codestreams: bytes, **attributes: Any) -> Dataset:
    """An object whose pixel data are these codestreams, 8x8 unless its attributes say otherwise."""
    data_set = secondary_capture(**attributes)
    data_set.PixelData = encapsulate([each + b"\0" * (len(each) % 2) for each in codestreams])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    return data_set
