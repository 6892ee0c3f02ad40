"""What the metadata of an object holds: listens to the structure of its data set and writes DICOM JSON as it goes by.

The JSON text is compressed in portions, so memory does not grow with the object. Values that do not belong in it
become a BulkDataURI: pixel data always, other binary values over 1 KiB, every value over 64 KiB. Left out of it:
group lengths (PS3.18 F.2.2) and Data Set Trailing Padding, which says nothing. SpecificCharacterSet becomes ISO_IR
192, as the text is UTF-8 now whatever it was.

On the way it keeps the top-level attributes that the index wants, and the places of bulk values and fragments.
"""

from __future__ import annotations

from dataclasses import dataclass

import zstandard

from archive.dicom import json_model
from archive.dicom.charsets import Decoder, decoder
from archive.dicom.dictionary import LUT_DESCRIPTORS, Choice, private_vr, public_vr
from archive.dicom.errors import CannotUnderstand
from archive.dicom.frames import MAXIMUM_FRAGMENTS, Fragments
from archive.dicom.instance import BulkValue, Element
from archive.dicom.json_model import BINARY_VRS, BULK_VRS, CONVERTERS, WrongLengthError
from archive.dicom.lookup_tables import NEEDED_INLINE

PIXEL_DATA = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
INLINE = 1024
"""Longest binary value in the metadata itself."""
LONG = 1 << 16
"""Longest value of any VR in the metadata itself."""

_CHARACTER_SET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00080005, 0x00280103, 0x00283002
_LOOKUP_TABLES = frozenset(int(tag, 16) for tag in NEEDED_INLINE)
_TRAILING_PADDING = 0xFFFCFFFC
_PORTION = 1 << 18
_LARGEST_REORDERED = 1 << 24
_MANY_BULK_VALUES = 100_000
_NONE: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Level:
    """The data set or item that is being read, and what its elements mean for those after them. `number` is that of the
    item in the sequence that is open in the level `above`."""

    decode: Decoder
    pixel_representation: int | None
    above: _Level | None = None
    number: int = 0
    watched: frozenset[int] = _NONE
    separator: str = ""
    last: int = -1
    entries: int = 0
    creators: dict[int, str] | None = None
    sequence: int = 0
    items: int = 0

    def path(self, tag: int) -> str:
        """The name of an attribute in a BulkDataURI."""
        steps = [f"{tag:08X}"]
        level = self
        while level.above is not None:
            steps.append(f"{level.above.sequence:08X}/{level.number}")
            level = level.above
        return "/".join(reversed(steps))


_SPECIAL = LUT_DESCRIPTORS | {_CHARACTER_SET, _PIXEL_REPRESENTATION, _TRAILING_PADDING}


