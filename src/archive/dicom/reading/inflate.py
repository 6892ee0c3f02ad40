"""Deflated data sets (PS3.5 A.5), inflated as they arrive and never trusted to be as small as they look.

Deflate reaches 1000:1, so a small object can be made to occupy a worker for long. A real data set with pixel data stays
far below the ratio that is allowed here, once it is large at all.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from archive.dicom.errors import CannotUnderstand

FREE = 1 << 25
"""So many bytes may come out whatever went in: blank segmentations are small and legitimate."""
RATIO = 200
MAXIMUM = 1 << 34
_PIECE = 1 << 18
_TRAILER = 10


class Inflater:
    """Takes the deflated stream in pieces of any size."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._taken = 0
        self._given = 0
        self._checksum = 0
        self._after = b""

    def feed(self, piece: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """The bytes that come out, in pieces of bounded size. Raises CannotUnderstand."""
        self._taken += len(piece)
        rest: bytes | bytearray | memoryview = piece
        if self._stream.eof:
            self._keep_after(piece)
            return
        more = True
        while more:
            inflated = self._inflate(rest)
            rest = self._stream.unconsumed_tail
            self._given += len(inflated)
            self._checksum = zlib.crc32(inflated, self._checksum)
            self._check_size()
            more = not self._stream.eof and (len(rest) > 0 or len(inflated) == _PIECE)
            if inflated:
                yield inflated
        self._keep_after(self._stream.unused_data)

    def finish(self) -> None:
        """Say that the stream ends here. One zero byte may follow it, to make its length even (PS3.5 A.5). Some writers
        leave the trailer of gzip there, which is accepted if it is right."""
        if not self._stream.eof:
            raise CannotUnderstand("the deflated data set is cut off: its stream has no end")
        trailer = struct.pack("<II", self._checksum, self._given & 0xFFFFFFFF)
        if self._after.removesuffix(b"\0") != b"" and self._after not in (trailer, trailer + b"\0"):
            raise CannotUnderstand("bytes follow the end of the deflated data set")

    def _inflate(self, rest: bytes | bytearray | memoryview) -> bytes:
        try:
            return self._stream.decompress(rest, _PIECE)
        except zlib.error as error:
            raise CannotUnderstand("the deflated data set cannot be inflated") from error

    def _keep_after(self, after: bytes | bytearray | memoryview) -> None:
        self._after += bytes(after[:_TRAILER])
        if len(self._after) >= _TRAILER:
            raise CannotUnderstand("bytes follow the end of the deflated data set")

    def _check_size(self) -> None:
        if self._given > FREE and (self._given > RATIO * self._taken or self._given > MAXIMUM):
            raise CannotUnderstand(f"the deflated data set inflates to more than {RATIO} times its size")
