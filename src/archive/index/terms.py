"""Values in the form in which the index compares them; what is stored and what is asked for pass through here.

Both database engines compare bytes, so all that the standard wants ignored is taken away beforehand: padding,
the dots of old dates, missing parts of times, leading zeros of numbers, case and accents of names.
NUL and lone surrogates, which PostgreSQL cannot hold as text, become U+FFFD on both, so both answer alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archive.dicom.charsets import fold

MAXIMUM_LENGTH = 512
"""Longer values, which no VR here allows, are found by their beginning: PostgreSQL's index entries are small."""

ALPHABETIC = 0
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}")
_DATE = re.compile(r"([0-9]{4})\.?([0-9]{2})\.?([0-9]{2})")
_TIME = re.compile(r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.([0-9]{1,6}))?)?)?")


@dataclass(frozen=True, slots=True)
class Term:
    """One comparable text of an attribute: a value or, of a name, one component group (PS3.5 6.2, VR PN)."""

    value_number: int
    component_group: int
    text: str


def terms(vr: str, values: Sequence[str]) -> list[Term]:
    """Every non-empty term of a text attribute's values."""
    found = []
    for number, value in enumerate(values):
        parts = name_groups(value) if vr == "PN" else [text(value)]
        found += [Term(number, group, part) for group, part in enumerate(parts) if part]
    return found


def clean(value: str) -> str:
    """Without what a database cannot hold as text."""
    return _NOT_TEXT.sub("\ufffd", value)


def text(value: str) -> str:
    """Without padding on either side (not significant: PS3.5 6.2), of bounded length."""
    return clean(value).strip(" ")[:MAXIMUM_LENGTH]


def name_groups(value: str) -> list[str]:
    """The component groups of a name, folded, without the empty trailing components that PS3.5 6.2.1 permits."""
    return [name(group) for group in clean(value).split("=")[:3]]


def name(group: str) -> str:
    """One component group, as it is compared."""
    return fold(group).strip(" ").rstrip("^ ")[:MAXIMUM_LENGTH]


def number(value: str) -> int | None:
    """An IS as a number; None for what is none or beyond 32 bits (PS3.5 6.2)."""
    stripped = value.strip(" ")
    if not _NUMBER.fullmatch(stripped):
        return None
    parsed = int(stripped)
    return parsed if -(2**31) <= parsed < 2**31 else None


def date(value: str) -> str:
    """yyyymmdd, also from the retired yyyy.mm.dd; empty for anything else."""
    found = _DATE.fullmatch(value.strip(" "))
    return "".join(found.groups()) if found else ""


def time(value: str) -> str:
    """hhmmss.ffffff, also from the retired hh:mm:ss; parts not given are zero. Empty for anything else."""
    return _padded_time(value, ("00", "00", "000000"))


def last_time(value: str) -> str:
    """The last instant that a time of limited precision may mean: `10` is up to 10:59:59.999999."""
    return _padded_time(value, ("59", "59", "999999"))


def _padded_time(value: str, missing: tuple[str, str, str]) -> str:
    found = _TIME.fullmatch(value.strip(" "))
    if not found:
        return ""
    hours, minutes, seconds, fraction = found.groups()
    if fraction:
        fraction += missing[2][len(fraction) :]
    return f"{hours}{minutes or missing[0]}{seconds or missing[1]}.{fraction or missing[2]}"
