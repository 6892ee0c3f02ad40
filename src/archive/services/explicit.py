"""A stored object in Explicit VR Little Endian, the form in which every object can be had (PS3.18 8.7.3.4).

Data sets in implicit VR or big endian are re-encoded, deflated ones inflated, and compressed pixel data is decoded
frame by frame; the length is known before the first byte, and memory does not grow with the object.

Whether a codestream can be decoded to its end is known for sure only when it has been. So what fits in memory is
decoded before the first byte goes out, and of larger objects as much as that. It is kept until it is sent only while
all answers together keep little, as any number of clients may take their time; else it is decoded again."""

from __future__ import annotations

import collections
import itertools
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence

from archive.dicom import part10
from archive.dicom.errors import CannotRender, NotAcceptable
from archive.dicom.instance import StoredInstance
from archive.dicom.metadata_values import Metadata
from archive.dicom.pixels import native
from archive.dicom.pixels.codecs import DECODERS
from archive.dicom.pixels.decoder import Decoder
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.pixels.native import NativeFrame, NativeSize
from archive.dicom.pixels.pixel_description import PixelDescription, describe
from archive.dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from archive.dicom.writing.recoded import Recoded
from archive.dicom.writing.recoding import Picture, Source
from archive.services.data_set import inflated
from archive.services.readable import Readable, part
from archive.storage.base import Blob

AHEAD = 1 << 25
"""Decoded bytes of one object that are made before its first byte goes out."""
FRAMES_AHEAD = 2000
"""And so many frames, however small."""
KEPT = 1 << 28
"""Decoded bytes that are made before their turn, of all answers together."""
LONGEST_FRAME = 1 << 28
"""Of one compressed frame; it is in memory while it is decoded."""
DECODING = threading.BoundedSemaphore(2)
"""Each takes a core, and several times its frame in memory; more at a time would be no faster."""

NATIVE = frozenset(
    (
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    )
)
"""Those that can be said in another way without a decoder."""


def head(instance: StoredInstance) -> bytes:
    """Preamble and File Meta Information of the re-encoded object: we wrote this file (PS3.10 7.1)."""
    return part10.file_meta(instance.SOPClassUID, instance.SOPInstanceUID, EXPLICIT_VR_LITTLE_ENDIAN)


def of_native(instance: StoredInstance, opened: Callable[[], Blob], pixel_bytes: int = 2) -> Readable:
    """An object without compressed pixel data, whose pixel cells have so many bytes."""
    if instance.transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return _of_deflated(instance, opened)
    syntax = transfer_syntax(instance.transfer_syntax_uid)
    with opened() as blob:
        recoded = Recoded(
            head(instance),
            Source(
                _reader(blob, instance),
                instance.data_set_length,
                syntax.implicit,
                syntax.big_endian,
                pixel_bytes,
            ),
        )

    def read(offset: int, length: int) -> Iterator[bytes]:
        with opened() as blob:
            yield from recoded.pieces(_reader(blob, instance), offset, length)

    return Readable(recoded.length, read)


def _of_deflated(instance: StoredInstance, opened: Callable[[], Blob]) -> Readable:
    """The length of what is deflated is known only when it has been inflated, so this happens twice."""
    first = head(instance)
    with opened() as blob:
        length = len(first) + sum(map(len, inflated(blob, instance)))

    def read(offset: int, length: int) -> Iterator[bytes]:
        with opened() as blob:
            yield from part(itertools.chain((first,), inflated(blob, instance)), offset, length)

    return Readable(length, read)


def check(instance: StoredInstance, table: FrameTable | None) -> None:
    """Raises NotAcceptable or CannotRender where the two below would, as far as that can be told without reading the
    object; `table` is None for one without pixel data. Pixel data that is native in spite of a transfer syntax of
    compressed ones, as floating point mostly is, needs no decoder."""
    uid = instance.transfer_syntax_uid
    if uid in NATIVE:
        return
    if table is not None and table.encapsulated:
        native.check(table, uid)
    elif uid not in DECODERS:
        raise NotAcceptable(f"{uid} cannot be converted: ask for transfer-syntax=*")


def of_compressed(instance: StoredInstance, opened: Callable[[], Blob], pixels: DecodedPixels) -> Readable:
    """An object whose pixel data is decoded. Raises CannotRender, NotAcceptable."""
    with opened() as blob:
        source = Source(_reader(blob, instance), instance.data_set_length)
        recoded = Recoded(head(instance), source, pixels.picture())

    def read(offset: int, length: int) -> Iterator[bytes]:
        with opened() as blob:
            yield from recoded.pieces(_reader(blob, instance), offset, length, pixels.pieces)

    return Readable(recoded.length, read, pixels.make_sure)


