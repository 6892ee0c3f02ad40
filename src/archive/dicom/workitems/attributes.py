"""What is asked of the attributes of a workitem: PS3.4 Table CC.2.5-3, as far as there is something to ask.

An attribute without a row may be told at any time, empty or not, and is kept as it was told: so are private ones and
those of type 3. Of a sequence's items only that is asked without which the item says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from archive.dicom.attribute_ids import keyword
from archive.dicom.attribute_levels import vr_of

PUSH = "1.2.840.10008.5.1.4.34.6.1"
"""UPS Push: the SOP Class of every workitem, by whichever it was negotiated (PS3.4 CC.3.1)."""
WATCH, PULL = "1.2.840.10008.5.1.4.34.6.2", "1.2.840.10008.5.1.4.34.6.3"
EVENT, QUERY = "1.2.840.10008.5.1.4.34.6.4", "1.2.840.10008.5.1.4.34.6.5"
SOP_CLASSES = (PUSH, WATCH, PULL, EVENT, QUERY)

GLOBAL = "1.2.840.10008.5.1.4.34.5"
"""The UID that stands for all workitems when somebody subscribes (PS3.4 CC.2.3.2)."""
FILTERED = "1.2.840.10008.5.1.4.34.5.1"
"""The same for those that match."""
WELL_KNOWN = frozenset({GLOBAL, FILTERED})

SOP_CLASS_UID, SOP_INSTANCE_UID, CHARACTER_SET = "00080016", "00080018", "00080005"
TRANSACTION_UID = "00081195"
STATE, PROGRESS, PERFORMED = "00741000", "00741002", "00741216"
READINESS, PRIORITY, LABEL, WORKLIST_LABEL = "00404041", "00741200", "00741204", "00741202"
START, MODIFIED = "00404005", "00404010"
STATION_NAMES, HUMAN_PERFORMERS = "00404025", "00404034"
HUMAN_PERFORMER_CODES, HUMAN_PERFORMER_ORGANIZATION = "00404009", "00404036"
CANCELED_AT, REASON, REASON_CODES = "00404052", "00741238", "0074100E"
CONTACTS, CONTACT_URI, CONTACT_NAME = "00741008", "0074100A", "0074100C"
PATIENT_ID = "00100020"
STUDY_UID = "0020000D"

_NAME_CODES = ("00080100", "00080119", "00080120")
"""Code Value, Long Code Value, URN Code Value: an item of codes has one of them (PS3.3 8.1)."""


class Creation(Enum):
    """What N-CREATE has to say of it."""

    VALUE = "1"
    PRESENT = "2"
    EMPTY = "2, and empty"


class Setting(Enum):
    """What N-SET may say of it."""

    VALUE = "not empty"
    ANYTHING = "anything"
    NOTHING = "not allowed"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row. `values` are the only ones that it has, `inner` the attributes that each item has with a value."""

    tag: str
    creation: Creation
    setting: Setting
    values: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    codes: bool = False

    @property
    def vr(self) -> str:
        """As PS3.6 has it."""
        return vr_of(int(self.tag, 16))

    @property
    def keyword(self) -> str:
        """As PS3.6 has it."""
        return keyword(int(self.tag, 16))


@dataclass(frozen=True, slots=True)
class Required:
    """What a workitem has to hold to be COMPLETED (final state P): a sequence whose one item has these."""

    sequence: str
    attributes: tuple[str, ...] = field(default=())


_VALUE, _PRESENT, _EMPTY = Creation.VALUE, Creation.PRESENT, Creation.EMPTY
_FILLED, _ANYTHING, _NOTHING = Setting.VALUE, Setting.ANYTHING, Setting.NOTHING

