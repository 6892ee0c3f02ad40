"""What the metadata of an object holds: listens to the structure of its data set and writes DICOM JSON as it goes by.

Values that do not belong in it become a BulkDataURI: pixel data always, other binary values over 1 KiB, every value
over 64 KiB; once the text is longer than 4 MiB, everything of some length that PS3.18 F.2.2 allows to. Left out of it:
group lengths (PS3.18 F.2.2) and Data Set Trailing Padding, which says nothing. SpecificCharacterSet becomes ISO_IR
192, as the text is UTF-8 now whatever it was.

On the way it keeps the top-level attributes that the index wants, and the places of bulk values and fragments.

Whatever a sender may repeat a million times is either counted (`count`, by which the reader judges) or not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.charsets import Decoder, decoder
from archive.dicom.dictionary import LUT_DESCRIPTORS
from archive.dicom.errors import CannotUnderstand
from archive.dicom.instance import BulkValue, Element
from archive.dicom.pixels.frames import MAXIMUM_FRAGMENTS, Fragments
from archive.dicom.pixels.lookup_tables import NEEDED_INLINE
from archive.dicom.reading import json_model
from archive.dicom.reading.clues import Clues
from archive.dicom.reading.json_model import BINARY_VRS, BULK_VRS, CONVERTERS, WrongLengthError
from archive.dicom.reading.known import Written, known_to
from archive.dicom.reading.metadata_text import MetadataText

PIXEL_DATA = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
INLINE = 1024
"""Longest binary value in the metadata itself."""
LONG = 1 << 16
"""Longest value of any VR in the metadata itself."""
THRIFTY = {
    **dict.fromkeys((*BINARY_VRS, "LT", "ST", "UC", "UT"), 64),
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"), 512),
}
"""The same by VR, once the text is long (`metadata_text.PLENTY`). A frame's position, orientation and matrices in DS
stay in the metadata, where viewers look for them."""
MOST_VALUES = 1000
"""So many values of an attribute are given to the index; no attribute that is searched has more in earnest."""

_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_LOOKUP_TABLES = frozenset(int(tag, 16) for tag in NEEDED_INLINE)
_TRAILING_PADDING = 0xFFFCFFFC
_MANY_BULK_VALUES = 100_000
_MANY_PATHS = 1 << 22
_NONE: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Level:
    """The data set or item that is being read, and what its elements mean for those after them. `number` is that of the
    item in the sequence that is open in the level `above`."""

    decode: Decoder
    clues: Clues
    above: _Level | None = None
    number: int = 0
    watched: frozenset[int] = _NONE
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
        self.count = 0
        self.whole = LONG
        self._level = _Level(decoder(()), Clues(), watched=watched)
        self._levels = [self._level]
        self._text = MetadataText(self._be_thrifty)
        self._paths = 0
        self._last: Written | None = None
        self._fragmented: tuple[int, str, int, Fragments | None] = (0, "", 0, None)

    def finish(self) -> bytes:
        """The metadata, compressed with zstd."""
        return self._text.finish()

    # --- what the structure tells ---

    def resolve(self, tag: int, _vr: str, /) -> str:
        """The VR that the dictionaries know; what they do not know stays UN."""
        return self._level.clues.vr(tag)

    def element(self, tag: int, vr: str, raw: bytes, big_endian: bool) -> None:
        """One whole value."""
        self.count += 1
        self._last = None
        if not tag & 0xFFFF or tag == _TRAILING_PADDING:
            return
        level, order = self._level, ">" if big_endian else "<"
        try:
            text = CONVERTERS[vr](raw, level.decode, order)
        except WrongLengthError:
            vr, text = "UN", CONVERTERS["UN"](raw, level.decode, order)
        special = tag in _SPECIAL
        if special:
            text = self._note(tag, vr, raw, order) or text
        elif tag & 0x1FF00 == 0x10000:
            level.clues.note(tag, raw, big_endian)
            special = True
        text = f'{{"vr":"{vr}"{text}}}'
        member, kept = f'"{tag:08X}":{text},'.encode("utf-8", "replace"), None
        self._text.put(tag, member)
        if tag in level.watched:
            values = json_model.split(vr, raw, level.decode, order)[:MOST_VALUES]
            kept = Element(vr, values, text)
            self.elements.setdefault(tag, kept)
        if not special:
            self._last = tag, member, kept

    def recall(self, buffer: bytes, position: int, end: int, implicit: bool) -> int:
        """Hear what is known."""
        if self.whole < LONG:
            return position
        level = self._level
        known, last = known_to(implicit, level.decode, level.watched), end - 8
        while position <= last:
            run = known.run(buffer, position, end)
            if run is not None:
                self.count += len(run.elements)
                for tag, kept in run.kept:
                    self.elements.setdefault(tag, kept)
                self._text.put_run(run)
                position += len(run.encoded)
                continue
            singles, position = known.singles(buffer, position, end, implicit)
            if not singles:
                break
            self._hear_again(singles)
        return position

    def _hear_again(self, singles: list[Written]) -> None:
        self.count += len(singles)
        for tag, member, kept in singles:
            self._text.put(tag, member)
            if kept is not None:
                self.elements.setdefault(tag, kept)

    def remember(self, encoded: bytes, implicit: bool) -> None:
        """Know the element that was heard last, unless it means something for those after it."""
        if self._last is not None:
            level = self._level
            known_to(implicit, level.decode, level.watched).remember(encoded, self._last)

    def passes(self, tag: int, vr: str, length: int) -> bool:
        """Pixel data and longer binary values, as long as they are not too many to be listed. Lookup tables stay, as a
        picture cannot be rendered without them, and so does what the index wants."""
        if tag in _LOOKUP_TABLES:
            return False
        if length > LONG or (tag in PIXEL_DATA and len(self._levels) == 1):
            return True
        if (
            tag in self._level.watched
            or len(self.bulk_values) >= _MANY_BULK_VALUES
            or self._paths > _MANY_PATHS
        ):
            return False
        if self.whole < LONG:
            return length > THRIFTY.get(vr, LONG)
        return length > INLINE and vr in BINARY_VRS

    def skipped(self, tag: int, vr: str, offset: int, length: int) -> None:
        """A value that stays where it is. VRs for which PS3.18 F.2.2 has no BulkDataURI are never that long in earnest;
        such a value is given as UN."""
        self.count += 1
        if not tag & 0xFFFF or tag == _TRAILING_PADDING:
            return
        level = self._level
        value = BulkValue(level.path(tag), vr if vr in BULK_VRS else "UN", offset, length)
        self.bulk_values.setdefault(value.path, value)
        self._paths += len(value.path)
        text = f'{{"vr":"{value.vr}","BulkDataURI":"bulkdata/{value.path}"}}'
        self._text.put(tag, f'"{tag:08X}":{text},'.encode())
        if tag in level.watched:
            self.elements.setdefault(tag, Element(vr, (), f'{{"vr":"{vr}"}}'))
        if tag in PIXEL_DATA and len(self._levels) == 1 and self.pixel_data is None:
            self.pixel_data = value

    def begin_sequence(self, tag: int) -> None:
        """A sequence, of which no item is known yet."""
        self.count += 1
        level = self._level
        level.sequence, level.items = tag, 0
        self._text.begin_sequence(tag, keep=tag in level.watched and tag not in self.elements)

    def begin_item(self) -> None:
        """The next item of the sequence that was begun last."""
        self.count += 1
        level = self._level
        self._text.begin_item(first=not level.items)
        self._level = _Level(level.decode, level.clues.inside(), level, level.items)
        level.items += 1
        self._levels.append(self._level)

    def end_item(self) -> None:
        """The item is complete."""
        self._levels.pop()
        self._level = self._levels[-1]
        self._text.end_item()

    def end_sequence(self) -> None:
        """The sequence is complete."""
        level = self._level
        text = self._text.end_sequence(empty=not level.items, longest=LONG)
        if len(self._levels) == 1 and level.sequence in level.watched:
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
        level.clues.note(tag, raw, order == ">")
        return _unsigned_entries(vr, values) if tag in LUT_DESCRIPTORS else ""

    def _be_thrifty(self) -> None:
        self.whole = min(THRIFTY.values())


def _unsigned_entries(vr: str, values: tuple[str, ...]) -> str:
    """The value of a LUT descriptor, whose first number counts entries whatever its VR."""
    if len(values) < 2 or vr not in ("US", "SS"):
        return ""
    return f',"Value":[{",".join((str(int(values[0]) & 0xFFFF), *values[1:]))}]'
