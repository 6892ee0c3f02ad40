"""Attributes that a site wants replaced in whatever it receives, while the data set passes by (PS3.18 10.5.2, PS3.4
B.4.1.3).

Only the elements that are coerced are touched, and what was there is kept in an item that is appended to the Original
Attributes Sequence (PS3.3 C.12.1.1.9); all other bytes stay as they came, in the transfer syntax in which they came. A
value that is the same already is no coercion, so an object that comes back from here is not coerced again. Two things
go besides: lengths of groups in which something may change (retired, PS3.5 7.2), and a second element with the same
tag.

The reader checks the structure; here it is walked only as far as needed to find the elements at the top level, and
from (0400,0561) on nothing is looked at any more.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archive.dicom import charsets
from archive.dicom.attribute_ids import attribute_path
from archive.dicom.dictionary import PLAIN
from archive.dicom.errors import CannotUnderstand
from archive.dicom.identifiers import tag_text
from archive.dicom.reading import elements
from archive.dicom.reading.inflate import Inflater
from archive.dicom.transfer_syntaxes import TransferSyntax

ORIGINAL_ATTRIBUTES = 0x04000561
LONGEST = 1 << 20
"""Of a value that is replaced, and of the Original Attributes Sequence that is there already."""

_VRS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT")
)
CHARSET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_CHARACTER_SET = 0x00080005
_MODIFIED, _MOMENT, _SYSTEM, _SOURCE, _REASON = 0x04000550, 0x04000562, 0x04000563, 0x04000564, 0x04000565
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_SHORT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Coerced:
    """One attribute, and the value that it is to have; an empty one takes the value away. `element` is the whole
    element instead, encoded as the data set is. The character set may be one of them: texts are written in it then."""

    tag: int
    vr: str
    value: str
    element: bytes = b""
    removed: bool = False
    """The element goes, instead of its value."""


def coerced(keyword: str, value: str) -> Coerced:
    """Raises ValueError for what cannot be coerced: attributes that PS3.6 does not know, identifiers, numbers in
    binary, sequences, the character set, and what stands behind the Original Attributes Sequence."""
    path = attribute_path(keyword) or ()
    tag = path[0] if len(path) == 1 else 0
    vr = PLAIN.get(tag, "")
    if vr not in _VRS or not 0x00080005 < tag < _MODIFIED:
        raise ValueError(
            f"{keyword} is no attribute that can be coerced: a text before (0400,0550), by its keyword"
        )
    if any(character < " " and character not in "\t\r\n\f" for character in value):
        raise ValueError("the value holds a control character")
    if vr not in CHARSET_VRS and not value.isascii():
        raise ValueError(f"{vr} has no characters beyond ASCII")
    return Coerced(tag, vr, value)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the Original Attributes Sequence says besides the attributes: the moment as DT, by whom, from whom, and why
    (PS3.3 C.12.1.1.9: COERCE or CORRECT)."""

    moment: str
    modifying_system: str
    source: str
    reason: str = "COERCE"


class Coercer:
    """Takes an encoded data set in pieces of any size, and gives it back with the attributes coerced."""

    def __init__(
        self, wanted: tuple[Coerced, ...], syntax: TransferSyntax, circumstances: Circumstances
    ) -> None:
        self._walk = _Walk(wanted, syntax, circumstances)
        self._inflater = Inflater() if syntax.deflated else None
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._length = 0

    @property
    def modified_tags(self) -> tuple[int, ...]:
        """The attributes that were coerced."""
        return tuple(sorted(self._walk.originals))

    @property
    def originals(self) -> Mapping[int, bytes]:
        """What they were: whole elements, encoded as the data set is; empty ones for what was absent."""
        return self._walk.originals

    @property
    def former(self) -> Mapping[int, bytes]:
        """The values that the attributes had; none for what was absent."""
        return self._walk.former

    @property
    def former_character_sets(self) -> tuple[str, ...]:
        """What those texts are written in."""
        return self._walk.former_sets

    def feed(self, piece: bytes | bytearray | memoryview) -> Iterator[bytes | bytearray | memoryview]:
        """What goes on of it. Raises CannotUnderstand."""
        if self._inflater is None:
            yield self._walk.feed(piece)
            return
        for inflated in self._inflater.feed(piece):
            yield self._deflated(self._walk.feed(inflated))

    def finish(self) -> bytes:
        """What goes on at the end. Raises CannotUnderstand."""
        if self._inflater is None:
            return self._walk.finish()
        self._inflater.finish()
        rest = self._deflated(self._walk.finish())
        self._length += len(end := self._deflater.flush())
        return rest + end + bytes(self._length % 2)

    def _deflated(self, piece: bytes | bytearray | memoryview) -> bytes:
        out = self._deflater.compress(piece)
        self._length += len(out)
        return out


