"""What a workitem has to hold, and what it allows in which state (PS3.4 CC.1.1, Table CC.2.5-3; dimse.md 1.5 UPS)."""

from __future__ import annotations

from typing import Any

import pytest

from archive.dicom.attribute_ids import keyword
from archive.dicom.errors import (
    ArchiveError,
    FinalStateNotMet,
    InvalidUID,
    InvalidValue,
    MissingAttribute,
    MissingValue,
    NotInProgress,
    NotScheduled,
    ScheduledByCreation,
    WorkitemClaimed,
    WorkitemCompleted,
    WorkitemEnded,
    WrongTransactionUID,
)
from archive.dicom.instance import Level
from archive.dicom.query import Empty, Key, Query, Range, SingleValue, UIDList, Universal, Wildcard
from archive.dicom.receiving.received import DataSet
from archive.dicom.workitems import attributes, events, filters, rules, states
from archive.dicom.workitems.attributes import ATTRIBUTES
from archive.dicom.workitems.events import EventType
from archive.dicom.worklist import keyword_form
from workitem_sets import as_json, code, performed, workitem

DEFAULTS = rules.Defaults("20261122230000.000000+0000", "WORKLIST")


def created(**said: Any) -> DataSet:
    return rules.created(as_json(workitem(**said)), DEFAULTS)


def changed(before: DataSet, **said: Any) -> DataSet:
    return rules.changed(before, as_json(said), DEFAULTS)


def written(data_set: DataSet) -> dict[str, Any]:
    return keyword_form.written(data_set)


def test_the_table_is_of_attributes_that_there_are() -> None:
    for tag, row in ATTRIBUTES.items():
        assert row.keyword, tag
        assert all(keyword(int(inner, 16)) for inner in row.inner)
    assert len(ATTRIBUTES) == len({row.keyword for row in ATTRIBUTES.values()})


def test_a_new_workitem_has_everything_of_type_2_and_no_transaction_uid() -> None:
    made = created()
    assert set(ATTRIBUTES) - set(made) == {attributes.TRANSACTION_UID}
    assert written(made)["WorklistLabel"] == "WORKLIST"
    assert written(made)["ScheduledProcedureStepModificationDateTime"] == DEFAULTS.now
    assert "Value" not in made["00404025"]
    assert written(created(WorklistLabel="Therapy"))["WorklistLabel"] == "Therapy"


@pytest.mark.parametrize(
    "name",
    [
        "ScheduledProcedureStepPriority",
        "ProcedureStepLabel",
        "ScheduledProcedureStepStartDateTime",
        "InputReadinessState",
        "ProcedureStepState",
    ],
)
def test_what_is_of_type_1_is_asked_for(name: str) -> None:
    with pytest.raises(MissingAttribute) as absent:
        created(**{name: None})
    assert keyword(absent.value.tag) == name
    assert not isinstance(absent.value, MissingValue)
    with pytest.raises(MissingValue) as empty:
        created(**{name: ""})
    assert keyword(empty.value.tag) == name


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"ProcedureStepState": "IN PROGRESS"}, NotScheduled),
        ({"TransactionUID": "1.2.3"}, InvalidValue),
        ({"ScheduledProcedureStepPriority": "URGENT"}, InvalidValue),
        ({"InputReadinessState": "SOON"}, InvalidValue),
        ({"ScheduledProcedureStepStartDateTime": "tomorrow"}, InvalidValue),
        ({"StudyInstanceUID": "1..2"}, InvalidUID),
        ({"PatientID": ["P1", "P2"]}, InvalidValue),
        ({"PatientID": "P" * 65}, InvalidValue),
        ({"ScheduledWorkitemCodeSequence": [{"CodeMeaning": "x"}]}, MissingValue),
        ({"ScheduledHumanPerformersSequence": [{"HumanPerformerName": "Roe"}]}, MissingValue),
        ({"ReferencedRequestSequence": [{"AccessionNumber": "A1"}]}, MissingValue),
        ({"ProcedureStepProgressInformationSequence": [{"ProcedureStepProgress": "1"}]}, InvalidValue),
        (performed(), InvalidValue),
        ({"00400400": {"vr": "SQ", "Value": []}}, InvalidValue),
        ({"00420011": {"vr": "OB", "BulkDataURI": "http://169.254.169.254/"}}, InvalidValue),
    ],
)
def test_what_cannot_be_created(said: dict[str, Any], error: type[ArchiveError]) -> None:
    with pytest.raises(error) as refused:
        created(**said)
    assert type(refused.value) is error
    assert "P2" not in refused.value.reason


