"""The worklist and performed steps behind every door, on both engines: nothing is mixed up, and states follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from archive.bootstrap.building import Archive
from archive.dicom.errors import (
    InstanceConflict,
    InvalidValue,
    NoLongerChangeable,
    NotFound,
    OtherPatient,
)
from archive.dicom.instance import Level
from archive.dicom.query import Key, Query, Range, SingleValue, Wildcard
from archive.dicom.worklist import keyword_form
from archive.dicom.worklist.entries import facts
from archive.index.worklist_schema import worklist_item
from worklist_here import ask, begin, end, enter, worklist_archive
from worklists import as_json, entry, performed, written, wrong_entry

STEP = 0x00400100
PATIENT_ID, STEP_DATE = (0x00100020,), (STEP, 0x00400002)
Open = Callable[..., Archive]


@pytest.fixture
def open_archive(tmp_path: Path, index_url: str) -> Iterator[Open]:
    """An archive on each engine."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(
            worklist_archive(tmp_path / "data", index_url, **settings)
        )


@pytest.fixture
def here(open_archive: Open) -> Archive:
    return open_archive()


def test_what_is_entered_is_offered_until_it_is_done(here: Archive) -> None:
    of = written(AccessionNumber="A")
    key = enter(here, of)
    assert ask(here) == ["A"]
    begin(here, of)
    assert here.worklist.get(key).state == "STARTED"
    assert ask(here) == ["A"]
    end(here)
    assert here.worklist.get(key).state == "COMPLETED"
    assert ask(here) == []
    assert ask(here, Key((STEP, 0x00400020), SingleValue("COMPLETED"))) == ["A"]


def test_which_states_are_offered_is_a_setting(open_archive: Open) -> None:
    here = open_archive(offered=("ARRIVED",))
    key = enter(here, written(AccessionNumber="A"))
    assert ask(here) == []
    here.worklist.plan(key, "ARRIVED", "test")
    assert ask(here) == ["A"]
    with pytest.raises(InvalidValue):
        here.worklist.plan(key, "WAITING", "test")


