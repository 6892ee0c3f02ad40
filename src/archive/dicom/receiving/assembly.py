"""Metadata and bulk data put together to an encoded data set, in Explicit VR Little Endian (PS3.5 A.2, A.4).

Pieces come out, and bulk values are passed on in the pieces in which they are read, so that an object of any size
takes no more memory than its metadata. Sequences have undefined lengths, as nothing is known of what follows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.errors import CannotUnderstand
from archive.dicom.identifiers import tag_text
from archive.dicom.receiving.received import CHARACTER_SET, DataSet
from archive.dicom.receiving.received_values import WORD_BYTES
from archive.dicom.writing.encoder import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, encode_element, header

UTF_8 = ("ISO_IR 192",)
LONGEST_VALUE = 0xFFFFFFFE
PIECE = 1 << 16

_SPACE_PADDED = frozenset(("DS", "IS", "LT", "ST", "UC", "UT"))
_OFFSET = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Bulk:
    """A value that is somewhere else: its length, and what reads (offset, length) of it in pieces, any number of
    times."""

    length: int
    read: Callable[[int, int], Iterator[bytes]]

    @classmethod
    def of(cls, raw: bytes) -> Bulk:
        """A value that is in memory."""
        return cls(len(raw), lambda offset, length: iter([raw[offset : offset + length]]))

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        return self.read(0, self.length)

    def head(self, most: int) -> bytes:
        """Its first bytes."""
        return b"".join(self.read(0, min(most, self.length)))

    def part(self, offset: int, length: int) -> Bulk:
        """A value within it."""
        return Bulk(length, lambda start, most: self.read(offset + start, most))


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """Pixel data in encapsulated format, one bulk value for each frame, or one for all frames of a video."""

    frames: tuple[Bulk, ...]


Values = Mapping[str, Bulk | Encapsulated]
"""By BulkDataURI. Encapsulated pixel data may be in one attribute of an object only; the caller sees to that."""


def character_set(data_set: DataSet) -> tuple[str, ...]:
    """The character set to encode in: the one that the data set names if it can say every text, else UTF-8."""
    named = tuple(str(value or "") for value in data_set.get(CHARACTER_SET, {}).get("Value", ()))
    for charset in (named, UTF_8):
        try:
            for _ in encoded(data_set, {}, charset):
                pass
        except UnicodeEncodeError:
            continue
        return charset
    raise CannotUnderstand("a text in the metadata cannot be encoded")


def encoded(data_set: DataSet, values: Values, charset: tuple[str, ...]) -> Iterator[bytes]:
    """The data set, in pieces. A BulkDataURI that is not among `values` is encoded as empty. Raises CannotUnderstand
    for a value that is too long, UnicodeEncodeError for a text that `charset` cannot say."""
    waiting = bytearray()
    for piece in _data_set(_declared(data_set, charset), values, charset):
        waiting += piece
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _declared(data_set: DataSet, charset: tuple[str, ...]) -> DataSet:
    if not charset:
        return data_set
    return data_set | {CHARACTER_SET: {"vr": "CS", "Value": [value or None for value in charset]}}


def _data_set(data_set: DataSet, values: Values, charset: tuple[str, ...]) -> Iterator[bytes]:
    for tag in sorted(data_set):
        yield from _element(int(tag, 16), data_set[tag], values, charset)


def _element(
    tag: int, element: Mapping[str, Any], values: Values, charset: tuple[str, ...]
) -> Iterator[bytes]:
    bulk = values.get(element["BulkDataURI"]) if "BulkDataURI" in element else None
    if isinstance(bulk, Encapsulated):
        yield from _encapsulated(tag, bulk)
    elif bulk is not None:
        yield from _long_value(tag, element["vr"], bulk)
    elif element["vr"] == "SQ" and element.get("Value"):
        yield from _sequence(tag, element["Value"], values, charset)
    else:
        yield encode_element(tag, element, implicit=False, specific_character_set=charset)


def _sequence(tag: int, items: list[DataSet], values: Values, charset: tuple[str, ...]) -> Iterator[bytes]:
    yield header(tag, "SQ", UNDEFINED, implicit=False)
    for item in items:
        yield ITEM
        yield from _data_set(_inherited(item, charset), values, charset)
        yield ITEM_END
    yield SEQUENCE_END


def _inherited(item: DataSet, charset: tuple[str, ...]) -> DataSet:
    """An item with a character set of its own gets that of the whole."""
    if CHARACTER_SET not in item:
        return item
    return _declared(item, charset) if charset else {t: e for t, e in item.items() if t != CHARACTER_SET}


def _long_value(tag: int, vr: str, bulk: Bulk) -> Iterator[bytes]:
    length = bulk.length + bulk.length % 2
    if length > LONGEST_VALUE:
        raise CannotUnderstand(f"the bulk data of {tag_text(tag)} are longer than a native value can be")
    if vr != "OW" and bulk.length % WORD_BYTES.get(vr, 1):
        raise CannotUnderstand(f"the bulk data of {tag_text(tag)} are no whole number of {vr} values")
    yield header(tag, vr, length, implicit=False)
    yield from bulk.pieces()
    if length > bulk.length:
        yield b" " if vr in _SPACE_PADDED else b"\0"


def _encapsulated(tag: int, pixel_data: Encapsulated) -> Iterator[bytes]:
    """PS3.5 A.4: a Basic Offset Table, if its offsets fit, and one fragment for each frame."""
    frames = pixel_data.frames
    yield header(tag, "OB", UNDEFINED, implicit=False)
    table = _offset_table(frames) if len(frames) > 1 else b""
    yield struct.pack("<HHI", 0xFFFE, 0xE000, len(table)) + table
    for frame in frames:
        length = frame.length + frame.length % 2
        if length > LONGEST_VALUE:
            raise CannotUnderstand("a compressed frame is longer than a fragment can be")
        yield struct.pack("<HHI", 0xFFFE, 0xE000, length)
        yield from frame.pieces()
        yield b"\0" * (length - frame.length)
    yield SEQUENCE_END


def _offset_table(frames: tuple[Bulk, ...]) -> bytes:
    offsets, place = [], 0
    for frame in frames:
        offsets.append(place)
        place += 8 + frame.length + frame.length % 2
    return struct.pack(f"<{len(offsets)}I", *offsets) if offsets[-1] <= _OFFSET else b""
