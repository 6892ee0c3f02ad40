"""A study of a gigabyte goes out as one zip file, in constant memory and with nothing on the disk in between."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

import dicomweb
from archive_process import ArchiveServer
from objects import LargeObject, file_meta_length, mr, part10
from test_big_objects import MOST_MEMORY, peak_memory

SIZE = 1 << 30


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for the object twice; it is emptied afterwards."""
    if shutil.disk_usage(tmp_path).free < 3 * SIZE:
        pytest.skip(f"no room for two objects of {SIZE >> 30} GiB on the disk of temporary files")
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_large_study_as_a_zip_file(start_archive: Callable[..., ArchiveServer], room: Path) -> None:
    server, large = start_archive(), LargeObject(SIZE)
    small = mr(StudyInstanceUID=large.StudyInstanceUID, PatientName="Large^Object")

    def body() -> Iterator[bytes]:
        yield from dicomweb.stow_pieces(large.pieces())
        yield from dicomweb.stow_pieces([part10(small)])
        yield dicomweb.closing()

    headers = {"Content-Type": dicomweb.STOW_TYPE, "Accept": "application/dicom+json"}
    stored = httpx.post(f"{server.dicomweb_url}/studies", content=body(), headers=headers, timeout=600)
    assert stored.status_code == 200, stored.text
    before = kept(server)
    url = f"{server.dicomweb_url}/studies/{large.StudyInstanceUID}"
    file = room / "study.zip"
    with (
        file.open("wb") as out,
        httpx.stream("GET", url, headers={"Accept": "application/zip"}, timeout=120) as answer,
    ):
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            out.write(piece)
    assert file.stat().st_size == int(answer.headers["content-length"])
    assert kept(server) == before
    with zipfile.ZipFile(file) as found:
        largest = max(found.infolist(), key=lambda member: member.file_size)
        assert len(found.infolist()) == 3
        assert digest(found, largest) == large.data_set_sha256()
    peaks = peak_memory(server)
    assert max(peaks.values()) < MOST_MEMORY, peaks


def kept(server: ArchiveServer) -> set[Path]:
    """Files of objects, and of what is on its way in; the workers' own files come and go."""
    folders = (server.data / "objects", server.data / "spool")
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


def digest(found: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    """SHA-256 of the data set in a member; zipfile checks its CRC-32."""
    made = hashlib.sha256()
    with found.open(member) as content:
        head = content.read(4096)
        made.update(head[file_meta_length(head) :])
        while piece := content.read(1 << 20):
            made.update(piece)
    return made.hexdigest()
