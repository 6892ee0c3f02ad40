"""The ONE query model: what C-FIND and QIDO-RS both mean, whatever they spell (PS3.4 C.2.2.2, PS3.18 8.3.4).

Doors translate their protocol to a `Query`; `services/search` decides; `index/matching` makes SQL of it. A match
comes back as a DICOM JSON Model object, which QIDO-RS sends as it is and C-FIND encodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archive.dicom.instance import Level


@dataclass(frozen=True, slots=True)
class SingleValue:
    """PS3.4 C.2.2.2.1. For PN the match is per name component group, without regard to case and accents."""

    value: str


@dataclass(frozen=True, slots=True)
class UIDList:
    """PS3.4 C.2.2.2.2: any of these UIDs."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """PS3.4 C.2.2.2.4: `*` any sequence of characters, `?` any one character; everything else is literal."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """PS3.4 C.2.2.2.5, both ends included; an empty end is open. Values are DA or TM text, as they were given."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Universal:
    """PS3.4 C.2.2.2.3: a key without value matches everything and asks for the attribute in the answer."""


Matching = SingleValue | UIDList | Wildcard | Range | Universal


@dataclass(frozen=True, slots=True)
class Key:
    """One matching key: `path` is a tag, or a sequence's tag and an attribute's in its items."""

    path: tuple[int, ...]
    matching: Matching


@dataclass(frozen=True, slots=True)
class Query:
    """A question. `keys` all have to match. `include` are further attributes to return (tags); `include_all` returns
    every attribute that the objects hold. Keys of levels above `level` are matched too (relational); a key of a level
    below it is an InvalidQuery. `limit` None means all."""

    level: Level
    keys: tuple[Key, ...] = ()
    include: frozenset[int] = frozenset()
    include_all: bool = False
    limit: int | None = None
    offset: int = 0


Match = Mapping[str, Any]
"""One answer: the DICOM JSON Model (PS3.18 F.2) of an entity at the query's level and of those above it."""
