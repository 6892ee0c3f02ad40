"""An object larger than the memory allowed is re-encoded or decoded on its way out (dicomweb.md N4)."""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
)

import dicomweb
from archive_process import ArchiveServer
from objects import part10, secondary_capture

FRAMES = 200
FRAME_BYTES = 1024 * 1024 * 2
MOST_MEMORY = 256 << 20
"""Peak resident memory of any worker."""


def described() -> Dataset:
    """An object of FRAMES frames, without its pixel data."""
    return secondary_capture(
        SOPClassUID=MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        Rows=1024,
        Columns=1024,
        NumberOfFrames=FRAMES,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelData=None,
    )


def frame(number: int) -> bytes:
    """Another for each number, and easily compressed."""
    return struct.pack("<H", number) * (FRAME_BYTES // 2)


def implicit() -> Iterator[bytes]:
    """Pixel data of implicit VR."""
    yield struct.pack("<HHI", 0x7FE0, 0x0010, FRAMES * FRAME_BYTES)
    yield from map(frame, range(FRAMES))


def run_length() -> Iterator[bytes]:
    """Pixel data of RLE (PS3.5 annex G): one segment for each byte of a cell, each of replicate runs alone."""
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0
    )
    runs = FRAME_BYTES // 2 // 128
    for number in range(FRAMES):
        high, low = (bytes((0x81, byte)) * runs for byte in struct.pack(">H", number))
        head = struct.pack("<16I", 2, 64, 64 + len(high), *[0] * 13)
        content = head + high + low
        yield struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def store(server: ArchiveServer, data_set: Dataset, syntax: str, pixels: Iterable[bytes]) -> str:
    """STOW-RS of the object; its URL."""
    file = itertools.chain((part10(data_set, syntax),), pixels)
    body = itertools.chain(dicomweb.stow_pieces(file), (dicomweb.closing(),))
    headers = {"Content-Type": dicomweb.STOW_TYPE, "Accept": "application/dicom+json"}
    response = httpx.post(f"{server.dicomweb_url}/studies", content=body, headers=headers, timeout=600)
    assert response.status_code == 200, response.text
    study = f"{server.dicomweb_url}/studies/{data_set.StudyInstanceUID}"
    return f"{study}/series/{data_set.SeriesInstanceUID}/instances/{data_set.SOPInstanceUID}"


def check(server: ArchiveServer, url: str) -> None:
    """It goes out in Explicit VR Little Endian with the same pixels, and no worker grew."""
    digest, length, held = hashlib.sha256(), 0, b""
    with httpx.stream("GET", url, headers={"Accept": "application/dicom"}, timeout=300) as response:
        assert response.status_code == 200
        assert (
            response.headers["content-type"] == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
        )
        head = int(response.headers["content-length"]) - FRAMES * FRAME_BYTES
        for piece in response.iter_raw():
            skipped = min(max(head - length, 0), len(piece))
            held += piece[:skipped]
            digest.update(piece[skipped:])
            length += len(piece)
    assert held.endswith(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, FRAMES * FRAME_BYTES))
    expected = hashlib.sha256()
    for number in range(FRAMES):
        expected.update(frame(number))
    assert digest.digest() == expected.digest()
    peaks = []
    for pid in server.worker_pids():
        (line,) = (
            line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
        )
        peaks.append(int(line.split()[1]) * 1024)
    print("peak memory in MiB:", sorted(peak >> 20 for peak in peaks))
    assert max(peaks) < MOST_MEMORY


def test_implicit_vr(start_archive: Callable[..., ArchiveServer]) -> None:
    server = start_archive()
    check(server, store(server, described(), ImplicitVRLittleEndian, implicit()))


def test_compressed_frames(start_archive: Callable[..., ArchiveServer]) -> None:
    server = start_archive()
    check(server, store(server, described(), RLELossless, run_length()))
