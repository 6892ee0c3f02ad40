"""Transfer syntax -> encoder: the one table by which native frames become compressed ones, always without loss.

What a receiver takes only compressed is compressed for it, and nothing else. So the encoders are those of the codecs at
hand that give every bit back, at their default effort. To be sure, each frame is decoded again by the decoder of
`codecs` and compared before it goes out: a codec that errs costs one sub-operation and never a patient's picture.

The colours stay as they are, but for RGB in JPEG 2000, whose reversible transformation belongs to the codestream
(YBR_RCT, PS3.5 8.2.4) and is what the Ultrasound IODs allow there (PS3.3 C.8.5.6.1.2).

Codecs other than RLE know samples and not pixel cells. A frame whose cells hold anything above BitsStored (overlays of
old, PS3.5 8.1.2) or that is not placed at bit 0 is refused, as the codec would lose that.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import imagecodecs
import numpy as np
import rle
from numpy.typing import NDArray

from archive.dicom.errors import CannotRender, NotAcceptable
from archive.dicom.pixels import codecs
from archive.dicom.pixels.native import NativeFrame, unshared
from archive.dicom.pixels.pixel_description import PixelDescription
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES

Array = NDArray[Any]
_PREFIX = "1.2.840.10008.1.2"
_MOST_BITS = 16


class Takes(enum.Enum):
    """What an encoder is given of a frame."""

    SAMPLES = enum.auto()
    """Values, with their sign."""
    CELLS = enum.auto()
    """Whole pixel cells, by pixel, each with its own chroma."""
    BYTES = enum.auto()
    """The native frame as it is."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """One row of the table."""

    takes: Takes
    encode: Callable[[Any, PixelDescription], bytes]
    colours: Mapping[str, str] = field(default_factory=dict)
    """Those that are others in the codestream; the decoder gives the first back."""


def encode_frame(frame: NativeFrame, description: PixelDescription, transfer_syntax_uid: str) -> bytes:
    """One native frame as a codestream of even length. Raises NotAcceptable where such pixels cannot be encoded,
    CannotRender where the encoder gives something else back."""
    check(description, transfer_syntax_uid)
    encoder = ENCODERS[transfer_syntax_uid]
    before = _described(description, frame.PhotometricInterpretation, frame.PlanarConfiguration)
    after = _described(description, *colours(frame, transfer_syntax_uid))
    try:
        given = _GIVEN[encoder.takes](frame.value, before)
        codestream = encoder.encode(given, after)
    except codecs.FAILURES as failure:
        kind = type(failure).__name__
        raise CannotRender(f"a frame cannot be encoded as {_name(transfer_syntax_uid)} ({kind})") from failure
    if encoder.takes is Takes.SAMPLES:
        again = codecs.decode_frame(codestream, after, transfer_syntax_uid)
        colours_again = unshared(before.PhotometricInterpretation)
        if not np.array_equal(again.values, given) or again.PhotometricInterpretation != colours_again:
            raise CannotRender(f"a frame as {_name(transfer_syntax_uid)} does not come back as it was")
    return codestream + b"\0" * (len(codestream) % 2)


def check(description: PixelDescription, transfer_syntax_uid: str) -> None:
    """Raises NotAcceptable where `encode_frame` would for every frame."""
    encoder = _encoder(transfer_syntax_uid)
    fits = encoder.takes is Takes.BYTES or description.BitsAllocated >= 8
    if encoder.takes is Takes.SAMPLES:
        fits = fits and description.BitsAllocated <= _MOST_BITS
        fits = fits and description.HighBit == description.BitsStored - 1
    if description.is_float or not fits:
        raise NotAcceptable(f"such pixels cannot be said in {_name(transfer_syntax_uid)}")


def is_same(
    one: NativeFrame, other: NativeFrame, description: PixelDescription, transfer_syntax_uid: str
) -> bool:
    """Whether a frame that has been encoded so and decoded again is what it was: in every pixel and in its colours;
    where whole pixel cells are encoded, in every bit. Raises CannotRender."""
    if unshared(one.PhotometricInterpretation) != other.PhotometricInterpretation:
        return False
    said = [
        _described(description, each.PhotometricInterpretation, each.PlanarConfiguration)
        for each in (one, other)
    ]
    if _encoder(transfer_syntax_uid).takes is not Takes.SAMPLES:
        return np.array_equal(_cells(one.value, said[0]), _cells(other.value, said[1]))
    before, after = (
        codecs.decode_frame(each.value, how, EXPLICIT_VR_LITTLE_ENDIAN).values
        for each, how in zip((one, other), said, strict=True)
    )
    return np.array_equal(before, after)


def colours(frame: NativeFrame, transfer_syntax_uid: str) -> tuple[str, int]:
    """PhotometricInterpretation and PlanarConfiguration of a native frame once it is encoded."""
    encoder, said = _encoder(transfer_syntax_uid), frame.PhotometricInterpretation
    if encoder.takes is Takes.BYTES:
        return said, frame.PlanarConfiguration
    return encoder.colours.get(said, unshared(said)), 0


def _encoder(transfer_syntax_uid: str) -> Encoder:
    encoder = ENCODERS.get(transfer_syntax_uid)
    if encoder is None:
        raise NotAcceptable(f"cannot be made without loss: {_name(transfer_syntax_uid)}")
    return encoder


def _name(transfer_syntax_uid: str) -> str:
    known = TRANSFER_SYNTAXES.get(transfer_syntax_uid)
    return known.name if known else transfer_syntax_uid


def _described(description: PixelDescription, colour: str, planar: int) -> PixelDescription:
    return replace(description, PhotometricInterpretation=colour, PlanarConfiguration=planar)


# --- what the encoders are given ---


def _samples(value: bytes, description: PixelDescription) -> Array:
    """Raises NotAcceptable when bits above BitsStored say something else than the sign."""
    values = codecs.decode_frame(value, description, EXPLICIT_VR_LITTLE_ENDIAN).values
    raw, unsigned = _cells(value, description), values.view(f"<u{values.dtype.itemsize}")
    if not np.all((raw == unsigned) | (raw == _without_sign(values, description))):
        raise NotAcceptable("the pixel cells hold more than the pixels, which no codec keeps")
    return np.ascontiguousarray(values)


def _cells(value: bytes, description: PixelDescription) -> Array:
    width = description.BitsAllocated
    whole = replace(description, BitsStored=width, HighBit=width - 1, PixelRepresentation=0)
    return codecs.decode_frame(value, whole, EXPLICIT_VR_LITTLE_ENDIAN).values


def _bytes(value: bytes, _: PixelDescription) -> bytes:
    return value


_GIVEN: Mapping[Takes, Callable[[bytes, PixelDescription], Any]] = {
    Takes.SAMPLES: _samples,
    Takes.CELLS: _cells,
    Takes.BYTES: _bytes,
}


def _without_sign(values: Array, description: PixelDescription) -> Array:
    unsigned = values.view(f"<u{values.dtype.itemsize}")
    return np.ascontiguousarray(unsigned & np.array((1 << description.BitsStored) - 1, unsigned.dtype))


# --- the encoders ---


def _jpeg_2000(values: Array, description: PixelDescription) -> bytes:
    transformed = description.PhotometricInterpretation == "YBR_RCT"
    options: dict[str, Any] = {"codecformat": "j2k", "reversible": True, "numthreads": 1}
    bits = description.BitsStored
    return bytes(imagecodecs.jpeg2k_encode(values, bitspersample=bits, mct=transformed, **options))


def _htj2k(values: Array, description: PixelDescription) -> bytes:
    transformed = description.PhotometricInterpretation == "YBR_RCT"
    return bytes(imagecodecs.htj2k_encode(values, reversible=True, rgb=transformed))


def _jpeg_ls(values: Array, _: PixelDescription) -> bytes:
    """As deep as the pixel cells, sign and all: the codec cannot be told of fewer bits."""
    return bytes(imagecodecs.jpegls_encode(values.view(f"<u{values.dtype.itemsize}")))


def _jpeg_lossless(values: Array, description: PixelDescription) -> bytes:
    """Process 14 with Selection Value 1. Input and output are said to have the same colours: unconverted. YCBCR would
    share the chroma among pixels."""
    options: dict[str, Any] = {"lossless": True, "predictor": 1, "bitspersample": description.BitsStored}
    if description.SamplesPerPixel > 1:
        name = "RGB" if description.PhotometricInterpretation == "RGB" else "UNKNOWN"
        options |= {"colorspace": name, "outcolorspace": name}
    return bytes(imagecodecs.jpeg8_encode(_without_sign(values, description), **options))


def _jpeg_xl(values: Array, description: PixelDescription) -> bytes:
    plain = _without_sign(values, description)
    return bytes(imagecodecs.jpegxl_encode(plain, lossless=True, usecontainer=False, numthreads=1))


def _rle(cells: Array, description: PixelDescription) -> bytes:
    """By plane (PS3.5 G.2), which the encoder sees to."""
    return bytes(
        rle.utils.encode_pixel_data(
            cells.tobytes(),
            byteorder="<",
            rows=description.Rows,
            columns=description.Columns,
            samples_per_pixel=description.SamplesPerPixel,
            bits_allocated=description.BitsAllocated,
        )
    )


def _deflated(value: bytes, _: PixelDescription) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(value) + deflate.flush()


_RCT = {"RGB": "YBR_RCT"}
ENCODERS: Mapping[str, Encoder] = {
    f"{_PREFIX}.4.90": Encoder(Takes.SAMPLES, _jpeg_2000, _RCT),
    f"{_PREFIX}.4.80": Encoder(Takes.SAMPLES, _jpeg_ls),
    f"{_PREFIX}.4.70": Encoder(Takes.SAMPLES, _jpeg_lossless),
    f"{_PREFIX}.4.57": Encoder(Takes.SAMPLES, _jpeg_lossless),
    f"{_PREFIX}.5": Encoder(Takes.CELLS, _rle),
    f"{_PREFIX}.4.201": Encoder(Takes.SAMPLES, _htj2k, _RCT),
    f"{_PREFIX}.4.110": Encoder(Takes.SAMPLES, _jpeg_xl),
    # These may lose something, but need not: what is said in them here is lossless all the same.
    f"{_PREFIX}.4.91": Encoder(Takes.SAMPLES, _jpeg_2000, _RCT),
    f"{_PREFIX}.4.81": Encoder(Takes.SAMPLES, _jpeg_ls),
    f"{_PREFIX}.4.203": Encoder(Takes.SAMPLES, _htj2k, _RCT),
    f"{_PREFIX}.4.112": Encoder(Takes.SAMPLES, _jpeg_xl),
    f"{_PREFIX}.8.1": Encoder(Takes.BYTES, _deflated),
    f"{_PREFIX}.1.98": Encoder(Takes.BYTES, _bytes),
}
"""In the order in which we like them: what most receivers can decode first."""

LOSSLESS: tuple[str, ...] = tuple(uid for uid in ENCODERS if not TRANSFER_SYNTAXES[uid].lossy)
"""Those to propose to a receiver of whom nothing else is known."""
