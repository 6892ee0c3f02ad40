"""From attributes with values to matching keys and attributes to return: once for both doors (PS3.4 C.2.2.2).

A door takes its spelling apart, a query string or an Identifier; what the values ask for is decided here. Any attribute
that an object may hold can be matched at its own level and below, and so can private ones at every level, as nobody
knows theirs. A Private Creator Element tells which block the private attributes beside it are of (PS3.5 7.8.1); on its
own it is a key: whose objects have a block of this creator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from archive.dicom.attribute_ids import path_name
from archive.dicom.attribute_levels import (
    FACTS_OF_AN_ANSWER,
    is_at_or_above,
    is_matchable,
    is_private,
    is_private_creator,
    may_have_several_values,
    vr_of,
)
from archive.dicom.attributes import BY_TAG
from archive.dicom.errors import InvalidQuery
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Level
from archive.dicom.matching.item_matching import creator_of
from archive.dicom.matching.key_matching import matching
from archive.dicom.query import Empty, Key, Path, Universal, Wildcard

MAXIMUM_VALUES = 100
"""Of a key with Multiple Value Matching; each is a condition of its own."""
MAXIMUM_EXAMINED_KEYS = 50
"""Keys that the index has no column for."""

EMPTY_VALUE = '""'
"""PS3.4 C.2.2.2.7: two QUOTATION MARK characters."""
_MULTIPLE_VALUE_VRS = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC", "UN"})
"""PS3.4 C.2.2.2.8; UN stands for a private attribute, whose VR only the objects know."""

Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manner:
    """How the attributes are to be read: at which level, and with which optional kinds of matching."""

    level: Level
    empty: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What the attributes ask for; `ignored` are those that have a value but are not matched."""

    keys: tuple[Key, ...]
    include: frozenset[int]
    include_parts: frozenset[Path]
    creators: tuple[tuple[Path, str], ...]
    ignored: tuple[Path, ...]


@dataclass
class _Gathered:
    keys: list[Key] = field(default_factory=list)
    included: list[Path] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)


def asked(manner: Manner, attributes: Mapping[Path, Values], included: Iterable[Path] = ()) -> Asked:
    """The keys, and the attributes to return. Raises InvalidQuery, InvalidUID."""
    found = _Gathered(included=list(included))
    creators = creators_of_blocks(attributes, found.included)
    for path, values in attributes.items():
        if path not in creators:
            _gather(found, manner, path, values)
    shown = [path for path in found.included if _may_show(path, manner.level)]
    return Asked(
        tuple(found.keys),
        frozenset(path[0] for path in shown if len(path) == 1),
        frozenset(path for path in shown if len(path) > 1),
        tuple(creators.items()),
        tuple(found.ignored),
    )


def takes_several(manner: Manner, tag: int) -> bool:
    """Whether each of several values of this attribute is to be matched (PS3.4 C.2.2.2.8)."""
    return manner.multiple and vr_of(tag) in _MULTIPLE_VALUE_VRS and may_have_several_values(tag)


def creators_of_blocks(attributes: Mapping[Path, Values], included: Iterable[Path]) -> dict[Path, str]:
    """The private creators that are named for the private attributes beside them."""
    beside = {creator_path(path) for path in (*attributes, *included) if is_private_value(path)}
    return {
        path: values[0].strip()
        for path, values in attributes.items()
        if path in beside and is_private_creator(path[-1]) and len(values) == 1 and values[0].strip("* ")
    }


def is_private_value(path: Path) -> bool:
    """Whether it is a private attribute that belongs to a block."""
    return is_private(path[-1]) and path[-1] & 0xFFFF >= 0x1000


def creator_path(path: Path) -> Path:
    """The Private Creator Element of a private attribute's block."""
    return (*path[:-1], creator_of(path[-1]))


def _gather(found: _Gathered, manner: Manner, path: Path, values: Values) -> None:
    """One attribute with its values: keys, or something to return, or nothing at all."""
    if not _is_matched(path, manner.level):
        found.included.append(path)
        if _has_value(values):
            found.ignored.append(path)
        return
    try:
        keys = _keys_of(manner, path, values)
    except InvalidQuery as error:
        error.tag = error.tag or path[-1]
        raise
    for key in keys:
        if isinstance(key.matching, Universal) and not _has_column_itself(path):
            found.included.append(path)
        else:
            found.keys.append(key)
    if len([key for key in found.keys if not _has_column(key.path)]) > MAXIMUM_EXAMINED_KEYS:
        raise InvalidQuery(f"more than {MAXIMUM_EXAMINED_KEYS} keys that the index has no column for")


def _is_matched(path: Path, level: Level) -> bool:
    """Whether keys with this path are matched: facts about an answer and counts are not, nor what is below the level
    or has a VR without matching."""
    row = BY_TAG.get(path[0])
    if path[0] in FACTS_OF_AN_ANSWER or not is_at_or_above(path[0], level):
        return False
    if row is not None and row.computed and not row.matched:
        return False
    return is_matchable(vr_of(path[-1]))


def _keys_of(manner: Manner, path: Path, values: Values) -> list[Key]:
    vr = vr_of(path[-1])
    if manner.empty and [value.strip() for value in values] == [EMPTY_VALUE]:
        return [Key(path, Empty())]
    if vr == "SQ":
        if _has_value(values):
            raise InvalidQuery(f"{path_name(path)} is a sequence: match what is in its items")
        return [Key(path, Universal())]
    if takes_several(manner, path[-1]):
        return _several(path, vr, values)
    if vr == "UI" and values != ("*",):
        for uid in filter(None, values):
            check_uid(uid, path[-1])
    return [Key(path, matching(vr, values))]


def _several(path: Path, vr: str, values: Values) -> list[Key]:
    """Each of the values has to match one of the attribute's (PS3.4 C.2.2.2.8)."""
    present = dict.fromkeys(value for value in values if value.strip())
    if len(present) > MAXIMUM_VALUES:
        raise InvalidQuery(f"more than {MAXIMUM_VALUES} values of one key")
    made = [matching(vr, (one,)) for one in present] or [Universal()]
    if len(made) > 1 and any(isinstance(one, Wildcard | Universal) for one in made):
        raise InvalidQuery("a key with several values has wildcards (PS3.4 C.2.2.2.8)")
    return [Key(path, one) for one in made]


def _has_value(values: Values) -> bool:
    return any(value.strip("* ") for value in values)


def _has_column(path: Path) -> bool:
    row = BY_TAG.get(path[0])
    return row is not None and row.matched


def _has_column_itself(path: Path) -> bool:
    return len(path) == 1 and _has_column(path)


def _may_show(path: Path, level: Level) -> bool:
    return path[0] not in FACTS_OF_AN_ANSWER and is_at_or_above(path[0], level)
