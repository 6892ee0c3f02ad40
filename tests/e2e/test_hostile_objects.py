"""Objects that are made to do harm, one after the other, to one archive (reliability.md 2.2, O1 to O12): each is
refused or stored byte for byte, none is more than its own affair, and while they come and afterwards the archive goes
on, in the memory that it had.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import dicomweb
import scu
from archive.dicom.part10 import file_meta
from archive_process import ArchiveServer
from hostile_objects import asked, going_on, path_of, pictured, stored
from objects import data_set_bytes, encoded, new_uid, part10, secondary_capture

SC = (SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
CANNOT_UNDERSTAND = 0xC000


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """One for all of them."""
    return module_archive("--workers", "1")


@pytest.fixture(autouse=True)
def _goes_on(server: ArchiveServer) -> Iterator[None]:
    with going_on(server):
        yield


def refused(server: ArchiveServer, data_set: bytes, syntax: str = ExplicitVRLittleEndian) -> float:
    """By both doors, as what cannot be understood, and nothing is left of it; the seconds that took."""
    uid = new_uid()
    begin = time.monotonic()
    status, comment = scu.store(server, (SecondaryCaptureImageStorage, syntax), uid, [data_set])
    assert status & 0xF000 == CANNOT_UNDERSTAND, comment
    file = file_meta(SecondaryCaptureImageStorage, uid, syntax) + data_set
    answer = dicomweb.store(server.dicomweb_url, file)
    assert answer.status_code == 409, answer.text
    (reason,) = [item["00081197"]["Value"][0] for item in answer.json()["00081198"]["Value"]]
    assert reason & 0xF000 == CANNOT_UNDERSTAND
    return time.monotonic() - begin


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """In explicit VR, of the long form."""
    size = len(value) if length is None else length
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, size) + value


SEQUENCE = element(0x7FE11001, b"SQ", b"", 0xFFFFFFFF)
ITEM, ITEM_END, SEQUENCE_END = (
    struct.pack("<HHI", 0xFFFE, number, length)
    for number, length in ((0xE000, 0xFFFFFFFF), (0xE00D, 0), (0xE0DD, 0))
)


def whole() -> tuple[Dataset, bytes]:
    """An innocent object, and its data set, behind which more elements may follow."""
    data_set = secondary_capture()
    return data_set, encoded(data_set)


# --- O1: what is not all there ---


@pytest.mark.parametrize(
    "cut",
    [
        lambda data_set: data_set[:-50],
        lambda data_set: data_set[:-1],
        lambda data_set: data_set + struct.pack("<HH", 0x7FE1, 0x0010),
        lambda data_set: data_set + element(0x7FE11001, b"OB", bytes(100), 131_072),
        lambda data_set: data_set + SEQUENCE + ITEM + ITEM_END,
        lambda data_set: data_set + SEQUENCE + ITEM,
    ],
    ids=["pixel data", "one byte", "within a tag", "a value", "a sequence's end", "an item's end"],
)
def test_o1_what_is_cut_off(server: ArchiveServer, cut: Callable[[bytes], bytes]) -> None:
    """O1: pydicom would take it (reliability.md fact 2)."""
    refused(server, cut(whole()[1]))


# --- O2: depth and number ---


@pytest.mark.parametrize("depth", [300, 1000, 50_000])
def test_o2_nested_sequences(server: ArchiveServer, depth: int) -> None:
    """O2: refused at depth 64, before the rest is looked at."""
    assert refused(server, whole()[1] + (SEQUENCE + ITEM) * depth + (ITEM_END + SEQUENCE_END) * depth) < 1


def test_o2_a_million_empty_items(server: ArchiveServer) -> None:
    """O2: they are a value like any other, in bounded memory."""
    empty = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    data_set, raw = whole()
    raw += element(0x7FE11001, b"SQ", empty * 1_000_000)
    begin = time.monotonic()
    status, comment = scu.store(server, SC, data_set.SOPInstanceUID, [raw])
    assert time.monotonic() - begin < 10
    if status == 0:
        (part,) = dicomweb.parts(asked(server, path_of(data_set), dicomweb.AS_STORED))
        assert data_set_bytes(part.body) == raw
    else:
        assert status & 0xF000 == CANNOT_UNDERSTAND, comment


# --- O3: what inflates ---


def test_o3_a_deflated_bomb(server: ArchiveServer) -> None:
    """O3: a thousand times its size: inflated no further than is allowed."""
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = deflate.compress(whole()[1] + element(0x7FE11001, b"OB", b"", 400 << 20))
    bomb += b"".join(deflate.compress(bytes(1 << 20)) for _ in range(400)) + deflate.flush()
    assert len(bomb) < 1 << 20
    assert refused(server, bomb, DeflatedExplicitVRLittleEndian) < 10


def test_o3_a_deflated_frame(server: ArchiveServer) -> None:
    """O3: of a frame no more is inflated than the frame is long."""
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(300)) + deflate.flush()
    data_set = pictured(bomb)
    stored(server, data_set, "1.2.840.10008.1.2.8.1")
    answer = asked(
        server, f"{path_of(data_set)}/frames/1", "multipart/related; type=application/octet-stream"
    )
    (part,) = dicomweb.parts(answer)
    assert part.body == bytes(64)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_o3_a_body_in_a_coding(server: ArchiveServer, coding: str) -> None:
    """O3: none is inflated at all."""
    headers = {"Content-Type": dicomweb.STOW_TYPE, "Content-Encoding": coding}
    body = zlib.compress(bytes(1 << 20))
    answer = dicomweb.CLIENT.post(f"{server.dicomweb_url}/studies", content=body, headers=headers)
    assert answer.status_code == 415


# --- O6: identifiers that are none (test_bad_input has more) ---


@pytest.mark.parametrize("uid", ["1.2.3\0\0", "01.2", "1.2.03", "１.２", "1." * 32 + "1", "1.2.3 ; rm -rf /"])
def test_o6_uids_that_are_none(server: ArchiveServer, uid: str) -> None:
    """O6: none gets into a path."""
    innocent = secondary_capture()
    raw = encoded(innocent)
    value = uid.encode("utf-8")
    value += b"\0" * (len(value) % 2)
    own = innocent.SOPInstanceUID.encode()
    own += b"\0" * (len(own) % 2)
    before, after = (b"\x08\0\x18\0UI" + struct.pack("<H", len(each)) + each for each in (own, value))
    assert before in raw
    status, _ = scu.store(server, SC, innocent.SOPInstanceUID, [raw.replace(before, after)])
    assert status in (0xA900, 0xC000)
    names = [path.name for path in server.data.rglob("*")]
    assert not any("rm -rf" in name or "１" in name for name in names)


# --- O7: structure that is odd ---


def test_o7_twenty_million_values(server: ArchiveServer) -> None:
    """O7: VM of 20 M: kept, in bounded time and memory."""
    data_set, raw = whole()
    raw += element(0x7FE10010, b"UC", b"TEST") + element(0x7FE11002, b"UC", b"\\" * 20_000_000)
    begin = time.monotonic()
    assert scu.store(server, SC, data_set.SOPInstanceUID, [raw])[0] == 0
    assert asked(server, f"{path_of(data_set)}/metadata", "application/dicom+json").status_code == 200
    assert time.monotonic() - begin < 10


def test_o7_group_2_within_the_data_set(server: ArchiveServer) -> None:
    """O7: what is in a file's header only would be read as one."""
    meta = struct.pack("<HH2sH", 2, 0x0010, b"UI", 18) + b"1.2.840.10008.1.2\0"
    data_set, raw = whole()
    status, _ = scu.store(server, SC, data_set.SOPInstanceUID, [meta + raw])
    assert status & 0xF000 == CANNOT_UNDERSTAND
    assert dicomweb.search(server.dicomweb_url, "instances", SOPInstanceUID=data_set.SOPInstanceUID) == []


