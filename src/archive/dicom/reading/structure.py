"""The structure of an encoded data set (PS3.5 chapter 7), walked as the bytes arrive.

Every length is checked: each value is wholly there, each item lies inside its sequence, each undefined length is
ended by its delimiter, and the data set ends where the bytes end. An object that was cut off must never be answered
with Success, so nothing here is guessed to be complete.

About the encoding itself it is lenient where installed devices are wrong and the bytes still add up, as pydicom and
DCMTK are: implicit VR inside (or instead of) explicit VR, VRs that PS3.5 does not know, UN for known attributes, odd
lengths, delimiters at the end of defined lengths. Not tolerated, though pydicom does: a delimiter where none can be,
a sequence that is not closed, command or File Meta elements in the data set, items outside of sequences.

No recursion: open sequences and items are on a stack of bounded depth. No more than one small value is ever held;
long ones are counted past.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from archive.dicom.dictionary import PLAIN
from archive.dicom.errors import CannotUnderstand
from archive.dicom.identifiers import tag_text
from archive.dicom.reading import elements
from archive.dicom.reading.elements import EXPLICIT, IMPLICIT, LONG, SHORT
from archive.dicom.reading.listener import Listener, Memory, Nobody

MAXIMUM_DEPTH = 64
SMALL = 1 << 17
"""Longest value that is taken as a whole, if the listener wants it."""
LONGEST_OFFSET_TABLE = 1 << 24
_MOST_DOUBTS = 1 << 22
"""After so many bytes of values that a dictionary called sequences and were none, it is not believed any more."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ENDLESS = sys.maxsize
_HEAD = 12
_GROUP_OF_ITEMS = (b"\xfe\xff", b"\xff\xfe")
_SPECIAL_GROUPS = frozenset((*range(8), 0xFFFE))

_FRAGMENTED = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))


@dataclass(slots=True)
class _Open:
    """A data set ("data set", "item"), "sequence" or "fragments" that has begun. `end` is where it ends, or None for
    undefined length; nothing in it may reach past `limit`."""

    kind: str
    tag: int
    start: int
    end: int | None
    limit: int
    implicit: bool
    big_endian: bool