_ROWS = (
    Attribute(TRANSACTION_UID, _EMPTY, _ANYTHING),
    # Unified Procedure Step Scheduled Procedure Information
    Attribute(PRIORITY, _VALUE, _FILLED, ("HIGH", "MEDIUM", "LOW")),
    Attribute(LABEL, _VALUE, _FILLED),
    Attribute(WORKLIST_LABEL, _PRESENT, _FILLED),
    Attribute("00741210", _PRESENT, _ANYTHING),
    Attribute(STATION_NAMES, _PRESENT, _ANYTHING, codes=True),
    Attribute("00404026", _PRESENT, _ANYTHING, codes=True),
    Attribute("00404027", _PRESENT, _ANYTHING, codes=True),
    Attribute(HUMAN_PERFORMERS, _PRESENT, _ANYTHING, inner=(HUMAN_PERFORMER_CODES,)),
    Attribute(START, _VALUE, _FILLED),
    Attribute("00404018", _PRESENT, _ANYTHING, codes=True),
    Attribute("00400400", _PRESENT, _ANYTHING),
    Attribute(READINESS, _VALUE, _FILLED, ("INCOMPLETE", "UNAVAILABLE", "READY")),
    Attribute("00404021", _PRESENT, _ANYTHING),
    Attribute(STUDY_UID, _PRESENT, _ANYTHING),
    # Unified Procedure Step Relationship: whose workitem it is, and why, is said once
    Attribute("00100010", _PRESENT, _NOTHING),
    Attribute(PATIENT_ID, _PRESENT, _NOTHING),
    Attribute("00100021", _PRESENT, _NOTHING),
    Attribute("00100024", _PRESENT, _NOTHING),
    Attribute("00101002", _PRESENT, _ANYTHING),
    Attribute("00100030", _PRESENT, _NOTHING),
    Attribute("00100040", _PRESENT, _NOTHING),
    Attribute("00380010", _PRESENT, _NOTHING),
    Attribute("00380014", _PRESENT, _NOTHING),
    Attribute("00081080", _PRESENT, _NOTHING),
    Attribute("00081084", _PRESENT, _NOTHING, codes=True),
    Attribute("0040A370", _PRESENT, _NOTHING, inner=(STUDY_UID,)),
    # Medical Alerts
    Attribute("00102000", _PRESENT, _ANYTHING),
    # Unified Procedure Step Progress Information, and Performed Procedure Information
    Attribute(STATE, _VALUE, _NOTHING, ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")),
    Attribute(PROGRESS, _EMPTY, _ANYTHING),
    Attribute(PERFORMED, _EMPTY, _ANYTHING),
)

ATTRIBUTES: Mapping[str, Attribute] = {row.tag: row for row in _ROWS}

REPLACED_STEPS = "00741224"
NOT_SET_LATER = frozenset(
    {tag for tag, row in ATTRIBUTES.items() if row.setting is Setting.NOTHING} | {REPLACED_STEPS}
)
"""Replaced Procedure Step Sequence is there when it is meant (type 1C), and is not set later either."""

GIVEN_BY_THE_ARCHIVE = frozenset({SOP_CLASS_UID, SOP_INSTANCE_UID, CHARACTER_SET, MODIFIED})
"""What is said of them in a data set is not kept: they are of the instance, of the encoding, or ours to tell."""

COMPLETE = Required(
    PERFORMED,
    (
        "00404028",  # Performed Station Name Code Sequence
        "00404050",  # Performed Procedure Step Start DateTime
        "00404019",  # Performed Workitem Code Sequence
        "00404051",  # Performed Procedure Step End DateTime
    ),
)

CODE_VALUES = _NAME_CODES

UNSPECIFIED_REASON = {
    "00080100": {"vr": "SH", "Value": ["110513"]},
    "00080102": {"vr": "SH", "Value": ["DCM"]},
    "00080104": {"vr": "LO", "Value": ["Discontinued for unspecified reason"]},
}
"""PS3.16 CID 9300: what is said where nobody gives a reason."""

RETURNED = (*(tag for tag in ATTRIBUTES if tag != TRANSACTION_UID), SOP_CLASS_UID, SOP_INSTANCE_UID, MODIFIED)
"""What search results always hold: Return Key Type 1 and 2."""
