"""What a table of the statement is, and what several of them need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from archive.config import KEYS
from archive.dicom import errors
from archive.dicom.errors import ArchiveError

Table = tuple[Sequence[str], Iterable[Sequence[str]]]


def settings_of(section: str) -> Table:
    """The settings of a section."""
    keys = [key for key in KEYS.values() if key.section == section]
    return ("Setting", "Default", "Meaning"), (
        (f"`{key.path}`", str(key.default), key.sentence) for key in keys
    )


def written_tag(tag: int) -> str:
    """(gggg,eeee)"""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def meaning_of(error: type[ArchiveError]) -> str:
    """The words of the tree of errors, at the top of its module."""
    if error is errors.ArchiveError:
        return "A fault of the archive; its log has the details."
    found = re.search(rf"── {error.__name__}  +(.+)", errors.__doc__ or "")
    assert found is not None, f"{error.__name__} is not in the tree of errors"
    words = found[1]
    return f"{words if words[:2].isupper() else words[0].upper() + words[1:]}."
