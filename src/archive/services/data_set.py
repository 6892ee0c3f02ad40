"""The encoded data set inside a blob, read at offsets that count from its own first byte.

For most transfer syntaxes that is a shift. A deflated data set has to be inflated up to the place: once for all
places, when they are asked for in order. In big endian the words of a value are turned round, because DICOMweb
carries little endian only (PS3.18 8.7.3.2).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from archive.dicom.errors import NotFound
from archive.dicom.instance import BulkValue, StoredInstance
from archive.dicom.reading.elements import WORD_BYTES
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing.byte_order import PIECE, turned
from archive.storage.base import Blob


class DataSet:
    """One data set, open for reading from one thread. Take the pieces of one call before the next."""

    def __init__(self, blob: Blob, instance: StoredInstance) -> None:
        self._blob = blob
        self._instance = instance
        syntax = transfer_syntax(instance.transfer_syntax_uid)
        self._big_endian = syntax.big_endian
        self._inflating = _Inflating(blob, instance) if syntax.deflated else None

    def pieces(self, value: BulkValue, offset: int, length: int) -> Iterator[bytes]:
        """`length` bytes of the data set from `offset`, a place within `value`, little endian, in pieces of at
        most about a megabyte. Raises NotFound when the blob holds less than the index says."""
        if self._inflating is not None:
            return self._inflating.pieces(offset, length)
        word = WORD_BYTES.get(value.vr, 1)
        if self._big_endian and word > 1:
            return turned(self._read, value.offset, (offset, offset + length), word)
        return self._blob.pieces(self._instance.data_set_offset + offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        return self._blob.read(self._instance.data_set_offset + offset, length)


def inflated(blob: Blob, instance: StoredInstance) -> Iterator[bytes]:
    """The whole data set of a deflated object, in pieces of at most about a megabyte."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in blob.pieces(instance.data_set_offset, instance.data_set_length):
        waiting = piece
        while waiting and not inflater.eof:
            yield inflater.decompress(waiting, PIECE)
            waiting = inflater.unconsumed_tail
    while not inflater.eof and (rest := inflater.decompress(inflater.unconsumed_tail, PIECE)):
        yield rest


class Inflated:
    """The whole data set of a deflated object as bytes that can be read anywhere, from one thread.

    Made for a reader that walks ahead and comes back for what it passed, again in order: each of its two places goes
    through the data set once."""

    def __init__(self, blob: Blob, instance: StoredInstance) -> None:
        self.length = sum(map(len, inflated(blob, instance)))
        self._places = [_Inflating(blob, instance) for _ in range(2)]

    def read(self, offset: int, length: int) -> bytes:
        """Raises NotFound beyond the end."""
        before = [place for place in self._places if place.position <= offset]
        nearest = max(before or self._places, key=lambda place: place.position)
        return b"".join(nearest.pieces(offset, length))


class _Inflating:
    """Goes through an inflated data set once, and begins again only for a place that has passed."""

    def __init__(self, blob: Blob, instance: StoredInstance) -> None:
        self._blob = blob
        self._instance = instance
        self.position = 0
        """Up to where it has been read."""
        self._chunk = b""
        self._chunks = inflated(self._blob, self._instance)

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        if offset < self.position:
            self._begin()
        while length:
            chunk = self._chunk or next(self._chunks, b"")
            if not chunk:
                raise NotFound("the stored data set ends before this value: its bytes were damaged")
            skipped = min(offset - self.position, len(chunk))
            wanted = chunk[skipped : skipped + length]
            taken = skipped + len(wanted)
            self._chunk = chunk[taken:]
            self.position += taken
            if wanted:
                offset += len(wanted)
                length -= len(wanted)
                yield wanted

    def _begin(self) -> None:
        self.position = 0
        self._chunk = b""
        self._chunks = inflated(self._blob, self._instance)
