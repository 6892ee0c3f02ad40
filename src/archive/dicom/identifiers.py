"""UIDs: which ones are let in, and the ones that are ours (PS3.5 chapter 9).

Leading zeros in a component ("1.02") break PS3.5 9.1 but are sent by installed devices and do no harm, as the
archive never makes a path or a command of a UID. What could do harm is refused: other characters, too long,
empty components.
"""

from __future__ import annotations

import re

from archive.dicom.errors import InvalidUID

IMPLEMENTATION_CLASS_UID = "2.25.71114411165475996713460113846535281087"
IMPLEMENTATION_VERSION_NAME = "DICOM_ARCHIVE_1"

_ALLOWED = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)


def check_uid(value: str, tag: int) -> str:
    """`value` as it is, if PS3.5 9.1 allows its characters and length. Raises InvalidUID, which names the
    attribute but does not quote the value."""
    if len(value) <= 64 and _ALLOWED.fullmatch(value):
        return value
    raise InvalidUID(
        f"the UID in {tag_text(tag)} is not made of digits and single dots, at most 64 of them", tag
    )


def tag_text(tag: int) -> str:
    """A tag as the standard writes it: `(0008,0018)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
