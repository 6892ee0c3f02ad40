"""What becomes of an attribute, without knowing the IOD: where Table E.1-1 leaves a choice between removing, emptying
and replacing, the one that leaves a conformant object whatever the type of the attribute is.

Stricter than the table: what no dictionary knows goes, and so does what is not in the table but has a VR in which
people write names, moments and prose. A UID that is not registered by DICOM is always replaced, and no moment is kept.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields

from archive.dicom.deidentifying.table import BASIC, DEVICE_IDENTITY, MODIFIED_DATES, PATIENT_CHARACTERISTICS
from archive.dicom.dictionary import Choice, public_vr
from archive.dicom.errors import InvalidEntry


@dataclass(frozen=True, slots=True)
class Options:
    """Those of PS3.15 E.3 that are offered. What is False here, the Basic Profile takes away."""

    modified_dates: bool = False
    """Retain Longitudinal Temporal Information with Modified Dates (E.3.6)."""
    patient_characteristics: bool = False
    """Retain Patient Characteristics (E.3.7)."""
    device_identity: bool = False
    """Retain Device Identity (E.3.8)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that are chosen."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))

    @staticmethod
    def named(names: Iterable[str]) -> Options:
        """The options of these names. Raises InvalidEntry."""
        chosen = dict.fromkeys(names, True)
        if unknown := chosen.keys() - set(OPTIONS):
            raise InvalidEntry(f"{', '.join(sorted(unknown))}: options are {', '.join(OPTIONS)}")
        return Options(**chosen)


OPTIONS = tuple(one.name for one in fields(Options))


class Act(enum.Enum):
    """What becomes of an attribute."""

    KEEP = enum.auto()
    REMOVE = enum.auto()
    EMPTY = enum.auto()
    DUMMY = enum.auto()
    UID = enum.auto()
    """Another one in its place, if it is not registered."""
    MOVE = enum.auto()
    """By a number of days."""


METHOD = frozenset((0x00120062, 0x00120063, 0x00120064, 0x00280303))
"""Say that and how an object was de-identified, and are written anew."""

_OF_TABLE = {
    "X": Act.REMOVE,
    "Z": Act.EMPTY,
    "D": Act.DUMMY,
    "U": Act.UID,
    "X/Z": Act.EMPTY,
    "X/D": Act.DUMMY,
    "Z/D": Act.DUMMY,
    "X/Z/D": Act.DUMMY,
    "X/Z/U*": Act.KEEP,
}
"""The last: a sequence whose UIDs are replaced, as all within sequences is treated by the same table."""
_EMPTIED_SEQUENCES = frozenset((0x00400555,))
"""Of the sequences with X/Z or X/Z/D those that an IOD may require, without items. The others go: an IOD that does not
require them wants an item."""
_TELLING = frozenset(("AE", "DA", "DT", "LT", "PN", "ST", "TM", "UC", "UR", "UT"))
_CODES = frozenset((0x00080119, 0x00080120))
"""Long Code Value and URN Code Value."""
_PIXEL_WORDS = frozenset(("OB", "OW", "SS", "US"))


def act(tag: int, vr: str, options: Options) -> Act:
    """Of an attribute that is stored with this VR."""
    wanted, meant = _wanted(tag, options)
    if wanted is Act.REMOVE or vr == meant:
        return wanted
    if wanted in (Act.EMPTY, Act.DUMMY) and "SQ" not in (vr, meant):
        return wanted
    return Act.KEEP if wanted is Act.KEEP and {vr, meant} <= _PIXEL_WORDS else Act.REMOVE


@functools.lru_cache(maxsize=16384)
def _wanted(tag: int, options: Options) -> tuple[Act, str]:
    meant = public_vr(tag, Choice()) if not tag & 0x10000 else "UN"
    if meant == "UN" and tag not in BASIC:
        return Act.REMOVE, meant
    if tag >> 24 in (0x50, 0x60) or tag in METHOD or not tag & 0xFFFF:
        return Act.REMOVE, meant
    return _of_options(tag, options) or _basic(tag, meant), meant


def _of_options(tag: int, options: Options) -> Act | None:
    """Moments are moved or gone, also those of a device."""
    if tag in MODIFIED_DATES:
        return Act.MOVE if options.modified_dates else None
    if options.device_identity and tag in DEVICE_IDENTITY:
        return Act.KEEP
    if options.patient_characteristics and tag in PATIENT_CHARACTERISTICS:
        return Act.KEEP
    return None


def basic(tag: int) -> Act:
    """What becomes of an attribute whose moment cannot be moved."""
    return _basic(tag, "UN")


def _basic(tag: int, vr: str) -> Act:
    if tag in BASIC:
        if vr == "SQ" and BASIC[tag] in ("X/Z", "X/Z/D", "X/D") and tag not in _EMPTIED_SEQUENCES:
            return Act.REMOVE
        return _OF_TABLE[BASIC[tag]]
    if vr == "UI":
        return Act.UID
    return Act.REMOVE if vr in _TELLING and tag not in _CODES else Act.KEEP
