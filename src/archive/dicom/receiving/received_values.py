"""What the values of a received attribute may be, by VR (PS3.18 table F.2.3-1, PS3.5 6.2).

Each check returns the values as the encoder wants them, and raises ValueError, TypeError, OverflowError or
struct.error for what it cannot want. Numbers that come as `Digits` keep the digits that were sent, as DS and IS are
texts in the end.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

Values = list[Any]

WORD_BYTES = {
    **dict.fromkeys(("OW", "US", "SS"), 2),
    **dict.fromkeys(("OF", "OL", "AT", "FL", "SL", "UL"), 4),
    **dict.fromkeys(("OD", "OV", "FD", "SV", "UV"), 8),
}
"""Bytes of one value, or of one word, where it is more than one."""

_PACKED = {"FL": "<f", "FD": "<d", "SS": "<h", "US": "<H", "SL": "<i", "UL": "<I", "SV": "<q", "UV": "<Q"}
_FORBIDDEN = re.compile("[\0\x1b\ud800-\udfff]")
_TAG = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_WHOLE = re.compile(r"([+-]?[0-9]{1,20})\.0*", re.ASCII)
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_LONGEST_DECIMAL = 16
_LONGEST_FLOAT = 64


class Digits(str):
    """A number as it was written."""

    __slots__ = ()


def _text(value: Any) -> str:
    """Neither NUL, which no VR allows, nor ESC, which would begin an escape sequence."""
    if not isinstance(value, str) or _FORBIDDEN.search(value):
        raise ValueError
    return str(value)


def _plain(value: Any) -> str:
    """A text in the default repertoire; spaces around it never mean anything here."""
    text = _text(value).strip(" \t\r\n")
    if not text.isascii():
        raise ValueError
    return text


def _decimal(value: Any) -> str | float:
    """The digits as they came, or the number where they are more than a DS holds."""
    text = _plain(value) if isinstance(value, str) else str(_number(value))
    if isinstance(value, str) and not isinstance(value, Digits):
        return text
    return text if len(text) <= _LONGEST_DECIMAL else float(text)


def _integer_text(value: Any) -> str:
    text = _plain(value) if isinstance(value, str) else str(_number(value))
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _packed(vr: str) -> Callable[[Any], int | float]:
    pack, is_float = struct.Struct(_PACKED[vr]).pack, vr in ("FL", "FD")

    def check(value: Any) -> int | float:
        number = _float(value) if is_float else _integer(value)
        pack(number)
        return number

    return check


def _float(value: Any) -> float:
    if not isinstance(value, str):
        return float(_number(value))
    text = _plain(value)
    if len(text) > _LONGEST_FLOAT or "_" in text:
        raise ValueError
    return float(text)


def _integer(value: Any) -> int:
    if not isinstance(value, str):
        number = _number(value)
        if number != int(number):
            raise ValueError
        return int(number)
    text = _plain(value)
    whole = _WHOLE.fullmatch(text)
    text = whole[1] if whole else text
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


def _tag(value: Any) -> str:
    text = _plain(value)
    if not _TAG.fullmatch(text):
        raise ValueError
    return text.upper()


def _name(value: Any) -> dict[str, str]:
    """A string is taken for all of the name, as PS3.5 writes it."""
    if isinstance(value, str):
        parts = _text(value).split("=")
        if len(parts) > len(_GROUPS):
            raise ValueError
        return dict(zip(_GROUPS, parts, strict=False))
    if not isinstance(value, dict):
        raise TypeError
    groups = {group: _text(value[group]) for group in _GROUPS if value.get(group) is not None}
    if any("=" in text for text in groups.values()):
        raise ValueError
    return groups


def _several(check: Callable[[Any], Any]) -> Callable[[Values], Values]:
    """Of several values, some may be empty: null, or an empty text."""

    def values(given: Values) -> Values:
        return [None if value is None or value == "" else check(value) for value in given]

    return values


def _all(check: Callable[[Any], Any]) -> Callable[[Values], Values]:
    """Binary values cannot be empty, but for one that stands for none at all."""

    def values(given: Values) -> Values:
        return [] if given in ([None], [""]) else [check(value) for value in given]

    return values


def _one(check: Callable[[Any], Any]) -> Callable[[Values], Values]:
    def values(given: Values) -> Values:
        if len(given) != 1:
            raise ValueError
        return _several(check)(given)

    return values


VALUES: dict[str, Callable[[Values], Values]] = {
    **{vr: _several(_plain) for vr in ("AE", "AS", "CS", "DA", "DT", "TM", "UI")},
    **{vr: _several(_text) for vr in ("LO", "SH", "UC")},
    **{vr: _one(_text) for vr in ("LT", "ST", "UT")},
    "UR": _one(_plain),
    "DS": _several(_decimal),
    "IS": _several(_integer_text),
    "PN": _several(_name),
    "AT": _all(_tag),
    **{vr: _all(_packed(vr)) for vr in _PACKED},
}
