"""ICC profiles of pictures: which one describes a frame, transforming to another colour space, and embedding
(PS3.18 8.3.5.1.5, PS3.3 C.11.15).

The three spaces that a client may ask for are made here from their published primaries and curves; sRGB comes from
the colour engine. A profile in an object is a stranger's: one that does not look like an RGB profile, or that the
engine does not take, is as good as none.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from archive.dicom.metadata_values import Metadata, item_at, items, text

Array = NDArray[Any]

MOST_PROFILE = 4 << 20
"""Longest profile that is looked at."""
ICC_PROFILE, COLOR_SPACE = "00282000", "00282002"
_OPTICAL_PATHS, _OPTICAL_PATH_ID = "00480105", "00480106"
_OPTICAL_PATH_IDENTIFICATION = "00480207"
_SHARED_GROUPS, _FRAME_GROUPS = "52009229", "52009230"
_JPEG_MARK = b"ICC_PROFILE\0"
_MOST_SEGMENT = 65519


def place_of_profile(metadata: Metadata, frame_number: int) -> tuple[Metadata, str]:
    """The data set or item that may hold the frame's ICCProfile, and its path in a BulkDataURI: of a whole-slide
    picture it is that of the frame's optical path (PS3.3 C.8.12.5)."""
    paths = items(metadata, _OPTICAL_PATHS)
    if ICC_PROFILE in metadata or not paths:
        return metadata, ICC_PROFILE
    wanted = _optical_path(metadata, frame_number)
    at = next((n for n, path in enumerate(paths) if text(path, _OPTICAL_PATH_ID) == wanted), 0)
    return paths[at], f"{_OPTICAL_PATHS}/{at}/{ICC_PROFILE}"


def _optical_path(metadata: Metadata, frame_number: int) -> str:
    groups = item_at(metadata, _FRAME_GROUPS, frame_number)
    for group in (*groups, *items(metadata, _SHARED_GROUPS)[:1]):
        for item in items(group, _OPTICAL_PATH_IDENTIFICATION)[:1]:
            return text(item, _OPTICAL_PATH_ID)
    return ""


def source_profile(metadata: Metadata, stored: bytes | None, codestream: bytes) -> bytes:
    """The profile that describes a frame's colours: the object's, the one in its JPEG codestream, that of the
    ColorSpace it names, or sRGB."""
    for found in (stored, embedded(codestream)):
        if found and is_rgb_profile(found):
            return found
    return PROFILES.get(_NAMED.get(text(metadata, COLOR_SPACE), "srgb"), _srgb)()


def is_rgb_profile(profile: bytes) -> bool:
    """Whether this is an ICC profile of an RGB device that the engine can read."""
    if not 128 < len(profile) <= MOST_PROFILE or profile[36:40] != b"acsp" or profile[16:20] != b"RGB ":
        return False
    try:
        ours, theirs = (ImageCms.ImageCmsProfile(BytesIO(data)) for data in (_srgb(), profile))
        ImageCms.buildTransform(theirs, ours, "RGB", "RGB")
    except (OSError, ImageCms.PyCMSError):
        return False
    return True


def embedded(codestream: bytes) -> bytes | None:
    """The profile in the APP2 segments of a JPEG codestream, None when there is none."""
    if not codestream.startswith(b"\xff\xd8"):
        return None
    parts: list[bytes] = []
    position = 2
    while codestream[position : position + 1] == b"\xff" and len(codestream) >= position + 4:
        marker, length = (
            codestream[position + 1],
            int.from_bytes(codestream[position + 2 : position + 4], "big"),
        )
        if marker == 0xDA or length < 2:
            break
        segment = codestream[position + 4 : position + 2 + length]
        if marker == 0xE2 and segment.startswith(_JPEG_MARK):
            parts.append(segment[len(_JPEG_MARK) + 2 :])
        position += 2 + length
    return b"".join(parts) or None


