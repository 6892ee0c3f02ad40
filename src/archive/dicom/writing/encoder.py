"""Elements of the DICOM JSON Model as bytes: the opposite of `json_model`, for the answers of C-FIND and for objects
that come as metadata (`assembly`).

Little endian only, implicit or explicit VR, sequences with undefined lengths. A value that the JSON does not
hold (BulkDataURI) becomes a zero-length one: a query answers with attributes, not with bulk.

Whatever a sender got wrong, its objects can be found: a character that the default repertoire does not hold becomes
'?' in the VRs that have no other, and a value longer than its VR allows, or a DS that is no number, is sent as it was
stored. Only a text that the asked character set cannot say is an error, as another set can."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from typing import Any

from archive.dicom.charsets import encode

JSONElement = Mapping[str, Any]

UNDEFINED = 0xFFFFFFFF
_SHORT = 0xFFFF
_LONG_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
_NUL_PADDED = frozenset(("OB", "UI", "UN"))
_CHARSET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_NUMBERS = {"FL": "f", "FD": "d", "SS": "h", "US": "H", "SL": "i", "UL": "I", "SV": "q", "UV": "Q"}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def encode_data_set(
    data_set: Mapping[str, JSONElement], *, implicit: bool, specific_character_set: tuple[str, ...] = ()
) -> bytes:
    """All its elements in their order. Raises UnicodeEncodeError as `encode_element` does."""
    return b"".join(
        encode_element(
            int(tag, 16), data_set[tag], implicit=implicit, specific_character_set=specific_character_set
        )
        for tag in sorted(data_set)
    )


def encode_element(
    tag: int, element: JSONElement, *, implicit: bool, specific_character_set: tuple[str, ...]
) -> bytes:
    """One element with its header. Raises UnicodeEncodeError when a text cannot be said in the character
    set."""
    vr = element["vr"]
    if vr == "SQ":
        return _sequence(tag, element.get("Value") or [], implicit, specific_character_set)
    value = _value(vr, element, specific_character_set)
    if len(value) % 2:
        value += b"\0" if vr in _NUL_PADDED else b" "
    return header(tag, vr, len(value), implicit) + value


def header(tag: int, vr: str, length: int, implicit: bool) -> bytes:
    """What stands before a value of this length. One too long for its VR's two bytes of length is sent as UN (PS3.5
    6.2.2 note 4)."""
    group, number = tag >> 16, tag & 0xFFFF
    if implicit:
        return struct.pack("<HHI", group, number, length)
    if vr not in _LONG_VRS and length <= _SHORT:
        return struct.pack("<HH2sH", group, number, vr.encode("ascii"), length)
    long_vr = vr if vr in _LONG_VRS else "UN"
    return struct.pack("<HH2sHI", group, number, long_vr.encode("ascii"), 0, length)


def _sequence(tag: int, items: list[Any], implicit: bool, charset: tuple[str, ...]) -> bytes:
    if not items:
        return header(tag, "SQ", 0, implicit)
    body = bytearray(header(tag, "SQ", UNDEFINED, implicit))
    for item in items:
        body += ITEM
        for key in sorted(item or {}):
            body += encode_element(int(key, 16), item[key], implicit=implicit, specific_character_set=charset)
        body += ITEM_END
    return bytes(body + SEQUENCE_END)


def _value(vr: str, element: JSONElement, charset: tuple[str, ...]) -> bytes:
    if "InlineBinary" in element:
        return base64.b64decode(element["InlineBinary"])
    values = element.get("Value") or []
    if vr in _NUMBERS:
        return b"".join(struct.pack(f"<{_NUMBERS[vr]}", _number(vr, value)) for value in values)
    if vr == "AT":
        return b"".join(struct.pack("<HH", int(tag[:4], 16), int(tag[4:], 16)) for tag in values)
    said = _TEXTS.get(vr, str)
    text = "\\".join(["" if value is None else said(value) for value in values])
    return encode(text, vr, charset) if vr in _CHARSET_VRS else text.encode("ascii", "replace")


def _number(vr: str, value: Any) -> int | float:
    """JSON has strings for what is no number of its own: NaN, infinities, integers beyond 2**53."""
    return float(value) if vr in ("FL", "FD") else int(value)


def _name(value: Mapping[str, str]) -> str:
    groups = [value.get(group, "") for group in _GROUPS]
    return "=".join(groups).rstrip("=")


def _decimal(value: Any) -> str:
    """A number in at most 16 characters (PS3.5 6.2, DS); what is a string in JSON is no number that JSON knows."""
    text = str(value)
    if isinstance(value, str):
        return text
    for digits in range(15, 0, -1):
        if len(text) <= 16:
            break
        text = f"{float(value):.{digits}g}"
    return text


_TEXTS: dict[str, Callable[[Any], str]] = {"PN": _name, "DS": _decimal}
