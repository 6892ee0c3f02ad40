"""What may be created and set of a performed procedure step (PS3.4 F.7.2, Table F.7.2-1)."""

from __future__ import annotations

from typing import Any

import pytest

from archive.dicom.attribute_ids import keyword
from archive.dicom.errors import (
    ArchiveError,
    InvalidUID,
    InvalidValue,
    MissingAttribute,
    MissingValue,
    NoLongerChangeable,
)
from archive.dicom.worklist import performed_steps
from archive.dicom.worklist.performed_steps import changed, created, status_of
from worklists import as_json, ended, performed, written, wrong_entry

TYPE_1 = (
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepStatus",
    "Modality",
)


def begun(**attributes: Any) -> Any:
    return created(as_json(performed(**attributes)))


@pytest.mark.parametrize("name", TYPE_1)
def test_what_has_to_be_there_at_creation(name: str) -> None:
    made = performed()
    delattr(made, name)
    with pytest.raises(MissingAttribute) as absent:
        created(as_json(made))
    assert keyword(absent.value.tag) == name
    assert not isinstance(absent.value, MissingValue)
    setattr(made, name, [] if name.endswith("Sequence") else "")
    with pytest.raises(MissingValue) as empty:
        created(as_json(made))
    assert keyword(empty.value.tag) == name


def test_what_is_no_sequence_names_no_steps() -> None:
    made = as_json(performed())
    made["00400270"] = {"vr": "LO", "Value": ["text"]}
    with pytest.raises(MissingValue):
        created(made)


def test_a_step_of_no_study_is_refused() -> None:
    made = performed()
    del made.ScheduledStepAttributesSequence[0].StudyInstanceUID
    with pytest.raises(MissingAttribute):
        created(as_json(made))
    made.ScheduledStepAttributesSequence[0].add_new("StudyInstanceUID", "UI", "1.2.3")
    created(as_json(made))


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED", "SCHEDULED"])
def test_a_step_begins_in_progress(status: str) -> None:
    """PS3.4 F.7.2.1.3: else 0106."""
    with pytest.raises(InvalidValue) as caught:
        begun(PerformedProcedureStepStatus=status)
    assert keyword(caught.value.tag) == "PerformedProcedureStepStatus"


def test_type_2_may_be_left_out() -> None:
    made = performed()
    for name in ("PatientBirthDate", "StudyID", "PerformedSeriesSequence", "PerformedProcedureStepEndDate"):
        delattr(made, name)
    assert status_of(created(as_json(made))) == "IN PROGRESS"


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
def test_the_end(status: str) -> None:
    after = changed(begun(), as_json(ended(status)))
    assert status_of(after.data_set) == status
    assert after.not_set == ()
    assert performed_steps.series_uids(after.data_set) == ["1.2.3.4.5"]


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
def test_after_the_end_nothing_is_set(status: str) -> None:
    """PS3.4 F.7.2.2.3 and Table F.7.2-2."""
    after = changed(begun(), as_json(ended(status))).data_set
    with pytest.raises(NoLongerChangeable) as caught:
        changed(after, as_json(ended()))
    assert caught.value.reason == "Performed Procedure Step Object may no longer be updated"


def test_parts_may_be_set_on_the_way() -> None:
    making = ended()
    making.PerformedProcedureStepStatus = "IN PROGRESS"
    making.PerformedProcedureStepEndDate = making.PerformedProcedureStepEndTime = ""
    after = changed(begun(), as_json(making)).data_set
    assert status_of(after) == "IN PROGRESS"
    assert status_of(changed(after, as_json(ended())).data_set) == "COMPLETED"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("PerformedProcedureStepEndDate", "COMPLETED"),
        ("PerformedProcedureStepEndTime", "DISCONTINUED"),
        ("PerformedSeriesSequence", "COMPLETED"),
    ],
)
def test_what_the_final_state_needs(name: str, status: str) -> None:
    making = ended(status)
    delattr(making, name)
    with pytest.raises(MissingValue) as caught:
        changed(begun(), as_json(making))
    assert keyword(caught.value.tag) == name


def test_a_step_that_was_discontinued_may_have_made_nothing() -> None:
    after = changed(begun(), as_json(ended("DISCONTINUED", PerformedSeriesSequence=[])))
    assert status_of(after.data_set) == "DISCONTINUED"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("SeriesInstanceUID", "", MissingValue),
        ("ProtocolName", None, MissingAttribute),
        ("SeriesInstanceUID", "x", InvalidUID),
    ],
)
def test_series_say_which_they_are(name: str, value: str | None, error: type[ArchiveError]) -> None:
    making = ended()
    if value is None:
        delattr(making.PerformedSeriesSequence[0], name)
    element = as_json(making)
    if value is not None:
        item = element["00400340"]["Value"][0]
        item["0020000E"] = {"vr": "UI", "Value": [value]} if value else {"vr": "UI"}
    with pytest.raises(error):
        changed(begun(), element)


def test_patient_and_beginning_stay_as_they_are() -> None:
    """Table F.7.2-1: not allowed in N-SET; the same value again does no harm."""
    making = ended(
        PatientName="Roe^Richard", PerformedProcedureStepStartTime="120000", PatientID="P1", StudyID=""
    )
    after = changed(begun(), as_json(making))
    assert [keyword(tag) for tag in after.not_set] == ["PatientName", "PerformedProcedureStepStartTime"]
    assert after.data_set["00100010"]["Value"][0]["Alphabetic"] == "Doe^Jane"
    assert after.data_set["00400245"]["Value"] == ["101700"]


def test_another_patient_s_id_is_refused_altogether() -> None:
    with pytest.raises(InvalidValue) as caught:
        changed(begun(), as_json(ended(PatientID="P2")))
    assert keyword(caught.value.tag) == "PatientID"


def test_an_unknown_status() -> None:
    with pytest.raises(InvalidValue):
        changed(begun(), as_json(ended("PAUSED")))


def test_begun_by_mistake() -> None:
    """PS3.16 CID 9301, 110514."""
    reason = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": [wrong_entry()]}
    mistaken = changed(begun(), as_json(ended("DISCONTINUED", **reason))).data_set
    assert performed_steps.was_a_mistake(mistaken)
    assert not performed_steps.was_a_mistake(changed(begun(), as_json(ended("DISCONTINUED"))).data_set)


def test_what_it_belongs_to() -> None:
    entry = written(AccessionNumber="A77")
    [found] = performed_steps.scheduled_steps(created(as_json(performed(entry))))
    step_id = entry["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"]
    assert (found.StudyInstanceUID, found.ScheduledProcedureStepID) == (entry["StudyInstanceUID"], step_id)
    assert found.AccessionNumber == "A77"
