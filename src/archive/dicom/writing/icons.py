"""Compressed pixel data inside an item: the icon that an object has of itself (PS3.3 F.7), decoded where it stands.

An icon is small, so unlike the object's own pixel data it is decoded while the data set is walked."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from archive.dicom.errors import CannotRender
from archive.dicom.pixels.decoder import Decoder
from archive.dicom.pixels.native import unshared
from archive.dicom.pixels.pixel_description import describe
from archive.dicom.writing.byte_order import Read

LONGEST = 1 << 24
"""Bytes of one compressed icon."""

PHOTOMETRIC_INTERPRETATION = 0x00280004
_PIXEL_DATA = 0x7FE00010
_NUMBERS = frozenset(
    (0x00280002, 0x00280006, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103)
)
_DECODED = {"YBR_RCT": "RGB", "YBR_ICT": "RGB"}


@dataclass(slots=True)
class Icon:
    """What an item says of the pixel data in it, and where the fragments of that lie in the source."""

    said: dict[str, Any] = field(default_factory=dict)
    fragments: list[tuple[int, int]] = field(default_factory=list)

    def note(self, tag: int, raw: bytes) -> bytes:
        """An element of the item, little endian. Its value as it will be: the colours of the decoded icon."""
        if tag in _NUMBERS and len(raw) == 2:
            self.said[f"{tag:08X}"] = {"vr": "US", "Value": [struct.unpack("<H", raw)[0]]}
        if tag != PHOTOMETRIC_INTERPRETATION:
            return raw
        name = raw.decode("latin_1").strip(" \0")
        self.said[f"{tag:08X}"] = {"vr": "CS", "Value": [name]}
        decoded = _DECODED.get(name, unshared(name))
        return raw if decoded == name else decoded.encode("ascii") + b" " * (len(decoded) % 2)

    def decoded(self, read: Read, decoder: Decoder, transfer_syntax_uid: str) -> tuple[str, bytes]:
        """VR and value of the native pixel data. Raises CannotRender."""
        if sum(length for _, length in self.fragments) > LONGEST:
            raise CannotRender("an icon in the object is too large to be decoded")
        description = describe(self.said)
        codestream = b"".join(read(offset, length) for offset, length in self.fragments)
        frame = decoder.native(codestream, description, transfer_syntax_uid)
        said = description.PhotometricInterpretation
        if frame.PhotometricInterpretation != _DECODED.get(said, unshared(said)):
            raise CannotRender("an icon in the object has other colours than it says")
        value = frame.value
        if description.SamplesPerPixel == 3 and description.PlanarConfiguration != frame.PlanarConfiguration:
            cells = np.frombuffer(value, f"u{max(description.BitsAllocated // 8, 1)}")
            value = np.ascontiguousarray(cells.reshape(-1, 3).T).tobytes()
        return ("OW" if description.BitsAllocated > 8 else "OB"), value + b"\0" * (len(value) % 2)
