"""Compressed frames as native pixel data: what a codec gives back, in the bytes that PS3.5 8.1 asks for.

RLE and the two syntaxes that only wrap native frames give back all bits of a pixel cell, also those beyond
BitsStored; there is nothing to interpret. What other codecs decode is put into cells of BitsAllocated, sample by
pixel. Colours stay what they are: no conversion is without loss, and every reader knows them.

What can be said without a decoder is said before the first byte goes out: `check`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive.dicom.errors import CannotRender, NotAcceptable
from archive.dicom.pixels import codecs
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.pixels.pixel_description import PixelDescription, describe
from archive.dicom.transfer_syntaxes import transfer_syntax

LONGEST_VALUE = 0xFFFFFFFE
"""The largest even length that an element can have."""

_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True, slots=True)
class NativeFrame:
    """One frame, its last byte filled up with zero bits; and how it is to be read, as the codestream may say other
    than the data set."""

    value: bytes
    PhotometricInterpretation: str
    PlanarConfiguration: int


@dataclass(frozen=True, slots=True)
class NativeSize:
    """The native pixel data of one object: `length` as a value has it, even."""

    bits_per_frame: int
    number_of_frames: int

    @property
    def bytes_per_frame(self) -> int:
        return -(-self.bits_per_frame // 8)

    @property
    def unpadded(self) -> int:
        """Bytes of all frames one behind the other, without a byte to make them even."""
        return -(-self.bits_per_frame * self.number_of_frames // 8)

    @property
    def length(self) -> int:
        return self.unpadded + self.unpadded % 2


def check(table: FrameTable, transfer_syntax_uid: str) -> NativeSize:
    """How large the pixel data will be. Raises CannotRender when there is no decoder or the pixels are such that none
    could be asked, NotAcceptable when no element can hold them (PS3.18 8.7.8.1)."""
    if transfer_syntax_uid not in codecs.DECODERS or not transfer_syntax(transfer_syntax_uid).encapsulated:
        raise CannotRender(
            f"there is no decoder for transfer syntax {transfer_syntax_uid}: ask for transfer-syntax=*"
        )
    declared = max(table.description.NumberOfFrames, 1)
    if table.number_of_frames != declared:
        raise CannotRender(f"{declared} frames are declared and {table.number_of_frames} are there")
    size = native_size(described(table), transfer_syntax_uid, declared)
    if size.length > LONGEST_VALUE:
        raise NotAcceptable(
            "the pixel data is longer than an element of Explicit VR Little Endian can be: "
            "ask for transfer-syntax=* or for single frames"
        )
    return size


def described(table: FrameTable) -> PixelDescription:
    """As far as the frame table knows. Raises CannotRender."""
    known = table.description
    numbers = (known.Rows, known.Columns, known.SamplesPerPixel, known.BitsAllocated)
    tags = ("00280010", "00280011", "00280002", "00280100")
    metadata: dict[str, Any] = {
        tag: {"vr": "US", "Value": [number]} for tag, number in zip(tags, numbers, strict=True)
    }
    metadata["00280004"] = {"vr": "CS", "Value": [known.PhotometricInterpretation]}
    return describe(metadata)


def native_size(
    description: PixelDescription, transfer_syntax_uid: str, number_of_frames: int = 1
) -> NativeSize:
    """The size of these frames when they are decoded. Chroma that only wrapped frames share stays shared."""
    bits = description.samples * description.BitsAllocated
    shared = description.PhotometricInterpretation == "YBR_FULL_422" and description.SamplesPerPixel == 3
    if shared and transfer_syntax_uid in _WRAPPED:
        bits = bits * 2 // 3
    return NativeSize(bits, number_of_frames)


def native_frame(frame: bytes, description: PixelDescription, transfer_syntax_uid: str) -> NativeFrame:
    """One compressed frame, decoded. Raises CannotRender."""
    raw = _RAW.get(transfer_syntax_uid)
    if raw is None:
        decoded = codecs.decode_frame(frame, description, transfer_syntax_uid)
        colours = unshared(decoded.PhotometricInterpretation)
        return NativeFrame(_cells(decoded.values, description), colours, 0)
    try:
        value = raw(frame, description)
    except codecs.FAILURES as failure:
        raise CannotRender(f"a frame cannot be decoded as {transfer_syntax_uid}") from failure
    size = native_size(description, transfer_syntax_uid).bytes_per_frame
    if len(value) < size:
        raise CannotRender(f"a frame has {len(value)} bytes where {size} are needed")
    wrapped = transfer_syntax_uid in _WRAPPED
    said = description.PhotometricInterpretation
    planar = description.PlanarConfiguration if wrapped else 0
    return NativeFrame(value[:size], said if wrapped else unshared(said), planar)


def joined(frames: Iterable[bytes], bits_per_frame: int) -> Iterator[bytes]:
    """Frames one behind the other. Single bits are not filled up to bytes between frames (PS3.5 8.1.1)."""
    if bits_per_frame % 8 == 0:
        yield from frames
        return
    waiting = held = 0
    for frame in frames:
        value = int.from_bytes(frame, "little") & ((1 << bits_per_frame) - 1)
        waiting |= value << held
        held += bits_per_frame
        whole = held // 8
        yield (waiting & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
        waiting >>= 8 * whole
        held -= 8 * whole
    if held:
        yield waiting.to_bytes(1, "little")


def unshared(photometric_interpretation: str) -> str:
    """What the colours are called once every pixel has its own chroma (PS3.3 C.7.6.3.1.2)."""
    return "YBR_FULL" if photometric_interpretation == "YBR_FULL_422" else photometric_interpretation


def _cells(values: NDArray[Any], description: PixelDescription) -> bytes:
    if description.BitsAllocated == 1:
        return np.packbits(values.astype(bool), axis=None, bitorder="little").tobytes()
    if 8 * values.dtype.itemsize > description.BitsAllocated or values.dtype.kind not in "iub":
        raise CannotRender("the decoded samples do not fit into BitsAllocated")
    kind = "i" if values.dtype.kind == "i" else "u"
    return values.astype(f"<{kind}{description.BitsAllocated // 8}").tobytes()


def _as_it_is(frame: bytes, _: PixelDescription) -> bytes:
    return frame


def _inflated(frame: bytes, description: PixelDescription) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, description.native_bytes)


def _unpacked_rle(frame: bytes, description: PixelDescription) -> bytes:
    """Always by plane (PS3.5 annex G); handed on by pixel."""
    plain = codecs.run_lengths(frame, description)
    if description.SamplesPerPixel == 1 or len(plain) < description.native_bytes:
        return plain
    kind = f"<u{max(description.BitsAllocated // 8, 1)}"
    planes = np.frombuffer(plain[: description.native_bytes], kind).reshape(description.SamplesPerPixel, -1)
    return np.ascontiguousarray(planes.T).tobytes()


_WRAPPED = frozenset((_ENCAPSULATED_UNCOMPRESSED, _DEFLATED_FRAMES))
_RAW: Mapping[str, Callable[[bytes, PixelDescription], bytes]] = {
    _ENCAPSULATED_UNCOMPRESSED: _as_it_is,
    _DEFLATED_FRAMES: _inflated,
    _RLE: _unpacked_rle,
}
