"""Fuzzy matching of names (PS3.4 C.2.2.2.1.1 leaves the algorithm to us; the conformance statement tells this one).

1. A component group is folded: compatibility forms unified, no case, no accents, vowel points and harakat; letters
   that only look joined are written out (ß, æ, ø, ł); hiragana is katakana; Hangul is taken apart into its letters.
2. It is cut into words at everything that is neither letter, mark nor digit. The words of a component are also one
   word together, and so are those of the whole group: `van der Berg` is found as `vanderberg`, 山田^太郎 as 山田太郎.
3. A word that is asked for finds a word of a name that begins with it, or that differs from it by few edits (a letter
   missing, added, replaced, or two neighbours swapped): none below 3 letters, 1 below 8, else 2 (1 in Hangul). With
   edits, the first or the last third of the asked word has to stand as it is, which lets an index find candidates.
   Words with digits and words put together are never edited; with `*` or `?` in it a word is a pattern.
4. A key matches when each of its words finds one in the same component group of the same name, in whatever order. A
   key of one group may find any group; with `=` in it each group that it gives has to be found in its own. A key
   with a group of more than 16 words, or with one of more than 64 letters, finds nothing: to look for a part of what is
   asked for would find others too.

No transliteration and no phonetics: both know few languages, and a word in the wrong one. What literal matching
finds, fuzzy matching finds too: whoever calls asks both.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from archive.dicom.matching.wildcards import Pieces, fits, is_pattern, pieces_of

MAXIMUM_WORDS = 16
"""Of a component group, or of a key's."""
MAXIMUM_LETTERS = 64
"""Of a word; what is longer is cut."""

_WRITTEN_OUT = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŋ": "n",
     "ى": "ي", "ی": "ي", "ک": "ك", "ة": "ه", "ـ": None, "׳": None, "״": None, "’": "'", "ʼ": "'"}
)  # fmt: skip
_TO_KATAKANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}
_IGNORED_MARKS = (
    *((0x0300, 0x036F), (0x0591, 0x05C7)),
    *((0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06ED)),
)
"""Accents of Latin, Greek and Cyrillic, and Hebrew points; Arabic harakat. Elsewhere marks are vowels and tones: they
stay."""
_HANGUL = range(0x1100, 0x1200)


class Word(NamedTuple):
    """A folded word of a name; `joined` out of several."""

    text: str
    joined: bool


@functools.lru_cache(maxsize=1024)
def folded(text: str) -> str:
    """A text as fuzzy matching compares it."""
    if text.isascii():
        return text.casefold()
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_WRITTEN_OUT).translate(_TO_KATAKANA)
    return "".join(char for char in plain if not _is_ignored(ord(char)))


@functools.lru_cache(maxsize=1024)
def words(group: str) -> tuple[Word, ...]:
    """What a component group of a name is found by: its words, and what they are together."""
    components = [_split(component) for component in folded(group).split("^")]
    single = [word for component in components for word in component]
    joined = ["".join(component) for component in components if len(component) > 1]
    if len([component for component in components if component]) > 1:
        joined.append("".join(single))
    found = {word[:MAXIMUM_LETTERS]: True for word in joined[-2:]}
    found |= {word[:MAXIMUM_LETTERS]: False for word in single[: MAXIMUM_WORDS - 2]}
    return tuple(Word(text, together) for text, together in found.items())


@dataclass(frozen=True, slots=True)
class Asked:
    """One word of a key. As a pattern it is given in pieces, literal ones at even places, `*` or `?` between them."""

    word: str
    pieces: Pieces = ()

    @property
    def edits(self) -> int:
        """How many edits are forgiven."""
        if len(self.word) < 3 or self.pieces or any(char.isdigit() for char in self.word):
            return 0
        return 1 if len(self.word) < 8 or any(ord(char) in _HANGUL for char in self.word) else 2

    @property
    def third(self) -> int:
        """How many letters at the beginning or at the end have to stand as they are."""
        return max(1, len(self.word) // 3)

    def finds(self, word: Word) -> bool:
        """Whether the asked word finds this word of a name."""
        if self.pieces:
            return fits(self.pieces, word.text)
        return word.text.startswith(self.word) or (not word.joined and self.resembles(word.text))

    def resembles(self, word: str) -> bool:
        """Whether few enough edits lie between the two."""
        if not self.edits or abs(len(word) - len(self.word)) > self.edits:
            return False
        stands = (
            word[: self.third] == self.word[: self.third] or word[-self.third :] == self.word[-self.third :]
        )
        return stands and distance(self.word, word, self.edits) <= self.edits


@functools.lru_cache(maxsize=256)
def asked(key: str) -> tuple[tuple[Asked, ...], ...]:
    """The words of each component group of a key; nothing for one that is too long. A `*` at either end of a group
    only says what is so anyway."""
    groups = [_asked_words(group) for group in key.split("=")[:3]]
    too_long = any(
        len(group) > MAXIMUM_WORDS or any(len(one.word) > MAXIMUM_LETTERS for one in group)
        for group in groups
    )
    return () if too_long else tuple(groups)


def matches(names: Iterable[str], key: str) -> bool:
    """Whether one of these names, with its groups between `=`, matches the key."""
    groups = asked(key)
    return any(_name_matches([words(group) for group in name.split("=")[:3]], groups) for name in names)


def distance(one: str, other: str, most: int) -> int:
    """Edits between two words, a swap of neighbours being one; anything above `most` is told as `most` + 1."""
    before: Sequence[int] = ()
    row: Sequence[int] = range(len(other) + 1)
    for i, char in enumerate(one, 1):
        new = [i]
        for j, against in enumerate(other, 1):
            cost = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (char != against))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == against:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        if min(new) > most:
            return most + 1
        before, row = row, new
    return min(row[-1], most + 1)


def _name_matches(groups: Sequence[Collection[Word]], key: Sequence[Sequence[Asked]]) -> bool:
    if len(key) == 1:
        return bool(key[0]) and any(_group_matches(group, key[0]) for group in groups)
    given = [(number, wanted) for number, wanted in enumerate(key) if wanted]
    return bool(given) and all(
        number < len(groups) and _group_matches(groups[number], wanted) for number, wanted in given
    )


def _group_matches(group: Collection[Word], wanted: Sequence[Asked]) -> bool:
    return all(any(one.finds(word) for word in group) for one in wanted)


def _asked_words(group: str) -> tuple[Asked, ...]:
    plain = folded(group.strip(" ").strip("*"))
    found = [word for word in _split(plain, "*?") if word.strip("*")]
    return tuple(Asked(word, pieces_of(word) if is_pattern(word) else ()) for word in dict.fromkeys(found))


def _split(text: str, also: str = "") -> list[str]:
    """The words of a folded text."""
    if text.isalnum():
        return [text]
    spaced = "".join(char if _is_of_a_word(char) or char in also else " " for char in text)
    return spaced.split()


def _is_of_a_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _is_ignored(code: int) -> bool:
    return any(first <= code <= last for first, last in _IGNORED_MARKS)
