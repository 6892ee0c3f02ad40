"""A re-encoded object as bytes: its length, and any part of them, from its segments.

Literal bytes are kept up to a bound. A data set with more of them, such as the functional groups of very many frames,
is walked again each time it is read, which costs time and no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from archive.dicom.writing.byte_order import Read, turned
from archive.dicom.writing.recoding import Copy, Picture, Pixels, Segment, Source, segment_length, segments

KEPT = 1 << 22
"""Most literal bytes of one object in memory."""
_SEGMENT = 100
"""What a segment takes beside its bytes."""

ReadPixels = Callable[[int, int], Iterator[bytes]]
"""(offset, length) -> these bytes of the decoded pixel data."""
Frames = Callable[[], Iterator[bytes]]
"""The encapsulated pixel data from its Basic Offset Table on, without the delimiter."""


def no_pixels(_offset: int, _length: int) -> Iterator[bytes]:
    """Of an object whose pixel data is not decoded."""
    return iter(())


class Recoded:
    """`length` bytes that begin with `head`, then the data set of `source` in Explicit VR Little Endian, or `implicit`
    VR. Raises what `recoding.segments` does. The source may be closed between two calls; each gives its own way to read
    it."""

    def __init__(
        self, head: bytes, source: Source, picture: Picture | None = None, *, implicit: bool = False
    ) -> None:
        self._head = head
        self._source = source
        self._picture = picture
        self._implicit = implicit
        self._kept: list[Segment] | None = []
        self.length = len(head)
        literal = 0
        for segment in segments(source, picture, implicit=implicit):
            self.length += segment_length(segment)
            literal += len(segment) if isinstance(segment, bytes) else _SEGMENT
            if literal > KEPT:
                self._kept = None
            if self._kept is not None:
                self._kept.append(segment)

    def pieces(
        self, read: Read, offset: int, length: int, read_pixels: ReadPixels = no_pixels
    ) -> Iterator[bytes]:
        """Just these bytes."""
        end = min(offset + length, self.length)
        position = 0
        for segment in self._segments(read):
            size = segment_length(segment)
            start, stop = max(offset - position, 0), min(end - position, size)
            if start < stop:
                yield from _pieces_of(segment, start, stop, read, read_pixels)
            position += size
            if position >= end:
                return

    def encapsulated(self, read: Read, frames: Frames) -> Iterator[bytes]:
        """All of it, where the pixel data goes out encapsulated and so has no known length."""
        for segment in self._segments(read):
            if isinstance(segment, Pixels):
                yield from frames()
            else:
                yield from _pieces_of(segment, 0, segment_length(segment), read, no_pixels)

    def _segments(self, read: Read) -> Iterator[Segment]:
        yield self._head
        source = replace(self._source, read=read)
        yield from self._kept or segments(source, self._picture, implicit=self._implicit)


def _pieces_of(
    segment: Segment, start: int, stop: int, read: Read, read_pixels: ReadPixels
) -> Iterator[bytes]:
    if isinstance(segment, bytes):
        yield segment[start:stop]
    elif isinstance(segment, Pixels):
        yield from read_pixels(start, stop - start)
    else:
        yield from _copied(read, segment, start, stop)


def _copied(read: Read, copy: Copy, start: int, stop: int) -> Iterator[bytes]:
    """Bytes behind the last whole word are not turned round."""
    whole = copy.length - copy.length % copy.word
    begin, end = copy.offset + start, copy.offset + stop
    middle = min(end, copy.offset + whole)
    yield from turned(read, copy.offset, (begin, middle), copy.word)
    yield from turned(read, copy.offset, (max(begin, middle), end), 1)
