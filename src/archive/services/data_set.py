"""The encoded data set inside a blob, read at offsets that count from its own first byte.

For most transfer syntaxes that is a shift. A deflated data set has to be inflated up to the place, and in big
endian the words of a value are turned round, because DICOMweb carries little endian only (PS3.18 8.7.3.2).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy

from archive.dicom.errors import NotFound
from archive.dicom.instance import BulkValue, StoredInstance
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.storage.base import Blob

PIECE = 1 << 20

_WORD_BYTES = {
    **dict.fromkeys(("OW", "US", "SS"), 2),
    **dict.fromkeys(("OL", "OF", "FL", "UL", "SL", "AT"), 4),
    **dict.fromkeys(("OD", "OV", "FD", "SV", "UV"), 8),
}


def pieces(
    blob: Blob, instance: StoredInstance, value: BulkValue, offset: int, length: int
) -> Iterator[bytes]:
    """`length` bytes of the data set from `offset`, a place within `value`, little endian, in pieces of at most
    about a megabyte.

    Raises NotFound when the blob holds less than the index says."""
    syntax = transfer_syntax(instance.transfer_syntax_uid)
    if syntax.deflated:
        return _inflated(blob, instance, offset, length)
    stored = blob.pieces(instance.data_set_offset + offset, length)
    word = _WORD_BYTES.get(value.vr, 1)
    if syntax.big_endian and word > 1:
        return _turned(blob, instance, value.offset, (offset, offset + length), word)
    return stored


def _inflated(blob: Blob, instance: StoredInstance, offset: int, length: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    wanted_from, wanted_to, position = offset, offset + length, 0
    for piece in blob.pieces(instance.data_set_offset, instance.data_set_length):
        waiting = piece
        while waiting and position < wanted_to:
            out = inflater.decompress(waiting, PIECE)
            waiting = inflater.unconsumed_tail
            part = out[max(wanted_from - position, 0) : wanted_to - position]
            position += len(out)
            if part:
                yield part
        if position >= wanted_to:
            return
    # What zlib still holds back after the last input byte.
    part = inflater.flush()[max(wanted_from - position, 0) : wanted_to - position]
    if position + len(part) < wanted_to:
        raise NotFound("the stored data set ends before this value: run archive verify")
    yield part


def _turned(
    blob: Blob, instance: StoredInstance, base: int, span: tuple[int, int], word: int
) -> Iterator[bytes]:
    """Whole words are turned round, counted from `base`, where the value starts; a frame of it may start amid one."""
    start, end = span
    while start < end:
        first = start - (start - base) % word
        stop = min(first + PIECE, end)
        padded = first + -(-(stop - first) // word) * word
        raw = blob.read(instance.data_set_offset + first, padded - first)
        turned = numpy.frombuffer(raw, dtype=f">u{word}").astype(f"<u{word}").tobytes()
        yield turned[start - first : stop - first]
        start = stop
