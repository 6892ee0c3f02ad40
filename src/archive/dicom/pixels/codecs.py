"""Transfer syntax -> decoder: the one table by which a frame becomes an array of stored values.

imagecodecs does all compressed syntaxes: one BSD-licensed wheel with libjpeg-turbo, CharLS, OpenJPEG, OpenJPH
and libjxl. Where two of its codecs can do the same, the table holds the one that measured better and agreed
with pydicom's decoders on real files:

- RLE: `dicomrle_decode` takes a tenth of the time of pylibjpeg-rle and also decodes bit-packed frames.
- HTJ2K: OpenJPEG. OpenJPH takes half the time, but garbage ends the process with SIGFPE, errors pass for
  pictures, and lossy values beyond the range wrap around (white turns black).
- Lossless JPEG: `jpeg8_decode` (libjpeg-turbo 3) reads all precisions.

JPEG colours are never converted by the decoder; `photometric` does that for every syntax in one place.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from archive.dicom.errors import CannotRender
from archive.dicom.pixels import codestreams
from archive.dicom.pixels.codestreams import Codestream
from archive.dicom.pixels.pixel_description import PixelDescription

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame as (Rows, Columns) or (Rows, Columns, 3), and the colours that the values really are in."""

    values: Array
    PhotometricInterpretation: str


def decode_frame(frame: bytes, description: PixelDescription, transfer_syntax_uid: str) -> Decoded:
    """Stored values of one frame. Raises CannotRender with the reason, whatever a decoder says or raises."""
    decoder = DECODERS.get(transfer_syntax_uid)
    if decoder is None:
        raise CannotRender(f"There is no decoder for transfer syntax {transfer_syntax_uid}.")
    try:
        decoded = decoder(bytes(frame), description)
    except FAILURES as failure:
        kind = type(failure).__name__
        raise CannotRender(f"The frame cannot be decoded as {transfer_syntax_uid} ({kind}).") from failure
    if decoded.values.shape != description.shape:
        raise CannotRender("The decoded frame is not of the size that Rows, Columns and SamplesPerPixel say.")
    return decoded


_SURPLUS = 1 << 16
"""Bytes that an RLE frame may have too many."""

FAILURES = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError, zlib.error)
"""What decoders raise for bytes that are no picture."""


def _native(frame: bytes, description: PixelDescription) -> Decoded:
    if description.is_float:
        kind = "<f4" if description.BitsAllocated == 32 else "<f8"
        return _decoded(
            np.frombuffer(_whole(frame, description), kind).reshape(description.shape), description
        )
    if description.BitsAllocated == 1:
        return _decoded(_unpacked(_whole(frame, description), description), description)
    if description.PhotometricInterpretation == "YBR_FULL_422" and len(frame) < description.native_bytes:
        return _decoded(_chroma_shared(frame, description), description)
    values = np.frombuffer(_whole(frame, description), f"<u{description.BitsAllocated // 8}")
    if description.PlanarConfiguration == 1:
        return _decoded(_interleaved(values, description), description)
    return _decoded(values.reshape(description.shape), description)


def _whole(frame: bytes | bytearray, description: PixelDescription) -> memoryview:
    if len(frame) < description.native_bytes:
        raise CannotRender(f"The frame has {len(frame)} bytes where {description.native_bytes} are needed.")
    return memoryview(frame)[: description.native_bytes]


