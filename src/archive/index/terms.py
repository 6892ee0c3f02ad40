"""Values in the form in which the index compares them; what is stored and what is asked for pass through here.

Both database engines compare bytes, so all that the standard wants ignored is taken away beforehand: padding,
leading zeros of numbers, case and accents of names (of dates and times: `dicom.moments`).
NUL and lone surrogates, which PostgreSQL cannot hold as text, are shown in other characters on both, so both answer
alike. Nothing here makes one text of two that differ in more than that: two Patient IDs must stay two.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archive.dicom.charsets import fold
from archive.dicom.matching import fuzzy_names

MAXIMUM_LENGTH = 512
"""PostgreSQL's index entries hold 2,704 bytes. Of longer values, which no VR here allows, the beginning is kept and a
digest of all: they are found as a whole, or by how they begin."""

MAXIMUM_VALUES = 100
"""Values of an attribute that are matched; what goes beyond is answered and not matched. An attribute may have
32,768 of them, and each is a row to be written while all other writers wait."""

MAXIMUM_NAMES = 10
"""Values of a name whose words are kept: each may have 48 of them."""

ALPHABETIC = 0
_DIGEST_LENGTH = 64
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Term:
    """One comparable text of an attribute: a value or, of a name, one component group (PS3.5 6.2, VR PN)."""

    value_number: int
    component_group: int
    text: str


def terms(vr: str, values: Sequence[str]) -> list[Term]:
    """Every non-empty term of a text attribute's values, as far as they are matched."""
    found = []
    for number, value in enumerate(values[:MAXIMUM_VALUES]):
        parts = name_groups(value) if vr == "PN" else [text(value)]
        found += [Term(number, group, part) for group, part in enumerate(parts) if part]
    return found


def words(values: Sequence[str]) -> list[dict[str, Any]]:
    """The words of the first few values of a name, as columns: which value, which component group, the word, whether
    it is several ones joined, and else the word from its last letter to the first."""
    return [
        {
            "value_number": number,
            "component_group": at,
            "word": word.text,
            "joined": int(word.joined),
            "reversed": "" if word.joined else word.text[::-1],
        }
        for number, value in enumerate(values[:MAXIMUM_NAMES])
        for at, group in enumerate(clean(value).split("=")[:3])
        for word in fuzzy_names.words(group)
    ]


def clean(value: str) -> str:
    """Without what a database cannot hold as text: a NUL is shown as the symbol for it, half a surrogate pair by its
    digits, as `dicom.charsets` does with what cannot be decoded."""
    if value.isascii() and "\0" not in value:
        return value
    return _NOT_TEXT.sub(_shown, value)


def text(value: str) -> str:
    """Without padding on either side (not significant: PS3.5 6.2), of bounded length."""
    return _shortened(clean(value).strip(" "))


def name_groups(value: str) -> list[str]:
    """The component groups of a name, folded, without the empty trailing components that PS3.5 6.2.1 permits."""
    return [name(group) for group in clean(value).split("=")[:3]]


def name(group: str) -> str:
    """One component group, as it is compared."""
    return _shortened(fold(group).strip(" ").rstrip("^ "))


def number(value: str) -> int | None:
    """An IS as a number; None for what is none or beyond 32 bits (PS3.5 6.2)."""
    stripped = value.strip(" ")
    if not _NUMBER.fullmatch(stripped):
        return None
    parsed = int(stripped)
    return parsed if -(2**31) <= parsed < 2**31 else None


def _shown(found: re.Match[str]) -> str:
    return "\u2400" if found[0] == "\0" else f"\ufffd{ord(found[0]):04X}"


def _shortened(value: str) -> str:
    if len(value) <= MAXIMUM_LENGTH:
        return value
    return value[: MAXIMUM_LENGTH - _DIGEST_LENGTH] + hashlib.sha256(value.encode()).hexdigest()
