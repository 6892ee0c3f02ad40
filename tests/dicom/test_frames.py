"""The frame table: which bytes are which frame, for native and encapsulated pixel data."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from array import array
from pathlib import Path

import numpy
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from archive.dicom.errors import CannotUnderstand, NotFound
from archive.dicom.pixels import frames
from archive.dicom.pixels.frames import (
    Fragments,
    FrameTable,
    PixelDescription,
    encapsulated_table,
    native_table,
)
from archive.dicom.reading.metadata import Metadata
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import transfer_syntax
from dicom_files import every_file, identify, split
from encoded_bytes import SEQUENCE_END, UNDEFINED, explicit, fragment, identified, read
from refused_files import REFUSED

JPEG = "1.2.840.10008.1.2.4.50"
MPEG = "1.2.840.10008.1.2.4.102"
PICTURE = b"\xff\xd8\xff\xe0"


def _encapsulated(fragments: list[bytes], frames: int | None, offsets: tuple[int, ...] = ()) -> bytes:
    table = fragment(b"".join(struct.pack("<I", offset) for offset in offsets))
    value = table + b"".join(map(fragment, fragments)) + SEQUENCE_END
    number = b"" if frames is None else explicit(0x00280008, "IS", f"{frames} ".encode())
    return identified(after=number + explicit(0x7FE00010, "OB", value, UNDEFINED))


def _frames(data_set: bytes, uid: str = JPEG) -> list[bytes]:
    table = FrameTable.unpack(read(data_set, uid).frames)
    return [
        b"".join(data_set[offset : offset + length] for offset, length in table.ranges(number))
        for number in range(1, table.number_of_frames + 1)
    ]


A, B, C, D = PICTURE + b"A1", b"A2A2", PICTURE + b"B1", b"B2B2B2"


@pytest.mark.parametrize(
    ("fragments", "frames", "offsets", "expected"),
    [
        ([A, C], 2, (), [A, C]),
        ([A, C], 2, (0, 14), [A, C]),
        ([A, B, C, D], 2, (0, 26), [A + B, C + D]),
        ([b"AA", b"BB", b"CC"], 2, (0, 10), [b"AA", b"BBCC"]),
        ([A, B, C, D], 2, (), [A + B, C + D]),  # no table: by the starts of pictures
        ([A, B, C, D], 2, (0, 27), [A + B, C + D]),  # a table that lies
        ([A, B, C, D], 2, (0, 26, 40), [A + B, C + D]),  # a table of another length
        ([A, B, C, D], 1, (), [A + B + C + D]),
        ([A, B], None, (), [A + B]),
        ([A], None, (), [A]),
        ([], None, (), []),
    ],
)
def test_which_fragments_make_a_frame(
    fragments: list[bytes], frames: int | None, offsets: tuple[int, ...], expected: list[bytes]
) -> None:
    assert _frames(_encapsulated(fragments, frames, offsets)) == expected


@given(
    lengths=st.lists(st.integers(0, 50).map(lambda n: 2 * n), min_size=3, max_size=12),
    chance=st.randoms(use_true_random=False),
    lie=st.integers(0, 1),
)
def test_an_offset_table_read_in_pieces(lengths: list[int], chance: random.Random, lie: int) -> None:
    starts = [0, *sorted(chance.sample(range(1, len(lengths)), chance.randrange(1, len(lengths) - 1)))]
    offsets = [sum(lengths[:start]) + 8 * start for start in starts]
    offsets[chance.randrange(len(offsets))] += lie
    fragments = Fragments(0, 8, struct.pack(f"<{len(offsets)}I", *offsets), array("I", lengths))
    fragments.begins = bytearray(len(lengths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "_OFFSETS", 2)
        table = encapsulated_table(fragments, 0, PixelDescription(NumberOfFrames=len(starts)), video=False)
    assert list(table.starts) == ([0] if lie else starts)
    assert FrameTable.unpack(table.pack()) == table


def test_a_great_many_fragments_take_little_memory() -> None:
    number = 1 << 20
    places = (numpy.arange(number - 1, dtype="<u4") * 8).tobytes()
    fragments = Fragments(0, 8, places, array("I", bytes(4 * number)), bytearray(number))
    tracemalloc.start()
    description = PixelDescription(NumberOfFrames=number - 1)
    packed = encapsulated_table(fragments, 8 * number, description, video=False).pack()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert FrameTable.unpack(packed).number_of_frames == number - 1
    assert peak < 20 * number


@pytest.mark.parametrize("start", [b"\xff\x4f\xff\x51", b"\x0c\0\0\0\x40\0\0\0" + bytes(56), b"\xff\x0a"])
def test_the_start_of_other_pictures(start: bytes) -> None:
    fragments = [start + b"1", b"2222", start + b"3", start + b"4", b"5555"]
    even = [one + b"\0" * (len(one) % 2) for one in fragments]
    assert _frames(_encapsulated(even, 3)) == [even[0] + even[1], even[2], even[3] + even[4]]


def test_a_video_is_one_frame() -> None:
    assert _frames(_encapsulated([b"AAAA", b"BBBB"], 500), MPEG) == [b"AAAABBBB"]
    assert _frames(_encapsulated([b"AAAA", b"BBBB"], 2), MPEG) == [b"AAAABBBB"]


def test_the_value_of_encapsulated_pixel_data_ends_before_its_delimiter() -> None:
    data_set = _encapsulated([A], 1)
    (value,) = read(data_set, JPEG).bulk_values
    assert value.path == "7FE00010"
    assert data_set[value.offset : value.offset + value.length] == fragment(b"") + fragment(A)


def test_encapsulated_pixel_data_in_an_item_is_no_frame() -> None:
    icon = explicit(0x7FE00010, "OB", fragment(b"") + fragment(A) + SEQUENCE_END, UNDEFINED)
    data_set = identified(
        explicit(0x00880200, "SQ", struct.pack("<HHI", 0xFFFE, 0xE000, len(icon)) + icon), after=b""
    )
    with pytest.raises(CannotUnderstand):
        read(data_set[:-1], JPEG)
    instance = read(data_set, JPEG)
    assert instance.frames == b""
    assert [value.path for value in instance.bulk_values] == ["00880200/0/7FE00010"]


def _described(**keywords: int | str) -> PixelDescription:
    return PixelDescription(**{"Rows": 3, "Columns": 5, "BitsAllocated": 8, **keywords})  # type: ignore[arg-type]


def test_native_frames_follow_each_other() -> None:
    table = native_table(100, 90, _described(NumberOfFrames=3, BitsAllocated=16), big_endian=False)
    assert [table.ranges(number) for number in (1, 2, 3)] == [((100, 30),), ((130, 30),), ((160, 30),)]
    for number in (0, 4, -1):
        with pytest.raises(NotFound):
            table.ranges(number)


def test_chrominance_of_every_other_column_takes_two_thirds() -> None:
    description = _described(
        Columns=4, SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL_422", NumberOfFrames=2
    )
    table = native_table(0, 48, description, big_endian=False)
    assert [table.ranges(number) for number in (1, 2)] == [((0, 24),), ((24, 24),)]


def test_packed_bits_begin_where_the_frame_before_ended() -> None:
    table = native_table(10, 6, _described(BitsAllocated=1, NumberOfFrames=3), big_endian=False)
    assert [table.bits(number) for number in (1, 2, 3)] == [(10, 2, 0), (11, 3, 7), (13, 3, 6)]


def test_frames_that_are_not_there_are_not_in_the_table() -> None:
    assert native_table(0, 44, _described(NumberOfFrames=3), big_endian=False).number_of_frames == 2
    assert native_table(0, 44, _described(Rows=0), big_endian=False).number_of_frames == 0


def test_packing_and_unpacking() -> None:
    fragments = Fragments(50, 58, b"", array("I", [4, 6, 8]), bytearray([1, 0, 1]))
    for table in (
        native_table(100, 90, _described(NumberOfFrames=3), big_endian=True),
        encapsulated_table(fragments, 60, _described(NumberOfFrames=2), video=False),
        encapsulated_table(fragments, 60, _described(NumberOfFrames=3), video=False),
    ):
        again = FrameTable.unpack(table.pack())
        assert (again.description, again.number_of_frames) == (table.description, table.number_of_frames)
        numbers = range(1, table.number_of_frames + 1)
        assert [again.ranges(number) for number in numbers] == [table.ranges(number) for number in numbers]


def test_a_million_frames() -> None:
    count = 1_000_000
    fragments = Fragments(0, 8, b"", array("I", range(1, count + 1)), bytearray(count))
    packed = encapsulated_table(fragments, 1 << 40, _described(NumberOfFrames=count), video=False).pack()
    start = time.process_time()
    table = FrameTable.unpack(packed)
    assert table.ranges(count) == ((8 + (count - 1) * count // 2 + 8 * count, count),)
    assert time.process_time() - start < 1
    assert len(packed) < 4 * count


def _has_frames(path: Path) -> bool:
    return path.name not in REFUSED and not path.parent.name.startswith("charset")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", [path for path in every_file() if _has_frames(path)], ids=identify)
def test_frames_are_those_that_pydicom_finds(path: Path) -> None:
    meta, data_set = split(path.read_bytes())
    reader = DataSetReader(meta.transfer_syntax_uid)
    reader.feed(data_set)
    packed = reader.finish().frames
    value = pydicom.dcmread(path).get_item("PixelData")
    if value is None or transfer_syntax(meta.transfer_syntax_uid).deflated:
        return
    table = FrameTable.unpack(packed)
    if not table.encapsulated:
        assert data_set[table.offset : table.offset + table.length] == value.value
        return
    expected = list(generate_frames(value.value, number_of_frames=table.number_of_frames))
    for number, frame in enumerate(expected, start=1):
        assert b"".join(data_set[at : at + length] for at, length in table.ranges(number)) == frame


def test_too_many_fragments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archive.dicom.reading.metadata.MAXIMUM_FRAGMENTS", 3)
    listener = Metadata(frozenset())
    listener.begin_fragments(0x7FE00010, "OB", 0)
    listener.offset_table(b"", 8)
    for number in range(3):
        listener.fragment(number, 0, b"")
    with pytest.raises(CannotUnderstand):
        listener.fragment(3, 0, b"")