def _unpacked(packed: memoryview | bytes, description: PixelDescription) -> Array:
    """BitsAllocated 1: eight pixels a byte, the first in the lowest bit (PS3.5 8.1.1)."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=description.samples, bitorder="little")
    return bits.reshape(description.shape)


def _interleaved(values: Array, description: PixelDescription) -> Array:
    """Samples by pixel from samples by plane (PS3.3 C.7.6.3.1.3)."""
    if description.SamplesPerPixel == 1:
        return values.reshape(description.shape)
    planes = values.reshape(description.SamplesPerPixel, description.Rows, description.Columns)
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _chroma_shared(frame: bytes, description: PixelDescription) -> Array:
    """Native YBR_FULL_422: Y Y CB CR for each two pixels of a row (PS3.3 C.7.6.3.1.2)."""
    if description.Columns % 2:
        raise CannotRender("YBR_FULL_422 needs an even number of Columns.")
    width = description.BitsAllocated // 8
    needed = 2 * description.Rows * description.Columns * width
    if len(frame) < needed:
        raise CannotRender(f"The frame has {len(frame)} bytes where {needed} are needed.")
    pairs = np.frombuffer(frame[:needed], f"<u{width}").reshape(-1, 4)
    values = np.empty((len(pairs), 2, 3), pairs.dtype)
    values[:, :, 0] = pairs[:, :2]
    values[:, :, 1:] = pairs[:, np.newaxis, 2:]
    return values.reshape(description.shape)


def _deflated(frame: bytes, description: PixelDescription) -> Decoded:
    """Deflated Image Frame Compression: each frame a raw deflate stream, inflated no further than a frame is
    long."""
    return _native(
        zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, description.native_bytes), description
    )


def _rle(frame: bytes, description: PixelDescription) -> Decoded:
    """RLE (PS3.5 annex G), always by plane; a frame of BitsAllocated 1 is its packed bytes."""
    decoded = _whole(run_lengths(frame, description), description)
    if description.BitsAllocated == 1:
        return _decoded(_unpacked(decoded, description), description)
    kind = f"<u{description.BitsAllocated // 8}"
    return _decoded(_interleaved(np.frombuffer(decoded, kind), description), description)


def run_lengths(frame: bytes, description: PixelDescription) -> bytes:
    """The bytes that an RLE frame stands for: those of the pixel cells, and what a sender left behind them. Two bytes
    can stand for 128, so no more than that fits is made; raises one of FAILURES."""
    kind = f"<u{max(description.BitsAllocated // 8, 1)}"
    return bytes(imagecodecs.dicomrle_decode(frame, kind, out=description.native_bytes + _SURPLUS))


def _jpeg(frame: bytes, description: PixelDescription) -> Decoded:
    header = _agreeing(codestreams.read_jpeg(frame), description)
    if header.samples == 3:
        values = imagecodecs.jpeg8_decode(
            frame, colorspace="YCBCR", outcolorspace="YCBCR"
        )  # the same: unconverted
    else:
        values = imagecodecs.jpeg8_decode(frame)
    return _decoded(values, description, _jpeg_colour(header, description))


def _jpeg_colour(header: Codestream, description: PixelDescription) -> str:
    """What the codestream marks is true; PhotometricInterpretation is often left as it was before
    compression."""
    said = description.PhotometricInterpretation
    if header.samples != 3 or not header.colour or said.startswith(header.colour):
        return said
    return header.colour


def _jpeg_ls(frame: bytes, description: PixelDescription) -> Decoded:
    """CharLS looks for the next marker beyond the end of a stream that has none, so there always is one."""
    if _END_OF_IMAGE not in frame[-4:]:
        frame += _END_OF_IMAGE
    header = _agreeing(codestreams.read_jpeg(frame), description)
    values = imagecodecs.jpegls_decode(frame)
    return _decoded(values, description, _jpeg_colour(header, description), bits=header.precision)


def _jpeg_2000(frame: bytes, description: PixelDescription) -> Decoded:
    """JPEG 2000 and HTJ2K. The multiple component transformation belongs to the codestream, so YBR_RCT and
    YBR_ICT come out as RGB."""
    codestream = codestreams.jpeg_2000_codestream(frame)
    header = _agreeing(codestreams.read_jpeg_2000(codestream), description)
    said = description.PhotometricInterpretation
    colour = "RGB" if said in ("YBR_RCT", "YBR_ICT") else said
    values = imagecodecs.jpeg2k_decode(codestream)
    return _decoded(values, description, colour, bits=header.precision, signed=header.signed)


def _jpeg_xl(frame: bytes, description: PixelDescription) -> Decoded:
    """libjxl gives RGB or grey, whatever it stored."""
    _agreeing(codestreams.read_jpeg_xl(frame), description)
    colour = "RGB" if description.SamplesPerPixel == 3 else description.PhotometricInterpretation
    return _decoded(imagecodecs.jpegxl_decode(frame, index=0, numthreads=1), description, colour)


def _agreeing(header: Codestream, description: PixelDescription) -> Codestream:
    """`header` if it is of the described size: nothing larger may reach a decoder."""
    if (header.rows, header.columns) != (description.Rows, description.Columns):
        raise CannotRender(
            f"The codestream is {header.columns} x {header.rows}, Columns and Rows say "
            f"{description.Columns} x {description.Rows}."
        )
    if header.samples not in (0, description.SamplesPerPixel):
        raise CannotRender(f"The codestream has {header.samples} components, SamplesPerPixel says otherwise.")
    return header


def _decoded(
    values: Array,
    description: PixelDescription,
    colour: str = "",
    *,
    bits: int = 0,
    signed: bool | None = None,
) -> Decoded:
    """`values` with their unused bits cleared and the sign that PixelRepresentation says. `bits`: how many a
    sample has in the codestream, placed lowest; `signed`: the decoder has taken care of the sign already."""
    said = colour or description.PhotometricInterpretation
    wanted = bool(description.PixelRepresentation)
    if values.dtype.kind == "f" or signed is wanted:
        return Decoded(values, said)
    width = 8 * values.dtype.itemsize
    used, above = (bits, width - bits) if bits else (description.BitsStored, width - 1 - description.HighBit)
    values = values.view(f"<{'i' if wanted else 'u'}{values.dtype.itemsize}")
    if 0 < used < width and above >= 0:
        values = np.right_shift(np.left_shift(values, above), width - used)
    return Decoded(values, said)


_END_OF_IMAGE = b"\xff\xd9"
_PREFIX = "1.2.840.10008.1.2"

DECODERS: dict[str, Callable[[bytes, PixelDescription], Decoded]] = {
    _PREFIX: _native,  # Implicit VR Little Endian
    f"{_PREFIX}.1": _native,  # Explicit VR Little Endian
    f"{_PREFIX}.1.98": _native,  # Encapsulated Uncompressed Explicit VR Little Endian
    f"{_PREFIX}.1.99": _native,  # Deflated Explicit VR Little Endian
    f"{_PREFIX}.2": _native,  # Explicit VR Big Endian: frames are handed over as little endian
    f"{_PREFIX}.8.1": _deflated,
    f"{_PREFIX}.5": _rle,
    f"{_PREFIX}.4.50": _jpeg,  # Baseline (Process 1)
    f"{_PREFIX}.4.51": _jpeg,  # Extended (Process 2 and 4), 8 and 12 bits
    f"{_PREFIX}.4.53": _jpeg,  # Spectral Selection, retired
    f"{_PREFIX}.4.55": _jpeg,  # Full Progression, retired
    f"{_PREFIX}.4.57": _jpeg,  # Lossless (Process 14)
    f"{_PREFIX}.4.70": _jpeg,  # Lossless (Process 14, Selection Value 1)
    f"{_PREFIX}.4.80": _jpeg_ls,
    f"{_PREFIX}.4.81": _jpeg_ls,
    f"{_PREFIX}.4.90": _jpeg_2000,
    f"{_PREFIX}.4.91": _jpeg_2000,
    f"{_PREFIX}.4.92": _jpeg_2000,  # Part 2: the frames whose components OpenJPEG can transform
    f"{_PREFIX}.4.93": _jpeg_2000,
    f"{_PREFIX}.4.201": _jpeg_2000,
    f"{_PREFIX}.4.202": _jpeg_2000,
    f"{_PREFIX}.4.203": _jpeg_2000,
    f"{_PREFIX}.4.110": _jpeg_xl,
    f"{_PREFIX}.4.111": _jpeg_xl,
    f"{_PREFIX}.4.112": _jpeg_xl,
}
"""No row: the video syntaxes (a frame needs its neighbours) and JPIP (the pixels are elsewhere)."""

PLAIN = frozenset(uid for uid, decoder in DECODERS.items() if decoder in (_native, _deflated))
"""Those whose frames no codec reads, but zlib perhaps, which makes no more of them than a frame is long."""


def load() -> None:
    """Have the codecs in memory, each of which imagecodecs loads when it is first used."""
    for name in ("dicomrle_decode", "jpeg8_decode", "jpegls_decode", "jpeg2k_decode", "jpegxl_decode"):
        getattr(imagecodecs, name)
