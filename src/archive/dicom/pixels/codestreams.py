"""The headers of compressed frames, read without a decoder: how large, how deep, which colours.

A decoder allocates what the codestream claims, and 2 kB of JPEG 2000 can claim 60 000 x 60 000. So the claim
is read here first and compared with Rows, Columns and SamplesPerPixel. All functions raise ValueError for
what they cannot read, and look at no more bytes than the header has.

Sources: ITU-T T.81 annex B and T.87 annex C (markers), T.800 annex A.5.1 (SIZ) and I.4 (boxes), ISO/IEC
18181-1 (SizeHeader) and 18181-2 (boxes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_JPEG_XL_START = b"\xff\x0a"
_RGB_COMPONENTS = (b"RGB", b"rgb")
_JPEG_XL_SIZE_BITS = (9, 13, 18, 30)
_JPEG_XL_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a codestream says of itself. `samples` and `precision` 0: not said. `colour`: RGB or YBR_FULL when
    the codestream marks it, else empty."""

    rows: int
    columns: int
    samples: int = 0
    precision: int = 0
    signed: bool = False
    colour: str = ""


def read_jpeg(data: bytes) -> Codestream:
    """The first frame header of JPEG or JPEG-LS."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("no SOI marker")
    offset, colour = 2, ""
    while True:
        marker, content, offset = segment(data, offset)
        if marker in FRAME_HEADERS:
            return _jpeg_frame(content, colour)
        colour = colour or _marked_colour(marker, content)


def segment(data: bytes, offset: int) -> tuple[int, bytes, int]:
    """The marker segment at `offset`: its second byte, its content, where the next begins."""
    while data[offset : offset + 2] == b"\xff\xff":
        offset += 1
    head = data[offset : offset + 4]
    if len(head) < 4 or head[0] != 0xFF:
        raise ValueError("no frame header")
    end = offset + 2 + int.from_bytes(head[2:], "big")
    if end < offset + 4 or end > len(data):
        raise ValueError("marker segment of impossible length")
    return head[1], data[offset + 4 : end], end


def _jpeg_frame(segment: bytes, colour: str) -> Codestream:
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise ValueError("frame header too short")
    components = segment[6 : 6 + 3 * segment[5] : 3]
    return Codestream(
        rows=int.from_bytes(segment[1:3], "big"),
        columns=int.from_bytes(segment[3:5], "big"),
        samples=segment[5],
        precision=segment[0],
        colour="RGB" if components in _RGB_COMPONENTS else colour,
    )


def _marked_colour(marker: int, segment: bytes) -> str:
    """JFIF means YCbCr (T.871 7); Adobe's APP14 says it in its last byte."""
    if marker == 0xE0 and segment.startswith(b"JFIF\0"):
        return "YBR_FULL"
    if marker == 0xEE and segment.startswith(b"Adobe") and len(segment) >= 12 and segment[11] == 1:
        return "YBR_FULL"
    return ""


def jpeg_2000_codestream(data: bytes) -> bytes:
    """The codestream alone. Some writers leave the JP2 boxes around it, which PS3.5 A.4.4 forbids."""
    if data[:4] == _JPEG_2000_START:
        return data
    return _box(data, (b"jp2c",))


def _box(data: bytes, kinds: tuple[bytes, ...]) -> bytes:
    """The content of the first box of one of these kinds."""
    offset = 0
    while offset + 8 <= len(data):
        length, kind, start = (
            int.from_bytes(data[offset : offset + 4], "big"),
            data[offset + 4 : offset + 8],
            8,
        )
        if length == 1:
            length, start = int.from_bytes(data[offset + 8 : offset + 16], "big"), 16
        end = offset + length if length else len(data)
        if kind in kinds:
            return data[offset + start : end]
        if end < offset + start:
            break
        offset = end
    raise ValueError("no codestream in the boxes")


def read_jpeg_2000(codestream: bytes) -> Codestream:
    """The SIZ marker segment of JPEG 2000 and HTJ2K."""
    if codestream[:4] != _JPEG_2000_START or len(codestream) < 45:
        raise ValueError("no SIZ marker")
    right, bottom, left, top = (int.from_bytes(codestream[at : at + 4], "big") for at in (8, 12, 16, 20))
    depth = codestream[42]
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        samples=int.from_bytes(codestream[40:42], "big"),
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )


def read_jpeg_xl(data: bytes) -> Codestream:
    """The SizeHeader of JPEG XL, bare or in boxes; the number of channels stands deeper and is not read."""
    return _jpeg_xl_size(_jpeg_xl_bits(data))


def read_jpeg_xl_metadata(data: bytes) -> tuple[Codestream, bool]:
    """The same with samples and precision, and whether it is stored in XYB, which loses something. Samples 0 where that
    stands deeper than is read here: behind a preview, an animation or extra channels."""
    bits = _jpeg_xl_bits(data)
    size = _jpeg_xl_size(bits)
    if bits.take(1):
        return replace(size, samples=3, precision=8), True
    if bits.take(1):
        bits.take(3)
        if bits.take(3):
            return size, False
    precision = _jpeg_xl_precision(bits)
    bits.take(1)
    if bits.take(2):
        return size, False
    xyb = bool(bits.take(1))
    is_grey = not bits.take(1) and not bits.take(1) and bits.take(2) == 1
    return replace(size, samples=1 if is_grey else 3, precision=precision), xyb


def _jpeg_xl_bits(data: bytes) -> _Bits:
    if data[4:8] == b"JXL ":
        head = _box(data, (b"jxlc", b"jxlp"))
        data = head if head[:2] == _JPEG_XL_START else head[4:]
    if data[:2] != _JPEG_XL_START:
        raise ValueError("no JPEG XL codestream")
    return _Bits(data[2:34])


def _jpeg_xl_size(bits: _Bits) -> Codestream:
    small = bits.take(1)
    rows = _jpeg_xl_length(bits, small)
    ratio = bits.take(3)
    across, down = _JPEG_XL_RATIOS[ratio]
    columns = rows * across // down if ratio else _jpeg_xl_length(bits, small)
    return Codestream(rows, columns)


def _jpeg_xl_precision(bits: _Bits) -> int:
    if bits.take(1):
        return (32, 16, 24)[choice] if (choice := bits.take(2)) < 3 else bits.take(6) + 1
    choice = bits.take(2)
    return (8, 10, 12)[choice] if choice < 3 else bits.take(6) + 1


class _Bits:
    """The bits of some bytes, lowest first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("header too short")
        taken = self._number & ((1 << count) - 1)
        self._number >>= count
        return taken


def _jpeg_xl_length(bits: _Bits, small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(_JPEG_XL_SIZE_BITS[bits.take(2)]) + 1
