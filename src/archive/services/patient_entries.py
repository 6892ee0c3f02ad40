"""The worklist follows its patients: what is scheduled and what modalities have told is of whom the archive says.

These run within the transaction in which a correction is recorded, whoever asked for it: from the next question on a
modality gets the right patient, and there is no moment at which the correction stands and the entry does not follow.
What was there before is kept under the number of the correction, so that undoing it finds the entries of the patient
that was merged among those of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from archive.dicom.patient_key import PatientKey
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import patients as rules
from archive.dicom.worklist.entries import ISSUER, PATIENT_ID
from archive.index import worklist_patients as index

_ENTRIES, _STEPS, _NOW = "entries", "steps", "now"


def updated(connection: Any, correction: int, key: PatientKey, attributes: Mapping[str, str]) -> None:
    """What is said of a patient is other now: "" takes a value away. Raises InvalidValue, MissingValue,
    CannotUnderstand."""
    _rename(connection, correction, _of(connection, key), key, rules.elements(attributes))


def merged(
    connection: Any, correction: int, prior: PatientKey, surviving: PatientKey, attributes: Mapping[str, str]
) -> None:
    """What was of one patient is of another, and shows what is said of that one: here, else in the index. Raises
    InvalidValue, MissingValue, CannotUnderstand."""
    known = rules.demographics(index.said_of(connection, surviving))
    said = {**known, **rules.elements(attributes)}
    _rename(connection, correction, _of(connection, prior, surviving), surviving, said)


def moved(
    connection: Any, correction: int, study_instance_uid: str, to: PatientKey, attributes: Mapping[str, str]
) -> None:
    """What belongs to a study is of another patient, with the study. Raises InvalidValue, MissingValue,
    CannotUnderstand."""
    known = rules.demographics(index.said_of(connection, to))
    mine = {
        _ENTRIES: index.entries_of_study(connection, study_instance_uid),
        _STEPS: index.steps_of_study(connection, study_instance_uid),
    }
    _rename(connection, correction, mine, to, {**known, **rules.elements(attributes)})


def undone(connection: Any, correction: int) -> None:
    """Give back what a correction changed here, as far as nobody has changed it since."""
    kept = orjson.loads(index.kept(connection, correction) or "{}")
    now = PatientKey(*kept.get(_NOW, ("", "")))
    index.hold(connection, now.PatientID)
    for name, (find, change, _) in _KINDS.items():
        for number, (former, after) in kept.get(name, {}).items():
            found = find(connection, int(number))
            if found is not None and rules.key_of(found.data_set) == now:
                change(connection, found.id, _restored(found.data_set, former, after))


def _of(connection: Any, key: PatientKey, *others: PatientKey) -> _Records:
    """All of one patient; those of the others do not become more meanwhile."""
    index.hold(connection, key.PatientID, *(one.PatientID for one in others))
    return {name: all_of(connection, key) for name, (_, _, all_of) in _KINDS.items()}


def _rename(connection: Any, correction: int, records: _Records, to: PatientKey, said: DataSet) -> None:
    kept: dict[str, Any] = {_NOW: [to.PatientID, to.IssuerOfPatientID]}
    for name, (_, change, _) in _KINDS.items():
        for one in records[name]:
            made = rules.renamed(one.data_set, to, said)
            tags = rules.changed_tags(one.data_set, made)
            if tags:
                change(connection, one.id, made)
                pair = [rules.before(one.data_set, tags), rules.before(made, tags)]
                kept.setdefault(name, {})[str(one.id)] = pair
    if len(kept) > 1:
        index.keep(connection, correction, orjson.dumps(kept).decode())


def _restored(data_set: DataSet, former: rules.Elements, after: rules.Elements) -> DataSet:
    """All of another patient; else what is still as it was made."""
    other_patient = PATIENT_ID in former or ISSUER in former
    left = {
        tag: element
        for tag, element in former.items()
        if other_patient or data_set.get(tag) == after.get(tag)
    }
    return rules.restored(data_set, left)


_Records = Mapping[str, list[index.Record]]
_Find = Callable[[Any, int], index.Record | None]
_Change = Callable[[Any, int, DataSet], None]
_AllOf = Callable[[Any, PatientKey], list[index.Record]]

_KINDS: Mapping[str, tuple[_Find, _Change, _AllOf]] = {
    _ENTRIES: (index.entry, index.change_entry, index.entries_of),
    _STEPS: (index.step, index.change_step, index.steps_of),
}
