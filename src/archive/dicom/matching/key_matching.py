"""From a key's value as text to the kind of matching that it asks for (PS3.4 C.2.2.2), once for both doors.

C-FIND and QIDO-RS spell lists and sequences differently, but a wildcard is a wildcard in both. Dates, times and
numbers are checked here, as a malformed one would otherwise match nothing without a word.
"""

from __future__ import annotations

import datetime
import re

from archive.dicom.errors import InvalidQuery
from archive.dicom.matching.moments import date_time_span, utc_offset
from archive.dicom.matching.wildcards import is_pattern
from archive.dicom.query import AsGiven, Matching, Range, SingleValue, UIDList, Universal, Wildcard

_WILDCARDS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_LISTS = frozenset({"UI", "CS"})
"""UI by the standard; CS as workstations ask for several modalities at once."""

_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)

_TIME = re.compile(r"([01]\d|2[0-3])(:?[0-5]\d(:?([0-5]\d|60)(\.\d{1,6})?)?)?")
_DATE = re.compile(r"(\d{4})(\.?)(\d{2})\2(\d{2})")
_LIKE_AN_OFFSET = re.compile(r"[+-]\d{4}$", re.ASCII)


def matching(vr: str, values: tuple[str, ...]) -> Matching:
    """The kind of matching that these values ask for.

    Raises InvalidQuery for control characters, malformed dates, times and numbers, several values where one is
    allowed, and wildcards among several."""
    present = tuple(value for value in values if value)
    if vr == "UN":
        return AsGiven(present) if any(value.strip("*") for value in present) else Universal()
    if not present or (len(present) == 1 and vr != "UI" and not present[0].strip("*")) or present == ("*",):
        return Universal()
    if any(character < " " or character == "\x7f" for value in present for character in value):
        raise InvalidQuery("a key holds control characters")
    if len(present) > 1:
        if vr not in _LISTS:
            raise InvalidQuery(f"several values in one key of VR {vr}")
        if vr == "CS" and any(is_pattern(value) for value in present):
            raise InvalidQuery("a key with several values has wildcards (PS3.4 C.2.2.2.8)")
        return UIDList(present)
    return _of_one_value(vr, present[0])


def _of_one_value(vr: str, value: str) -> Matching:
    if vr in _CHECKS:
        return _of_time(vr, value.strip())
    if vr in _WILDCARDS and is_pattern(value):
        return Wildcard(value)
    if vr in _NUMBERS and not _NUMBER.fullmatch(value.strip()):
        raise InvalidQuery(f"a key of VR {vr} is no number")
    return UIDList((value,)) if vr == "UI" else SingleValue(value)


def _of_time(vr: str, value: str) -> Matching:
    check = _CHECKS[vr]
    if check(value):
        return SingleValue(value)
    # The hyphen of a DT range may stand beside those of UTC offsets: take the one that leaves two good ends.
    for place in (at for at, character in enumerate(value[:64]) if character == "-"):
        first, last = value[:place].strip(), value[place + 1 :].strip()
        if (first or last) and all(not end or check(end) for end in (first, last)):
            return Range(first, last)
    raise InvalidQuery(f"a key of VR {vr} is neither a value nor a range of values (PS3.4 C.2.2.2.5)")


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None or not text.isascii():
        return False
    try:
        datetime.date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    return text.isascii() and _TIME.fullmatch(text) is not None


def _is_date_time(text: str) -> bool:
    """What ends like an offset from UTC that is none on Earth is the end of a range: 2024-2025."""
    offset = _LIKE_AN_OFFSET.search(text)
    if offset is not None and utc_offset(offset[0]) is None:
        return False
    return text.isascii() and date_time_span(text) is not None


_CHECKS = {"DA": _is_date, "TM": _is_time, "DT": _is_date_time}