def transformed(picture: Array, source: bytes, target: str) -> Array:
    """An RGB picture in the colour space `target`, a key of PROFILES."""
    wanted = PROFILES[target]()
    if source == wanted:
        return picture
    try:
        image = ImageCms.profileToProfile(
            Image.fromarray(np.ascontiguousarray(picture)),
            ImageCms.ImageCmsProfile(BytesIO(source)),
            ImageCms.ImageCmsProfile(BytesIO(wanted)),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (OSError, ValueError, ImageCms.PyCMSError):
        return picture if source == _srgb() else transformed(picture, _srgb(), target)
    return picture if image is None else np.asarray(image)


def embed_in_jpeg(data: bytes, profile: bytes) -> bytes:
    """APP2 segments after the SOI and, if there is one, the APP0 (ISO 15076-1 annex B)."""
    position = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
    chunks = [profile[start : start + _MOST_SEGMENT] for start in range(0, len(profile), _MOST_SEGMENT)]
    segments = b"".join(
        b"\xff\xe2" + struct.pack(">H", len(chunk) + 16) + _JPEG_MARK + bytes((number, len(chunks))) + chunk
        for number, chunk in enumerate(chunks, 1)
    )
    return data[:position] + segments + data[position:]


def embed_in_png(data: bytes, profile: bytes) -> bytes:
    """An iCCP chunk after the header chunk."""
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _text(words: str) -> bytes:
    """A multiLocalizedUnicodeType with one English record."""
    encoded = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def _curve(kind: int, *parameters: float) -> bytes:
    numbers = (round(value * 65536) for value in parameters)
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + struct.pack(f">{len(parameters)}i", *numbers)


_D50 = (0.9642, 1.0, 0.8249)


def _matrix_profile(name: str, curve: bytes, red: Any, green: Any, blue: Any) -> bytes:
    """A version 4 display profile of three primaries (D50) and one curve (ISO 15076-1 8.3.3)."""
    values = {b"desc": _text(name), b"cprt": _text("No copyright"), b"wtpt": _xyz(_D50)}
    values |= {b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
    values |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = struct.pack(">I", len(values)), b""
    start = 128 + 4 + 12 * len(values)
    for signature, value in values.items():
        table += signature + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    whole = table + body
    header = struct.pack(
        ">I4sI4s4s4s6H4s4sIIIQI",
        *(128 + len(whole), b"\0\0\0\0", 0x04200000, b"mntr", b"RGB ", b"XYZ "),
        *(2020, 1, 1, 0, 0, 0),
        *(b"acsp", b"\0\0\0\0", 0, 0, 0, 0, 0),
    )
    return header + struct.pack(">3i", *(round(value * 65536) for value in _D50)) + bytes(48) + whole


@cache
def _srgb() -> bytes:
    """Without the time at which it was made, as an entity tag promises the same bytes each time."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + made[36:]


@cache
def _adobe_rgb() -> bytes:
    """Adobe RGB (1998): gamma 2 51/256; primaries adapted to D50."""
    return _matrix_profile(
        "Adobe RGB (1998) compatible",
        _curve(0, 563 / 256),
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
    )


@cache
def _romm_rgb() -> bytes:
    """ISO 22028-2: gamma 1.8, linear with slope 16 below 1/512."""
    return _matrix_profile(
        "ROMM RGB",
        _curve(3, 1.8, 1.0, 0.0, 1 / 16, 16 / 512),
        (0.79767, 0.28804, 0.0),
        (0.13519, 0.71188, 0.0),
        (0.03134, 0.00009, 0.82491),
    )


PROFILES: dict[str, Callable[[], bytes]] = {"srgb": _srgb, "adobergb": _adobe_rgb, "rommrgb": _romm_rgb}
"""The spaces of the parameter `iccprofile`."""
_NAMED = {"SRGB": "srgb", "ADOBERGB": "adobergb", "ROMMRGB": "rommrgb"}
"""The Defined Terms of ColorSpace (PS3.3 C.11.15.1.2) that are among them."""
EMBEDDERS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "image/jpeg": embed_in_jpeg,
    "image/png": embed_in_png,
}
"""Media types whose pictures can hold a profile."""
