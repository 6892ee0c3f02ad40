"""From the path of a request to what is there, by its shape: a tree of segments, walked once.

To try the pattern of each resource in turn would cost more than many answers do. Templates whose variable may hold
slashes are few; they come after all others, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_VARIABLE = re.compile(r"\{(\w+)\}")
_OVER_SLASHES = re.compile(r"\{(\w+):path\}")

Values = tuple[str, ...]


@dataclass(slots=True)
class _Place(Generic[T]):
    """What lies behind one more segment: a literal one, or any. `found` are a resource and the names of its variables,
    if a template ends here."""

    literal: dict[str, _Place[T]] = field(default_factory=dict)
    variable: _Place[T] | None = None
    found: tuple[T, Values] | None = None


class Paths(Generic[T]):
    """A table of path templates: `{name}` stands for one segment, `{name:path}` for anything."""

    def __init__(self, table: Mapping[str, T]) -> None:
        self._root: _Place[T] = _Place()
        self._patterns: list[tuple[re.Pattern[str], T]] = []
        for template, resource in table.items():
            if _OVER_SLASHES.search(template):
                self._patterns.append((_pattern(template), resource))
            else:
                self._add(template, resource)

    def find(self, path: str) -> tuple[T, dict[str, str]] | None:
        """What is at this path, and the values of its variables."""
        if ended := _end(self._root, path.split("/"), 0, ()):
            (resource, names), values = ended
            return resource, dict(zip(names, values, strict=True))
        for pattern, resource in self._patterns:
            if match := pattern.fullmatch(path):
                return resource, match.groupdict()
        return None

    def _add(self, template: str, resource: T) -> None:
        place = self._root
        names: list[str] = []
        for segment in template.split("/"):
            if variable := _VARIABLE.fullmatch(segment):
                names.append(variable[1])
                place.variable = place.variable or _Place()
                place = place.variable
            else:
                place = place.literal.setdefault(segment, _Place())
        place.found = place.found or (resource, tuple(names))


def _end(
    place: _Place[T], segments: Sequence[str], at: int, values: Values
) -> tuple[tuple[T, Values], Values] | None:
    """What these segments lead to from a place: literal ones first. A variable is never empty."""
    if at == len(segments):
        return (place.found, values) if place.found is not None else None
    segment = segments[at]
    following = place.literal.get(segment)
    ended = _end(following, segments, at + 1, values) if following is not None else None
    if ended is None and place.variable is not None and segment:
        ended = _end(place.variable, segments, at + 1, (*values, segment))
    return ended


def _pattern(template: str) -> re.Pattern[str]:
    anything = _OVER_SLASHES.sub(r"(?P<\1>.*)", template)
    return re.compile(_VARIABLE.sub(r"(?P<\1>[^/]+)", anything), re.DOTALL)
