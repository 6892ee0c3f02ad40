"""Keys of VR PN with wildcards, as literal matching reads them (PS3.4 C.2.2.2.4 leaves that to us).

A group of a name is compared folded (`charsets.fold`) and without the empty components at its end. Two things then
need more than one pattern: `?` is one character of the name, and ß is one, but `ss` in the folded form; and `Solo^*`
means anybody of the family Solo, given name or not, of whom the name `Solo` is kept without its `^`.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence

from archive.dicom.charsets import fold
from archive.dicom.matching.wildcards import Pieces, pieces_of

MAXIMUM_ALTERNATIVES = 32

_OPEN_END = re.compile(r"\^\*$")


@functools.lru_cache(maxsize=256)
def patterns(group: str) -> tuple[Pieces, ...]:
    """What a group of a key with wildcards may look like, each in pieces: literal ones at even places, `*` or `?`
    between them; runs of `*` are one. Nothing for a group that any name fulfils."""
    trimmed = re.sub(r"\*{2,}", "*", group.strip(" ").rstrip("^ "))
    if not trimmed.strip("*"):
        return ()
    found = [spelling for shorter in _shorter(trimmed) for spelling in _spellings(_pieces(shorter))]
    return tuple(dict.fromkeys(found[:MAXIMUM_ALTERNATIVES]))


def _shorter(pattern: str) -> list[str]:
    """The pattern, and without each `^*` at its end: all components need not be there."""
    found = [pattern]
    while _OPEN_END.search(found[-1]) and len(found) < 5:
        found.append(found[-1][:-2].rstrip("^"))
    return [one for one in found if one]


def _pieces(pattern: str) -> Pieces:
    return tuple(one if at % 2 else fold(one) for at, one in enumerate(pieces_of(pattern)))


def _spellings(pieces: Pieces) -> list[Pieces]:
    """With each `?` as it is, or as the two letters that one may have become."""
    places = [at for at, one in enumerate(pieces) if one == "?"]
    if not places or len(places) > 4:
        return [pieces]
    return [
        _merged([("ss" if at in chosen else one) for at, one in enumerate(pieces)], chosen)
        for number in range(len(places) + 1)
        for chosen in itertools.combinations(places, number)
    ]


def _merged(pieces: list[str], literal: Sequence[int]) -> Pieces:
    """In pieces again, after those wildcards became literal."""
    merged = [pieces[0]]
    for at in range(1, len(pieces), 2):
        if at in literal:
            merged[-1] += pieces[at] + pieces[at + 1]
        else:
            merged += pieces[at : at + 2]
    return tuple(merged)