class _Walk:
    """The data set at its top level, without its deflation."""

    def __init__(
        self, wanted: tuple[Coerced, ...], syntax: TransferSyntax, circumstances: Circumstances
    ) -> None:
        self.originals: dict[int, bytes] = {}
        self.former: dict[int, bytes] = {}
        self.former_sets: tuple[str, ...] = ()
        self._wanted = {one.tag: one for one in sorted(wanted, key=lambda one: one.tag)}
        self._groups = {tag >> 16 for tag in self._wanted} | {ORIGINAL_ATTRIBUTES >> 16}
        self._waiting = list(self._wanted)
        self._implicit, self._big_endian = syntax.implicit, syntax.big_endian
        self._circumstances = circumstances
        self._named_sets: tuple[str, ...] = ()
        self._held = bytearray()
        self._passing = 0
        self._inside: list[tuple[bool, bool]] = []
        self._looked_through: tuple[int, int] | None = None
        self._settled = self._done = self._appended = False

    def feed(self, piece: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
        if self._done:
            return piece
        self._held += piece
        out = bytearray()
        while (step := self._step()) is not None:
            out += step
        return out

    def finish(self) -> bytes:
        """Nothing is added to what was cut off, lest it seem whole to the reader."""
        is_whole = not (self._held or self._passing or self._inside or self._done)
        return self._before(_UNDEFINED) if is_whole else self._taken(len(self._held))

    def _step(self) -> bytes | None:
        """The next bytes that go on; None when more are needed, or nothing is looked at any more."""
        if self._passing:
            return self._pass()
        header = None if self._done else self._header()
        if header is None:
            return None
        return self._inner(header) if self._inside else self._element(header)

    def _pass(self) -> bytes | None:
        out = self._taken(min(self._passing, len(self._held)))
        self._passing -= len(out)
        return out or None

    def _taken(self, length: int) -> bytes:
        out = bytes(self._held[:length])
        del self._held[:length]
        return out

    def _header(self) -> elements.Header | None:
        if not self._settled and len(self._held) >= 8:
            self._settle(bytes(self._held[4:6]))
        implicit, big_endian = self._inside[-1] if self._inside else (self._implicit, self._big_endian)
        return self._header_at(0, implicit, big_endian)

    def _settle(self, letters: bytes) -> None:
        """Some senders name the wrong transfer syntax; the reader decides by the first element, too."""
        if self._implicit:
            self._implicit = letters not in elements.SHORT and letters not in elements.LONG
        else:
            self._implicit = not elements.is_vr(letters)
        self._settled = True

    def _header_at(self, position: int, implicit: bool, big_endian: bool) -> elements.Header | None:
        """Items and delimiters have no VR, whatever their lengths look like."""
        head = bytes(self._held[position : position + 12])
        is_item = head[:2] == (b"\xff\xfe" if big_endian else b"\xfe\xff")
        found = elements.header(head, 0, implicit or is_item, big_endian)
        return None if isinstance(found, int) else found

    # --- elements at the top level ---

    def _element(self, header: elements.Header) -> bytes | None:
        """What goes on of one element, and before it; None when more of it is needed, and empty when it is dropped."""
        tag, vr, length, size = header
        if tag > ORIGINAL_ATTRIBUTES:
            self._done = True
            return self._before(_UNDEFINED) + self._taken(len(self._held))
        if tag in self._wanted or tag in (_CHARACTER_SET, ORIGINAL_ATTRIBUTES):
            return self._looked_at(header)
        if not tag & 0xFFFF and tag >> 16 in self._groups and length <= 4:
            return self._dropped(size + length)
        if length == _UNDEFINED and len(self._held) < size + 2:
            return None
        before = self._before(tag)
        if length == _UNDEFINED:
            self._enter(vr, size)
            return before + self._taken(size)
        self._passing = size + length
        return before

    def _enter(self, vr: str, size: int) -> None:
        """A sequence of undefined length: UN is implicit, and little endian unless its first item is not."""
        head = bytes(self._held[size : size + 2])
        big_endian = self._big_endian and not (vr == "UN" and head == b"\xfe\xff")
        self._inside.append((vr == "UN" or self._implicit, big_endian))

    def _dropped(self, length: int) -> bytes | None:
        return None if len(self._held) < length else self._taken(length)[:0]

    def _looked_at(self, header: elements.Header) -> bytes | None:
        tag, _, length, size = header
        end = self._end_of_sequence(header) if length == _UNDEFINED else size + length
        if (end or len(self._held)) > LONGEST:
            raise CannotUnderstand(f"{tag_text(tag)} is to be coerced, and is longer than {LONGEST} bytes")
        if end is None or end > len(self._held):
            return None
        before = self._before(tag)
        raw = self._taken(end)
        self._looked_through = None
        if tag == ORIGINAL_ATTRIBUTES:
            return before + self._appended_to(raw, header)
        if tag == _CHARACTER_SET:
            text = raw[size:].decode("latin_1")
            self.former_sets = self._named_sets = tuple(value.strip("\0 ") for value in text.split("\\"))
            if tag not in self._wanted:
                return before + raw
        return before + self._replaced(tag, raw, size)

    def _replaced(self, tag: int, raw: bytes, size: int) -> bytes:
        """The element with its new value. A second one with this tag goes, as nobody reads it."""
        if tag not in self._waiting:
            if self._appended:
                return raw
            self.originals.setdefault(tag, raw)
            return b""
        self._waiting.remove(tag)
        element = self._wanted[tag].element
        wanted = element[size:] if element else self._encoded(self._wanted[tag])
        if self._wanted[tag].removed:
            self.originals[tag], self.former[tag] = raw, raw[size:]
            return b""
        if wanted is None or wanted.rstrip(b"\0 ") == raw[size:].rstrip(b"\0 "):
            return raw
        self.originals[tag], self.former[tag] = raw, raw[size:]
        return element or self._plain(tag, self._wanted[tag].vr, wanted)

    def _before(self, tag: int) -> bytes:
        """What is to stand before this tag and has not come: attributes that were absent, and in the end the Original
        Attributes Sequence."""
        out = bytearray()
        while self._waiting and self._waiting[0] < tag:
            absent = self._waiting.pop(0)
            vr, element = self._wanted[absent].vr, self._wanted[absent].element
            wanted = self._encoded(self._wanted[absent])
            if wanted or element:
                self.originals[absent] = self._plain(absent, vr, b"")
                out += element or self._plain(absent, vr, wanted or b"")
        if tag > ORIGINAL_ATTRIBUTES and self.originals and not self._appended:
            self._appended = True
            out += self._sequence(ORIGINAL_ATTRIBUTES, self._record())
        return bytes(out)

    def _encoded(self, wanted: Coerced) -> bytes | None:
        """The value in the character set of the data set; None where that cannot say it, and the value then stays."""
        named = self._named_sets if wanted.vr in CHARSET_VRS else ()
        try:
            raw = charsets.encode(wanted.value, wanted.vr, named)
        except UnicodeEncodeError:
            return None
        if wanted.tag == _CHARACTER_SET:
            self._named_sets = tuple(wanted.value.split("\\"))
        return raw + b" " * (len(raw) % 2)

    # --- the Original Attributes Sequence ---

    def _appended_to(self, raw: bytes, header: elements.Header) -> bytes:
        """The sequence that is there, with one item more."""
        self._appended = True
        if not self.originals:
            return raw
        _, _, length, size = header
        items = raw[size:] if length != _UNDEFINED else raw[size:-8]
        return self._sequence(ORIGINAL_ATTRIBUTES, items + self._record())

    def _record(self) -> bytes:
        """The item: PS3.3 table C.12.1.1.9-1."""
        told = self._circumstances
        modified = self._item(b"".join(self.originals[tag] for tag in sorted(self.originals)))
        return self._item(
            self._sequence(_MODIFIED, modified)
            + self._text(_MOMENT, "DT", told.moment)
            + self._text(_SYSTEM, "LO", told.modifying_system)
            + self._text(_SOURCE, "LO", told.source)
            + self._text(_REASON, "CS", told.reason)
        )

    def _item(self, content: bytes) -> bytes:
        return self._tag(_ITEM) + self._number(len(content)) + content

    def _sequence(self, tag: int, items: bytes) -> bytes:
        vr = b"" if self._implicit else b"SQ\0\0"
        end = self._tag(_SEQUENCE_END) + self._number(0)
        return self._tag(tag) + vr + self._number(_UNDEFINED) + items + end

    def _text(self, tag: int, vr: str, text: str) -> bytes:
        raw = text.encode("ascii", "replace")
        return self._plain(tag, vr, raw + b" " * (len(raw) % 2))

    def _plain(self, tag: int, vr: str, raw: bytes) -> bytes:
        """One element. A value too long for two bytes of length becomes UN (PS3.5 6.2.2)."""
        if self._implicit:
            return self._tag(tag) + self._number(len(raw)) + raw
        letters = vr.encode("ascii")
        if letters in elements.SHORT and len(raw) <= _SHORT:
            order = ">" if self._big_endian else "<"
            return self._tag(tag) + letters + struct.pack(order + "H", len(raw)) + raw
        letters = letters if letters in elements.LONG else b"UN"
        return self._tag(tag) + letters + b"\0\0" + self._number(len(raw)) + raw

    def _tag(self, tag: int) -> bytes:
        return struct.pack(">HH" if self._big_endian else "<HH", tag >> 16, tag & 0xFFFF)

    def _number(self, number: int) -> bytes:
        return struct.pack(">I" if self._big_endian else "<I", number)

    # --- sequences of undefined length ---

    def _inner(self, header: elements.Header) -> bytes:
        """What goes on of an item, a delimiter, or an element in an item of undefined length."""
        tag, vr, length, size = header
        implicit, big_endian = self._inside[-1]
        if tag in (_ITEM_END, _SEQUENCE_END):
            self._inside.pop()
            return self._taken(size)
        if length == _UNDEFINED:
            self._inside.append((implicit or vr == "UN", big_endian))
            return self._taken(size)
        self._passing = size + length
        return b""

    def _end_of_sequence(self, header: elements.Header) -> int | None:
        """Where a held sequence of undefined length ends, None when that is not here yet."""
        position, depth = self._looked_through or (header[3], 1)
        while depth and position <= LONGEST:
            found = self._header_at(position, self._implicit, self._big_endian)
            if found is None:
                self._looked_through = position, depth
                return None
            tag, _, length, size = found
            depth += (length == _UNDEFINED) - (tag in (_ITEM_END, _SEQUENCE_END))
            position += size if length == _UNDEFINED else size + length
        self._looked_through = position, 0
        return position
