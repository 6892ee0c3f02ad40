"""The patient of an entry or of a performed step: named anew when the archive learns better who it is.

What says who a patient is, and what is said of them, stands at the top of the data set in both. Only that is touched:
the order, the visit and what was done stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archive.dicom.attribute_ids import attribute_path
from archive.dicom.attribute_levels import vr_of
from archive.dicom.errors import InvalidValue, MissingValue
from archive.dicom.patient_key import PatientKey
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import keyword_form, values
from archive.dicom.worklist.entries import ISSUER, PATIENT_ID, PATIENT_NAME, text

QUALIFIERS = "00100024"
"""Issuer of Patient ID Qualifiers Sequence: of the issuer that was."""
DEMOGRAPHICS = (PATIENT_NAME, "00100030", "00100032", "00100040", "00101060")
"""Name, birth date and time, sex, mother's birth name: what a merged patient takes from the one that survives."""
OF_PATIENT = frozenset({*DEMOGRAPHICS, PATIENT_ID, ISSUER, QUALIFIERS})
_LINES = frozenset({"ST", "LT", "UT"})

Elements = Mapping[str, Mapping[str, Any] | None]
"""Attributes by tag; None: it was not there."""


def key_of(data_set: Mapping[str, Mapping[str, Any]]) -> PatientKey:
    """Whose it is."""
    return PatientKey(text(data_set, PATIENT_ID), text(data_set, ISSUER))


def elements(attributes: Mapping[str, str]) -> DataSet:
    """Attributes by keyword, as texts, in the DICOM JSON Model; those with an empty text have no value. Raises
    CannotUnderstand, InvalidValue, MissingValue."""
    if not attributes.get("PatientName", "-").strip("^= "):
        raise MissingValue("PatientName cannot be removed: a patient keeps a name", int(PATIENT_NAME, 16))
    for name in ("PatientID", "IssuerOfPatientID"):
        if name in attributes:
            raise InvalidValue(f"{name} is no demographic attribute: merge the patient into the right one")
    made = keyword_form.data_set({word: _values(word, value) for word, value in attributes.items()})
    values.check(made)
    return made


def renamed(data_set: DataSet, key: PatientKey, said: DataSet) -> DataSet:
    """The data set of this patient, with what is said of them."""
    made = {**data_set, **said}
    if key != key_of(data_set):
        made.pop(QUALIFIERS, None)
        made[PATIENT_ID] = {"vr": "LO", "Value": [key.PatientID]}
        made.pop(ISSUER, None)
        if key.IssuerOfPatientID:
            made[ISSUER] = {"vr": "LO", "Value": [key.IssuerOfPatientID]}
    return dict(sorted(made.items()))


def demographics(data_set: Mapping[str, Mapping[str, Any]]) -> DataSet:
    """What is said of the patient, as far as anything is."""
    return {tag: dict(data_set[tag]) for tag in DEMOGRAPHICS if data_set.get(tag, {}).get("Value")}


def before(data_set: DataSet, tags: Iterable[str]) -> dict[str, Mapping[str, Any] | None]:
    """What stood under these tags."""
    return {tag: data_set.get(tag) for tag in sorted(tags)}


def restored(data_set: DataSet, former: Elements) -> DataSet:
    """With what stood there before."""
    made = {tag: element for tag, element in data_set.items() if tag not in former}
    made |= {tag: dict(element) for tag, element in former.items() if element is not None}
    return dict(sorted(made.items()))


def changed_tags(one: DataSet, other: DataSet) -> list[str]:
    """The tags of attributes that differ."""
    return [tag for tag in sorted({*one, *other}) if one.get(tag) != other.get(tag)]


def _values(word: str, value: str) -> list[str]:
    """The values of a text; in some VRs a backslash is a character of the text."""
    path = attribute_path(word)
    whole = path is not None and vr_of(path[-1]) in _LINES
    return [value] if value and whole else value.split("\\") if value else []
