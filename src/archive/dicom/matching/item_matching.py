"""Whether a data set in the DICOM JSON Model matches keys, at any depth (PS3.4 C.2.2.2.6).

All the keys within one sequence have to match in one and the same of its items, and so on down. A date and the time
beside it are looked at together, in the zone that the object tells. The tag of a private attribute is that of the
asker's block: which block of the object it is depends on the private creator's name (PS3.5 7.8.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archive.dicom.attribute_levels import (
    TIMEZONE_OFFSET_FROM_UTC,
    date_beside,
    follows_the_timezone,
    is_private,
    is_private_creator,
    time_beside,
    vr_of,
)
from archive.dicom.matching import moments
from archive.dicom.matching.value_matching import Member, Zones, element_matches, texts
from archive.dicom.query import Key, Matching, Path, Query, Range, SingleValue

DataSet = Mapping[str, Any]
FIRST_BLOCK, LAST_BLOCK = 0x10, 0xFF


@dataclass
class _Keys:
    """The keys of one data set: those of its own attributes, and those within its sequences."""

    own: dict[int, list[Matching]] = field(default_factory=dict)
    within: dict[int, _Keys] = field(default_factory=dict)
    creators: dict[int, str] = field(default_factory=dict)


class DataSetTest:
    """The test that these keys of a query make of a data set."""

    def __init__(self, query: Query, keys: Iterable[Key]) -> None:
        self._query = query
        self._keys = _tree(keys, query.creators)

    def passes(self, data_set: DataSet, utc_offset: str = "") -> bool:
        """Whether a data set matches. `utc_offset` is its TimezoneOffsetFromUTC where it has none itself. Raises
        InvalidQuery."""
        own = data_set.get(f"{TIMEZONE_OFFSET_FROM_UTC:08X}")
        told = next(iter(texts(own)), utc_offset) if own else utc_offset
        return self._matches(self._keys, data_set, Zones(self._query.timezone, moments.utc_offset(told)))

    def _matches(self, keys: _Keys, data_set: DataSet, zones: Zones) -> bool:
        pairs = _pairs(keys.own)
        together = {tag for pair in pairs for tag in pair}
        blocks = Blocks(data_set, keys.creators)
        return (
            all(
                self._own_matches(keys.own[tag], tag, data_set, blocks, zones)
                for tag in keys.own
                if tag not in together
            )
            and all(self._pair_matches(keys, pair, data_set, zones) for pair in pairs)
            and all(
                self._any_item(below, data_set.get(blocks.tag_text(tag)), zones)
                for tag, below in keys.within.items()
            )
        )

    def _own_matches(
        self, wanted: Sequence[Matching], tag: int, data_set: DataSet, blocks: Blocks, zones: Zones
    ) -> bool:
        if is_private_creator(tag):
            return _has_creator(data_set, tag >> 16, wanted)
        member = data_set.get(blocks.tag_text(tag))
        return all(element_matches(member, one, fuzzy=self._query.fuzzy, zones=zones) for one in wanted)

    def _any_item(self, below: _Keys, member: Member | None, zones: Zones) -> bool:
        items = member.get("Value", ()) if member and member.get("vr") == "SQ" else ()
        return any(self._matches(below, item or {}, zones) for item in items)

    def _pair_matches(self, keys: _Keys, pair: tuple[int, int], data_set: DataSet, zones: Zones) -> bool:
        """A date and its time, or one of the two with the other beside it in the object."""
        date, time = pair
        wanted = moments.limits(
            next(iter(keys.own.get(date, ())), None),
            next(iter(keys.own.get(time, ())), None),
            zones.shift if follows_the_timezone(date) else 0,
            combined=self._query.combined,
        )
        at = (moments.date(_first(data_set, date)), moments.time(_first(data_set, time)))
        return all(moments.holds(limit, *at) for limit in wanted)


class Blocks:
    """The blocks of private attributes that a data set has, against those that the asker names. All are looked up at
    once: one search may ask for hundreds of attributes of as many data sets."""

    def __init__(self, data_set: DataSet, creators: Mapping[int, str]) -> None:
        self._creators = creators
        self._found: dict[tuple[int, str], int] = {}
        if creators:
            self._look_up(data_set)

    def tag_text(self, tag: int) -> str:
        """The member of the data set that this tag of the asker means: eight hex digits; empty if there is none."""
        creator = self._creators.get(creator_of(tag)) if is_private(tag) else None
        if creator is None:
            return f"{tag:08X}"
        block = self._found.get((tag >> 16, creator))
        return "" if block is None else f"{tag >> 16:04X}{block:02X}{tag & 0xFF:02X}"

    def _look_up(self, data_set: DataSet) -> None:
        tags = sorted(int(text, 16) for text in data_set if text[4:6] == "00")
        for tag in filter(is_private_creator, tags):
            for name in texts(data_set[f"{tag:08X}"] or {}):
                self._found.setdefault((tag >> 16, name.strip(" ")), tag & 0xFF)


def _has_creator(data_set: DataSet, group: int, wanted: Sequence[Matching]) -> bool:
    """Whether a block of the group, whatever its number, has a creator like this."""
    blocks = (data_set.get(f"{group:04X}{block:04X}") for block in range(FIRST_BLOCK, LAST_BLOCK + 1))
    members = [member for member in blocks if member]
    return all(
        any(element_matches(member, one, fuzzy=False) for member in members or [None]) for one in wanted
    )


def creator_of(tag: int) -> int:
    """The Private Creator Element of a private attribute's block."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def _tree(keys: Iterable[Key], creators: Sequence[tuple[Path, str]]) -> _Keys:
    root = _Keys()
    for key in keys:
        at = root
        for tag in key.path[:-1]:
            at = at.within.setdefault(tag, _Keys())
        at.own.setdefault(key.path[-1], []).append(key.matching)
    for path, name in creators:
        _name_block(root, path, name)
    return root


def _name_block(root: _Keys, path: Path, name: str) -> None:
    """Note a creator where there are keys: its name alone asks for no item."""
    for tag in path[:-1]:
        if tag not in root.within:
            return
        root = root.within[tag]
    root.creators[path[-1]] = name


def _pairs(own: Mapping[int, Sequence[Matching]]) -> list[tuple[int, int]]:
    """Dates and times with a key of a single value or range, each with what stands beside it."""
    found: dict[tuple[int, int], None] = {}
    for tag, matchings in own.items():
        if vr_of(tag) not in ("DA", "TM") or not isinstance(matchings[0], SingleValue | Range):
            continue
        pair = (tag, time_beside(tag)) if vr_of(tag) == "DA" else (date_beside(tag), tag)
        if all(pair) and len(matchings) == 1:
            found[pair] = None
    return list(found)


def _first(data_set: DataSet, tag: int) -> str:
    member = data_set.get(f"{tag:08X}")
    return next(iter(texts(member)), "") if member else ""
