"""Names, codes, moments and places of HL7 as those of DICOM (PS3.5 6.2, IHE RAD TF-2 appendix B)."""

from __future__ import annotations

import datetime
import re
from typing import Any

from archive.hl7.message import Segment

_GROUPS = {"": "Alphabetic", "A": "Alphabetic", "I": "Ideographic", "P": "Phonetic"}
SEXES = {"M": "M", "F": "F", "O": "O", "A": "O"}
"""HL7 table 0001 as Patient's Sex: of who is unknown or not asked, nothing is said."""
_LONGEST = 64
_UNIVERSAL = frozenset({"DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"})
"""Universal Entity ID Type (PS3.3 10.14)."""
_MOMENT = re.compile(r"(\d{8})(\d{2})?(\d{2})?(\d{2})?(?:\.\d{1,6})?([+-]\d{4})?", re.ASCII)


def person(segment: Segment, field: int) -> dict[str, str] | None:
    """A patient's name (XPN); each representation (XPN.8) from the first repetition that has it, the legal name (XPN.7)
    before others."""
    groups: dict[str, str] = {}
    for number in sorted(
        segment.repetitions(field), key=lambda at: segment.get(field, 7, repetition=at) != "L"
    ):
        group = _GROUPS.get(segment.get(field, 8, repetition=number))
        name = _name([segment.get(field, part, repetition=number) for part in range(1, 7)])
        if group and name:
            groups.setdefault(group, name)
    return groups or None


def physician(segment: Segment, field: int) -> dict[str, str] | None:
    """The name of somebody with an ID before it (XCN, CN); where all of that is one component, its parts (NDL)."""
    if segment.has_subcomponents(field):
        name = _name([segment.get(field, 1, part) for part in range(2, 8)])
    else:
        name = _name([segment.get(field, part) for part in range(2, 8)])
    return {"Alphabetic": name} if name else None


def _name(parts: list[str]) -> str:
    """Family, given, middle, suffix, prefix, degree as DICOM has them: the prefix before the suffix, a degree in it."""
    family, given, middle, suffix, prefix, degree = (
        part.replace("^", " ").replace("=", "-") for part in parts
    )
    endings = " ".join(filter(None, (suffix, degree)))
    return "^".join((family, given, middle, prefix, endings)).rstrip("^")


def code(segment: Segment, field: int, first: int = 1) -> list[dict[str, Any]]:
    """A coded entry (CE) as the items of a code sequence: one, or none."""
    value, meaning, scheme = (segment.get(field, first + at) for at in range(3))
    if not value or not scheme:
        return []
    named = {"CodeValue": value} if len(value) <= 16 else {"LongCodeValue": value}
    return [{**named, "CodingSchemeDesignator": scheme, "CodeMeaning": label(meaning or value)}]


def label(text: str) -> str:
    """A text for people, at the length of an LO."""
    return " ".join(text.replace("\\", "/").split())[:_LONGEST].strip()


def moment(text: str) -> tuple[str, str]:
    """A date and a time of a TS or DTM value; empty where there is none, the time also where only the day is said."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return "", ""
    day, hour, minute, second, _ = found.groups()
    return day, f"{hour}{minute or '00'}{second or '00'}" if hour else ""


def appointment(text: str) -> tuple[str, str]:
    """The same of something that is to happen here: a time with a time zone (HL7 v2.5.1 2.A.22) in that of this
    machine, which is that of the modalities. The time zone of MSH-7 is not heeded: it is that of the day on which the
    message was sent, and summer time may begin before the appointment."""
    day, time = moment(text)
    offset = text[-5:]
    if not time or offset[0] not in "+-":
        return day, time
    try:
        there = datetime.datetime.strptime(f"{day}{time}{offset}", "%Y%m%d%H%M%S%z").astimezone()
    except (ValueError, OverflowError):
        return "", ""
    return there.strftime("%Y%m%d"), there.strftime("%H%M%S")


def place(segment: Segment, field: int) -> str:
    """A location (PL): what is said of it, from the ward to the bed."""
    return label("/".join(filter(None, (segment.get(field, part) for part in range(1, 5)))))


def giver(segment: Segment, field: int) -> list[dict[str, str]]:
    """Who gave an entity identifier (EI), as the items of an Order Placer or Order Filler Identifier Sequence: one, or
    none."""
    named = {"LocalNamespaceEntityID": segment.get(field, 2)}
    kind = segment.get(field, 4).upper()
    if kind in _UNIVERSAL and segment.get(field, 3):
        named |= {"UniversalEntityID": segment.get(field, 3), "UniversalEntityIDType": kind}
    said = {word: value for word, value in named.items() if value}
    return [said] if said else []
