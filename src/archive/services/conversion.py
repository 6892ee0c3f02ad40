"""A stored data set in a transfer syntax that a receiver takes: as it is, or said in another way without loss.

    as stored            the bytes, untouched
    explicit, implicit   re-encoded, or with the frames decoded one by one (`explicit`); deflated on top of that
    compressed           with the frames encoded one by one (`compression`), those of a compressed object decoded first

Nothing is made that loses something: such a copy would be another SOP Instance (PS3.3 C.7.6.1.1.5), which a retrieve
must not invent. An object without pixel data has nothing to compress, so it can be had in every compressed syntax.

What can go wrong is looked for before the first byte, as half a data set cannot be taken back: the structure is walked,
and as many frames as fit in memory are decoded, or encoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator

from archive.dicom.errors import NotAcceptable
from archive.dicom.pixels.encoders import ENCODERS
from archive.dicom.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    transfer_syntax,
)
from archive.dicom.writing.recoded import Recoded
from archive.services import compression, explicit, stored_frames
from archive.services.compression import Conversion

UNCOMPRESSED = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_NATIVE = (*UNCOMPRESSED, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
_WITHOUT_PIXELS = tuple(
    row.uid for row in TRANSFER_SYNTAXES.values() if row.encapsulated and row.uid not in ENCODERS
)


def forms(stored: str, preferred: str = "") -> tuple[str, ...]:
    """The transfer syntaxes in which an object that is stored in this one may be had, the best first: what the receiver
    is known to prefer, as stored, uncompressed, compressed. Whether it really can be had shows when it is tried."""
    possible = (preferred, stored, *_NATIVE, *ENCODERS, *_WITHOUT_PIXELS)
    return tuple(dict.fromkeys(uid for uid in possible if uid))


def converted(conversion: Conversion, transfer_syntax_uid: str) -> Generator[bytes]:
    """The pieces of the data set in another transfer syntax than it is stored in; the first comes when all has been
    made sure of. Raises NotAcceptable, CannotRender, CannotUnderstand, NotFound."""
    explicit.check(conversion.instance, conversion.table)
    if transfer_syntax_uid in _NATIVE:
        return _native(conversion, transfer_syntax_uid)
    if conversion.table is not None:
        return compression.compressed(conversion, transfer_syntax_uid)
    if transfer_syntax_uid not in ENCODERS and transfer_syntax_uid not in _WITHOUT_PIXELS:
        raise NotAcceptable(f"not made here: {transfer_syntax(transfer_syntax_uid).name}")
    return _native(conversion, EXPLICIT_VR_LITTLE_ENDIAN)


def _native(conversion: Conversion, transfer_syntax_uid: str) -> Generator[bytes]:
    table = conversion.table
    pixels = conversion.decoded() if table is not None and table.encapsulated else None
    implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    with conversion.opened() as blob:
        read, source = conversion.source(blob, stored_frames.pixel_bytes(table))
        if pixels is None:
            recoded = Recoded(b"", source, implicit=implicit)
            pieces = recoded.pieces(read, 0, recoded.length)
        else:
            recoded = Recoded(b"", source, pixels.picture(), implicit=implicit)
            pixels.make_sure()
            pieces = recoded.pieces(read, 0, recoded.length, pixels.pieces)
        deflated = transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        yield from _deflated(pieces) if deflated else pieces


def _deflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """PS3.5 A.5: with a byte of padding where the stream would have an odd length."""
    deflate, length = zlib.compressobj(wbits=-zlib.MAX_WBITS), 0
    for piece in pieces:
        made = deflate.compress(piece)
        length += len(made)
        yield made
    made = deflate.flush()
    yield made + b"\0" * ((length + len(made)) % 2)
