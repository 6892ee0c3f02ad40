"""What is said of a patient or of a study, apart from the objects that say it: the attributes that can be corrected,
the values that they may have, and when two values mean the same.

The Patient Module is that of PS3.3 C.7.1.1; of the General Study Module (PS3.3 C.7.2.1) only what is no identifier and
no moment: those are facts of the acquisition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from archive.dicom.attribute_ids import attribute_path
from archive.dicom.charsets import fold
from archive.dicom.dictionary import PLAIN
from archive.dicom.errors import InvalidEntry
from archive.dicom.patient_key import PatientKey

PATIENT_ID, ISSUER = "PatientID", "IssuerOfPatientID"

OF_PATIENT = (
    "PatientName",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientAddress",
    "PatientMotherBirthName",
    "MedicalRecordLocator",
    "PatientTelephoneNumbers",
    "EthnicGroup",
    "PatientReligiousPreference",
    "PatientComments",
)
OF_STUDY = ("AccessionNumber", "ReferringPhysicianName", "StudyDescription", "StudyID")

SEQUENCES_OF_ID = ("IssuerOfPatientIDQualifiersSequence",)
"""What goes with the PatientID: it would be wrong beside another one."""
SEQUENCES_OF_PATIENT = (
    *SEQUENCES_OF_ID,
    "ReferencedPatientSequence",
    "OtherPatientIDsSequence",
    "ReferencedPatientPhotoSequence",
)
"""What must not stay with a study that goes to another patient."""

_SEVERAL = frozenset(("OtherPatientIDs", "OtherPatientNames", "PatientTelephoneNumbers"))
_LONGEST = {"LO": 64, "SH": 16, "PN": 64, "CS": 16, "LT": 10_240}
_FORMS = {
    "DA": re.compile(r"[0-9]{8}"),
    "TM": re.compile(r"[0-9]{2}([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?"),
    "CS": re.compile(r"[A-Z0-9 _]{1,16}"),
}


def tag_of(keyword: str) -> int:
    """The tag of an attribute that exists."""
    path = attribute_path(keyword)
    assert path is not None
    return path[0]


def vr_of(keyword: str) -> str:
    """Its VR."""
    return PLAIN.get(tag_of(keyword), "SQ")


def checked(attributes: Mapping[str, str], known: tuple[str, ...]) -> dict[str, str]:
    """The attributes as they are to be written, in the order of their tags. Raises InvalidEntry."""
    found = {}
    for keyword in sorted(attributes, key=lambda name: tag_of(name) if name in known else 0):
        if keyword not in known:
            raise InvalidEntry(f"{keyword[:64]} cannot be corrected here: one of {', '.join(known)}")
        found[keyword] = _value(keyword, attributes[keyword])
    return found


def checked_key(key: PatientKey) -> PatientKey:
    """The key as it is compared. Raises InvalidEntry."""
    patient_id, issuer = _value(PATIENT_ID, key.PatientID), _value(ISSUER, key.IssuerOfPatientID)
    if not patient_id:
        raise InvalidEntry("a patient is named by a PatientID")
    return PatientKey(patient_id, issuer)


def compared(keyword: str, text: str) -> str:
    """The text in the form in which a former value is recognised: two that differ in padding, and two names that differ
    in letters' case or in empty components, mean the same."""
    values = text.split("\\")
    if vr_of(keyword) == "PN":
        return "\\".join(
            "=".join(_group(group) for group in value.split("=")).rstrip("=") for value in values
        )
    return "\\".join(value.strip(" \0") for value in values)


def same_patient(one: PatientKey, other: PatientKey) -> bool:
    """Whether nothing speaks against it: an issuer can differ only where both name one."""
    issuers = {one.IssuerOfPatientID, other.IssuerOfPatientID} - {""}
    return one.PatientID == other.PatientID and len(issuers) < 2


def _group(group: str) -> str:
    return fold(group).strip(" ").rstrip("^ ")


def _value(keyword: str, value: str) -> str:
    value, vr = value.strip(" \0"), vr_of(keyword)
    parts = value.split("\\") if keyword in _SEVERAL else [value]
    for part in parts:
        if not _is_value(vr, part):
            raise InvalidEntry(f"{keyword}: this is no value of VR {vr} (PS3.5 6.2)")
    return "\\".join(map(_name, parts)) if vr == "PN" else value


def _name(part: str) -> str:
    """Without the empty components and groups at the end that PS3.5 6.2.1.2 permits."""
    return "=".join(group.strip(" ").rstrip("^ ") for group in part.split("=")).rstrip("=")


def _is_value(vr: str, part: str) -> bool:
    if any(character < " " and not (vr == "LT" and character in "\r\n\f\t") for character in part):
        return False
    if "\\" in part or any("\ud800" <= character <= "\udfff" for character in part):
        return False
    if vr in _FORMS:
        return not part or _FORMS[vr].fullmatch(part) is not None
    groups = part.split("=") if vr == "PN" else [part]
    return len(groups) <= 3 and all(len(group) <= _LONGEST[vr] for group in groups)
