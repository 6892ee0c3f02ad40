"""Text in the character sets of PS3.3 C.12.1.1.2: bytes to Unicode, Unicode to bytes, and the form for
searching.

Our own ISO 2022 decoder (PS3.5 6.1.2.5) rather than pydicom's, because that one leaves the escape sequences
of `ISO 2022 IR 58` in the text and resets at a delimiter byte even inside a two-byte character. It decodes
what devices send: escape sequences that were not announced, misspelt names (`ISO IR 192`, `ISO_IR_100`),
UTF-8 without any announcement. It never raises.

A byte that cannot be decoded becomes U+FFFD and its two hexadecimal digits. U+FFFD alone would make one Patient ID of
two that differ in their broken bytes; Latin-1 in its place would pass for what was sent. Shown like this, the text
can be asked for just as it was answered.
"""

from __future__ import annotations

import codecs
import functools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

Decoder = Callable[[bytes, str], str]

_ESC = 0x1B
_LOWEST_PAIR = 0xA0
_DEFAULT = "latin_1"


@dataclass(frozen=True, slots=True)
class _Set:
    """A character set that an escape sequence designates. `codec` decodes its bytes as Python knows them: for
    two-byte sets in G0 the high bits are set first, and `prefix` goes before each pair."""

    escape: bytes
    codec: str
    g1: bool
    width: int = 1
    prefix: bytes = b""


_ASCII = _Set(b"\x1b(B", "ascii", g1=False)
_ROMAJI = _Set(b"\x1b(J", "ascii", g1=False)
_KATAKANA = _Set(b"\x1b)I", "shift_jis", g1=True)
_LATIN_1 = _Set(b"\x1b-A", _DEFAULT, g1=True)
_KANJI = _Set(b"\x1b$B", "euc_jp", g1=False, width=2)
_SUPPLEMENTARY_KANJI = _Set(b"\x1b$(D", "euc_jp", g1=False, width=2, prefix=b"\x8f")
_KOREAN = _Set(b"\x1b$)C", "euc_kr", g1=True, width=2)
_CHINESE = _Set(b"\x1b$)A", "gb2312", g1=True, width=2)

_BY_NUMBER: dict[int, tuple[_Set, ...]] = {
    6: (_ASCII,),
    13: (_KATAKANA, _ROMAJI),
    58: (_CHINESE,),
    87: (_KANJI,),
    100: (_LATIN_1,),
    101: (_Set(b"\x1b-B", "iso8859_2", g1=True),),
    109: (_Set(b"\x1b-C", "iso8859_3", g1=True),),
    110: (_Set(b"\x1b-D", "iso8859_4", g1=True),),
    126: (_Set(b"\x1b-F", "iso8859_7", g1=True),),
    127: (_Set(b"\x1b-G", "iso8859_6", g1=True),),
    138: (_Set(b"\x1b-H", "iso8859_8", g1=True),),
    144: (_Set(b"\x1b-L", "iso8859_5", g1=True),),
    148: (_Set(b"\x1b-M", "iso8859_9", g1=True),),
    149: (_KOREAN,),
    159: (_SUPPLEMENTARY_KANJI,),
    166: (_Set(b"\x1b-T", "tis_620", g1=True),),
    203: (_Set(b"\x1b-b", "iso8859_15", g1=True),),
}
"""ISO registration number to what it puts in G1 or G0 (PS3.3 tables C.12-2 to C.12-4)."""

_BY_ESCAPE = {one.escape: one for sets in _BY_NUMBER.values() for one in sets} | {
    b"\x1b$@": _KANJI,  # JIS C 6226-1978, before IR 87
    b"\x1b$A": _Set(b"\x1b$A", "gb2312", g1=False, width=2),
}
_STAND_ALONE = {"192": "utf_8", "GB18030": "gb18030", "GBK": "gbk", "UTF8": "utf_8"}
_NAME = re.compile(r"ISO[ _-]*(?:2022)?[ _-]*(?:IR)?[ _-]*([0-9]{1,4})")
_LONGEST_NAME = 32
_MOST_NAMES = 16
"""What goes beyond names no character sets: it is neither matched, which would take the cube of its length, nor kept
in a cache."""
_PIECE = re.compile(rb"\x1b\$?[()\-]?.|\x1b|[^\x1b]+", re.DOTALL)

