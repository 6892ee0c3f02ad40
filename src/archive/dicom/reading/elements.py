"""The header of an element (PS3.5 7.1): tag, VR and length in their three forms. And the words of its value."""

from __future__ import annotations

import struct

SHORT = {
    name.encode(): name
    for name in (
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO"),
        *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
    )
}
"""VRs with a length of two bytes (PS3.5 table 7.1-2)."""

LONG = {
    name.encode(): name
    for name in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
}
"""VRs with two reserved bytes and a length of four bytes (PS3.5 table 7.1-1)."""

WORD_BYTES = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
"""How many bytes of a value are turned round in big endian (PS3.5 7.3); those of other VRs stay as they are."""

EXPLICIT = {False: struct.Struct("<HH2sH").unpack_from, True: struct.Struct(">HH2sH").unpack_from}
IMPLICIT = {False: struct.Struct("<HHI").unpack_from, True: struct.Struct(">HHI").unpack_from}
_UINT32 = {False: struct.Struct("<I").unpack_from, True: struct.Struct(">I").unpack_from}


Header = tuple[int, str, int, int]
"""Tag, VR as declared (empty if there is none), length of the value, length of the header."""


def is_vr(letters: bytes) -> bool:
    """Whether these could be a VR, of whatever edition of PS3.5."""
    return letters.isalpha() and letters.isupper()


def header(buffer: bytes, position: int, implicit: bool, big_endian: bool) -> Header | int:
    """The header at `position`, or how many bytes from there on are needed to read it.

    In explicit VR an element without any letters for a VR is read as implicit VR, as pydicom and others do for senders
    that change over in the middle. A VR of a later edition has the long form (PS3.5 6.2), which begins with two zero
    bytes; where they are not zero, the sender used the short form."""
    if position + 8 > len(buffer):
        return 8
    group, number, letters, length = EXPLICIT[big_endian](buffer, position)
    tag = group << 16 | number
    if implicit or not is_vr(letters):
        return tag, "", _UINT32[big_endian](buffer, position + 4)[0], 8
    if letters in SHORT:
        return tag, SHORT[letters], length, 8
    if letters not in LONG and length:
        return tag, "UN", length, 8
    if position + 12 > len(buffer):
        return 12
    return tag, LONG.get(letters, "UN"), _UINT32[big_endian](buffer, position + 8)[0], 12
