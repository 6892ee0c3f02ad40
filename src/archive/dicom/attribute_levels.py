"""The level, VR and multiplicity of attributes that the index has no row for, so that they can be matched and returned.

PS3.18 10.6.3.3 leaves out of an answer what belongs to a level below it, and 10.6.1.2.1 matches nothing there. Which
information entity an attribute describes is told by the modules of PS3.3: Patient, Clinical Trial Subject (patient);
General Study, Patient Study, Clinical Trial Study, and the requests of groups 0032 and 0038 (study); General Series,
Clinical Trial Series, General Equipment, Frame of Reference (series). The rest describes instances.
"""

from __future__ import annotations

import functools

from pydicom.datadict import DicomDictionary, tag_for_keyword

from archive.dicom.attribute_ids import keyword
from archive.dicom.attributes import BY_TAG
from archive.dicom.dictionary import Choice, public_vr
from archive.dicom.instance import Level

TIMEZONE_OFFSET_FROM_UTC = 0x00080201

FACTS_OF_AN_ANSWER = frozenset(
    {
        0x00080005, 0x00080052, 0x00080053, 0x00080054, 0x00080056, 0x0008041B, 0x0008041C, 0x00080429, 0x00081190,
        0x00880130, 0x00880140,
    }
)  # fmt: skip
"""SpecificCharacterSet, QueryRetrieveLevel, QueryRetrieveView, RetrieveAETitle, InstanceAvailability, RecordKey,
PriorRecordKey, MaximumNumberOfRecords, RetrieveURL, StorageMediaFileSetID and UID: facts about an answer, not about an
object; the doors know them."""

_UNMATCHED_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})

_BY_GROUP = {0x0010: Level.PATIENT, 0x0012: Level.STUDY, 0x0032: Level.STUDY, 0x0038: Level.STUDY}
_OF_THE_STUDY = (
    0x00080051, 0x00080063, 0x00080096, 0x0008009C, 0x0008009D, 0x00081032, 0x00081048, 0x00081049, 0x00081062,
    0x00081084, 0x00081110, 0x00081120, 0x00101021, 0x00101022, 0x00101023, 0x00101024, 0x00102000,
    0x00102110, 0x001021A0, 0x001021C0, 0x001021D0, 0x00102203, 0x00401012,
)  # fmt: skip
_OF_THE_SERIES = (
    0x00080068, 0x00080081, 0x00080082, 0x00081041, 0x0008103F, 0x00081052, 0x00081072, 0x00081111, 0x00081250,
    0x00102210, 0x00120060, 0x00120071, 0x00120072, 0x00120073, 0x00181000, 0x00181002, 0x00181008, 0x00181009,
    0x0018100A, 0x0018100B, 0x00181020, 0x00181050, 0x00181200, 0x00181201, 0x00200052, 0x00201040, 0x00200200,
    0x00280108, 0x00280109, 0x00400241, 0x00400242, 0x00400243, 0x00400250, 0x00400251, 0x00400255, 0x00400260,
    0x00400280,
)  # fmt: skip
_OTHERS = {
    **dict.fromkeys(_OF_THE_STUDY, Level.STUDY),
    **dict.fromkeys(_OF_THE_SERIES, Level.SERIES),
    0x00109431: Level.IMAGE,
    0x00120062: Level.PATIENT,
    0x00120063: Level.PATIENT,
    0x00120064: Level.PATIENT,
}


def is_private(tag: int) -> bool:
    """Whether the tag is of an odd group (PS3.5 7.8)."""
    return bool(tag & 0x10000)


def is_private_creator(tag: int) -> bool:
    """Whether it is the Private Creator Element of a block (PS3.5 7.8.1)."""
    return is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


def level_of(tag: int) -> Level | None:
    """The level that an attribute of the data set itself describes; None for a private one, which may be of any."""
    row = BY_TAG.get(tag)
    if row is not None:
        return row.level
    if is_private(tag):
        return None
    return _OTHERS.get(tag, _BY_GROUP.get(tag >> 16, Level.IMAGE))


def is_at_or_above(tag: int, level: Level) -> bool:
    """Whether an answer at this level may hold the attribute."""
    at = level_of(tag)
    return at is None or at <= level


@functools.lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """The VR of PS3.6; UN for what it does not know, and for private attributes."""
    row = BY_TAG.get(tag)
    return row.vr if row is not None else "UN" if is_private(tag) else public_vr(tag, Choice())


def is_matchable(vr: str) -> bool:
    """Whether values of this VR are matched at all; UN may be any VR."""
    return vr not in _UNMATCHED_VRS


def may_have_several_values(tag: int) -> bool:
    """Whether PS3.6 gives a multiplicity above 1; a private attribute may have any."""
    row = DicomDictionary.get(tag)
    return row is None or row[1] != "1"


@functools.lru_cache(maxsize=1024)
def time_beside(tag: int) -> int:
    """The tag of the time that goes with a date: of StudyTime for StudyDate; 0 if there is none (PS3.4 C.2.2.2.5)."""
    return _beside(tag, "Date", "Time", "TM")


@functools.lru_cache(maxsize=1024)
def date_beside(tag: int) -> int:
    """The tag of the date that goes with a time; 0 if there is none."""
    return _beside(tag, "Time", "Date", "DA")


def _beside(tag: int, ending: str, other: str, vr: str) -> int:
    name = keyword(tag)
    found = tag_for_keyword(name[: -len(ending)] + other) if name.endswith(ending) else None
    return int(found) if found is not None and vr_of(int(found)) == vr else 0


def follows_the_timezone(tag: int) -> bool:
    """Whether TimezoneOffsetFromUTC is about it: not about the day on which somebody was born."""
    return not keyword(tag).endswith(("BirthDate", "BirthTime"))
