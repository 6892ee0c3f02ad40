"""Patterns of Wild Card Matching (PS3.4 C.2.2.2.4), in pieces: literal ones at even places, `*` or `?` between them.

`fits` goes over a text once for each run of pieces between two `*`, so that no pattern takes long; a regular
expression of the whole would try every way to share a text among the `*`. One of a long run with `?` in it would try
every place of the text to the end of the run: there all places are tried at once, a bit for each.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Pieces = tuple[str, ...]

_WILDCARDS = re.compile(r"([*?])")
_LONG = 64
"""Characters of a run with `?`; more are not looked for with a regular expression."""


def is_pattern(text: str) -> bool:
    """Whether a key's value asks for wildcard matching."""
    return "*" in text or "?" in text


def pieces_of(pattern: str) -> Pieces:
    """A pattern in pieces; runs of `*` are one."""
    return tuple(_WILDCARDS.split(re.sub(r"\*{2,}", "*", pattern)))


def fits(pieces: Pieces, text: str) -> bool:
    """Whether the whole text is as the pattern says."""
    first, *others = _runs(pieces)
    found = first.pattern.match(text)
    if found is None or not others:
        return found is not None and found.end() == len(text)
    at = found.end()
    for run in others[:-1]:
        at = _end(run, text, at)
        if at < 0:
            return False
    begin = len(text) - len(others[-1].characters)
    return begin >= at and others[-1].pattern.match(text, begin) is not None


class _Run(NamedTuple):
    """What stands between two `*`: its characters, "" for any one, and a pattern of them."""

    characters: tuple[str, ...]
    pattern: re.Pattern[str]


def _end(run: _Run, text: str, at: int) -> int:
    """Where the first part of the text that fits ends; -1 if there is none."""
    if len(run.characters) <= _LONG or "" not in run.characters:
        found = run.pattern.search(text, at)
        return -1 if found is None else found.end()
    masks, others, last = _masks(run.characters)
    fitting = 0
    for place in range(at, len(text)):
        fitting = (fitting << 1 | 1) & masks.get(text[place], others)
        if fitting & last:
            return place + 1
    return -1


@functools.lru_cache(maxsize=8)
def _masks(characters: tuple[str, ...]) -> tuple[Mapping[str, int], int, int]:
    """For each character a bit for each place where it fits; the same for all other characters; the last place."""
    others = sum(1 << at for at, one in enumerate(characters) if not one)
    masks: dict[str, int] = {}
    for at, one in enumerate(characters):
        if one:
            masks[one] = masks.get(one, others) | 1 << at
    return masks, others, 1 << len(characters) - 1


@functools.lru_cache(maxsize=256)
def _runs(pieces: Pieces) -> Sequence[_Run]:
    runs: list[list[str]] = [[]]
    for at, piece in enumerate(pieces):
        if at % 2 and piece == "*":
            runs.append([])
        else:
            runs[-1] += [""] if at % 2 else piece
    return [_Run(tuple(run), _pattern(run)) for run in runs]


def _pattern(run: Sequence[str]) -> re.Pattern[str]:
    return re.compile("".join(re.escape(one) if one else "." for one in run), re.DOTALL)
