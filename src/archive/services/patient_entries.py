"""The worklist follows its patients: what is scheduled and what modalities have told is of whom the archive says.

These run within the transaction in which a correction is recorded, whoever asked for it: from the next question on a
modality gets the right patient, and there is no moment at which the correction stands and the entry does not follow.
What was there before is kept under the number of the correction, so that undoing it finds the entries of the patient
that was merged among those of the other. Where nothing is stored of a patient there is no correction: its number is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from archive.dicom.errors import OtherPatient
from archive.dicom.patient_key import PatientKey
from archive.dicom.receiving.received import DataSet
from archive.dicom.worklist import patients as rules
from archive.dicom.worklist.entries import ISSUER, PATIENT_ID
from archive.index import correction_rules
from archive.index import worklist_patients as index
from archive.index.worklist_patients import Kind

MERGED = (
    "this Patient ID was merged into another one: nothing was changed. Send the surviving one, or undo the merge with "
    "`archive patients undo` if the ID is somebody else's now"
)

_NOW = "now"
_Records = Mapping[Kind, list[index.Record]]


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
    mine = {kind: index.of_study(connection, kind, study_instance_uid) for kind in Kind}
    _rename(connection, correction, mine, to, {**known, **rules.elements(attributes)})


def resolved(connection: Any, data_set: DataSet) -> DataSet:
    """What somebody brings, who has not heard that its patient was merged, as of the patient who survives; else as it
    is."""
    key = rules.key_of(data_set)
    now = correction_rules.resolve(connection, key) if key.PatientID else key
    if now == key:
        return data_set
    return rules.renamed(data_set, now, rules.demographics(index.said_of(connection, now)))


def of_now(connection: Any, record: DataSet, asked: DataSet) -> DataSet:
    """What somebody tells of a record that was made for a patient who was merged since: as of the patient it is of
    now."""
    now = resolved(connection, asked)
    if now is asked or rules.key_of(now) != rules.key_of(record):
        return asked
    return {
        tag: record.get(tag, {"vr": element["vr"]}) if tag in rules.OF_PATIENT else element
        for tag, element in asked.items()
    }


def check_current(connection: Any, data_set: DataSet) -> None:
    """That nothing new is entered for a patient who was merged, and stays so until this transaction ends. Raises
    OtherPatient."""
    key = rules.key_of(data_set)
    index.hold(connection, key.PatientID)
    if correction_rules.resolve(connection, key) != key:
        raise OtherPatient(MERGED)


def undone(connection: Any, correction: int) -> None:
    """Give back what a correction changed here, as far as nobody has changed it since."""
    kept = orjson.loads(index.kept(connection, correction) or "{}")
    now = PatientKey(*kept.get(_NOW, ("", "")))
    index.hold(connection, now.PatientID)
    for kind in Kind:
        for number, (former, after) in kept.get(kind.value, {}).items():
            found = index.one(connection, kind, int(number))
            if found is not None and rules.key_of(found.data_set) == now:
                index.change(connection, kind, found.id, _restored(found.data_set, former, after))


def _of(connection: Any, key: PatientKey, *others: PatientKey) -> _Records:
    """All of one patient; neither that one nor the others get more meanwhile."""
    index.hold(connection, key.PatientID, *(one.PatientID for one in others))
    return {kind: index.of_patient(connection, kind, key) for kind in Kind}


def _rename(connection: Any, correction: int, records: _Records, to: PatientKey, said: DataSet) -> None:
    kept: dict[str, Any] = {_NOW: [to.PatientID, to.IssuerOfPatientID]}
    for kind in Kind:
        for one in records[kind]:
            made = rules.renamed(one.data_set, to, said)
            tags = rules.changed_tags(one.data_set, made)
            if tags:
                index.change(connection, kind, one.id, made)
                pair = [rules.before(one.data_set, tags), rules.before(made, tags)]
                kept.setdefault(kind.value, {})[str(one.id)] = pair
    if len(kept) > 1 and correction:
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
