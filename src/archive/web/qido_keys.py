"""From the attributes in a query string to matching keys and attributes to return (PS3.18 8.3.4.1).

What they ask for is decided in `dicom.matching.asking`, as it is for C-FIND; the values of lists are taken apart here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archive.dicom.attribute_ids import path_name
from archive.dicom.attribute_levels import vr_of
from archive.dicom.errors import InvalidQuery, InvalidRecordKey
from archive.dicom.instance import Level
from archive.dicom.matching import asking
from archive.dicom.query import Key, Path

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


def keys(manner: Manner, attributes: Mapping[Path, str], included: Iterable[Path]) -> Keys:
    """The keys, and the attributes to return. Raises InvalidQuery, InvalidUID."""
    wanted = list(included)
    values = {path: _values(manner, path, value) for path, value in attributes.items()}
    found = asking.asked(asking.Manner(manner.level, manner.empty, manner.multiple), values, wanted)
    if manner.strict:
        _check_creators([*attributes, *wanted], dict(found.creators))
    ignored = tuple(map(path_name, found.ignored))
    return Keys(found.keys, found.include, found.include_parts, found.creators, ignored)


def record_number(text: str) -> int:
    """What a RecordKey that we gave stands for. Raises InvalidQuery."""
    try:
        raw = base64.b64decode(text.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    number = int.from_bytes(raw, "big") if len(raw) == 8 else -1
    if not 0 <= number < 1 << 63:
        raise InvalidRecordKey("PriorRecordKey is no RecordKey of an answer from here")
    return number


def _values(manner: Manner, path: Path, value: str) -> tuple[str, ...]:
    """The values of a key: a list where one is allowed, with the standard's comma or DICOM's own backslash."""
    vr = vr_of(path[-1])
    if asking.takes_several(asking.Manner(manner.level, multiple=manner.multiple), path[-1]):
        separators = _SEPARATORS
    elif vr == "UI" or (vr == "CS" and not manner.strict):
        separators = _COMMA if manner.strict else _SEPARATORS
    else:
        return (value,)
    values = tuple(part.strip() for part in separators.split(value) if part.strip())
    if value.strip() and not values:
        # a list of nothing is no key without a value, which would match everybody
        raise InvalidQuery(f"{path_name(path)} is a list without values", path[-1])
    return values


def _check_creators(paths: Iterable[Path], creators: Mapping[Path, str]) -> None:
    for path in paths:
        if asking.is_private_value(path) and asking.creator_path(path) not in creators:
            raise InvalidQuery(
                f"the private attribute {path_name(path)} comes without {path_name(asking.creator_path(path))}, its "
                "Private Creator (PS3.18 8.3.4.1)"
            )