def test_what_is_sent_replaces_what_was_there() -> None:
    before = created(ScheduledStationNameCodeSequence=[code("A"), code("B")])
    after = changed(before, ScheduledStationNameCodeSequence=[code("C")], ProcedureStepLabel="Other")
    assert [one["CodeValue"] for one in written(after)["ScheduledStationNameCodeSequence"]] == ["C"]
    assert written(after)["PatientID"] == "P1"
    assert written(after)["ProcedureStepLabel"] == "Other"
    emptied = changed(after, CommentsOnTheScheduledProcedureStep="", ScheduledStationNameCodeSequence=[])
    assert "Value" not in emptied["00404025"]


@pytest.mark.parametrize(
    "said",
    [
        {"PatientID": "P2"},
        {"PatientName": "Roe^Richard"},
        {"PatientID": ""},
        {"AdmissionID": "A2"},
        {"ReferencedRequestSequence": [{"StudyInstanceUID": "1.2"}]},
        {"ProcedureStepState": "COMPLETED"},
        {"ReplacedProcedureStepSequence": [{"ReferencedSOPInstanceUID": "1.2"}]},
    ],
)
def test_whose_workitem_it_is_stays(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        changed(created(), **said)


def test_the_whole_data_set_may_be_sent_again() -> None:
    before = created(ReferencedRequestSequence=[{"StudyInstanceUID": "1.2", "AccessionNumber": ""}])
    after = rules.changed(before, before, DEFAULTS)
    assert after == before


def test_a_label_is_not_taken_away() -> None:
    with pytest.raises(MissingValue):
        changed(created(), ProcedureStepLabel="")
    with pytest.raises(ScheduledByCreation):
        changed(rules.in_state(created(), "IN PROGRESS", DEFAULTS), ProcedureStepState="SCHEDULED")


ONE, OTHER = "1.2.840.1", "1.2.840.2"
TABLE = [
    # state, lock, asked for, given, what comes of it: PS3.4 Table CC.1.1-2
    ("SCHEDULED", "", "IN PROGRESS", ONE, True),
    ("SCHEDULED", "", "IN PROGRESS", "", WrongTransactionUID),
    ("SCHEDULED", "", "COMPLETED", ONE, NotInProgress),
    ("SCHEDULED", "", "CANCELED", ONE, NotInProgress),
    ("SCHEDULED", "", "COMPLETED", "", WrongTransactionUID),
    ("IN PROGRESS", ONE, "IN PROGRESS", ONE, WorkitemClaimed),
    ("IN PROGRESS", ONE, "IN PROGRESS", OTHER, WrongTransactionUID),
    ("IN PROGRESS", ONE, "COMPLETED", ONE, True),
    ("IN PROGRESS", ONE, "COMPLETED", OTHER, WrongTransactionUID),
    ("IN PROGRESS", ONE, "COMPLETED", "", WrongTransactionUID),
    ("IN PROGRESS", ONE, "CANCELED", ONE, True),
    ("IN PROGRESS", ONE, "CANCELED", OTHER, WrongTransactionUID),
    ("COMPLETED", ONE, "IN PROGRESS", ONE, WorkitemEnded),
    ("COMPLETED", ONE, "IN PROGRESS", OTHER, WrongTransactionUID),
    ("COMPLETED", ONE, "COMPLETED", ONE, False),
    ("COMPLETED", ONE, "COMPLETED", OTHER, WrongTransactionUID),
    ("COMPLETED", ONE, "CANCELED", ONE, WorkitemEnded),
    ("CANCELED", ONE, "IN PROGRESS", ONE, WorkitemEnded),
    ("CANCELED", ONE, "COMPLETED", ONE, WorkitemEnded),
    ("CANCELED", ONE, "CANCELED", ONE, False),
    ("CANCELED", ONE, "CANCELED", OTHER, WrongTransactionUID),
    ("CANCELED", "", "CANCELED", ONE, False),
    ("CANCELED", "", "IN PROGRESS", ONE, WorkitemEnded),
    *((state, ONE, "SCHEDULED", ONE, ScheduledByCreation) for state in rules.STATES),
    *((state, ONE, "PAUSED", ONE, InvalidValue) for state in rules.STATES),
    ("SCHEDULED", "", "IN PROGRESS", "1.2.x", InvalidUID),
]


@pytest.mark.parametrize(("state", "lock", "wanted", "given", "outcome"), TABLE)
def test_from_state_to_state(
    state: str, lock: str, wanted: str, given: str, outcome: bool | type[ArchiveError]
) -> None:
    if isinstance(outcome, bool):
        assert states.may_become(wanted, state, lock, given) is outcome
        return
    with pytest.raises(outcome) as refused:
        states.may_become(wanted, state, lock, given)
    assert type(refused.value) is outcome


@pytest.mark.parametrize(
    ("state", "given", "error"),
    [
        ("SCHEDULED", "", None),
        ("SCHEDULED", ONE, NotInProgress),
        ("IN PROGRESS", ONE, None),
        ("IN PROGRESS", OTHER, WrongTransactionUID),
        ("IN PROGRESS", "", WrongTransactionUID),
        ("COMPLETED", ONE, WorkitemEnded),
        ("CANCELED", ONE, WorkitemEnded),
    ],
)
def test_who_may_set_attributes(state: str, given: str, error: type[ArchiveError] | None) -> None:
    """PS3.4 CC.2.6.3."""
    lock = "" if state == "SCHEDULED" else ONE
    if error is None:
        states.check_changeable(state, lock, given)
        return
    with pytest.raises(error):
        states.check_changeable(state, lock, given)


def test_a_request_to_cancel() -> None:
    assert states.may_be_canceled("SCHEDULED")
    assert states.may_be_canceled("IN PROGRESS")
    assert not states.may_be_canceled("CANCELED")
    with pytest.raises(WorkitemCompleted):
        states.may_be_canceled("COMPLETED")


@pytest.mark.parametrize(
    "name",
    [
        "PerformedStationNameCodeSequence",
        "PerformedProcedureStepStartDateTime",
        "PerformedWorkitemCodeSequence",
        "PerformedProcedureStepEndDateTime",
    ],
)
@pytest.mark.parametrize("empty", [None, ""])
def test_what_a_completed_workitem_has_told(name: str, empty: str | None) -> None:
    """Final state P of PS3.4 Table CC.2.5-3."""
    rules.check_completed(changed(created(), **performed()))
    said = [] if empty == "" and name.endswith("Sequence") else empty
    with pytest.raises(FinalStateNotMet) as refused:
        rules.check_completed(changed(created(), **performed(**{name: said})))
    assert name in refused.value.reason
    with pytest.raises(FinalStateNotMet):
        rules.check_completed(created())


def test_what_a_canceled_workitem_tells() -> None:
    """Final state X: what nobody has said is filled in."""
    plain = written(rules.with_cancellation(created(), {}, DEFAULTS.now))
    [item] = plain["ProcedureStepProgressInformationSequence"]
    assert item["ProcedureStepCancellationDateTime"] == DEFAULTS.now
    assert item["ProcedureStepDiscontinuationReasonCodeSequence"][0]["CodeValue"] == "110513"
    told = changed(
        created(),
        ProcedureStepProgressInformationSequence=[
            {
                "ProcedureStepProgress": "40",
                "ProcedureStepCancellationDateTime": "20260101",
                "ProcedureStepDiscontinuationReasonCodeSequence": [code("110500", "DCM")],
            }
        ],
    )
    information = as_json({"ReasonForCancellation": "moved", "ContactURI": "tel:1"})
    [item] = written(rules.with_cancellation(told, information, DEFAULTS.now))[
        "ProcedureStepProgressInformationSequence"
    ]
    assert item["ProcedureStepProgress"] == "40"
    assert item["ProcedureStepCancellationDateTime"] == "20260101"
    assert item["ProcedureStepDiscontinuationReasonCodeSequence"][0]["CodeValue"] == "110500"
    assert item["ReasonForCancellation"] == "moved"
    assert item["ProcedureStepCommunicationsURISequence"] == [{"ContactURI": "tel:1"}]


def types(reports: list[events.Report]) -> list[EventType]:
    return [one.type for one in reports]


def test_what_is_told_of_a_new_workitem() -> None:
    """PS3.4 CC.2.4.3: its state, and to whom it is assigned if anybody."""
    assert types(events.of_creation(created())) == [EventType.STATE_REPORT]
    persons = [
        {"HumanPerformerCodeSequence": [code("1")], "HumanPerformerOrganization": "Ward"},
        {"HumanPerformerCodeSequence": [code("2")]},
    ]
    made = created(ScheduledStationNameCodeSequence=[code("A")], ScheduledHumanPerformersSequence=persons)
    [state, first, second] = events.of_creation(made)
    assert written(state.information) == {"ProcedureStepState": "SCHEDULED", "InputReadinessState": "READY"}
    assert written(first.information)["HumanPerformerOrganization"] == "Ward"
    assert written(second.information)["HumanPerformerCodeSequence"][0]["CodeValue"] == "2"
    assert written(second.information)["ScheduledStationNameCodeSequence"][0]["CodeValue"] == "A"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"ProcedureStepLabel": "Other"}, []),
        ({"InputReadinessState": "INCOMPLETE"}, [EventType.STATE_REPORT]),
        ({"InputReadinessState": "READY"}, []),
        (
            {"ProcedureStepProgressInformationSequence": [{"ProcedureStepProgress": "3"}]},
            [EventType.PROGRESS_REPORT],
        ),
        ({"ScheduledStationNameCodeSequence": [code("A")]}, [EventType.ASSIGNED]),
        ({"ScheduledStationNameCodeSequence": []}, []),
    ],
)
def test_what_is_told_of_a_change(said: dict[str, Any], told: list[EventType]) -> None:
    before = created()
    assert types(events.of_change(before, changed(before, **said))) == told


