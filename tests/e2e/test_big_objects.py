"""An object of 2 GB comes in by C-STORE and by STOW-RS, whole or in parts, and goes out whole, in constant memory."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pydicom
import pytest

import dcmtk
import dicomweb
from archive_process import ArchiveServer
from objects import LargeObject, file_meta_length

SIZE = 2 << 30
MOST_MEMORY = 256 << 20
"""Peak resident memory of any worker."""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for the object twice; it is emptied afterwards."""
    if shutil.disk_usage(tmp_path).free < 3 * SIZE:
        pytest.skip(f"no room for two objects of {SIZE >> 30} GiB on the disk of temporary files")
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def peak_memory(server: ArchiveServer) -> dict[int, int]:
    """The most memory that each worker has held, in bytes (VmHWM)."""
    peaks = {}
    for pid in server.worker_pids():
        status = Path(f"/proc/{pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        peaks[pid] = int(line.split()[1]) * 1024
    return peaks


def digest_of_retrieved(server: ArchiveServer, large: LargeObject) -> str:
    """SHA-256 of the data set as WADO-RS streams it; nothing is kept."""
    url = (
        f"{server.dicomweb_url}/studies/{large.StudyInstanceUID}"
        f"/series/{large.SeriesInstanceUID}/instances/{large.SOPInstanceUID}"
    )
    headers = {"Accept": "application/dicom; transfer-syntax=*"}
    digest = hashlib.sha256()
    with httpx.stream("GET", url, headers=headers, timeout=120) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("application/dicom")
        head = b""
        for piece in response.iter_raw():
            if len(head) < 4096:
                head += piece
                piece = head[file_meta_length(head) :] if len(head) >= 4096 else b""
            digest.update(piece)
    return digest.hexdigest()


def check(server: ArchiveServer, large: LargeObject, sha256: str) -> None:
    """It came in whole, goes out whole, and no worker grew."""
    assert digest_of_retrieved(server, large) == sha256
    peaks = peak_memory(server)
    print("peak memory in MiB:", sorted(peak >> 20 for peak in peaks.values()))
    assert peaks
    assert max(peaks.values()) < MOST_MEMORY, peaks


def test_by_c_store(start_archive: Callable[..., ArchiveServer], room: Path, dcmtk_tools: None) -> None:
    server, large = start_archive(), LargeObject(SIZE)
    file = room / "large.dcm"
    with file.open("wb") as out:
        out.writelines(large.pieces())
    options = ["-xe", "-R", "--max-send-pdu", "131072", "-aec", server.ae_title]
    sent = dcmtk.run("storescu", *options, "127.0.0.1", server.dimse_port, file, timeout=600)
    assert sent.code == 0, sent.output
    file.unlink()
    check(server, large, large.data_set_sha256())


def test_by_stow(start_archive: Callable[..., ArchiveServer], room: Path) -> None:
    server, large = start_archive(), LargeObject(SIZE)

    def body() -> Iterator[bytes]:
        yield from dicomweb.stow_pieces(large.pieces())
        yield dicomweb.closing()

    headers = {"Content-Type": dicomweb.STOW_TYPE, "Accept": "application/dicom+json"}
    url = f"{server.dicomweb_url}/studies"
    response = httpx.post(url, content=body(), headers=headers, timeout=600)
    assert response.status_code == 200, response.text
    check(server, large, large.data_set_sha256())


def test_by_stow_as_metadata_and_bulk_data(start_archive: Callable[..., ArchiveServer], room: Path) -> None:
    """The bulk data go through the spool of the store, so the object is on the disk twice for a while."""
    server, large = start_archive(), LargeObject(SIZE)
    head, *_ = large.data_set_pieces()
    data_set = pydicom.filereader.read_dataset(io.BytesIO(head[:-12]), False, True)
    model = data_set.to_json_dict() | {"7FE00010": {"vr": "OW", "BulkDataURI": "pixels"}}

    def body() -> Iterator[bytes]:
        yield dicomweb.part_head("application/dicom+json") + json.dumps([model]).encode() + b"\r\n"
        yield dicomweb.part_head("application/octet-stream", "pixels")
        pieces = large.data_set_pieces()
        next(pieces)
        yield from pieces
        yield b"\r\n" + dicomweb.closing()

    headers = {"Content-Type": dicomweb.STOW_TYPE.replace("application/dicom", "application/dicom+json")}
    response = httpx.post(f"{server.dicomweb_url}/studies", content=body(), headers=headers, timeout=600)
    assert response.status_code == 200, response.text
    check(server, large, large.data_set_sha256())
