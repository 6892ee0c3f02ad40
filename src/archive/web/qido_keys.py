"""From the attributes in a query string to matching keys and attributes to return (PS3.18 8.3.4.1, PS3.4 C.2.2.2).

Any attribute that an object may hold can be matched at its own level and below, and so can private ones at every
level, as nobody knows theirs. A Private Creator Element tells which block the private attributes beside it are of
(PS3.5 7.8.1); on its own it is a key: whose objects have a block of this creator.
"""

from __future__ import annotations

import base64
import binascii
import re
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
_SEPARATORS = re.compile(r"[,\\]")
_COMMA = re.compile(",")


@dataclass(frozen=True, slots=True)
class Manner:
    """How the attributes are to be read: at which level, by the letter or not, with which optional kinds of
    matching."""

    level: Level
    strict: bool = False
    empty: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """What the attributes ask for; `ignored` are names of those that have a value but are not matched."""

    keys: tuple[Key, ...]
    include: frozenset[int]
    include_parts: frozenset[Path]
    creators: tuple[tuple[Path, str], ...]
    ignored: tuple[str, ...]


@dataclass
class _Gathered:
    keys: list[Key] = field(default_factory=list)
    included: list[Path] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def keys(manner: Manner, attributes: Mapping[Path, str], included: Iterable[Path]) -> Keys:
    """The keys, and the attributes to return. Raises InvalidQuery, InvalidUID."""
    wanted = list(included)
    creators = _creators(attributes, wanted)
    found = _Gathered(included=wanted)
    for path, value in attributes.items():
        if path not in creators:
            _gather(found, manner, path, value)
    if manner.strict:
        _check_creators([*attributes, *wanted], creators)
    shown = [path for path in found.included if _may_show(path, manner.level)]
    return Keys(
        tuple(found.keys),
        frozenset(path[0] for path in shown if len(path) == 1),
        frozenset(path for path in shown if len(path) > 1),
        tuple(creators.items()),
        tuple(found.ignored),
    )


def record_number(text: str) -> int:
    """What a RecordKey that we gave stands for. Raises InvalidQuery."""
    try:
        raw = base64.b64decode(text.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    number = int.from_bytes(raw, "big") if len(raw) == 8 else -1
    if not 0 <= number < 1 << 63:
        raise InvalidQuery("PriorRecordKey is no RecordKey of an answer from here")
    return number


def _gather(found: _Gathered, manner: Manner, path: Path, value: str) -> None:
    """One attribute with its value: keys, or something to return, or nothing at all."""
    if not _is_matched(path, manner.level):
        found.included.append(path)
        if value.strip("* "):
            found.ignored.append(path_name(path))
        return
    for key in _keys_of(manner, path, value):
        row = BY_TAG.get(path[0])
        if isinstance(key.matching, Universal) and not (row is not None and row.matched and len(path) == 1):
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


def _keys_of(manner: Manner, path: Path, value: str) -> list[Key]:
    vr = vr_of(path[-1])
    if manner.empty and value.strip() == EMPTY_VALUE:
        return [Key(path, Empty())]
    if vr == "SQ":
        if value.strip("* "):
            raise InvalidQuery(f"{path_name(path)} is a sequence: match what is in its items")
        return [Key(path, Universal())]
    if manner.multiple and vr in _MULTIPLE_VALUE_VRS and may_have_several_values(path[-1]):
        return _several(path, vr, value)
    values = _values(vr, value, path[-1], manner)
    _check_present(path, value, values)
    return [Key(path, matching(vr, values))]


def _several(path: Path, vr: str, value: str) -> list[Key]:
    """Each of the values has to match one of the attribute's (PS3.4 C.2.2.2.8)."""
    values = tuple(part.strip() for part in _SEPARATORS.split(value) if part.strip())
    _check_present(path, value, values)
    if len(values) > MAXIMUM_VALUES:
        raise InvalidQuery(f"more than {MAXIMUM_VALUES} values of one key")
    made = [matching(vr, (one,)) for one in dict.fromkeys(values)] or [Universal()]
    if len(made) > 1 and any(isinstance(one, Wildcard | Universal) for one in made):
        raise InvalidQuery("a key with several values has wildcards (PS3.4 C.2.2.2.8)")
    return [Key(path, one) for one in made]


def _values(vr: str, value: str, tag: int, manner: Manner) -> tuple[str, ...]:
    """The values of a key: a list where one is allowed, with the standard's comma or DICOM's own backslash."""
    if vr != "UI" and (vr != "CS" or manner.strict):
        return (value,)
    values = (_COMMA if manner.strict else _SEPARATORS).split(value)
    present = tuple(part.strip() for part in values if part.strip())
    if vr == "UI" and present != ("*",):
        for uid in present:
            check_uid(uid, tag)
    return present


def _check_present(path: Path, value: str, values: tuple[str, ...]) -> None:
    """A list of nothing is no key without a value, which would match everybody."""
    if value.strip() and not values:
        raise InvalidQuery(f"{path_name(path)} is a list without values")


def _has_column(path: Path) -> bool:
    row = BY_TAG.get(path[0])
    return row is not None and row.matched


def _may_show(path: Path, level: Level) -> bool:
    return path[0] not in FACTS_OF_AN_ANSWER and is_at_or_above(path[0], level)


# --- private attributes ---


def _creators(attributes: Mapping[Path, str], included: Iterable[Path]) -> dict[Path, str]:
    """The private creators that are named for the private attributes beside them."""
    asked = {_creator_path(path) for path in (*attributes, *included) if _is_private_value(path)}
    return {
        path: value.strip()
        for path, value in attributes.items()
        if path in asked and is_private_creator(path[-1]) and value.strip("* ")
    }


def _check_creators(paths: Iterable[Path], creators: Mapping[Path, str]) -> None:
    for path in paths:
        if _is_private_value(path) and _creator_path(path) not in creators:
            raise InvalidQuery(
                f"the private attribute {path_name(path)} comes without {path_name(_creator_path(path))}, its Private "
                "Creator (PS3.18 8.3.4.1)"
            )


def _is_private_value(path: Path) -> bool:
    return is_private(path[-1]) and path[-1] & 0xFFFF >= 0x1000


def _creator_path(path: Path) -> Path:
    return (*path[:-1], creator_of(path[-1]))
