"""Whether the values that one object has of an attribute match a key (PS3.4 C.2.2.2), value by value in memory.

For what the index has no column for; columns are matched by SQL (`index.conditions`), to the same rules. The values
are taken as they stand in the DICOM JSON Model (PS3.18 F.2).
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from archive.dicom.charsets import fold
from archive.dicom.errors import InvalidQuery
from archive.dicom.matching import fuzzy_names, moments, name_patterns
from archive.dicom.matching.key_matching import matching as kind_of
from archive.dicom.matching.wildcards import fits, is_pattern, pieces_of
from archive.dicom.query import AsGiven, Empty, Matching, Range, SingleValue, UIDList, Universal, Wildcard

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})

Member = Mapping[str, Any]
"""An attribute in the DICOM JSON Model."""


@dataclass(frozen=True, slots=True)
class Zones:
    """The time zones of the dates and times that are asked for and of those in the object, in minutes east of UTC;
    None where nobody tells."""

    asked: int | None = None
    told: int | None = None

    @property
    def shift(self) -> int:
        """How many minutes the object's zone is east of the key's, as far as both are known."""
        return 0 if self.asked is None or self.told is None else self.told - self.asked


_NOWHERE = Zones()


def element_matches(
    member: Member | None, matching: Matching, *, fuzzy: bool, zones: Zones = _NOWHERE
) -> bool:
    """Whether an attribute of an object, None where it has none, matches. The zones are for DT values without an
    offset of their own. Raises InvalidQuery for a kind of matching that the VR does not have."""
    if isinstance(matching, Universal):
        return True
    if isinstance(matching, Empty):
        return is_empty(member)
    if member is None:
        return False
    vr = str(member.get("vr", "UN"))
    values = texts(member)
    if isinstance(matching, AsGiven):
        return any(_value_matches(vr, values, one, fuzzy, zones) for one in _kinds(vr, matching.values))
    return _value_matches(vr, values, matching, fuzzy, zones)


def is_empty(member: Member | None) -> bool:
    """Whether there is nothing in it: no value, no item; a value that is only linked to is there."""
    if member is None:
        return True
    return (
        not texts(member) and not member.get("Value") and not ({"BulkDataURI", "InlineBinary"} & set(member))
    )


def texts(member: Member) -> list[str]:
    """The values as text, a name with its groups between `=`; those that are empty are left out. Bytes of an unknown
    VR are read as text, which they are in most private attributes that come without a VR."""
    if member.get("vr") == "UN" and "InlineBinary" in member:
        return _of_bytes(str(member["InlineBinary"]))
    found = (_text(value) for value in member.get("Value", ()) if value is not None)
    return [text for text in found if text.strip(" ")]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(group, "")) for group in _GROUPS).rstrip("=")
    return value if isinstance(value, str) else str(value)


def _of_bytes(encoded: str) -> list[str]:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return []
    text = raw.decode("utf-8", "replace").strip("\0 ")
    return [part.strip("\0 ") for part in text.split("\\") if part.strip("\0 ")]


@functools.lru_cache(maxsize=512)
def _kinds(vr: str, values: tuple[str, ...]) -> tuple[Matching, ...]:
    """What the values of a key mean to an object with this VR; nothing if they cannot be of it."""
    try:
        return (kind_of("LO" if vr == "UN" else vr, values),)
    except InvalidQuery:
        return ()


def _value_matches(vr: str, values: Sequence[str], matching: Matching, fuzzy: bool, zones: Zones) -> bool:
    if isinstance(matching, Universal):
        return True
    if vr == "PN":
        return _names_match(values, matching, fuzzy)
    if vr in ("DA", "TM"):
        return any(_moment_matches(vr, value, matching) for value in values)
    if vr == "DT":
        return any(_date_time_matches(value, matching, zones) for value in values)
    if vr in _NUMBERS:
        wanted = {_number(one) for one in _listed(matching)}
        return any(_number(value) in wanted for value in values if _number(value) is not None)
    return _texts_match(vr, values, matching)


def _texts_match(vr: str, values: Sequence[str], matching: Matching) -> bool:
    match matching:
        case Wildcard(pattern):
            pieces = pieces_of(pattern.strip(" "))
            return any(fits(pieces, value.strip(" ")) for value in values)
        case Range():
            raise InvalidQuery(f"a key of VR {vr} cannot be matched by a range")
        case _:
            wanted = {one.strip(" ").upper() if vr == "AT" else one.strip(" ") for one in _listed(matching)}
            return any(value.strip(" ") in wanted for value in values)


def _listed(matching: Matching) -> Iterable[str]:
    match matching:
        case SingleValue(value):
            return (value,)
        case UIDList(values):
            return tuple(value for value in values if value.strip(" "))
        case _:
            raise InvalidQuery("this kind of key cannot be matched here")


@functools.lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text.strip(" "))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


# --- dates and times ---


def _moment_matches(vr: str, value: str, matching: Matching) -> bool:
    """A date or a time on its own, in whatever zone; pairs of them are matched by `item_matching`."""
    if vr == "DA":
        wanted = moments.limits(matching, None, combined=False)
        return all(moments.holds(limit, moments.date(value), "") for limit in wanted)
    wanted = moments.limits(None, matching, combined=False)
    return all(moments.holds(limit, "", moments.time(value)) for limit in wanted)


def _date_time_matches(value: str, matching: Matching, zones: Zones) -> bool:
    """What an object says begins within what the key says. Offsets count where both sides have one, in the value or
    in the TimezoneOffsetFromUTC beside it (PS3.4 C.2.2.2.5, PS3.3 C.12.1.1.8)."""
    has = moments.date_time_span(value)
    if has is None:
        return False
    match matching:
        case SingleValue(wanted):
            first, last = wanted, wanted
        case Range(first, last):
            pass
        case _:
            raise InvalidQuery("a key of VR DT is matched by a value or a range of values")
    begins = not first.strip() or _after(_span(first)[0], _span(first), has, zones) <= timedelta()
    return begins and (not last.strip() or _after(_span(last)[1], _span(last), has, zones) >= timedelta())


def _span(limit: str) -> moments.Span:
    wanted = moments.date_time_span(limit)
    if wanted is None:
        raise InvalidQuery("a date and time is none of PS3.5 6.2")
    return wanted


def _after(moment: datetime, wanted: moments.Span, has: moments.Span, zones: Zones) -> timedelta:
    """How long this end of the key is after the beginning of what the object says."""
    asked = zones.asked if wanted[2] is None else wanted[2]
    told = zones.told if has[2] is None else has[2]
    return moment - has[0] + timedelta(minutes=Zones(asked, told).shift)


# --- names ---


def _names_match(values: Sequence[str], matching: Matching, fuzzy: bool) -> bool:
    match matching:
        case SingleValue(key) | Wildcard(key):
            literal = any(_name_matches(value, key) for value in values)
            return literal or (fuzzy and fuzzy_names.matches(values, key))
        case _:
            raise InvalidQuery("a name is matched by one name")


def _name_matches(value: str, key: str) -> bool:
    groups = [_group(group) for group in value.split("=")[:3]]
    wanted = key.split("=")[:3]
    if len(wanted) == 1:
        return _is_open(wanted[0]) or any(group and _group_matches(group, wanted[0]) for group in groups)
    return all(
        _is_open(want)
        or (number < len(groups) and bool(groups[number]) and _group_matches(groups[number], want))
        for number, want in enumerate(wanted)
    )


def _group(text: str) -> str:
    return fold(text).strip(" ").rstrip("^ ")


def _is_open(group: str) -> bool:
    """Whether this group of a key says nothing."""
    return not _group(group).strip("*")


def _group_matches(group: str, wanted: str) -> bool:
    if is_pattern(_group(wanted)):
        return any(fits(pieces, group) for pieces in name_patterns.patterns(wanted))
    return group == _group(wanted)
