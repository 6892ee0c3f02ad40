"""Encoders and readers of pictures, small ones: what the suite sends and what it must see in an answer.

Written here because the suite depends on pydicom and numpy alone: JPEG lossless (process 14, selection value 1), PNG
and GIF are written; PNG is read to its pixels, of JPEG and GIF only what their headers say.
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conformance.verdicts import Failed, expect

Picture = NDArray[np.uint8] | NDArray[np.uint16]

JPEG_BASELINE_32X24 = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU"
    "FRUVDA8XGBYUGBIUFRT/wAALCAAYACABAREA/8QAFwABAQEBAAAAAAAAAAAAAAAACAcJCv/EABkQAAIDAQAAAAAAAAAAAAAAAAAH"
    "BkOBQv/aAAgBAQAAPwDM+NcFVjXBVo1wVWNcAkW1WCrW1WCrW1WCqW1WHP8ArarBVrarBVrarBVLarD/2Q=="
)
JPEG_2000_32X24 = base64.b64decode(
    "/0//UQApAAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABBwEB/1IADAAAAAEAAQQEAAH/XAAHQEBISFD/ZAAlAAFD"
    "cmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAACrAAH/k9+DiBEl0X/AIrfKlHn0FhrN7b9Y3hNrBIWsG1am"
    "dIKcuo5FSPsBx5fDBFAEuHG/zn7BlxikWt8056twzYdLprLwwhAnCsvL4yIvh9ukAsQEo7L3AuDDAnfdoclDl15BTOO5zdXa5/CO"
    "7ltqUpRLKhhSBbuswPkHw+oOgDoYi2DODWTDhRFdYWc01TGZPmKvswGoOiJlupL7IfdiWS//2Q=="
)
_SOF = {0xC0 + n for n in range(16)} - {0xC4, 0xC8, 0xCC}
BASELINE = 0xC0


@dataclass(frozen=True)
class Size:
    """What a picture's header says."""

    width: int
    height: int
    process: int = 0


def jpeg_size(data: bytes) -> Size:
    """Width, height and SOF marker of a JPEG. Raises `Failed` when it is none."""
    expect(data[:2] == b"\xff\xd8", "the body is no JPEG (no SOI)")
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _SOF:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return Size(width, height, marker)
        at += 2 + length
    raise Failed("the JPEG has no frame header")


def gif_size(data: bytes) -> Size:
    """Width and height of a GIF. Raises `Failed` when it is none."""
    expect(data[:6] in (b"GIF87a", b"GIF89a"), "the body is no GIF")
    width, height = struct.unpack("<HH", data[6:10])
    return Size(width, height)


def png_pixels(data: bytes) -> NDArray[np.float64]:
    """Grey levels from 0 to 255 of a PNG, rows by columns. Raises `Failed` when it is none."""
    expect(data[:8] == b"\x89PNG\r\n\x1a\n", "the body is no PNG")
    chunks, at = {b"IDAT": b""}, 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks[kind] = chunks.get(kind, b"") + data[at + 8 : at + 8 + length]
        at += 12 + length
    expect(len(chunks.get(b"IHDR", b"")) == 13, "the PNG has no IHDR")
    try:
        return _png_levels(chunks)
    except (zlib.error, ValueError, IndexError) as problem:
        raise Failed(f"the PNG cannot be read: {problem}") from None


def _png_levels(chunks: dict[bytes, bytes]) -> NDArray[np.float64]:
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    expect(interlace == 0, "the PNG is interlaced, which the suite cannot read")
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    stride = (width * samples * depth + 7) // 8
    lines = _unfiltered(zlib.decompress(chunks[b"IDAT"]), stride, height, max(1, samples * depth // 8))
    if depth == 16:
        values = lines.reshape(height, -1).view(">u2")[:, : width * samples] / 257.0
    elif depth == 8:
        values = lines[:, : width * samples].astype(np.float64)
    else:
        bits = np.unpackbits(lines, axis=1).reshape(height, -1, depth)
        numbers = bits @ (1 << np.arange(depth - 1, -1, -1))
        values = numbers[:, : width * samples] * (1.0 if colour == 3 else 255.0 / (2**depth - 1))
    grid = values.reshape(height, width, samples)
    if colour == 3:
        palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3).astype(np.float64)
        return np.asarray(palette[grid[:, :, 0].astype(int)].mean(axis=2), np.float64)
    return np.asarray(grid[:, :, : 3 if samples >= 3 else 1].mean(axis=2), np.float64)


def _unfiltered(data: bytes, stride: int, height: int, back: int) -> NDArray[np.uint8]:
    rows = np.zeros((height + 1, stride + back), np.uint8)
    for row in range(height):
        line = data[row * (stride + 1) : (row + 1) * (stride + 1)]
        _unfilter(line[0], line[1:], rows[row], rows[row + 1], back)
    return np.ascontiguousarray(rows[1:, back:])


def _unfilter(kind: int, line: bytes, above: NDArray[np.uint8], out: NDArray[np.uint8], back: int) -> None:
    for i, byte in enumerate(line):
        left, up, corner = int(out[i]), int(above[i + back]), int(above[i])
        guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        out[i + back] = (byte + guess) & 0xFF


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((abs(guess - value), rank, value) for rank, value in enumerate((left, up, corner)))[2]


def png(picture: NDArray[np.uint8]) -> bytes:
    """A grey 8-bit PNG."""
    height, width = picture.shape
    lines = b"".join(b"\0" + row.tobytes() for row in picture)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(lines)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif(picture: NDArray[np.uint8]) -> bytes:
    """A grey GIF of 128 levels whose codes are all literals of eight bits, cleared before the table grows."""
    height, width = picture.shape
    palette = b"".join(bytes((2 * n, 2 * n, 2 * n)) for n in range(128))
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF6, 0, 0) + palette
    codes: list[int] = []
    for n, level in enumerate((picture // 2).flatten().tolist()):
        codes += [128, level] if n % 100 == 0 else [level]
    bits = sum(code << (8 * n) for n, code in enumerate([*codes, 129]))
    packed = bits.to_bytes(len(codes) + 1, "little")
    blocks = b"".join(
        bytes([len(packed[n : n + 255])]) + packed[n : n + 255] for n in range(0, len(packed), 255)
    )
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x07" + blocks + b"\0;"


def jpeg_lossless(picture: Picture) -> bytes:
    """JPEG lossless, non-hierarchical, first-order prediction (process 14, selection value 1), one component."""
    height, width = picture.shape
    precision = picture.dtype.itemsize * 8
    table = bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    frame = struct.pack(">BHHBBBB", precision, height, width, 1, 1, 0x11, 0)
    segments = ((0xC3, frame), (0xC4, b"\0" + table), (0xDA, bytes([1, 1, 0, 1, 0, 0])))
    head = b"".join(struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in segments)
    return b"\xff\xd8" + head + _entropy(_differences(picture, precision)) + b"\xff\xd9"


def _differences(picture: Picture, precision: int) -> list[int]:
    values = picture.astype(np.int64)
    guess = np.empty_like(values)
    guess[:, 1:] = values[:, :-1]
    guess[1:, 0] = values[:-1, 0]
    guess[0, 0] = 1 << (precision - 1)
    wrapped = (values - guess + 0x8000) % 0x10000 - 0x8000
    return [int(one) for one in wrapped.flatten()]


def _entropy(differences: list[int]) -> bytes:
    text = []
    for one in differences:
        size = abs(one).bit_length()
        text.append(f"{size:05b}")
        if size and size < 16:
            text.append(f"{one if one > 0 else one + (1 << size) - 1:0{size}b}")
    bits = "".join(text)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
