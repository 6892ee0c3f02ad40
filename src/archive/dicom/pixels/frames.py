"""Where the frames of an object lie in its encoded data set, so that one frame is read without reading the
object.

The table is made once, at ingest, and kept compressed in the index. For native pixel data the place of a
frame is arithmetic. For encapsulated pixel data (PS3.5 A.4) it is a list of fragments, whose offsets follow
from their lengths as they lie one behind the other; so a million frames cost four bytes each before
compression.

Which fragments make a frame: one each, if there are as many as frames (the Extended Offset Table demands just
that, so it tells nothing new and is not read); else the Basic Offset Table, if each of its offsets is the
start of a fragment; else a fragment that begins like a compressed picture begins a frame. In a video one
stream holds all frames, so all fragments together count as frame 1.
"""

from __future__ import annotations

import functools
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy
import orjson
import zstandard
from numpy.typing import NDArray

from archive.dicom.errors import NotFound

MAXIMUM_FRAGMENTS = 1 << 22
MAXIMUM_TABLE = 1 << 28
_ITEM_HEADER = 8
_OFFSETS = 1 << 16


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The attributes of the Image Pixel Module (PS3.3 C.7.6.3) that say how long a native frame is and how to
    read it. `vr` is that of the pixel data element."""

    Rows: int = 0
    Columns: int = 0
    SamplesPerPixel: int = 1
    BitsAllocated: int = 0
    PhotometricInterpretation: str = ""
    NumberOfFrames: int = 1
    vr: str = "OW"

    @property
    def bits_per_frame(self) -> int:
        """Length of a native frame in bits. YBR_FULL_422 samples chrominance every other column
        (C.7.6.3.1.2)."""
        samples = self.Rows * self.Columns * self.SamplesPerPixel
        if self.PhotometricInterpretation == "YBR_FULL_422" and self.SamplesPerPixel == 3:
            samples = samples * 2 // 3
        return samples * self.BitsAllocated


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The frames of one object. `offset` is that of the pixel data's value in the data set, `length` that of
    its value (without the delimiter, if encapsulated). `fragments` holds the length of each fragment after
    the Basic Offset Table, the first of which begins (with its item tag) at `first_fragment`; `starts` the
    number of the first fragment of each frame, empty if every frame has one fragment."""

    encapsulated: bool
    number_of_frames: int
    offset: int
    length: int
    description: PixelDescription
    big_endian: bool = False
    first_fragment: int = 0
    fragments: Sequence[int] = ()
    starts: Sequence[int] = ()
    _offsets: list[NDArray[numpy.int64]] = field(default_factory=list, repr=False, compare=False)

    def pack(self) -> bytes:
        """The table as bytes for the index."""
        if self.encapsulated:
            return self._pack()
        return _pack_native(
            self.number_of_frames, self.offset, self.length, self.description, self.big_endian
        )

    def _pack(self) -> bytes:
        head = {
            "encapsulated": self.encapsulated,
            "number_of_frames": self.number_of_frames,
            "offset": self.offset,
            "length": self.length,
            "big_endian": self.big_endian,
            "first_fragment": self.first_fragment,
            "description": {f.name: getattr(self.description, f.name) for f in fields(self.description)},
            "starts": len(self.starts),
        }
        text = orjson.dumps(head)
        parts = (struct.pack("=I", len(text)) + text, _unsigned(self.starts), _unsigned(self.fragments))
        views = [memoryview(part).cast("B") for part in parts]
        stream = zstandard.ZstdCompressor().compressobj(size=sum(map(len, views)))
        return b"".join(map(stream.compress, views)) + stream.flush()

    @staticmethod
    def unpack(packed: bytes) -> FrameTable:
        """The table that `pack` wrote."""
        raw = zstandard.decompress(packed, max_output_size=MAXIMUM_TABLE)
        (size,) = struct.unpack_from("=I", raw)
        head = orjson.loads(raw[4 : 4 + size])
        middle = 4 + size + 4 * head.pop("starts")
        starts, fragments = array("I"), array("I")
        starts.frombytes(raw[4 + size : middle])
        fragments.frombytes(raw[middle:])
        head["description"] = PixelDescription(**head["description"])
        return FrameTable(starts=starts, fragments=fragments, **head)

    def ranges(self, frame: int) -> tuple[tuple[int, int], ...]:
        """The pieces of a frame (1 is the first) as (offset, length) in the data set. For bit-packed native
        frames they are the bytes that hold the frame's bits: see `bits`. Raises NotFound."""
        if not 1 <= frame <= self.number_of_frames:
            raise NotFound(f"frame {frame} of {self.number_of_frames}")
        if not self.encapsulated:
            offset, length, _ = self.bits(frame)
            return ((offset, length),)
        first = self.starts[frame - 1] if self.starts else frame - 1
        last = self._first_of_next(frame)
        offsets = self._fragment_offsets()
        return tuple(
            (int(offsets[place]), self.fragments[place])
            for place in range(first, last)
            if self.fragments[place]
        )

    def _fragment_offsets(self) -> NDArray[numpy.int64]:
        """Where the content of each fragment begins; worked out once for all frames."""
        if not self._offsets:
            taken = numpy.frombuffer(array("I", self.fragments), dtype=numpy.uint32).astype(numpy.int64)
            taken += _ITEM_HEADER
            self._offsets.append(self.first_fragment + _ITEM_HEADER + numpy.cumsum(taken) - taken)
        return self._offsets[0]

    def bits(self, frame: int) -> tuple[int, int, int]:
        """A native frame as (offset of its first byte in the data set, number of bytes touched, number of low
        bits of the first byte that belong to the frame before). The last is 0 unless BitsAllocated is 1
        (PS3.5 8.1.1)."""
        size = self.description.bits_per_frame
        first_bit = (frame - 1) * size
        first = first_bit // 8
        shift = first_bit % 8
        end = min((first_bit + size + 7) // 8, self.length)
        return self.offset + first, max(0, end - first), shift

    def _first_of_next(self, frame: int) -> int:
        if not self.starts:
            return frame
        return self.starts[frame] if frame < len(self.starts) else len(self.fragments)


@functools.lru_cache(maxsize=64)
def _pack_native(
    number_of_frames: int, offset: int, length: int, description: PixelDescription, big_endian: bool
) -> bytes:
    """Most objects of a series have the same table."""
    return FrameTable(False, number_of_frames, offset, length, description, big_endian)._pack()


def _unsigned(numbers: Sequence[int]) -> array[int]:
    return numbers if isinstance(numbers, array) else array("I", numbers)


def native_table(offset: int, length: int, description: PixelDescription, big_endian: bool) -> FrameTable:
    """The table for native pixel data. Frames that the value does not hold whole are not in it."""
    size = description.bits_per_frame
    held = length * 8 // size if size else 0
    number = min(max(description.NumberOfFrames, 1), held)
    return FrameTable(False, number, offset, length, description, big_endian)


@dataclass(slots=True)
class Fragments:
    """What the reader notes while encapsulated pixel data passes by."""

    offset: int
    first_fragment: int = 0
    basic_offset_table: bytes = b""
    lengths: array[int] = field(default_factory=lambda: array("I"))
    begins: bytearray = field(default_factory=bytearray)

    def add(self, length: int, head: bytes) -> None:
        """One more fragment; `head` is its first bytes."""
        self.lengths.append(length)
        self.begins.append(_begins_picture(head))


def encapsulated_table(
    fragments: Fragments, length: int, description: PixelDescription, video: bool, big_endian: bool = False
) -> FrameTable:
    """The table for encapsulated pixel data whose value is `length` bytes long."""
    number = max(description.NumberOfFrames, 1)
    starts = _starts(fragments, number, video)
    frames = len(starts) if starts else len(fragments.lengths)
    return FrameTable(
        encapsulated=True,
        number_of_frames=frames,
        offset=fragments.offset,
        length=length,
        description=description,
        big_endian=big_endian,
        first_fragment=fragments.first_fragment,
        fragments=fragments.lengths,
        starts=starts,
    )


def _starts(fragments: Fragments, number: int, video: bool) -> Sequence[int]:
    """The first fragment of each frame; empty if each fragment is a frame."""
    held = len(fragments.lengths)
    if not held or (held == number and not video):
        return array("I")
    if video or number == 1:
        return array("I", (0,))
    if starts := _from_offsets(fragments, number):
        return starts
    starts = array("I", (index for index, begins in enumerate(fragments.begins) if begins or index == 0))
    return array("I", (0,)) if len(starts) > number else starts


def _from_offsets(fragments: Fragments, number: int) -> array[int]:
    """The Basic Offset Table as fragment numbers, empty if it is not for so many frames or not true. In pieces, as
    millions of offsets would each take eight bytes several times over."""
    table = fragments.basic_offset_table
    starts = array("I")
    if len(table) != 4 * number:
        return starts
    offsets = numpy.frombuffer(table, dtype="<u4")
    ends = numpy.frombuffer(fragments.lengths, dtype=numpy.uint32).astype(numpy.uint64)
    ends += _ITEM_HEADER
    numpy.cumsum(ends, out=ends)
    last = -1
    for begin in range(0, number, _OFFSETS):
        piece = offsets[begin : begin + _OFFSETS].astype(numpy.uint64)
        found = numpy.searchsorted(ends, piece, side="right")
        if found[0] <= last or found[-1] >= len(ends) or not _begin_there(ends, piece, found):
            return array("I")
        starts.frombytes(found.astype(numpy.uint32).tobytes())
        last = int(found[-1])
    return starts if starts[0] == 0 else array("I")


def _begin_there(
    ends: NDArray[numpy.uint64], offsets: NDArray[numpy.uint64], found: NDArray[numpy.intp]
) -> bool:
    """Whether the fragments that were found for these offsets ascend, and begin just there."""
    places = numpy.where(found > 0, ends[found - 1], 0)
    return bool((numpy.diff(found) > 0).all() and (places == offsets).all())


_PICTURES = (
    b"\xff\xd8\xff",  # JPEG and JPEG-LS: SOI and a marker
    b"\xff\x4f\xff\x51",  # JPEG 2000 and HTJ2K: SOC, SIZ
    b"\x00\x00\x00\x0cjP  ",  # JP2 signature box
    b"\xff\x0a",  # JPEG XL codestream
    b"\x00\x00\x00\x0cJXL ",  # JPEG XL signature box
)


def _begins_picture(head: bytes) -> bool:
    """Whether a fragment begins like a compressed picture. RLE (PS3.5 G.5): 1 to 15 segments, the first at
    byte 64."""
    if head.startswith(_PICTURES):
        return True
    return head[1:8] == b"\x00\x00\x00\x40\x00\x00\x00" and 1 <= head[0] <= 15