@pytest.mark.parametrize(
    "extra",
    [
        struct.pack("<HH2sH", 0x0010, 0x0020, b"LO", 4) + b"TWO ",
        struct.pack("<HH2sH", 0x0008, 0x0060, b"CS", 2) + b"MR",
        element(0x00100010, b"OB", b"\xff\xfe\xfd\xfc"),
    ],
    ids=["a tag twice", "out of order", "a name that is bytes"],
)
def test_o7_odd_but_whole(server: ArchiveServer, extra: bytes) -> None:
    """O7: strict about structure, lenient about values: the walk ends at the end, so it is stored, byte for byte; the
    first of two counts."""
    data_set, raw = whole()
    raw += extra
    assert scu.store(server, SC, data_set.SOPInstanceUID, [raw])[0] == 0
    (part,) = dicomweb.parts(asked(server, path_of(data_set), dicomweb.AS_STORED))
    assert data_set_bytes(part.body) == raw
    (found,) = dicomweb.search(server.dicomweb_url, "instances", SOPInstanceUID=data_set.SOPInstanceUID)
    assert found["00100020"]["Value"] == ["PHANTOM-1"]


# --- O8: characters ---


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", b"A\xff\xfe^B"),
        ("ISO_IR 192", b"\xed\xa0\x80^LONE"),
        ("ISO 2022 IR 87", b"\x1b$B\x1b(Z\x1b$"),
        ("NO_SUCH_SET", "Müller^Ä".encode()),
        ("", b"NUL\0HERE^X"),
        ("ISO_IR 192", "a\u202eb\u200b^c".encode()),
        ("\\" * 300, b"MANY^SETS"),
    ],
)
def test_o8_characters_that_are_none(server: ArchiveServer, charset: str, name: bytes) -> None:
    """O8: the bytes are kept, and JSON is UTF-8 all the same."""
    data_set = secondary_capture(SpecificCharacterSet=None, PatientName=None)
    extra = struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", len(charset)) + charset.encode()
    name += b" " * (len(name) % 2)
    more = struct.pack("<HH2sH", 0x0010, 0x0010, b"PN", len(name)) + name
    raw = extra + encoded(data_set) + more
    assert scu.store(server, SC, data_set.SOPInstanceUID, [raw])[0] == 0
    for path in (f"{path_of(data_set)}/metadata", f"instances?SOPInstanceUID={data_set.SOPInstanceUID}"):
        answer = asked(server, path, "application/dicom+json")
        answer.content.decode("utf-8")
        assert len(answer.json()) == 1
    (part,) = dicomweb.parts(asked(server, path_of(data_set), dicomweb.AS_STORED))
    assert data_set_bytes(part.body) == raw


