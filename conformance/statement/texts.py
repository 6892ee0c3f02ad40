"""Character sets, each with a text that the code can really read."""

from __future__ import annotations

from archive.dicom.charsets import decoder
from conformance.statement.table import Table

_SINGLE_BYTE = {
    "13": (b"\xb1", "ｱ"),
    "100": (b"\xe9", "é"),
    "101": (b"\xb1", "ą"),
    "109": (b"\xe6", "ĉ"),
    "110": (b"\xe7", "į"),
    "126": (b"\xe1", "α"),
    "127": (b"\xc8", "ب"),
    "138": (b"\xe0", "א"),
    "144": (b"\xd6", "ж"),
    "148": (b"\xfd", "ı"),
    "166": (b"\xa1", "ก"),
    "203": (b"\xa4", "€"),
}
_SAMPLES = {
    **{f"ISO_IR {number}": sample for number, sample in _SINGLE_BYTE.items()},
    **{f"ISO 2022 IR {number}": sample for number, sample in _SINGLE_BYTE.items()},
    "ISO 2022 IR 58": (b"\x1b$)A\xd6\xd0", "中"),
    "ISO 2022 IR 87": (b"\x1b$B;3\x1b(B", "山"),
    "ISO 2022 IR 149": (b"\x1b$)C\xb1\xe8", "김"),
    "ISO 2022 IR 159": (b"\x1b$(D0!\x1b(B", "丂"),
    "ISO_IR 192": ("é中".encode(), "é中"),
    "GB18030": ("é中".encode("gb18030"), "é中"),
    "GBK": ("中".encode("gbk"), "中"),
}
"""Defined Terms of PS3.3 C.12.1.1.2, each with a text of its own."""


def character_sets() -> Table:
    read = (
        (f"`{term}`", text) for term, (raw, text) in _SAMPLES.items() if decoder((term,))(raw, "LO") == text
    )
    return ("Defined Term", "Such as"), read
