"""A message parsed by python-hl7, and its fields by number as the standard counts them, from 1.

What the standard lets a sender leave out is an empty text here, never an error: which fields are needed is for `orders`
to say. How many segments and fields there may be is bounded first, as each becomes an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hl7

from archive.dicom.errors import CannotUnderstand
from archive.hl7 import charsets

MAXIMUM_PARTS = 50_000
"""Segments, fields, repetitions and components together; an order has hundreds."""

_ENDS = re.compile(rb"\r\n|\n")
_CHARACTER_SET_FIELD = 18


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment."""

    name: str
    fields: Any
    escape: str
    separators: dict[str, str]
    codec: str

    def get(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """A value without escape sequences and the blanks around it; "" where there is none, or where the sender
        says that there is none ("")."""
        part: Any = self._repetition(field, repetition)
        for at in (component, subcomponent):
            part = _part(part, at)
        text = charsets.unescaped(str(part), self.escape, self.separators, self.codec).strip()
        return "" if text == '""' else text

    def is_deleted(self, field: int) -> bool:
        """Whether the sender says that there is no value any more (""), and does not just say nothing of it."""
        return field < len(self.fields) and str(self.fields[field]).strip() == '""'

    def repetitions(self, field: int) -> range:
        """The numbers of the repetitions of a field."""
        return range(1, 1 + (len(self.fields[field]) if field < len(self.fields) else 0))

    def has_subcomponents(self, field: int, repetition: int = 1) -> bool:
        """Whether the first component has parts of its own."""
        part = self._repetition(field, repetition)
        return not isinstance(part, str) and bool(part) and len(part[0]) > 1 and not isinstance(part[0], str)

    def _repetition(self, field: int, repetition: int) -> Any:
        if field >= len(self.fields) or repetition > len(self.fields[field]):
            return ""
        return self.fields[field][repetition - 1]


class Message:
    """A message and its segments, in their order."""

    def __init__(self, raw: bytes, default_character_set: str) -> None:
        """Raises CannotUnderstand."""
        raw = _ENDS.sub(b"\r", raw).strip()
        self.codec = charsets.codec(_character_sets(raw), default_character_set)
        text = charsets.decoded(raw, self.codec)
        _check_size(text)
        try:
            parsed = hl7.parse(text)
        except (hl7.HL7Exception, AssertionError, IndexError):
            raise CannotUnderstand(
                "the message cannot be parsed: MSH-1 and MSH-2 are not as they have to be"
            ) from None
        separators = str(parsed.separators)
        codes = dict(zip("FRST", separators[1:], strict=False)) | {"E": str(parsed.esc)}
        self.parsed = parsed
        self.segments = [
            Segment(str(one[0][0]), one, str(parsed.esc), codes, self.codec)
            for one in parsed
            if one and one[0]
        ]
        self.header = self.segments[0]

    def all(self, name: str) -> Iterator[Segment]:
        """The segments of this name."""
        return (segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment | None:
        """The first segment of this name."""
        return next(self.all(name), None)


def _part(whole: Any, number: int) -> Any:
    """What is not divided is the first of its parts."""
    if isinstance(whole, str):
        return whole if number == 1 else ""
    return whole[number - 1] if number <= len(whole) else ""


def _character_sets(raw: bytes) -> list[str]:
    """MSH-18, from the bytes: the names are ASCII in every set."""
    if not raw.startswith(b"MSH") or len(raw) < 8:
        raise CannotUnderstand("a message begins with MSH")
    fields = raw.split(b"\r", 1)[0].split(raw[3:4])
    named = fields[_CHARACTER_SET_FIELD - 1] if len(fields) >= _CHARACTER_SET_FIELD else b""
    return named.decode("ascii", "replace").split(chr(raw[5]))


def _check_size(text: str) -> None:
    parts = sum(text.count(mark) for mark in {"\r", *text[3:8]} if not mark.isalnum())
    if parts > MAXIMUM_PARTS:
        raise CannotUnderstand(f"a message of more than {MAXIMUM_PARTS} fields and components")
