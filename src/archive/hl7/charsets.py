"""The character set of a message (MSH-18, HL7 table 0211), and the escape sequences that only it can tell.

A text that its character set does not hold is an error: a name with question marks in it would be taken for the
patient's.
"""

from __future__ import annotations

import re

from archive.dicom.errors import CannotUnderstand

_CODECS = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    **{f"8859/{number}": f"iso8859_{number}" for number in (*range(1, 12), 13, 14, 15, 16)},
    "GB 18030-2000": "gb18030",
    "GB18030": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "ISO IR6": "ascii",
}
_JAPANESE = frozenset({"ISO IR6", "ISO IR13", "ISO IR14", "ISO IR87", "ISO IR159"})
_SPACES = re.compile(r"[ _]+")


def codec(names: list[str], default: str) -> str:
    """Python's codec for the repetitions of MSH-18. Raises CannotUnderstand for a set that is not known here."""
    named = [_SPACES.sub(" ", name.strip().upper()) for name in names]
    present = [name for name in named if name]
    if not present:
        present = [_SPACES.sub(" ", default.strip().upper())]
    if any(name in _JAPANESE and name != "ISO IR6" for name in present):
        if set(present) <= _JAPANESE | {"ASCII"}:
            return "iso2022_jp_ext"
        raise CannotUnderstand("MSH-18 names character sets that cannot be mixed")
    if len(set(present)) > 1 or present[0] not in _CODECS:
        raise CannotUnderstand(
            "MSH-18 names a character set that is not known here, or several; UNICODE UTF-8 holds every name"
        )
    return _CODECS[present[0]]


def decoded(encoded: bytes, codec_name: str) -> str:
    """The text. Raises CannotUnderstand."""
    try:
        return encoded.decode(codec_name)
    except UnicodeDecodeError:
        raise CannotUnderstand(
            "the message holds bytes that its character set (MSH-18, else the setting hl7.character_set) does not have"
        ) from None


def unescaped(text: str, escape: str, separators: dict[str, str], codec_name: str) -> str:
    """A value without escape sequences (HL7 v2.5 2.7). Raises CannotUnderstand for one that switches the character set
    within a value: nobody who needs it has been seen, and leaving it out would mangle a name.

    python-hl7 has this too, but writes values to its log, makes of `.sp` as many lines as a stranger asks for, and
    reads the bytes of \\X..\\ as Latin-1 whatever the message is in."""
    if escape not in text:
        return text
    parts = text.split(escape)
    if len(parts) % 2 == 0:
        raise CannotUnderstand("an escape sequence in a value does not end")
    return "".join(
        _meant(part, separators, codec_name) if number % 2 else part for number, part in enumerate(parts)
    )


def _meant(sequence: str, separators: dict[str, str], codec_name: str) -> str:
    if sequence in separators:
        return separators[sequence]
    if sequence[:1] == "X" and re.fullmatch(r"(?:[0-9A-Fa-f]{2}){1,512}", sequence[1:]):
        return decoded(bytes.fromhex(sequence[1:]), codec_name)
    if sequence[:1] in ("C", "M"):
        raise CannotUnderstand("a value switches its character set: send the message in UNICODE UTF-8")
    return " " if sequence[:1] == "." else ""
