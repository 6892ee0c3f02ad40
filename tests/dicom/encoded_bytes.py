"""Encoded data sets, byte by byte, for tests of what pydicom would not write."""

from __future__ import annotations

import json
import struct
from typing import Any

import zstandard

from archive.dicom.instance import Instance
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN

UNDEFINED = 0xFFFFFFFF
LONG_FORM = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def explicit(tag: int, vr: str, value: bytes = b"", length: int | None = None) -> bytes:
    """An element in explicit VR little endian; `length` may lie."""
    declared = len(value) if length is None else length
    if vr in LONG_FORM:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, declared) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), declared) + value


def implicit(tag: int, value: bytes = b"", length: int | None = None) -> bytes:
    """An element in implicit VR little endian."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes = b"", length: int | None = None) -> bytes:
    """An item; of undefined length with its delimiter if `length` is UNDEFINED."""
    declared = len(content) if length is None else length
    end = ITEM_END if length == UNDEFINED else b""
    return struct.pack("<HHI", 0xFFFE, 0xE000, declared) + content + end


def fragment(content: bytes) -> bytes:
    """A fragment of encapsulated pixel data."""
    return item(content)


SOP_CLASS = explicit(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0")
SOP_INSTANCE = explicit(0x00080018, "UI", b"1.2.3\0")
STUDY = explicit(0x0020000D, "UI", b"1.2.4\0")
SERIES = explicit(0x0020000E, "UI", b"1.2.5\0")


def identified(*between: bytes, after: bytes = b"") -> bytes:
    """A data set with the four UIDs; `between` stands before the study's, `after` at the end."""
    return SOP_CLASS + SOP_INSTANCE + b"".join(between) + STUDY + SERIES + after


def read(data_set: bytes, transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN, step: int = 0) -> Instance:
    """What the reader makes of it, delivered whole or in pieces of `step` bytes."""
    reader = DataSetReader(transfer_syntax_uid)
    for start in range(0, len(data_set), step or max(1, len(data_set))):
        reader.feed(data_set[start : start + (step or len(data_set))])
    return reader.finish()


def metadata(instance: Instance) -> dict[str, Any]:
    """The metadata of an instance, which has to be JSON without NaN."""
    text = zstandard.ZstdDecompressor().decompressobj().decompress(instance.metadata)
    return json.loads(text.decode("utf-8"), parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
