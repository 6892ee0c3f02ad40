"""The VR of an attribute that comes without one: implicit VR, and UN where a sender did not know (PS3.5
6.2.2).

The tables are pydicom's (PS3.6 and a collection of private dictionaries). Where PS3.6 leaves a choice ("US or
SS"), the data set decides, by the rules of PS3.5 annex A and of the attributes' own definitions.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pydicom.datadict import (
    DicomDictionary,
    RepeatersDictionary,
    dictionary_VR,
    private_dictionaries,
    private_dictionary_VR,
)

LUT_DESCRIPTORS = frozenset((0x00281101, 0x00281102, 0x00281103, 0x00283002))
"""Their first value counts entries and is unsigned whatever the VR (PS3.3 C.11.1.1)."""

_PUBLIC: dict[int, str] = {tag: row[0] for tag, row in DicomDictionary.items()}

PRIVATE_CREATORS = frozenset(private_dictionaries)
"""Those of whose private attributes somebody published the VRs."""

PLAIN: dict[int, str] = {
    tag: vr
    for tag, vr in _PUBLIC.items()
    if len(vr) == 2 and vr[0] != "O" and vr not in ("SQ", "UN") and 0x0008 <= tag >> 16 < 0xFFFE
}
"""Attributes with one possible VR, which is neither a sequence nor binary: what the reader takes without
asking."""


_REPEATING_GROUPS = frozenset(
    int(mask[:4].replace("xx", f"{number:02X}"), 16) for mask in RepeatersDictionary for number in range(256)
)
"""Groups in which there are attributes with repeating tags; asking pydicom about any other tag takes long."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What decides between the VRs of an attribute: PixelRepresentation (None if not known) and the number of
    entries in the LUTDescriptor beside a LUTData."""

    PixelRepresentation: int | None = None
    entries: int = 0


def public_vr(tag: int, choice: Choice) -> str:
    """The VR of a tag of an even group; UN if PS3.6 does not know it."""
    found = _PUBLIC.get(tag) or _repeated(tag)
    if len(found) == 2:
        return found
    if found == "US or SS":
        return "SS" if choice.PixelRepresentation == 1 else "US"
    if found == "US or OW" and choice.entries == 1:
        return "US"
    return "OW" if "OW" in found else "UN"


@functools.lru_cache(maxsize=8192)
def private_vr(tag: int, creator: str) -> str:
    """The VR of a private attribute by its private creator; UN if nobody published it."""
    try:
        return str(private_dictionary_VR(tag, creator))[:2]
    except KeyError:
        return "UN"


@functools.lru_cache(maxsize=8192)
def _repeated(tag: int) -> str:
    """The repeating groups, 60xx and others; group lengths are UL everywhere (PS3.5 7.2)."""
    if not tag & 0xFFFF:
        return "UL"
    if tag >> 16 not in _REPEATING_GROUPS:
        return "UN"
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"