_RESETS_TEXT = b"\\\t\n\f\r"
_RESETS_NAME = b"\\\t\n\f\r^="


def _visible(raw: bytes) -> str:
    return "".join(f"\ufffd{byte:02X}" for byte in raw)


def _show(error: UnicodeError) -> tuple[str, int]:
    """An error handler for codecs."""
    assert isinstance(error, UnicodeDecodeError)
    return _visible(error.object[error.start : error.end]), error.end


_SHOWN = "archive.shown"
codecs.register_error(_SHOWN, _show)


def decoder(specific_character_set: tuple[str, ...]) -> Decoder:
    """A function (bytes, VR) -> text for these values of SpecificCharacterSet (0008,0005). It never raises."""
    return _decoder(_names(specific_character_set))


@functools.lru_cache(maxsize=256)
def _decoder(specific_character_set: tuple[str, ...]) -> Decoder:
    alone = _stand_alone(specific_character_set)
    if alone:
        return functools.partial(_decode_alone, alone)
    sets = _announced(specific_character_set)
    return functools.partial(_decode, sets)


def encode(text: str, vr: str, specific_character_set: tuple[str, ...]) -> bytes:
    """`text` as bytes in these character sets, with the escape sequences that PS3.5 6.1.2.5.3 requires.
    Raises UnicodeEncodeError if it cannot be said in them. ASCII is the same in all of them."""
    if text.isascii():
        return text.encode()
    names = _names(specific_character_set)
    alone = _stand_alone(names)
    if alone:
        return text.encode(alone)
    sets = _announced(names)
    resets = (_RESETS_NAME if vr == "PN" else _RESETS_TEXT).decode()
    parts = re.split(f"([{re.escape(resets)}])", text)
    usable = sets if len(names) > 1 else sets[:1]
    return b"".join(_encode_part(part, usable) for part in parts)


def is_known(defined_term: str) -> bool:
    """Whether it names a character set that can be read and written here; empty is the default repertoire."""
    number = _number(defined_term) if defined_term.strip() else 6
    return number in _BY_NUMBER or bool(_stand_alone((defined_term,)))


