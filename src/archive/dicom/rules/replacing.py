"""Search and replace in values, by RE2: it goes over a text once, so no value that a sender makes up can keep it busy,
as the regular expressions of Python can be kept busy for years.

Patterns are those of RE2 (no look-around, no back-references); the replacement may name groups as `\\1` to `\\9`, and
the whole as `\\0`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import re2

LONGEST_PATTERN = 512
LONGEST_VALUE = 10_240
"""That of LT; longer values are left as they are."""
_MEMORY = 1 << 21
_PARTS = re.compile(r"\\([0-9])")


@dataclass(frozen=True, slots=True)
class Replacing:
    """A pattern, and what is put in the place of each occurrence."""

    pattern: Any
    parts: tuple[str | int, ...]

    def apply(self, value: str) -> str:
        """The value with every occurrence replaced; one that would be longer than LONGEST_VALUE stays."""
        if len(value) > LONGEST_VALUE:
            return value
        made: list[str] = []
        end = length = 0
        for match in self.pattern.finditer(value):
            made += (value[end : match.start()], self._expanded(match))
            length += len(made[-1])
            end = match.end()
            if length > LONGEST_VALUE:
                return value
        return "".join((*made, value[end:]))

    def _expanded(self, match: Any) -> str:
        return "".join(part if isinstance(part, str) else match.group(part) or "" for part in self.parts)


def replacing(pattern: str, replacement: str) -> Replacing:
    """Raises ValueError."""
    if len(pattern) > LONGEST_PATTERN or len(replacement) > LONGEST_PATTERN:
        raise ValueError(f"a pattern or replacement is longer than {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors, options.max_mem = False, _MEMORY
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(f"{pattern} is no regular expression of RE2 ({_said(error)})") from None
    pieces = _PARTS.split(replacement)
    parts = tuple(int(piece) if at % 2 else piece for at, piece in enumerate(pieces))
    if any("\\" in part for part in pieces[::2]):
        raise ValueError("a backslash in a replacement stands before a group's number, \\1")
    if any(part > compiled.groups for part in parts if isinstance(part, int)):
        raise ValueError(f"{pattern} has {compiled.groups} groups, and the replacement names another")
    return Replacing(compiled, tuple(part for part in parts if part != ""))


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
