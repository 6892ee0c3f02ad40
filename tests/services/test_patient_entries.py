"""The worklist follows its patients, on both engines (dimse.md 1.5: HL7 ADT, patient merge)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InvalidValue, MissingValue
from archive.dicom.patient_key import PatientKey
from archive.dicom.worklist import keyword_form
from archive.dicom.worklist.patients import key_of
from archive.index import worklist_patients
from archive.services import patient_entries
from worklist_here import begin, end, enter, worklist_archive
from worklists import written

P1, P2 = PatientKey("P1"), PatientKey("P2", "HOSP")


@pytest.fixture
def here(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    """An archive on each engine."""
    with worklist_archive(tmp_path / "data", index_url) as archive:
        yield archive


_numbers = itertools.count(1)


def update(here: Archive, key: PatientKey, **attributes: str) -> int:
    number = next(_numbers)
    here.database.write(lambda connection: patient_entries.updated(connection, number, key, attributes))
    return number


def merge(here: Archive, prior: PatientKey, surviving: PatientKey, **attributes: str) -> int:
    number = next(_numbers)
    here.database.write(
        lambda connection: patient_entries.merged(connection, number, prior, surviving, attributes)
    )
    return number


def undo(here: Archive, number: int) -> None:
    here.database.write(lambda connection: patient_entries.undone(connection, number))


def said(here: Archive, key: int) -> dict[str, Any]:
    return keyword_form.written(here.worklist.get(key).data_set)


def subset(whole: Mapping[str, Any], *words: str) -> tuple[Any, ...]:
    return tuple(whole.get(word) for word in words)


def test_an_update_reaches_entries_and_steps_of_this_patient_only(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    begin(here, of)
    same_id = enter(here, written(PatientID="P1", IssuerOfPatientID="CLINIC"))
    other = enter(here, written(PatientID="P9"))
    update(here, P1, PatientName="Roe^Rita=山田^花子", PatientBirthDate="19800101", PatientSex="F")
    assert subset(said(here, key), "PatientName", "PatientBirthDate", "PatientSex") == (
        "Roe^Rita=山田^花子",
        "19800101",
        "F",
    )
    step = keyword_form.written(here.performed_steps.find("1.9").data_set)
    assert step["PatientName"] == "Roe^Rita=山田^花子"
    for untouched in (same_id, other):
        assert said(here, untouched)["PatientName"] == "Doe^Jane"


def test_what_is_taken_away(here: Archive) -> None:
    key = enter(here, written(PatientBirthDate="19800101"))
    update(here, P1, PatientBirthDate="")
    assert not said(here, key)["PatientBirthDate"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"PatientName": ""},
        {"PatientName": "^"},
        {"PatientID": "X"},
        {"PatientBirthDate": "19801399"},
        {"PatientSex": "f"},
        {"PatientName": "x" * 65},
    ],
)
def test_what_cannot_be_said_of_a_patient(here: Archive, attributes: dict[str, str]) -> None:
    key = enter(here, written())
    before = here.worklist.get(key)
    with pytest.raises((InvalidValue, MissingValue)):
        update(here, P1, **attributes)
    assert here.worklist.get(key) == before


def test_a_merged_patient_shows_what_is_said_of_the_surviving_one(here: Archive) -> None:
    moved = enter(here, written(PatientBirthDate="19000101", PatientSex="O"))
    enter(here, written(PatientID="P2", IssuerOfPatientID="HOSP", PatientBirthDate="19800101"))
    merge(here, P1, P2, PatientName="Roe^Rita")
    found = here.worklist.get(moved)
    assert key_of(found.data_set) == P2
    assert subset(said(here, moved), "PatientName", "PatientBirthDate") == ("Roe^Rita", "19800101")
    assert said(here, moved)["PatientSex"] == "O", "nobody says it of the other"


def test_a_merge_into_a_patient_without_issuer_drops_that_of_the_other(here: Archive) -> None:
    qualifiers = [{"UniversalEntityID": "1.2.3", "UniversalEntityIDType": "ISO"}]
    key = enter(
        here,
        written(PatientID="P2", IssuerOfPatientID="HOSP", IssuerOfPatientIDQualifiersSequence=qualifiers),
    )
    merge(here, P2, P1)
    assert key_of(here.worklist.get(key).data_set) == P1
    assert "IssuerOfPatientIDQualifiersSequence" not in said(here, key)


def test_a_step_that_goes_on_after_the_merge_ends_its_entry(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    begin(here, of)
    merge(here, P1, P2)
    end(here)
    assert here.worklist.get(key).state == "COMPLETED"
    assert key_of(here.performed_steps.find("1.9").data_set) == P2


def test_undoing_a_merge_finds_the_entries_among_those_of_the_other(here: Archive) -> None:
    of = written(PatientBirthDate="19000101")
    moved = enter(here, of)
    begin(here, of)
    own = enter(here, written(PatientID="P2", IssuerOfPatientID="HOSP"))
    before = [here.worklist.get(key).data_set for key in (moved, own)]
    kept = merge(here, P1, P2, PatientName="Roe^Rita", PatientBirthDate="19800101", PatientSex="F")
    update(here, P2, PatientName="Roe^Ruth")
    undo(here, kept)
    assert here.worklist.get(moved).data_set == before[0]
    assert key_of(here.worklist.get(own).data_set) == P2
    assert said(here, own)["PatientName"] == "Roe^Ruth"
    assert key_of(here.performed_steps.find("1.9").data_set) == P1


def test_a_study_that_goes_to_another_patient_takes_its_entries_along(here: Archive) -> None:
    of = written()
    key, other = enter(here, of), enter(here, written())
    begin(here, of)
    uid = of["StudyInstanceUID"]
    here.database.write(
        lambda connection: patient_entries.moved(connection, 77, uid, P2, {"PatientName": "Roe^Rita"})
    )
    assert key_of(here.worklist.get(key).data_set) == P2
    assert said(here, key)["PatientName"] == "Roe^Rita"
    assert key_of(here.performed_steps.find("1.9").data_set) == P2
    assert key_of(here.worklist.get(other).data_set) == P1
    undo(here, 77)
    assert key_of(here.worklist.get(key).data_set) == P1
    assert key_of(here.performed_steps.find("1.9").data_set) == P1


def test_an_entry_that_has_gone_on_to_a_third_patient_stays_there(here: Archive) -> None:
    key = enter(here, written())
    kept = merge(here, P1, P2)
    third = PatientKey("P3")
    merge(here, P2, third)
    undo(here, kept)
    assert key_of(here.worklist.get(key).data_set) == third


def test_undoing_leaves_what_was_changed_since(here: Archive) -> None:
    key, gone = enter(here, written()), enter(here, written())
    kept = update(here, P1, PatientName="Roe^Rita", PatientSex="F")
    update(here, P1, PatientName="Roe^Ruth")
    here.worklist.remove(gone)
    undo(here, kept)
    assert subset(said(here, key), "PatientName", "PatientSex") == ("Roe^Ruth", None)
    undo(here, 9999)


def test_nothing_changed_is_nothing_kept(here: Archive) -> None:
    key = enter(here, written())
    before = here.worklist.get(key)
    numbers = [
        update(here, P1, PatientName="Doe^Jane"),
        merge(here, PatientKey("NOBODY"), P2, PatientName="Roe"),
    ]
    with here.database.read() as connection:
        assert [worklist_patients.kept(connection, number) for number in numbers] == ["", ""]
    assert here.worklist.get(key) == before
