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


@dataclass(frozen=True, slots=True)
class Empty:
    """PS3.4 C.2.2.2.7: the attribute is absent, or has no value or no items."""


@dataclass(frozen=True, slots=True)
class AsGiven:
    """Values of a key whose VR only the objects know, as with private attributes: each object's VR decides what
    kind of matching they ask for."""

    values: tuple[str, ...]


Matching = SingleValue | UIDList | Wildcard | Range | Universal | Empty | AsGiven

Path = tuple[int, ...]
"""The tag of an attribute, after those of the sequences that it is in."""


@dataclass(frozen=True, slots=True)
class Key:
    """One matching key. Keys with the same path all have to match (PS3.4 C.2.2.2.8); keys within one sequence have to
    match in one and the same of its items (C.2.2.2.6)."""

    path: Path
    matching: Matching


@dataclass(frozen=True, slots=True)
class Query:
    """A question. `keys` all have to match. Keys of levels above `level` are matched too (relational); a key of a level
    below it is an InvalidQuery. `limit` None means all.

    Returned are, besides the attributes that every answer has and those of the keys: `include` (tags), `include_parts`
    (attributes within sequences), with `include_all` every attribute of the level that the objects hold. With
    `only_named` nothing is returned that is not named, not even what every answer of QIDO-RS has.

    `creators` names the private creator of a block: the path of the Private Creator Element, as the asker numbers the
    block, and its value (PS3.5 7.8.1). `fuzzy` is about names (`dicom.fuzzy_names`). With `combined` a date and a time
    that are ranges of the same form are one range of moments (C.2.2.2.5). `timezone` is that of the keys' dates and
    times, in minutes east of UTC. With `by_record_key` the answers come in the order of RecordKey, those after
    `after_record_key` (C.6.4)."""

    level: Level
    keys: tuple[Key, ...] = ()
    include: frozenset[int] = frozenset()
    include_all: bool = False
    limit: int | None = None
    offset: int = 0
    include_parts: frozenset[Path] = frozenset()
    creators: tuple[tuple[Path, str], ...] = ()
    fuzzy: bool = False
    combined: bool = False
    timezone: int | None = None
    by_record_key: bool = False
    after_record_key: int = 0
    only_named: bool = False


Match = Mapping[str, Any]
"""One answer: the DICOM JSON Model (PS3.18 F.2) of an entity at the query's level and of those above it."""
