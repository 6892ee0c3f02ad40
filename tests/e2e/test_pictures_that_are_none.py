"""O4: objects whose pictures are none, one after the other, to one archive (reliability.md 2.2): each is stored,
nothing is made of it, and while they come and afterwards the archive goes on, in the memory that it had.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import scu
from archive_process import ArchiveServer
from hostile_objects import asked, going_on, path_of, pictured, stored
from objects import encoded, secondary_capture

SC = (SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
JPEG, JPEG_LS, JPEG_2000, RLE, JPEG_XL = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.110",
)
GARBAGE = bytes(range(256)) * 20


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """One for all of them."""
    return module_archive("--workers", "1")


@pytest.fixture(autouse=True)
def _goes_on(server: ArchiveServer) -> Iterator[None]:
    with going_on(server):
        yield


def jpeg_2000_of(rows: int, columns: int) -> bytes:
    """A good codestream of 8x8 that claims another size."""
    made = bytearray(imagecodecs.jpeg2k_encode(np.zeros((8, 8), "u1"), reversible=True, codecformat="j2k"))
    made[8:16] = struct.pack(">II", columns, rows)
    made[24:32] = struct.pack(">II", columns, rows)
    return bytes(made)


def jpeg_of(rows: int, columns: int) -> bytes:
    made = bytearray(imagecodecs.jpeg8_encode(np.zeros((8, 8), "u1")))
    frame = made.index(b"\xff\xc0")
    made[frame + 5 : frame + 9] = struct.pack(">HH", rows, columns)
    return bytes(made)


HUGE = {"Rows": 60_000, "Columns": 60_000}
LARGE = {"Rows": 9_000, "Columns": 9_000}
PICTURES: dict[str, tuple[str, Callable[[], Dataset]]] = {
    "65535 x 65535 x 2^31-1 native": (
        ExplicitVRLittleEndian,
        lambda: secondary_capture(Rows=65535, Columns=65535, NumberOfFrames=2**31 - 1),
    ),
    "64 bits": (
        ExplicitVRLittleEndian,
        lambda: secondary_capture(Rows=65535, Columns=65535, BitsAllocated=64, BitsStored=64, HighBit=63),
    ),
    "no samples": (ExplicitVRLittleEndian, lambda: secondary_capture(SamplesPerPixel=0)),
    "65535 samples": (ExplicitVRLittleEndian, lambda: secondary_capture(SamplesPerPixel=65535)),
    "JPEG 2000 of 60000 x 60000": (JPEG_2000, lambda: pictured(jpeg_2000_of(60_000, 60_000), **HUGE)),
    "JPEG 2000 that says so itself": (JPEG_2000, lambda: pictured(jpeg_2000_of(60_000, 60_000))),
    "JPEG of 60000 x 60000": (JPEG, lambda: pictured(jpeg_of(60_000, 60_000), **HUGE)),
    "JPEG without its rows": (JPEG, lambda: pictured(jpeg_of(9_000, 9_000)[:-20], **LARGE)),
    "RLE with offsets beyond the end": (
        RLE,
        lambda: pictured(struct.pack("<16I", 1, 0xFFFFFF00, *(14 * [0xFFFFFFFF])) + GARBAGE),
    ),
    "RLE of many segments": (
        RLE,
        lambda: pictured(struct.pack("<16I", 0xFFFFFFFF, *(15 * [64])) + GARBAGE, **LARGE),
    ),
    "JPEG-LS of garbage": (JPEG_LS, lambda: pictured(b"\xff\xd8\xff\xf7" + GARBAGE)),
    "JPEG XL of garbage": (JPEG_XL, lambda: pictured(b"\xff\x0a" + GARBAGE)),
    "JPEG 2000 of garbage": (JPEG_2000, lambda: pictured(jpeg_2000_of(8, 8)[:100] + GARBAGE)),
}


@pytest.mark.parametrize(("syntax", "make"), PICTURES.values(), ids=PICTURES)
def test_o4_pictures_that_are_none(server: ArchiveServer, syntax: str, make: Callable[[], Dataset]) -> None:
    """O4: they are stored, as bytes are bytes, and nothing can be made of them."""
    data_set = make()
    stored(server, data_set, syntax)
    path = path_of(data_set)
    begin = time.monotonic()
    for what in ("rendered", "frames/1/rendered", "thumbnail"):
        answer = asked(server, f"{path}/{what}", "image/*, */*;q=0.1")
        assert answer.status_code in ((400, 404, 406) if what != "thumbnail" else (200, 400, 404, 406)), what
    if syntax != ExplicitVRLittleEndian:
        for accept in (
            "multipart/related; type=application/octet-stream",
            "multipart/related; type=application/dicom",
        ):
            where = f"{path}/frames/1" if "octet" in accept else path
            answer = asked(server, where, accept)
            as_stored = f"transfer-syntax={syntax}\r\n".encode() in answer.content[:400]
            assert answer.status_code in (404, 406) or as_stored, (answer.headers, answer.content[:300])
    assert time.monotonic() - begin < 5


def test_o4_rows_as_ul(server: ArchiveServer) -> None:
    """O4, CVE-2026-5442's class: a number that no US holds."""
    data_set = secondary_capture()
    raw = encoded(data_set)
    short, long = b"\x28\0\x10\0US\x02\0\x08\0", b"\x28\0\x10\0UL\x04\0\xff\xff\xff\xff"
    assert short in raw
    raw = raw.replace(short, long)
    assert scu.store(server, SC, data_set.SOPInstanceUID, [raw])[0] == 0
    assert asked(server, f"{path_of(data_set)}/rendered").status_code in (406, 413)


@pytest.mark.parametrize("entries", [0, 1, 65535])
def test_o4_a_palette_shorter_than_its_indices(server: ArchiveServer, entries: int) -> None:
    """O4, CVE-2026-5443's class: indices beyond the end are the last entry (PS3.3 C.7.6.3.1.5), or it is refused."""
    data_set = secondary_capture(PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(data_set, f"{colour}PaletteColorLookupTableDescriptor", [entries, 0, 16])
        setattr(data_set, f"{colour}PaletteColorLookupTableData", b"\x34\x12")
    stored(server, data_set)
    answer = asked(server, f"{path_of(data_set)}/rendered", "image/png")
    assert answer.status_code in (200, 406)


def test_o4_bombs_beside_good_pictures(server: ArchiveServer) -> None:
    """O4: what is broken among the frames of one object is that frame's affair."""
    good = bytes(imagecodecs.jpeg8_encode(np.full((8, 8), 200, "u1"), 100))
    data_set = pictured(good, jpeg_of(8, 8)[:60] + GARBAGE, good, NumberOfFrames=3)
    stored(server, data_set, JPEG)
    statuses = [
        asked(server, f"{path_of(data_set)}/frames/{frame}/rendered").status_code for frame in (1, 2, 3)
    ]
    assert statuses[0] == statuses[2] == 200
    assert statuses[1] in (200, 406)
