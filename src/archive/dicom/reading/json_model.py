"""The DICOM JSON Model (PS3.18 annex F) of values, straight from their bytes to JSON text.

Text rather than objects, because the metadata of an object is made once, at ingest, and from then on only
copied. Where the bytes do not keep to their VR (a DS that is no number, three bytes of US) the value is kept
in the form that loses nothing: a string, or UN with the bytes. A text never holds U+0000, which no VR allows
and PostgreSQL refuses: within a value it is shown as U+2400, as without it two Patient IDs might become one.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from array import array
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring as quote

from archive.dicom.charsets import Decoder

BINARY_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
BULK_VRS = BINARY_VRS | frozenset(
    ("DS", "FD", "FL", "IS", "LT", "SL", "SS", "ST", "SV", "UC", "UL", "US", "UT", "UV")
)
"""The VRs that may be a BulkDataURI (PS3.18 F.2.2)."""

_WORDS = {"OW": "H", "OL": "I", "OF": "I", "OV": "Q", "OD": "Q"}
_NUMBERS = {"FL": "f", "FD": "d", "SS": "h", "US": "H", "SL": "i", "UL": "I", "SV": "q", "UV": "Q"}
_SAFE_INTEGER = 1 << 53

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_JSON_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)


class WrongLengthError(ValueError):
    """The number of bytes is no multiple of what one value of the VR takes."""


Converter = Callable[[bytes, Decoder, str], str]
"""(bytes of the value, decoder of its character set, "<" or ">") -> what follows `"vr":"XX"` in the object.
Raises WrongLengthError."""


def words_to_little_endian(raw: bytes, vr: str) -> bytes:
    """A binary value of a big endian data set as it would be in little endian (PS3.18 F.2.7 wants that)."""
    code = _WORDS.get(vr)
    if code is None or len(raw) % struct.calcsize("=" + code):
        return raw
    words = array(code, raw)
    words.byteswap()
    return words.tobytes()


def split(vr: str, raw: bytes, decode: Decoder, order: str) -> tuple[str, ...]:
    """The values as text: padding removed, numbers in decimal, PN with its component groups as in PS3.5.
    Empty for binary values and sequences, and where the length is wrong."""
    if vr in _TEXT:
        return _TEXT[vr](raw, decode)
    if vr in _NUMBERS and not len(raw) % struct.calcsize("=" + _NUMBERS[vr]):
        return tuple(map(str, _unpack(raw, order, _NUMBERS[vr])))
    if vr == "AT":
        return tuple(_tags(raw, order))
    return ()


def _tidy(value: str) -> str:
    """Without the padding at its end; a NUL within is shown as the symbol for it."""
    value = value.rstrip("\0 ")
    return value.replace("\0", "\u2400") if "\0" in value else value


# --- texts ---


def _plain(raw: bytes, _: Decoder) -> tuple[str, ...]:
    return tuple([value.lstrip(" ") for value in _padded(raw, _)])


def _padded(raw: bytes, _: Decoder) -> tuple[str, ...]:
    return _split(raw.decode("latin_1"))


def _single_plain(raw: bytes, _: Decoder) -> tuple[str, ...]:
    text = _tidy(raw.decode("latin_1"))
    return (text,) if text else ()


def _split(text: str) -> tuple[str, ...]:
    if "\\" in text:
        return tuple(map(_tidy, text.split("\\")))
    text = _tidy(text)
    return (text,) if text else ()


def _several(vr: str) -> Callable[[bytes, Decoder], tuple[str, ...]]:
    def values(raw: bytes, decode: Decoder) -> tuple[str, ...]:
        return _split(decode(raw, vr))

    return values


def _single(vr: str) -> Callable[[bytes, Decoder], tuple[str, ...]]:
    def values(raw: bytes, decode: Decoder) -> tuple[str, ...]:
        text = _tidy(decode(raw, vr))
        return (text,) if text else ()

    return values


_TEXT: dict[str, Callable[[bytes, Decoder], tuple[str, ...]]] = {
    **dict.fromkeys(("AE", "CS", "DS", "IS", "UI"), _plain),
    **dict.fromkeys(("AS", "DA", "DT", "TM"), _padded),
    "UR": _single_plain,
    **{vr: _several(vr) for vr in ("LO", "PN", "SH", "UC")},
    **{vr: _single(vr) for vr in ("LT", "ST", "UT")},
}


def _array(values: Iterable[str]) -> str:
    return f',"Value":[{",".join(values)}]'


def _strings(split_values: Callable[[bytes, Decoder], tuple[str, ...]]) -> Converter:
    def convert(raw: bytes, decode: Decoder, _: str) -> str:
        values = split_values(raw, decode)
        if len(values) == 1:
            return f',"Value":[{quote(values[0])}]'
        return _array(quote(value) if value else "null" for value in values) if values else ""

    return convert


def _decimals(raw: bytes, decode: Decoder, _: str) -> str:
    text = raw.decode("latin_1").strip("\0 ")
    if _JSON_NUMBER.fullmatch(text):
        return f',"Value":[{text}]'
    values = _plain(raw, decode)
    return _array(map(decimal_text, values)) if values else ""


def decimal_text(value: str) -> str:
    """A DS value as JSON: the same digits where they are a JSON number, so that no precision is lost; a
    string where they are none (PS3.18 F.2.3)."""
    if _JSON_NUMBER.fullmatch(value):
        return value
    if not value:
        return "null"
    if len(value) <= 64 and _DECIMAL.fullmatch(value) and math.isfinite(number := float(value)):
        return repr(number)
    return quote(value)


def _integers(raw: bytes, decode: Decoder, _: str) -> str:
    text = raw.decode("latin_1").strip("\0 ")
    if _JSON_INTEGER.fullmatch(text):
        return f',"Value":[{text}]'
    values = _plain(raw, decode)
    return _array(map(integer_text, values)) if values else ""


def integer_text(value: str) -> str:
    """An IS value as JSON: a number if it is a whole one of at most 16 digits, else a string."""
    if _JSON_INTEGER.fullmatch(value):
        return value
    if not value:
        return "null"
    if len(value) <= 64 and _DECIMAL.fullmatch(value):
        number = float(value)
        if number.is_integer() and abs(number) <= _SAFE_INTEGER:
            return str(int(number))
    return quote(value)


# --- names ---

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _names(raw: bytes, decode: Decoder, _: str) -> str:
    values = _split(decode(raw, "PN"))
    return _array(map(name_text, values)) if values else ""


def name_text(value: str) -> str:
    """A PN value as JSON: its non-empty component groups."""
    groups = [
        f'"{key}":{quote(group)}'
        for key, part in zip(_GROUPS, value.split("="), strict=False)
        if (group := part.rstrip(" "))
    ]
    return "{" + ",".join(groups) + "}" if groups else "null"


# --- numbers ---


def _unpack(raw: bytes, order: str, code: str) -> tuple[int | float, ...]:
    return struct.unpack(f"{order}{len(raw) // struct.calcsize('=' + code)}{code}", raw)


def _packed(code: str, text: Callable[[int | float], str]) -> Converter:
    size = struct.calcsize("=" + code)
    one = {order: struct.Struct(order + code).unpack for order in "<>"}

    def convert(raw: bytes, _: Decoder, order: str) -> str:
        if len(raw) == size:
            return f',"Value":[{text(one[order](raw)[0])}]'
        if len(raw) % size:
            raise WrongLengthError
        return _array(map(text, struct.unpack(f"{order}{len(raw) // size}{code}", raw))) if raw else ""

    return convert


def float_text(number: float) -> str:
    """A float as JSON; one that is not finite as a string, as JSON has no number for it."""
    if math.isfinite(number):
        return repr(number)
    return '"NaN"' if math.isnan(number) else '"Infinity"' if number > 0 else '"-Infinity"'


def _long_integer(number: float) -> str:
    """SV and UV: as a string where a JavaScript number would lose digits (PS3.18 F.2.3)."""
    return str(number) if -_SAFE_INTEGER <= number <= _SAFE_INTEGER else f'"{number}"'


def _tags(raw: bytes, order: str) -> Iterable[str]:
    numbers = struct.unpack_from(f"{order}{len(raw) // 4 * 2}H", raw)
    return (f"{numbers[i]:04X}{numbers[i + 1]:04X}" for i in range(0, len(numbers), 2))


def _attribute_tags(raw: bytes, _: Decoder, order: str) -> str:
    return _array(f'"{tag}"' for tag in _tags(raw, order)) if len(raw) >= 4 else ""


def _binary(vr: str) -> Converter:
    def convert(raw: bytes, _: Decoder, order: str) -> str:
        if not raw:
            return ""
        if order == ">":
            raw = words_to_little_endian(raw, vr)
        return f',"InlineBinary":"{base64.b64encode(raw).decode("ascii")}"'

    return convert


CONVERTERS: dict[str, Converter] = {
    **{vr: _strings(values) for vr, values in _TEXT.items()},
    "DS": _decimals,
    "IS": _integers,
    "PN": _names,
    "AT": _attribute_tags,
    **{vr: _packed(_NUMBERS[vr], float_text) for vr in ("FL", "FD")},
    **{vr: _packed(_NUMBERS[vr], str) for vr in ("SS", "US", "SL", "UL")},
    **{vr: _packed(_NUMBERS[vr], _long_integer) for vr in ("SV", "UV")},
    **{vr: _binary(vr) for vr in BINARY_VRS},
}
