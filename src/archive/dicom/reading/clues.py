"""What decides the VR of attributes that come without one: PixelRepresentation, LUTDescriptor and private creators,
as far as they were read, for each data set and item (PS3.5 annex A)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from archive.dicom.dictionary import PRIVATE_CREATORS, Choice, private_vr, public_vr

_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00280103, 0x00283002
_MANY_CREATORS = 1000
_UINT16 = {False: struct.Struct("<H").unpack_from, True: struct.Struct(">H").unpack_from}


@dataclass(slots=True)
class Clues:
    """Those of one data set or item."""

    pixel_representation: int | None = None
    entries: int = 0
    creators: dict[int, str] | None = None

    def inside(self) -> Clues:
        """Those that an item begins with."""
        return Clues(self.pixel_representation)

    def vr(self, tag: int) -> str:
        """The VR that the dictionaries know; UN for what they do not know."""
        if not tag & 0x10000:
            return public_vr(tag, Choice(self.pixel_representation, self.entries))
        if tag & 0xFFFF < 0x1000:
            return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
        creator = self.creators and self.creators.get(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
        return private_vr(tag, creator) if creator else "UN"

    def note(self, tag: int, raw: bytes, big_endian: bool) -> None:
        """A value, of which the following ones may depend."""
        if tag & 0x1FF00 == 0x10000:
            self._note_creator(tag, raw)
        elif tag == _PIXEL_REPRESENTATION and len(raw) >= 2:
            self.pixel_representation = int(_UINT16[big_endian](raw)[0] == 1)
        elif tag == _LUT_DESCRIPTOR and len(raw) >= 4:
            self.entries = _UINT16[big_endian](raw)[0]

    def _note_creator(self, tag: int, raw: bytes) -> None:
        creator = raw.decode("latin_1").partition("\\")[0].strip("\0 ")
        self.creators = self.creators or {}
        if creator in PRIVATE_CREATORS and len(self.creators) < _MANY_CREATORS:
            self.creators[tag] = creator
