"""The JSON text of an object's metadata, put together while its elements go by.

The last megabytes of the text are held, what came before them is compressed, so memory does not grow with the object.

PS3.5 7.1 and PS3.18 F.2.2 want attributes in ascending order, and of two with one tag only one can stay (the first, as
in DCMTK; pydicom takes the last). A data set or item that breaks this is put in order when it ends, if its text is
still held: its members are moved as they stand, as only the places where they begin are remembered. Parsing the JSON
and writing it again took seventy times the memory of the data set.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

from archive.dicom.errors import CannotUnderstand
from archive.dicom.reading.known import Run

PLENTY = 1 << 22
"""From this length on, it is time to be thrifty."""
HELD = 1 << 23
"""Longest text that is held, and so the longest data set or item that can be put in order."""
MAXIMUM_TEXT = 1 << 26
"""An enhanced multi-frame object has about 2 KB of it for each frame, so 30,000 frames have room. What reads it, parses
it whole."""
MAXIMUM_COMPRESSED = 1 << 24
"""The metadata are one value of the index and are read in one piece; those of real objects shrink to a tenth."""

_START = 0xFFFFFFFF
_SEQUENCE = b'{"vr":"SQ"'


@dataclass(slots=True)
class _Members:
    """A data set or item that has begun at `start`. `marks` has tag << 32 | place for each of its attributes as long as
    they can be moved; `last` is the last tag."""

    start: int
    marks: array[int] | None
    last: int = -1
    in_order: bool = True


class MetadataText:
    """Takes attributes as text. Every member and item ends with a comma, until what it is in ends."""

    def __init__(self, on_plenty: Callable[[], None]) -> None:
        """`on_plenty` is called once, when the text has become longer than PLENTY."""
        self._on_plenty = on_plenty
        self._limit = PLENTY
        self._held = bytearray(b"{")
        self._begin = 0
        self._top = _Members(1, array("Q"))
        self._open = [self._top]
        self._stream: zstandard.ZstdCompressionObj | None = None
        self._compressed: list[bytes] = []
        self._compressed_length = 0
        self._kept = 0

    @property
    def length(self) -> int:
        """Bytes so far, before compression."""
        return self._begin + len(self._held)

    def put(self, tag: int, member: bytes) -> None:
        """One attribute, as a member of a JSON object, with the comma behind it."""
        held, top = self._held, self._top
        if tag <= top.last or len(held) > self._limit:
            self._look_closer(tag)
        if top.marks is not None:
            top.marks.append(tag << 32 | self._begin + len(held))
        top.last = tag
        held += member

    def put_run(self, run: Run) -> None:
        """The same for many, one after the other. This is how most of a header passes."""
        held, top = self._held, self._top
        if run.elements[0][0] <= top.last or top.marks is None or len(held) + len(run.text) > self._limit:
            for tag, member, _ in run.elements:
                self.put(tag, member)
            return
        place = self._begin + len(held)
        top.marks.extend([mark + place for mark in run.marks])
        top.last = run.elements[-1][0]
        held += run.text

    def begin_sequence(self, tag: int, *, keep: bool) -> None:
        """The beginning of a sequence. With `keep`, `end_sequence` gives its text."""
        self.put(tag, b'"%08X":%s' % (tag, _SEQUENCE))
        if keep:
            self._kept = self.length - len(_SEQUENCE)

    def begin_item(self, *, first: bool) -> None:
        """The next item of the sequence that has begun last."""
        self._held += b',"Value":[{' if first else b"{"
        self._top = _Members(self._begin + len(self._held), array("Q"))
        self._open.append(self._top)

    def end_item(self) -> None:
        """The item is complete."""
        self._close()
        self._held += b","
        self._open.pop()
        self._top = self._open[-1]
        if len(self._held) > self._limit:
            self._grown()

    def end_sequence(self, *, empty: bool, longest: int) -> str:
        """The end of a sequence; its whole text if that was to be kept and is not longer than `longest`."""
        if empty:
            self._held += b"},"
        else:
            self._held[-1:] = b"]},"
        if len(self._open) > 1 or not self._kept:
            return ""
        begin, self._kept = self._kept - self._begin, 0
        end = len(self._held) - 1
        return self._held[begin:end].decode() if max(0, end - longest) <= begin else ""

    def finish(self) -> bytes:
        """All of it, closed and compressed with zstd. Raises CannotUnderstand."""
        self._close()
        self._check_length()
        if self._stream is None:
            return _compressed(self._held)
        self._compress(len(self._held))
        self._add(self._stream.flush())
        return b"".join(self._compressed)

    # --- order ---

    def _look_closer(self, tag: int) -> None:
        """Before an attribute is written: it is not in order, or the text has grown."""
        if len(self._held) > self._limit:
            self._grown()
        top = self._top
        if tag <= top.last:
            top.in_order = False
            if top.marks is None:
                raise _out_of_order()

    def _close(self) -> None:
        """End the innermost data set or item."""
        top = self._top
        if not top.in_order and top.marks is not None:
            self._put_in_order(top.start - self._begin, top.marks)
        if self._held.endswith(b","):
            self._held[-1:] = b"}"
        else:
            self._held += b"}"

    def _put_in_order(self, begin: int, marks: array[int]) -> None:
        """Write the members again, by tag, and of equal ones the first."""
        text = memoryview(bytes(memoryview(self._held)[begin:]))
        del self._held[begin:]
        first = self.length
        last = -1
        for number in sorted(range(len(marks)), key=marks.__getitem__):
            tag, start = marks[number] >> 32, (marks[number] & _START) - first
            end = (marks[number + 1] & _START) - first if number + 1 < len(marks) else len(text)
            if tag != last:
                self._held += text[start:end]
            last = tag

    # --- compression ---

    def _grown(self) -> None:
        if self._limit == PLENTY:
            self._limit = HELD
            self._on_plenty()
        else:
            self._flush()

    def _flush(self) -> None:
        """Compress what is held, but spare the outermost item that has begun in its latter half: it may have to be put
        in order. One byte stays, as it may be a comma to be replaced."""
        self._check_length()
        middle = self._begin + len(self._held) // 2
        spared = next((one.start for one in self._open if one.start > middle), self.length - 1)
        for one in self._open:
            if one.start < spared:
                if not one.in_order:
                    raise _out_of_order()
                one.marks = None
        self._compress(spared - self._begin)

    def _compress(self, length: int) -> None:
        if self._stream is None:
            self._stream = zstandard.ZstdCompressor().compressobj()
        with memoryview(self._held) as held, held[:length] as part:
            compressed = self._stream.compress(part)
        self._add(compressed)
        del self._held[:length]
        self._begin += length

    def _add(self, compressed: bytes) -> None:
        self._compressed.append(compressed)
        self._compressed_length += len(compressed)
        if self._compressed_length > MAXIMUM_COMPRESSED:
            raise CannotUnderstand(
                f"the attributes take more than {MAXIMUM_COMPRESSED >> 20} MiB when compressed: too much to be indexed"
            )

    def _check_length(self) -> None:
        if self.length > MAXIMUM_TEXT:
            raise CannotUnderstand(
                f"the attributes take more than {MAXIMUM_TEXT >> 20} MiB as DICOM JSON: too much to be indexed"
            )


_IDLE: list[zstandard.ZstdCompressor] = []
"""Making one takes as long as it compresses. No two threads may use one at a time, so it is not here meanwhile."""


def _compressed(text: bytearray) -> bytes:
    try:
        compressor = _IDLE.pop()
    except IndexError:
        compressor = zstandard.ZstdCompressor()
    compressed = compressor.compress(text)
    _IDLE.append(compressor)
    return compressed


def _out_of_order() -> CannotUnderstand:
    return CannotUnderstand(
        "the elements are not in ascending order (PS3.5 7.1) and too many to be put in order"
    )