def test_why_it_was_canceled_is_told() -> None:
    canceled = rules.with_cancellation(created(), as_json({"ReasonForCancellation": "moved"}), DEFAULTS.now)
    told = written(events.of_state(rules.in_state(canceled, "CANCELED", DEFAULTS)).information)
    assert told["ReasonForCancellation"] == "moved"
    assert told["ProcedureStepDiscontinuationReasonCodeSequence"]
    asked = events.cancel_requested(as_json({"ContactDisplayName": "Dr. Roe"}), "WARD")
    assert written(asked.information) == {"ContactDisplayName": "Dr. Roe", "RequestingAE": "WARD"}


def test_a_filter_is_kept_as_it_was_meant() -> None:
    keys = (
        Key((0x00100020,), SingleValue("P1")),
        Key((0x00404018, 0x00080100), UIDList(("1", "2"))),
        Key((0x00404005,), Range("2026", "")),
        Key((0x00741204,), Wildcard("*x*")),
        Key((0x00404025,), Empty()),
    )
    query = Query(Level.IMAGE, (*keys, Key((0x00100010,), Universal())), fuzzy=True, timezone=60)
    query = Query(Level.IMAGE, query.keys, creators=(((0x00090010,), "ACME"),), fuzzy=True, timezone=60)
    kept = filters.read(filters.written(query))
    assert kept == Query(Level.IMAGE, keys, creators=query.creators, fuzzy=True, timezone=60)