class _Room:
    """So many bytes of memory, for those who are still there."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._taken: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def take(self, who: object, length: int) -> bool:
        """Whether there was room for it."""
        with self._lock:
            fits = sum(self._taken.values()) + length <= self._length
            if fits:
                self._taken[who] = self._taken.get(who, 0) + length
        return fits


_ROOM = _Room(KEPT)


class DecodedPixels:
    """The native pixel data of one compressed object. Raises CannotRender, NotAcceptable."""

    def __init__(
        self,
        instance: StoredInstance,
        opened: Callable[[], Blob],
        table: FrameTable,
        metadata: Metadata,
        decoder: Decoder,
    ) -> None:
        self.size: NativeSize = native.check(table, instance.transfer_syntax_uid)
        self._description: PixelDescription = describe(metadata)
        self._instance = instance
        self._opened = opened
        self._table = table
        self._decoder = decoder
        self._most = max(1, min(FRAMES_AHEAD, AHEAD // max(self.size.bytes_per_frame, 1)))
        self._first: NativeFrame | None = None
        self._is_sure = False
        self._ahead: list[bytes] = []

    def picture(self) -> Picture:
        """What stands in the data set once the frames are decoded; the first one is, to know it."""
        first = self.first()
        colour = self._description.SamplesPerPixel > 1
        return Picture(
            transfer_syntax_uid=self._instance.transfer_syntax_uid,
            offset=self._table.offset,
            end=self._table.offset + self._table.length,
            length=self.size.length,
            bits_allocated=self._description.BitsAllocated,
            PhotometricInterpretation=first.PhotometricInterpretation,
            PlanarConfiguration=first.PlanarConfiguration if colour else None,
            decoder=self._decoder,
        )

    def first(self) -> NativeFrame:
        """The first frame, which tells how all are to be read."""
        if self._first is None:
            with self._opened() as blob:
                self._first = self._decode(blob, 1)
        return self._first

    def frames(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """These frames, each with its last byte filled up with zero bits. What fits in memory of them is decoded
        before the first is given."""
        with self._opened() as blob:
            yield from self._decoded(numbers, lambda number: self._decode(blob, number).value)

    def all_frames(self) -> Generator[NativeFrame]:
        """Each frame, in the same colours."""
        first = self.first()
        with self._opened() as blob:
            for number in range(1, self.size.number_of_frames + 1):
                value = self._alike(blob, number)
                yield NativeFrame(value, first.PhotometricInterpretation, first.PlanarConfiguration)

    def make_sure(self) -> None:
        """Decode as much as fits in memory, and keep it if there is room."""
        if self._is_sure:
            return
        numbers = range(1, min(self._most, self.size.number_of_frames) + 1)
        with self._opened() as blob:
            frames = (self._alike(blob, number) for number in numbers)
            if self._may_keep(len(numbers)):
                self._ahead = list(frames)
            else:
                collections.deque(frames, maxlen=0)
        self._is_sure = True

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        """These bytes of all frames one behind the other, which end on an even byte. What fits in memory of them is
        decoded before the first is given."""
        bits, skipped = self.size.bits_per_frame, 0
        if bits % 8 == 0:
            skipped = min(offset // self.size.bytes_per_frame, self.size.number_of_frames - 1)
        last = min(-(-8 * (offset + length) // bits), self.size.number_of_frames)
        frames = native.joined(self._frames(skipped + 1, last), bits)
        padding = b"\0" * (self.size.length - self.size.unpadded)
        yield from part(itertools.chain(frames, (padding,)), offset - skipped * bits // 8, length)

    def _frames(self, first: int, last: int) -> Iterator[bytes]:
        with self._opened() as blob:
            yield from self._decoded(range(first, last + 1), lambda number: self._alike(blob, number))

    def _decoded(self, numbers: Sequence[int], decode: Callable[[int], bytes]) -> Iterator[bytes]:
        """These frames; unless that was done, what fits in memory of them is decoded before the first is given."""
        ahead = 0 if self._is_sure else min(self._most, len(numbers))
        if ahead > 1 and self._may_keep(ahead):
            yield from [decode(number) for number in numbers[:ahead]]
            numbers = numbers[ahead:]
        elif ahead > 1:
            collections.deque(map(decode, numbers[:ahead]), maxlen=0)
        yield from map(decode, numbers)

    def _may_keep(self, frames: int) -> bool:
        """Whether there is room for so many frames; then it is theirs as long as this object is there."""
        return _ROOM.take(self, frames * self.size.bytes_per_frame)

    def _alike(self, blob: Blob, number: int) -> bytes:
        """A frame that is in the same colours as the first."""
        if number <= len(self._ahead):
            return self._ahead[number - 1]
        frame = self.first() if number == 1 else self._decode(blob, number)
        if frame.PhotometricInterpretation != self.first().PhotometricInterpretation:
            raise CannotRender("the frames of the object are not all in the same colours")
        return frame.value

    def _decode(self, blob: Blob, number: int) -> NativeFrame:
        ranges = self._table.ranges(number)
        if sum(length for _, length in ranges) > LONGEST_FRAME:
            raise CannotRender("a compressed frame is too large to be decoded: ask for transfer-syntax=*")
        start = self._instance.data_set_offset
        stored = b"".join(blob.read(start + offset, length) for offset, length in ranges)
        with DECODING:
            return self._decoder.native(stored, self._description, self._instance.transfer_syntax_uid)


def _reader(blob: Blob, instance: StoredInstance) -> Callable[[int, int], bytes]:
    return lambda offset, length: blob.read(instance.data_set_offset + offset, length)
