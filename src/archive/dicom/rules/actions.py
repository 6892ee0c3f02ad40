"""What a rule makes of the values of an object's attributes.

A draft holds what the rules have made of them so far, so a later one sees what an earlier one has left. Values that
could not be read for sure (`UNKNOWN`), or are too many to be known, are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from archive.dicom.reading.metadata import MOST_VALUES
from archive.dicom.rules.conditions import UNKNOWN, Patterns
from archive.dicom.rules.replacing import Replacing

Values = tuple[str, ...]

_NUL = "\u2400"
"""How a NUL amid a value is shown."""


@dataclass(slots=True)
class Draft:
    """The values of attributes as they are to be; `changed` has those that were set, None for what is to go."""

    before: Callable[[int], Values]
    changed: dict[int, Values | None] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    """What was to be set, and is not to be touched."""

    def values(self, tag: int) -> Values:
        """As they are now."""
        if tag in self.changed:
            return self.changed[tag] or ()
        return self.before(tag)

    def set(self, tag: int, values: Values | None) -> None:
        """Unless the attribute is not to be touched."""
        known = self.before(tag)
        if is_sure(known):
            self.changed[tag] = values
        elif values != known:
            self.left.add(tag)


def is_sure(values: Values) -> bool:
    """Whether these are all the values, and what they really are."""
    return len(values) < MOST_VALUES and not any(UNKNOWN in value or _NUL in value for value in values)


class Action(Protocol):
    """What is done to one attribute."""

    @property
    def tag(self) -> int: ...

    def made(self, draft: Draft, /) -> Values | None:
        """Its values afterwards; None when it is to go."""


@dataclass(frozen=True, slots=True)
class Set:
    """Gives the attribute these values."""

    tag: int
    values: Values

    def made(self, _: Draft) -> Values:
        return self.values


@dataclass(frozen=True, slots=True)
class Default:
    """The same where it is absent or empty."""

    tag: int
    values: Values

    def made(self, draft: Draft) -> Values:
        now = draft.values(self.tag)
        return now if any(now) else self.values


@dataclass(frozen=True, slots=True)
class Remove:
    """Takes the attribute out."""

    tag: int

    def made(self, _: Draft) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Copy:
    """Gives it the values of another attribute, which has some."""

    tag: int
    source: int

    def made(self, draft: Draft) -> Values:
        found = draft.values(self.source)
        return found if any(found) and is_sure(found) else draft.values(self.tag)


@dataclass(frozen=True, slots=True)
class Change:
    """Makes something else of each of its values."""

    tag: int
    change: Callable[[str], str]
    empty_too: bool = False

    def made(self, draft: Draft) -> Values:
        now = draft.values(self.tag)
        if not now and self.empty_too:
            return tuple(filter(None, (self.change(""),)))
        return tuple(self.change(value) if value or self.empty_too else value for value in now)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Text before a value that does not begin with it."""

    text: str

    def __call__(self, value: str) -> str:
        return value if value.startswith(self.text) else self.text + value


@dataclass(frozen=True, slots=True)
class Suffix:
    """Text behind a value that does not end with it."""

    text: str

    def __call__(self, value: str) -> str:
        return value if value.endswith(self.text) else value + self.text


@dataclass(frozen=True, slots=True)
class Replacements:
    """One after the other."""

    steps: tuple[Replacing, ...]

    def __call__(self, value: str) -> str:
        for step in self.steps:
            value = step.apply(value)
        return value


@dataclass(frozen=True, slots=True)
class Translation:
    """What a table has in the place of a value: the very value, else the first pattern that fits."""

    exact: Mapping[str, str]
    patterns: tuple[tuple[Patterns, str], ...]

    def __call__(self, value: str) -> str:
        if value in self.exact:
            return self.exact[value]
        return next((made for pattern, made in self.patterns if pattern.fit(value)), value)