class Structure:
    """Takes the bytes of a data set and tells `listener` what is in it. Raises CannotUnderstand as soon as the bytes
    cannot be a data set any more."""

    def __init__(
        self, listener: Listener, *, implicit: bool, big_endian: bool, memory: Memory | None = None
    ) -> None:
        """`memory` is asked, and told, of what comes one after the other without anything special; not in big
        endian."""
        self._listener = listener
        self._memory = memory if not big_endian else None
        self._top = _Open("data set", 0, 0, None, _ENDLESS, implicit, big_endian)
        self._stack = [self._top]
        self._depth = 0
        self._held = bytearray()
        self._base = 0
        self._need = 8
        self._skip = 0
        self._doubts = 0
        self._awaited = (0, 0, 0)
        self._steps = {"data set": self._elements, "item": self._elements}
        self._steps |= {"sequence": self._item, "fragments": self._fragment}

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        if self._skip:
            passed = min(self._skip, len(piece))
            self._skip -= passed
            self._base += passed
            if passed == len(piece):
                return
            piece = memoryview(piece)[passed:]
        if len(self._held) + len(piece) < self._need:
            self._held += piece
        elif self._held:
            self._held += piece
            self._walk(bytes(self._held))
        else:
            self._walk(bytes(piece))

    def finish(self) -> None:
        """Say that there are no more bytes."""
        if self._skip or self._held:
            raise CannotUnderstand(self._cut_off(), self._awaited[0])
        self._close_ended()
        if len(self._stack) > 1:
            raise CannotUnderstand(f"the data set ends at byte {self._base} inside {_name(self._top)}")

    def _walk(self, buffer: bytes) -> None:
        position = 0
        self._need = 0
        while not self._need:
            position = self._steps[self._top.kind](buffer, position)
            if position > len(buffer):
                self._skip = position - len(buffer)
                self._need = 1
        self._base += min(position, len(buffer))
        self._held = bytearray(memoryview(buffer)[position:])

    # --- data sets ---

    def _elements(self, buffer: bytes, position: int) -> int:
        """As many elements as come one after the other without anything special, then one of any kind."""
        top = self._top
        if top.start == self._base + position and not self._settle_encoding(buffer, position):
            return position
        end = min(len(buffer), top.limit - self._base)
        return self._any_element(buffer, self._plain(buffer, position, end))

    def _plain(self, buffer: bytes, position: int, end: int) -> int:
        top, listener, memory = self._top, self._listener, self._memory
        implicit, big_endian, take = top.implicit, top.big_endian, listener.element
        while position + 8 <= end:
            if memory is not None:
                position = memory.recall(buffer, position, end, implicit)
                if position + 8 > end:
                    break
            if implicit:
                group, number, length = IMPLICIT[big_endian](buffer, position)
                vr = PLAIN.get(group << 16 | number)
            else:
                group, number, letters, length = EXPLICIT[big_endian](buffer, position)
                vr = SHORT.get(letters) if group not in _SPECIAL_GROUPS else None
            stop = position + 8 + length
            if vr is None or stop > end or length > listener.whole:
                break
            take(group << 16 | number, vr, buffer[position + 8 : stop], big_endian)
            if memory is not None:
                memory.remember(buffer[position:stop], implicit)
            position = stop
        return position

    def _settle_encoding(self, buffer: bytes, position: int) -> bool:
        """Before the first element of a data set or item: has it VRs or not? Some senders write implicit VR into
        explicit VR data sets (UN demands it, PS3.5 6.2.2), and some name the wrong transfer syntax."""
        top, at = self._top, self._base + position
        if top.end == at:
            return True
        if position + 8 > len(buffer):
            self._need = 8
            return False
        letters = buffer[position + 4 : position + 6]
        if top.implicit:
            top.implicit = not (top.kind == "data set" and (letters in SHORT or letters in LONG))
        elif not elements.is_vr(letters) and buffer[position : position + 2] not in _GROUP_OF_ITEMS:
            top.implicit = True
        return True

    def _any_element(self, buffer: bytes, position: int) -> int:
        top, at = self._top, self._base + position
        if top.end == at:
            return self._close(position)
        if at + 8 > top.limit:
            raise CannotUnderstand(f"{_name(top)} ends at byte {top.limit}, in the middle of an element")
        header = self._header(buffer, position)
        if header is None:
            return position
        tag, vr, length, size = header
        if tag >> 16 == 0xFFFE:
            return self._delimiter(position, tag)
        self._check_group(tag, at)
        if length == _UNDEFINED:
            return self._undefined(buffer, position, tag, vr, size)
        if at + size + length > top.limit:
            raise CannotUnderstand(
                f"{tag_text(tag)} at byte {at} declares {length} bytes and reaches past the end of {_name(top)}",
                tag,
            )
        return self._defined(buffer, position, tag, vr, length, size)

    def _header(self, buffer: bytes, position: int) -> elements.Header | None:
        self._awaited = (0, 0, 0)
        found = elements.header(buffer, position, self._top.implicit, self._top.big_endian)
        if isinstance(found, int):
            self._need = found
            return None
        return found

    def _check_group(self, tag: int, at: int) -> None:
        if tag >> 16 in (0x0000, 0x0002):
            raise CannotUnderstand(f"{tag_text(tag)} at byte {at} does not belong in a data set", tag)

    def _delimiter(self, position: int, tag: int) -> int:
        """An item delimiter ends an item of undefined length; one that is the last thing in an item of defined
        length is superfluous and harmless."""
        top, at = self._top, self._base + position
        if tag == _ITEM_END and top.kind == "item" and top.end in (None, at + 8):
            return self._close(position + 8)
        raise CannotUnderstand(f"{tag_text(tag)} at byte {at} ends or begins what is not open there")

    def _undefined(self, buffer: bytes, position: int, tag: int, vr: str, size: int) -> int:
        """A value of undefined length: fragments, or a sequence (which is what UN then means, PS3.5 6.2.2)."""
        at = self._base + position
        resolved = self._listener.resolve(tag, vr) if not vr and not tag >> 16 & 1 else vr
        if resolved in _FRAGMENTED:
            self._listener.begin_fragments(tag, vr or "OB", at + size)
            self._push("fragments", tag, at + size, None)
            return position + size
        if vr not in ("", "UN", "SQ"):
            raise CannotUnderstand(f"{tag_text(tag)} at byte {at}: undefined length, not for {vr}", tag)
        if vr == "UN" and self._top.big_endian:
            return self._begin_foreign(buffer, position, tag, size)
        self._begin_sequence(tag, at + size, None)
        return position + size

    def _begin_foreign(self, buffer: bytes, position: int, tag: int, size: int) -> int:
        """UN in a big endian data set is little endian by PS3.5 6.2.2, but not by every sender."""
        if position + size + 4 > len(buffer):
            self._need = size + 4
            return position
        self._begin_sequence(tag, self._base + position + size, None)
        if buffer[position + size : position + size + 2] == b"\xfe\xff":
            self._top.big_endian = False
        return position + size

    def _defined(self, buffer: bytes, position: int, tag: int, vr: str, length: int, size: int) -> int:
        top, start = self._top, self._base + position + size
        resolved = self._listener.resolve(tag, vr) if vr in ("", "UN") else vr
        if resolved == "SQ" and length and self._is_doubtful(tag, vr):
            seen = length if length <= SMALL else 4
            if position + size + seen > len(buffer):
                return self._wait(position, tag, length, size, seen)
            if not self._is_sequence(vr, buffer[position + size : position + size + seen], length):
                resolved = "UN"
        if resolved == "SQ":
            self._begin_sequence(tag, start, start + length)
            return position + size
        if length > SMALL or (length and self._listener.passes(tag, resolved, length)):
            self._listener.skipped(tag, resolved, start, length)
            self._awaited = (tag, length, size)
            return position + size + length
        if position + size + length > len(buffer):
            return self._wait(position, tag, length, size, length)
        value = buffer[position + size : position + size + length]
        self._listener.element(tag, resolved, value, top.big_endian)
        return position + size + length

    def _is_doubtful(self, tag: int, vr: str) -> bool:
        """A sequence in explicit VR, and a public one in implicit VR, must be one. What was UN, and what a private
        dictionary says, may be mistaken."""
        return vr == "UN" or (not vr and tag >> 16 & 1 == 1)

    def _is_sequence(self, vr: str, value: bytes, length: int) -> bool:
        """Whether a doubtful sequence is one; `value` is all of it, or the beginning of a long one."""
        if self._doubts > _MOST_DOUBTS or (vr == "UN" and length > SMALL):
            return False
        if _holds_items(value, length, self._top):
            return True
        self._doubts += len(value)
        return False

    def _wait(self, position: int, tag: int, length: int, size: int, seen: int) -> int:
        self._awaited = (tag, length, size)
        self._need = size + seen
        return position

    # --- sequences ---

    def _item(self, buffer: bytes, position: int) -> int:
        top, at = self._top, self._base + position
        if top.end == at:
            return self._close(position)
        header = self._item_header(buffer, position)
        if header is None:
            return position
        tag, length = header
        if tag == _SEQUENCE_END and top.end in (None, at + 8):
            return self._close(position + 8)
        if tag != _ITEM:
            raise CannotUnderstand(f"an item is expected at byte {at} in {_name(top)}, not {tag_text(tag)}")
        end = None if length == _UNDEFINED else at + 8 + length
        if end is not None and end > top.limit:
            raise CannotUnderstand(
                f"the item at byte {at} declares {length} bytes and reaches past {_name(top)}"
            )
        self._listener.begin_item()
        if length:
            self._push("item", top.tag, at + 8, end)
        else:
            self._listener.end_item()
        return position + 8

    def _item_header(self, buffer: bytes, position: int) -> tuple[int, int] | None:
        self._awaited = (0, 0, 0)
        if self._base + position + 8 > self._top.limit:
            raise CannotUnderstand(f"{_name(self._top)} ends at byte {self._top.limit}, amid an item")
        if position + 8 > len(buffer):
            self._need = 8
            return None
        group, number, length = IMPLICIT[self._top.big_endian](buffer, position)
        return group << 16 | number, length

    def _begin_sequence(self, tag: int, start: int, end: int | None) -> None:
        self._depth += 1
        if self._depth > MAXIMUM_DEPTH:
            raise CannotUnderstand(f"more than {MAXIMUM_DEPTH} nested sequences at byte {start}", tag)
        self._listener.begin_sequence(tag)
        self._push("sequence", tag, start, end)

    def _push(self, kind: str, tag: int, start: int, end: int | None) -> None:
        top = self._top
        limit = top.limit if end is None else end
        self._top = _Open(kind, tag, start, end, limit, top.implicit, top.big_endian)
        self._stack.append(self._top)

    def _close(self, position: int) -> int:
        kind = self._top.kind
        if kind == "item":
            self._listener.end_item()
        elif kind == "sequence":
            self._depth -= 1
            self._listener.end_sequence()
        self._stack.pop()
        self._top = self._stack[-1]
        return position

    def _close_ended(self) -> None:
        while self._top.end == self._base:
            self._close(0)

    # --- fragments ---

    def _fragment(self, buffer: bytes, position: int) -> int:
        top, at = self._top, self._base + position
        header = self._item_header(buffer, position)
        if header is None:
            return position
        tag, length = header
        if tag == _SEQUENCE_END:
            self._listener.end_fragments(at)
            return self._close(position + 8)
        if tag != _ITEM or length == _UNDEFINED or at + 8 + length > top.limit:
            raise CannotUnderstand(f"a fragment is expected at byte {at} in {_name(top)}, or its delimiter")
        is_table = at == top.start
        seen = min(length, LONGEST_OFFSET_TABLE if is_table else _HEAD)
        if position + 8 + seen > len(buffer):
            return self._wait(position, top.tag, length, 8, seen)
        head = buffer[position + 8 : position + 8 + seen]
        if is_table:
            self._listener.offset_table(head if seen == length else b"", at + 8 + length)
        else:
            self._listener.fragment(at, length, head)
        self._awaited = (top.tag, length, 8)
        return position + 8 + length

    # --- the end ---

    def _cut_off(self) -> str:
        tag, length, size = self._awaited
        if not tag:
            return f"the data set ends in the middle of an element, which begins at byte {self._base}"
        there = length - self._skip if self._skip else len(self._held) - size
        what = "a fragment" if self._top.kind == "fragments" else "the value"
        return f"{what} of {tag_text(tag)} declares {length} bytes, {there} are there"


def _holds_items(raw: bytes, length: int, inside: _Open) -> bool:
    """Whether a value that a dictionary calls a sequence is one: all of it, or its first item if it is long. What is UN
    inside is not looked into, so that looking twice stays cheap however deep."""
    item = b"\xff\xfe\xe0\x00" if inside.big_endian else b"\xfe\xff\x00\xe0"
    if not raw or length > SMALL:
        return raw.startswith(item)
    walk = Structure(Nobody(), implicit=inside.implicit, big_endian=inside.big_endian)
    walk._begin_sequence(0, 0, length)
    try:
        walk.feed(raw)
        walk.finish()
    except CannotUnderstand:
        return False
    return True


def _name(one: _Open) -> str:
    what = "an item" if one.kind == "item" else "the value"
    return "the data set" if one.kind == "data set" else f"{what} of {tag_text(one.tag)}"
