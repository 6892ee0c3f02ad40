"""Patterns of Wild Card Matching (PS3.4 C.2.2.2.4), in pieces: literal ones at even places, `*` or `?` between them.

`fits` goes over a text once for each run of pieces between two `*`, so that no pattern takes long; a regular
expression of the whole would try every way to share a text among the `*`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

Pieces = tuple[str, ...]

_WILDCARDS = re.compile(r"([*?])")


def is_pattern(text: str) -> bool:
    """Whether a key's value asks for wildcard matching."""
    return "*" in text or "?" in text


def pieces_of(pattern: str) -> Pieces:
    """A pattern in pieces; runs of `*` are one."""
    return tuple(_WILDCARDS.split(re.sub(r"\*{2,}", "*", pattern)))


def fits(pieces: Pieces, text: str) -> bool:
    """Whether the whole text is as the pattern says."""
    first, *others = _runs(pieces)
    found = first.match(text)
    if found is None or not others:
        return found is not None and found.end() == len(text)
    at = found.end()
    for run in others[:-1]:
        found = run.search(text, at)
        if found is None:
            return False
        at = found.end()
    length = _least_length(pieces)
    return len(text) - length >= at and others[-1].match(text, len(text) - length) is not None


@functools.lru_cache(maxsize=256)
def _runs(pieces: Pieces) -> Sequence[re.Pattern[str]]:
    """What stands between two `*`, each a pattern of fixed length."""
    runs = [""]
    for at, piece in enumerate(pieces):
        if at % 2 and piece == "*":
            runs.append("")
        else:
            runs[-1] += "." if at % 2 else re.escape(piece)
    return [re.compile(run, re.DOTALL) for run in runs]


@functools.lru_cache(maxsize=256)
def _least_length(pieces: Pieces) -> int:
    """Characters after the last `*`."""
    length = 0
    for at, piece in enumerate(pieces):
        length = 0 if at % 2 and piece == "*" else length + len(piece)
    return length