# --- O11, O12: values that something else might carry out ---


def test_o11_and_o12_values_are_never_carried_out(server: ArchiveServer) -> None:
    """O11, O12: HTML, scripts and formulas stay text: JSON says what it is and is not to be sniffed, and there is no
    line end of a value in any header or line of the log."""
    data_set = secondary_capture(
        StudyDescription='<script>alert("1")</script>',
        SeriesDescription="=cmd|' /C calc'!A0",
        AccessionNumber="1\r\nX: y",
        PatientComments='\x1b[2J line\r\n{"event": "forged"}',
    )
    stored(server, data_set)
    for path in (f"studies?StudyInstanceUID={data_set.StudyInstanceUID}", f"{path_of(data_set)}/metadata"):
        answer = asked(server, path, "application/dicom+json")
        assert answer.headers["content-type"].startswith("application/dicom+json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x" not in answer.headers
    assert "forged" not in server.log
    assert "alert" not in server.log


def test_preambles_are_logged_by_kind(server: ArchiveServer) -> None:
    """O5: who sent a program finds no trace of it in what comes back, and the administrator reads of it."""
    data_set = secondary_capture()
    file = b"\x7fELF" + os.urandom(124) + part10(data_set)[128:]
    assert dicomweb.store(server.dicomweb_url, file).status_code == 200
    (part,) = dicomweb.parts(asked(server, path_of(data_set), dicomweb.AS_STORED))
    assert part.body == bytes(128) + file[128:]
    assert "a Linux program" in server.log