class Metadata:
    """Listens to a `structure.Structure`. `watched` are the top-level attributes to keep in `elements`."""

    def __init__(self, watched: frozenset[int]) -> None:
        self.elements: dict[int, Element] = {}
        self.bulk_values: dict[str, BulkValue] = {}
        self.fragments: Fragments | None = None
        self.pixel_data: BulkValue | None = None
        self._level = _Level(decoder(()), None, watched=watched)
        self._levels = [self._level]
        self._text = _Text()
        self._fragmented: tuple[int, str, int, Fragments | None] = (0, "", 0, None)

    def finish(self) -> bytes:
        """The metadata, compressed with zstd."""
        return self._text.finish()

    # --- what the structure tells ---

    def resolve(self, tag: int, _vr: str, /) -> str:
        """The VR that the dictionaries know; what they do not know stays UN."""
        level = self._level
        if not tag & 0x10000:
            return public_vr(tag, Choice(level.pixel_representation, level.entries))
        if tag & 0xFFFF < 0x1000:
            return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
        creator = (level.creators or {}).get(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
        return private_vr(tag, creator) if creator else "UN"

    def element(self, tag: int, vr: str, raw: bytes, big_endian: bool) -> None:
        """One whole value."""
        level, order = self._level, ">" if big_endian else "<"
        if not tag & 0xFFFF or tag == _TRAILING_PADDING:
            return
        try:
            text = CONVERTERS[vr](raw, level.decode, order)
        except WrongLengthError:
            vr, text = "UN", CONVERTERS["UN"](raw, level.decode, order)
        if tag in _SPECIAL or tag & 0x1FF00 == 0x10000:
            text = self._note(tag, vr, raw, order) or text
        text = f'{{"vr":"{vr}"{text}}}'
        self._text.put(level, tag, text)
        if tag in level.watched and tag not in self.elements:
            self.elements[tag] = Element(vr, json_model.split(vr, raw, level.decode, order), text)

    def passes(self, tag: int, vr: str, length: int) -> bool:
        """Pixel data and longer binary values, as long as they are not too many to be listed. Lookup tables stay, as a
        picture cannot be rendered without them."""
        if tag in _LOOKUP_TABLES:
            return False
        if length > LONG or (tag in PIXEL_DATA and len(self._levels) == 1):
            return True
        return length > INLINE and vr in BINARY_VRS and len(self.bulk_values) < _MANY_BULK_VALUES

    def skipped(self, tag: int, vr: str, offset: int, length: int) -> None:
        """A value that stays where it is. VRs for which PS3.18 F.2.2 has no BulkDataURI are never that long in earnest;
        such a value is given as UN."""
        if not tag & 0xFFFF or tag == _TRAILING_PADDING:
            return
        level = self._level
        value = BulkValue(level.path(tag), vr if vr in BULK_VRS else "UN", offset, length)
        self.bulk_values.setdefault(value.path, value)
        self._text.put(level, tag, f'{{"vr":"{value.vr}","BulkDataURI":"bulkdata/{value.path}"}}')
        if tag in level.watched:
            self.elements.setdefault(tag, Element(vr, (), f'{{"vr":"{vr}"}}'))
        if tag in PIXEL_DATA and len(self._levels) == 1 and self.pixel_data is None:
            self.pixel_data = value

    def begin_sequence(self, tag: int) -> None:
        """A sequence, of which no item is known yet."""
        level = self._level
        level.sequence, level.items = tag, 0
        self._text.begin_sequence(level, tag, keep=tag in level.watched and tag not in self.elements)

    def begin_item(self) -> None:
        """The next item of the sequence that was begun last."""
        level = self._level
        self._text.add(",{" if level.items else ',"Value":[{')
        self._level = _Level(level.decode, level.pixel_representation, level, level.items)
        level.items += 1
        self._levels.append(self._level)

    def end_item(self) -> None:
        """The item is complete."""
        self._levels.pop()
        self._level = self._levels[-1]
        self._text.add("}")

    def end_sequence(self) -> None:
        """The sequence is complete."""
        level = self._level
        at_top = len(self._levels) == 1
        text = self._text.end_sequence("]}" if level.items else "}", at_top=at_top)
        if at_top and level.sequence in level.watched:
            self.elements.setdefault(level.sequence, Element("SQ", (), text or '{"vr":"SQ"}'))

    def begin_fragments(self, tag: int, vr: str, offset: int) -> None:
        """Encapsulated pixel data. Only that at the top level has frames; in items there are icons (PS3.3 F.7)."""
        noted = None
        if tag in PIXEL_DATA and len(self._levels) == 1 and self.pixel_data is None:
            noted = self.fragments = Fragments(offset)
        self._fragmented = (tag, vr, offset, noted)

    def offset_table(self, raw: bytes, end: int) -> None:
        """The Basic Offset Table; the first fragment begins at `end`."""
        noted = self._fragmented[3]
        if noted is not None:
            noted.basic_offset_table, noted.first_fragment = raw, end

    def fragment(self, offset: int, length: int, head: bytes) -> None:
        """One more fragment, whose item tag is at `offset`."""
        noted = self._fragmented[3]
        if noted is not None:
            if len(noted.lengths) >= MAXIMUM_FRAGMENTS:
                raise CannotUnderstand(
                    f"more than {MAXIMUM_FRAGMENTS} fragments of pixel data, at byte {offset}"
                )
            noted.add(length, head)

    def end_fragments(self, end: int) -> None:
        """All fragments have passed."""
        tag, vr, offset, _ = self._fragmented
        self.skipped(tag, vr, offset, end - offset)

    def _note(self, tag: int, vr: str, raw: bytes, order: str) -> str:
        """What an element means for those after it; its text, if that is not what its value says."""
        level = self._level
        values = json_model.split(vr, raw, level.decode, order)
        if tag == _CHARACTER_SET:
            level.decode = decoder(values)
            return ',"Value":["ISO_IR 192"]' if values else ""
        if tag == _PIXEL_REPRESENTATION:
            level.pixel_representation = 1 if values[:1] == ("1",) else 0
        elif tag & 0x10000 and values:
            level.creators = level.creators or {}
            level.creators[tag] = values[0]
        elif tag in LUT_DESCRIPTORS:
            return self._note_descriptor(tag, vr, values)
        return ""

    def _note_descriptor(self, tag: int, vr: str, values: tuple[str, ...]) -> str:
        if len(values) < 2 or vr not in ("US", "SS"):
            return ""
        entries = int(values[0]) & 0xFFFF
        if tag == _LUT_DESCRIPTOR:
            self._level.entries = entries
        return f',"Value":[{",".join((str(entries), *values[1:]))}]'


class _Text:
    """JSON text that is compressed in portions."""

    def __init__(self) -> None:
        self._parts = ["{"]
        self._size = 0
        self._in_order = True
        self._kept = 0
        self._stream: zstandard.ZstdCompressionObj | None = None
        self._compressed: list[bytes] = []
        self._written = 0

    def add(self, text: str) -> None:
        """Append."""
        self._parts.append(text)
        self._size += len(text)
        if self._size > _PORTION:
            self._compress()

    def put(self, level: _Level, tag: int, text: str) -> None:
        """Append one attribute."""
        if tag <= level.last:
            self._in_order = False
        self._parts.append(f'{level.separator}"{tag:08X}":{text}')
        level.last = tag
        level.separator = ","
        self._size += len(text) + 12
        if self._size > _PORTION:
            self._compress()

    def begin_sequence(self, level: _Level, tag: int, *, keep: bool) -> None:
        """Append the beginning of a sequence. With `keep`, `end_sequence` gives its text, unless it is too long."""
        self._in_order = self._in_order and tag > level.last
        if keep and self._size > _PORTION // 2:
            self._compress()
        self.add(f'{level.separator}"{tag:08X}":')
        level.last, level.separator = tag, ","
        if keep:
            self._kept = len(self._parts)
        self.add('{"vr":"SQ"')

    def end_sequence(self, text: str, *, at_top: bool) -> str:
        """Append the end of a sequence; its whole text, if that was to be kept."""
        self.add(text)
        kept, self._kept = (self._kept, 0) if at_top else (0, self._kept)
        return "".join(self._parts[kept:]) if kept else ""

    def finish(self) -> bytes:
        """All of it, closed, in order and compressed."""
        self._parts.append("}")
        if self._stream is None:
            text = "".join(self._parts)
            self._parts = []
            return zstandard.compress(self._ordered(text).encode("utf-8", "replace"))
        self._compress()
        self._compressed.append(self._stream.flush())
        compressed = b"".join(self._compressed)
        if self._in_order:
            return compressed
        if self._written > _LARGEST_REORDERED:
            raise CannotUnderstand(
                "the elements are not in ascending order (PS3.5 7.1) and too many to be put in order"
            )
        text = zstandard.ZstdDecompressor().decompressobj().decompress(compressed).decode()
        return zstandard.compress(self._ordered(text).encode("utf-8", "replace"))

    def _ordered(self, text: str) -> str:
        return text if self._in_order else json_model.reorder(text)

    def _compress(self) -> None:
        if self._stream is None:
            self._stream = zstandard.ZstdCompressor().compressobj()
        raw = "".join(self._parts).encode("utf-8", "replace")
        self._compressed.append(self._stream.compress(raw))
        self._written += len(raw)
        self._parts, self._size, self._kept = [], 0, 0
