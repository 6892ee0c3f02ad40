"""How many edits lie between two words, counted without any cleverness."""

from __future__ import annotations

from functools import cache


@cache
def edits(one: str, other: str) -> int:
    """Letters added, removed or replaced, and neighbours swapped."""
    if not one or not other:
        return len(one) + len(other)
    if one[-1] == other[-1]:
        return edits(one[:-1], other[:-1])
    fewest = min(edits(one[:-1], other), edits(one, other[:-1]), edits(one[:-1], other[:-1]))
    if len(one) > 1 and len(other) > 1 and one[-2:] == other[-2:][::-1]:
        fewest = min(fewest, edits(one[:-2], other[:-2]))
    return fewest + 1