def fold(text: str) -> str:
    """The form of a text in which searches compare: compatibility forms unified, without case, Latin, Greek
    and Cyrillic accents and control characters."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    kept = (char for char in decomposed if not ("\u0300" <= char <= "\u036f" or char < " " or char == "\x7f"))
    return unicodedata.normalize("NFKC", "".join(kept))


def _names(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value[:_LONGEST_NAME] for value in values[:_MOST_NAMES])


def _stand_alone(values: tuple[str, ...]) -> str:
    """The codec, if one is named that excludes code extensions (PS3.3 table C.12-5); else empty. `ISO 2022 IR
    6\\GBK` is a common mistake for GBK."""
    for value in values:
        name = value.strip().upper().replace("-", "").replace("ISO 2022 GBK", "GBK")
        number = _number(value)
        codec = _STAND_ALONE.get(name) or _STAND_ALONE.get(str(number))
        if codec:
            return codec
        if number not in (None, 6):
            return ""
    return ""


def _number(value: str) -> int | None:
    found = _NAME.fullmatch(value.strip().upper())
    return int(found[1]) if found else None


def _announced(values: tuple[str, ...]) -> tuple[_Set, ...]:
    """The sets, in order; the first ones hold at the start of every value."""
    numbers = [6 if not value.strip() else _number(value) for value in values] or [6]
    return tuple(one for number in numbers for one in _BY_NUMBER.get(number or 0, ()))


def _decode_alone(codec: str, raw: bytes, _: str) -> str:
    return raw.decode(codec, _SHOWN)


def _decode(sets: tuple[_Set, ...], raw: bytes, vr: str) -> str:
    if _ESC not in raw:
        if raw.isascii():
            return raw.decode("ascii")
        return _decode_plain(sets[0] if sets else _ASCII, raw)
    first = next((one for one in sets[:1] if one.g1), None)
    resets = _RESETS_NAME if vr == "PN" else _RESETS_TEXT
    g0, g1 = _ASCII, first
    text: list[str] = []
    for found in _PIECE.finditer(raw):
        piece = found[0]
        if piece[0] != _ESC:
            decoded, reset = _decode_run(piece, g0, g1, first, resets)
            text.append(decoded)
            g1 = first if reset else g1
        elif (designated := _BY_ESCAPE.get(piece)) is None:
            text.append(_visible(piece))
        elif designated.g1:
            g1 = designated
        else:
            g0 = designated
    return "".join(text)


def _decode_plain(first: _Set, raw: bytes) -> str:
    """A value without escape sequences, but not ASCII."""
    if first is _ASCII:
        try:
            return raw.decode("utf_8")
        except UnicodeDecodeError:
            return raw.decode(_DEFAULT)
    return raw.decode(first.codec, _SHOWN)


def _decode_run(
    piece: bytes, g0: _Set, g1: _Set | None, first: _Set | None, resets: bytes
) -> tuple[str, bool]:
    """Bytes between escape sequences, and whether a delimiter among them brought the first set back. A
    delimiter byte within a two-byte G0 set is half a character."""
    if g0.width == 2:
        return _decode_pairs(piece, g0), False
    cut = next((index for index, byte in enumerate(piece) if byte in resets), None)
    if cut is None:
        return _decode_high(piece, g1), False
    return _decode_high(piece[:cut], g1) + _decode_high(piece[cut:], first), True


def _decode_high(piece: bytes, g1: _Set | None) -> str:
    return piece.decode(g1.codec if g1 else _DEFAULT, _SHOWN)


def _decode_pairs(piece: bytes, g0: _Set) -> str:
    """Two-byte characters in G0; controls and spaces may stand between them, half a character is damage."""
    text = []
    position = 0
    while position < len(piece):
        pair = piece[position : position + 2]
        if pair[0] <= 0x20:
            text.append(chr(pair[0]))
        elif len(pair) == 2 and all(0x20 < byte < 0x7F for byte in pair):
            text.append(_decode_pair(pair, g0))
            position += 1
        else:
            text.append(_visible(pair[:1]))
        position += 1
    return "".join(text)


def _decode_pair(pair: bytes, g0: _Set) -> str:
    try:
        return (g0.prefix + bytes(byte | 0x80 for byte in pair)).decode(g0.codec)
    except UnicodeDecodeError:
        return _visible(pair)


def _encode_part(part: str, sets: tuple[_Set, ...]) -> bytes:
    """One part between delimiters: it begins and ends in the first set and ASCII."""
    out = bytearray()
    first = sets[0] if sets else _ASCII
    g0, g1 = _ASCII, first if first.g1 else None
    for char in part:
        one, raw = _encode_char(char, sets, part)
        if one.g1:
            out += b"" if one is g1 else one.escape
            g1 = one
        elif one.escape != g0.escape:
            out += one.escape
            g0 = one
        out += raw
    if g0 is not _ASCII:
        out += (_ROMAJI if _ROMAJI in sets[:2] else _ASCII).escape
    return bytes(out)


def _encode_char(char: str, sets: tuple[_Set, ...], whole: str) -> tuple[_Set, bytes]:
    if char.isascii():
        return _ASCII, char.encode()
    for one in sets:
        try:
            raw = char.encode(one.codec)
        except UnicodeEncodeError:
            continue
        if one.g1 and raw[0] >= 0x80 and len(raw) == one.width:
            return one, raw
        pair = raw.removeprefix(one.prefix)
        # not what the codec takes from elsewhere: EUC-JP has katakana of half width after a byte 8E
        if one.width == 2 and len(pair) == 2 and len(raw) == 2 + len(one.prefix) and min(pair) > _LOWEST_PAIR:
            return one, bytes(byte & 0x7F for byte in pair)
    raise UnicodeEncodeError(
        "dicom", whole, whole.index(char), whole.index(char) + 1, "not in the character sets"
    )
