"""Frames as they are stored, read by offset: codestreams without the fragments around them, native frames in little
endian and on whole bytes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from archive.dicom.errors import NotAcceptable
from archive.dicom.instance import BulkValue, StoredInstance
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.services import stretches
from archive.services.data_set import DataSet
from archive.services.readable import Readable, part
from archive.services.stretches import Piece
from archive.storage.base import Blob

MAXIMUM_RETURNS = 8
"""How often one request may go back in a deflated object."""

PIXEL_DATA = "7FE00010"

Opened = Callable[[], Blob]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as stored, `length` bytes; take its pieces before the next frame."""

    length: int
    pieces: Iterable[bytes]


def frame_length(table: FrameTable, number: int) -> int:
    """Bytes of a frame. Raises NotFound."""
    if table.encapsulated:
        return sum(length for _, length in table.ranges(number))
    return -(-table.description.bits_per_frame // 8)


def in_order(
    instance: StoredInstance, opened: Opened, table: FrameTable, numbers: Sequence[int]
) -> Generator[Frame]:
    """These frames, of an object that is opened once; also of a deflated one, which is inflated once as long as they
    ascend."""
    value = pixel_value(table)
    with opened() as blob:
        data_set = DataSet(blob, instance)
        for number in numbers:
            found = (data_set.pieces(value, *place) for place in table.ranges(number))
            stored = itertools.chain.from_iterable(found)
            yield Frame(frame_length(table, number), _aligned(stored, table, number))


class StoredFrames:
    """Frames of one instance, of which any part can be read. Raises NotFound for one that is not there."""

    def __init__(
        self, instance: StoredInstance, opened: Opened, table: FrameTable, numbers: Sequence[int]
    ) -> None:
        self._instance = instance
        self._opened = opened
        self._table = table
        self._value = pixel_value(table)
        syntax = transfer_syntax(instance.transfer_syntax_uid)
        self._in_file = not (syntax.deflated or syntax.big_endian)
        self._open: tuple[Blob, DataSet] | None = None
        self.frames = [
            Readable(frame_length(table, number), partial(self._read, number)) for number in numbers
        ]

    def opened_once(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The pieces, which read these frames; the object is opened once for all of them."""
        with self._opened() as blob:
            self._open = blob, DataSet(blob, self._instance)
            try:
                yield from pieces
            finally:
                self._open = None

    def as_stored(self, number: int, offset: int, length: int) -> Iterator[Piece]:
        """Part of a frame, for who can pass it on unread. Raises NotFound."""
        if self._open is not None:
            yield from self._pieces(*self._open, number, offset, length)
            return
        with self._opened() as blob:
            yield from self._pieces(blob, DataSet(blob, self._instance), number, offset, length)

    def _read(self, number: int, offset: int, length: int) -> Iterator[bytes]:
        for piece in self.as_stored(number, offset, length):
            yield stretches.read(piece)

    def _pieces(
        self, blob: Blob, data_set: DataSet, number: int, offset: int, length: int
    ) -> Iterator[Piece]:
        ranges = self._table.ranges(number)
        if is_shifted(self._table):
            stored = (data_set.pieces(self._value, *place) for place in ranges)
            whole = _aligned(itertools.chain.from_iterable(stored), self._table, number)
            return part(iter(whole), offset, length)
        places = _within(ranges, offset, length)
        if self._in_file:
            start = self._instance.data_set_offset
            return itertools.chain.from_iterable(
                stretches.pieces(blob, start + first, size) for first, size in places
            )
        return itertools.chain.from_iterable(data_set.pieces(self._value, *place) for place in places)


def pixel_value(table: FrameTable) -> BulkValue:
    """The pixel data. Its VR is that whose words are the pixel cells: OW also holds cells of 32 and 64 bits, and in big
    endian a whole cell is turned round (PS3.5 8.1.1)."""
    vr = table.description.vr
    if table.encapsulated:
        vr = "OB"
    elif vr == "OW":
        vr = {32: "OL", 64: "OV"}.get(table.description.BitsAllocated, vr)
    return BulkValue(PIXEL_DATA, vr, table.offset, table.length)


def pixel_bytes(table: FrameTable | None) -> int:
    """Bytes of a pixel cell, at least one word of OW."""
    return max(table.description.BitsAllocated // 8, 2) if table is not None else 2


def check_order(numbers: Sequence[int]) -> None:
    """To go back in a deflated object is to inflate it from the start again: a few times for a viewer that jumps,
    not ten thousand times for one who wants to keep us busy. Raises NotAcceptable."""
    if sum(later <= earlier for earlier, later in itertools.pairwise(numbers)) > MAXIMUM_RETURNS:
        raise NotAcceptable("the object is deflated: ask for its frames in ascending order")


def is_shifted(table: FrameTable) -> bool:
    """Whether frames may begin amid a byte: native ones of single bits (PS3.5 8.1.1)."""
    return not table.encapsulated and table.description.bits_per_frame % 8 != 0


def _within(ranges: Iterable[tuple[int, int]], offset: int, length: int) -> Iterator[tuple[int, int]]:
    """What of the places is in `length` bytes from `offset` of all of them together."""
    end, position = offset + length, 0
    for start, size in ranges:
        first, last = max(offset - position, 0), min(end - position, size)
        if first < last:
            yield start + first, last - first
        position += size


def _aligned(stored: Iterable[bytes], table: FrameTable, number: int) -> Iterable[bytes]:
    """A frame of single bits, moved to the start of a byte and freed of what belongs to the next."""
    if not is_shifted(table):
        return stored
    bits = table.description.bits_per_frame
    _, _, shift = table.bits(number)
    value = (int.from_bytes(b"".join(stored), "little") >> shift) & ((1 << bits) - 1)
    return (value.to_bytes(-(-bits // 8), "little"),)
