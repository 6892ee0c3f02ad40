"""Fuzzy matching of names as the conformance statement tells it, for the naive matcher.

It shares the folding, of which the extent is ours to choose, and nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from archive.dicom.matching.fuzzy_names import folded
from archive.dicom.query import Matching, SingleValue, Wildcard


def name_matches_fuzzily(names: Iterable[str], matching: Matching) -> bool:
    if not isinstance(matching, SingleValue | Wildcard):
        return False
    key = matching.value if isinstance(matching, SingleValue) else matching.pattern
    wanted = [_words(folded(group.strip(" ").strip("*")), "*?") for group in key.split("=")[:3]]
    wanted = [[word for word in group if word.strip("*")] for group in wanted]
    if not any(wanted):
        return False
    return any(_name_matches(name.split("=")[:3], wanted) for name in names)


def _name_matches(groups: Sequence[str], wanted: Sequence[Sequence[str]]) -> bool:
    if len(wanted) == 1:
        return any(_group_matches(group, wanted[0]) for group in groups)
    padded = [*groups, "", ""]
    return all(_group_matches(padded[at], words) for at, words in enumerate(wanted) if words)


def _group_matches(group: str, wanted: Sequence[str]) -> bool:
    components = [_words(component) for component in folded(group).split("^")]
    words = [word for component in components for word in component]
    together = ["".join(component) for component in components if len(component) > 1]
    if len([component for component in components if component]) > 1:
        together.append("".join(words))
    return all(_finds(one, words, together) for one in wanted)


def _finds(one: str, words: Sequence[str], together: Sequence[str]) -> bool:
    if "*" in one or "?" in one:
        spelled = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in one)
        return any(re.fullmatch(spelled, word, re.DOTALL) for word in [*words, *together])
    return any(word.startswith(one) for word in [*words, *together]) or any(
        _alike(one, word) for word in words
    )


def _alike(one: str, word: str) -> bool:
    if len(one) < 3 or any(letter.isdigit() for letter in one):
        return False
    hangul = any("HANGUL" in unicodedata.name(letter, "") for letter in one)
    forgiven = 1 if len(one) < 8 or hangul else 2
    third = max(1, len(one) // 3)
    stands = one[:third] == word[:third] or one[-third:] == word[-third:]
    return stands and _edits(one, word) <= forgiven


@cache
def _edits(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    if one[-1] == other[-1]:
        return _edits(one[:-1], other[:-1])
    fewest = min(_edits(one[:-1], other), _edits(one, other[:-1]), _edits(one[:-1], other[:-1]))
    if len(one) > 1 and len(other) > 1 and one[-2:] == other[-2:][::-1]:
        fewest = min(fewest, _edits(one[:-2], other[:-2]))
    return fewest + 1


def _words(text: str, also: str = "") -> list[str]:
    kept = (
        letter if letter.isalnum() or letter in also or unicodedata.category(letter).startswith("M") else " "
        for letter in text
    )
    return "".join(kept).split()