def test_several_performed_steps_of_one_entry(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    begin(here, of, "1.1")
    end(here, "DISCONTINUED", "1.1")
    assert here.worklist.get(key).state == "DISCONTINUED"
    begin(here, of, "1.2")
    assert here.worklist.get(key).state == "STARTED"
    begin(here, of, "1.3")
    end(here, "COMPLETED", "1.2")
    assert here.worklist.get(key).state == "STARTED", "1.3 goes on"
    end(here, "DISCONTINUED", "1.3")
    assert here.worklist.get(key).state == "COMPLETED"


def test_one_performed_step_of_several_entries(here: Archive) -> None:
    """The group case of IHE: one acquisition for two scheduled steps."""
    one, other = written(), written()
    keys = [enter(here, one), enter(here, other)]
    making = performed(one)
    making.ScheduledStepAttributesSequence.append(performed(other).ScheduledStepAttributesSequence[0])
    here.performed_steps.create("1.1", as_json(making), "CT1", "")
    assert [here.worklist.get(key).state for key in keys] == ["STARTED", "STARTED"]
    end(here, "COMPLETED", "1.1")
    assert [here.worklist.get(key).state for key in keys] == ["COMPLETED", "COMPLETED"]


def test_begun_by_mistake_the_entry_is_what_it_was(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    here.worklist.plan(key, "ARRIVED", "test")
    begin(here, of)
    reason = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": [wrong_entry()]}
    end(here, "DISCONTINUED", **reason)
    assert here.worklist.get(key).state == "ARRIVED"


def test_a_step_of_another_patient_changes_nothing(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    begin(here, of | {"PatientID": "P2"}, "1.1")
    begin(here, of, "1.2", IssuerOfPatientID="ELSEWHERE")
    assert here.worklist.get(key).state == "STARTED", "the entry names no issuer"
    here.worklist.remove(key)
    key = enter(here, of | {"IssuerOfPatientID": "HERE"})
    begin(here, of, "1.3", IssuerOfPatientID="ELSEWHERE")
    assert here.worklist.get(key).state == "SCHEDULED"
    assert here.performed_steps.find("1.1").data_set["00100020"]["Value"] == ["P2"]


def test_a_step_without_an_id_is_of_the_one_entry_of_its_study(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    bare = performed(of)
    bare.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID = ""
    here.performed_steps.create("1.1", as_json(bare), "CT1", "")
    assert here.worklist.get(key).state == "STARTED"
    second = enter(here, written(StudyInstanceUID=of["StudyInstanceUID"]))
    here.performed_steps.create("1.2", as_json(bare), "CT1", "")
    assert here.worklist.get(second).state == "SCHEDULED", "nobody knows which"


def test_an_unscheduled_step_is_kept(here: Archive) -> None:
    begin(here, written())
    [step] = here.performed_steps.newest(10)
    assert (step.SOPInstanceUID, step.status, step.calling_ae_title) == ("1.9", "IN PROGRESS", "CT1")
    with pytest.raises(InstanceConflict):
        begin(here, written())
    with pytest.raises(NotFound):
        end(here, uid="1.10")


def test_two_who_end_a_step_at_once(here: Archive) -> None:
    of = written()
    enter(here, of)
    begin(here, of)

    def attempt(status: str) -> str:
        try:
            end(here, status)
        except NoLongerChangeable:
            return "late"
        return status

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(attempt, ("COMPLETED", "DISCONTINUED")))
    assert outcomes.count("late") == 1
    assert here.performed_steps.find("1.9").status in outcomes


def test_a_study_is_of_one_patient(here: Archive) -> None:
    enter(here, written(StudyInstanceUID="1.2.9"))
    with pytest.raises(OtherPatient):
        enter(here, written(StudyInstanceUID="1.2.9", PatientID="P2"))
    enter(here, written(StudyInstanceUID="1.2.9", IssuerOfPatientID="HERE"))
    with pytest.raises(OtherPatient):
        enter(here, written(StudyInstanceUID="1.2.9", IssuerOfPatientID="ELSEWHERE"))
    assert len(here.worklist.all()) == 2


def test_a_study_is_of_one_patient_also_when_two_come_at_once(here: Archive) -> None:
    def attempt(number: int) -> str:
        try:
            enter(here, written(StudyInstanceUID="1.2.9", PatientID=f"P{number}"))
        except OtherPatient:
            return "refused"
        return f"P{number}"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))
    assert outcomes.count("refused") == 7
    assert len(here.worklist.all()) == 1


def test_a_step_is_there_once(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    with pytest.raises(InstanceConflict):
        enter(here, of)
    other = enter(here, written(StudyInstanceUID=of["StudyInstanceUID"]))
    with pytest.raises(InstanceConflict):
        here.worklist.replace(other, keyword_form.data_set(of), "test")
    assert here.worklist.replace(key, keyword_form.data_set(of | {"AdmissionID": "V1"}), "test").id == key


def test_all_steps_of_what_is_added_or_none(here: Archive) -> None:
    taken = written()
    enter(here, taken)
    whole = written(StudyInstanceUID=taken["StudyInstanceUID"])
    whole["ScheduledProcedureStepSequence"].append(taken["ScheduledProcedureStepSequence"][0])
    with pytest.raises(InstanceConflict):
        here.worklist.add(keyword_form.data_set(whole), "test")
    assert len(here.worklist.all()) == 1


def test_another_patient_cannot_take_over_an_entry(here: Archive) -> None:
    of = written()
    key = enter(here, of)
    with pytest.raises(OtherPatient):
        here.worklist.replace(key, keyword_form.data_set(of | {"PatientID": "P2"}), "test")
    begin(here, of)
    with pytest.raises(NoLongerChangeable):
        here.worklist.replace(key, keyword_form.data_set(of | {"StudyInstanceUID": "1.2.99"}), "test")
    changed = here.worklist.replace(key, keyword_form.data_set(of | {"AccessionNumber": "NEW"}), "test")
    assert (changed.state, facts(changed.data_set).AccessionNumber) == ("STARTED", "NEW")


def test_other_content_keeps_the_ids_that_it_does_not_name(here: Archive) -> None:
    """A modality may have asked already: its images would come under a study that nobody knows any more."""
    of = written(IssuerOfPatientID="HOSP")
    key = enter(here, of)
    before = facts(here.worklist.get(key).data_set)
    silent = written(
        StudyInstanceUID="", RequestedProcedureID="", IssuerOfPatientID="", Step_ScheduledProcedureStepID=""
    )
    after = facts(here.worklist.replace(key, keyword_form.data_set(silent), "test").data_set)
    for name in ("StudyInstanceUID", "RequestedProcedureID", "IssuerOfPatientID", "ScheduledProcedureStepID"):
        assert getattr(after, name) == getattr(before, name), name


def test_what_is_not_there(here: Archive) -> None:
    for call in (here.worklist.get, here.worklist.remove):
        with pytest.raises(NotFound):
            call(4711)
    with pytest.raises(NotFound):
        here.worklist.plan(4711, "ARRIVED", "test")
    with pytest.raises(NotFound):
        here.worklist.replace(4711, entry(), "test")


@pytest.mark.parametrize(
    ("dates", "found"),
    [
        (SingleValue("20261123"), ["A"]),
        (Range("20261123", "20261124"), ["A", "B"]),
        (Range("", "20261123"), ["A"]),
        (Range("20261124", ""), ["B", "C"]),
        (Range("20261127", "20261120"), []),
    ],
)
def test_dates_keep_out_what_is_no_candidate(here: Archive, dates: Any, found: list[str]) -> None:
    for accession, day in (("A", "20261123"), ("B", "20261124"), ("C", "20270101")):
        enter(here, written(AccessionNumber=accession, Step_ScheduledProcedureStepStartDate=day))
    assert ask(here, Key(STEP_DATE, dates)) == found


@pytest.mark.parametrize(
    ("zone", "at", "day"),
    [("+1000", "20261123 050000", "20261122"), ("-1000", "20261122 200000", "20261123")],
)
def test_dates_in_another_zone(here: Archive, zone: str, at: str, day: str) -> None:
    """An entry that tells its zone is asked for in the zone of the question (PS3.3 C.12.1.1.8)."""
    date, time_of_day = at.split()
    moment = {
        "Step_ScheduledProcedureStepStartDate": date,
        "Step_ScheduledProcedureStepStartTime": time_of_day,
    }
    enter(here, written(AccessionNumber="A", TimezoneOffsetFromUTC=zone, **moment))
    keys = Key(STEP_DATE, Range(day, day)), Key((STEP, 0x00400003), Range("000000", "235959"))
    assert ask(here, *keys, timezone=0) == ["A"]
    assert ask(here, *keys) == []


def test_more_than_one_batch_and_a_limit(here: Archive) -> None:
    for number in range(120):
        enter(here, written(PatientID=f"P{number % 2}"))
    query = Query(Level.IMAGE, (Key(PATIENT_ID, SingleValue("P1")),))
    assert sum(one is not None for one in here.worklist.find(query, 1000)) == 60
    assert len(list(here.worklist.find(query, 7))) == 7
    assert len(ask(here, Key(PATIENT_ID, Wildcard("P?")))) == 120


def test_old_entries_are_forgotten(open_archive: Open) -> None:
    here = open_archive(keep_days=10)
    done, missed, coming = written(), written(), written()
    keys = [enter(here, one) for one in (done, missed, coming)]
    begin(here, done)
    end(here)
    assert here.worklist.expire() == 0
    long_ago = time.time() - 11 * 86_400

    def age(connection: Any) -> None:
        connection.execute(sa.update(worklist_item).values(changed_at=long_ago))
        later = worklist_item.c.id == keys[2]
        connection.execute(
            sa.update(worklist_item).where(later).values(ScheduledProcedureStepStartDate="20990101")
        )
        others = worklist_item.c.id != keys[2]
        connection.execute(
            sa.update(worklist_item).where(others).values(ScheduledProcedureStepStartDate="20200101")
        )

    here.database.write(age)
    assert here.worklist.expire() == 2
    assert [one.id for one in here.worklist.all()] == [keys[2]]
    assert here.performed_steps.find("1.9").status == "COMPLETED", "what was performed stays known"
