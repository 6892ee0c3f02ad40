"""Who decodes a stored frame: this process, or one that may die of it.

Decoders are C code that reads a stranger's bytes. `HERE` is for bytes that this process has made itself, and for the
process whose death costs nobody anything; the services are given one that asks such a process (`archive.decoding`).
"""

from __future__ import annotations

from typing import Protocol

from archive.dicom.pixels import codecs, native
from archive.dicom.pixels.codecs import Decoded
from archive.dicom.pixels.native import NativeFrame
from archive.dicom.pixels.pixel_description import PixelDescription


class Decoder(Protocol):
    """Both raise CannotRender for what is no picture, OutOfResources where none can be asked now."""

    def values(self, frame: bytes, description: PixelDescription, transfer_syntax_uid: str, /) -> Decoded:
        """The stored values of one frame."""

    def native(self, frame: bytes, description: PixelDescription, transfer_syntax_uid: str, /) -> NativeFrame:
        """One frame as native pixel data."""


class _Here:
    """In this process."""

    values = staticmethod(codecs.decode_frame)
    native = staticmethod(native.native_frame)


HERE: Decoder = _Here()
