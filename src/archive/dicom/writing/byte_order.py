"""Values of big endian data sets in little endian, the one order that leaves the archive (PS3.18 8.7.3.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy

PIECE = 1 << 20

Read = Callable[[int, int], bytes]
"""(offset, length) -> just these bytes of an encoded data set."""


def turned_round(raw: bytes, word: int) -> bytes:
    """A value with its words turned round; bytes behind the last whole word stay as they are."""
    if word == 1:
        return raw
    whole = len(raw) - len(raw) % word
    return numpy.frombuffer(raw[:whole], f">u{word}").astype(f"<u{word}").tobytes() + raw[whole:]


def turned(read: Read, base: int, span: tuple[int, int], word: int) -> Iterator[bytes]:
    """The bytes of `span`, a part of the value that starts at `base`, with its words turned round. The span may
    begin and end amid one. `word` 1: as they are."""
    start, end = span
    while start < end:
        first = start - (start - base) % word
        stop = min(first + PIECE, end)
        padded = first + -(-(stop - first) // word) * word
        yield turned_round(read(first, padded - first), word)[start - first : stop - first]
        start = stop
