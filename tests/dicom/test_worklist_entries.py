"""What an entry of the worklist has to have, and what is filled in (PS3.4 K.6.1.2)."""

from __future__ import annotations

import contextlib
import copy
import datetime
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import ArchiveError, CannotUnderstand, InvalidUID, InvalidValue, MissingValue
from archive.dicom.worklist import entries, keyword_form
from archive.dicom.worklist.entries import Defaults, facts, step_of, text
from worklists import written

NOW = datetime.datetime(2026, 11, 23, 9, 30, 5)


def defaults(**stations: tuple[str, ...]) -> Defaults:
    numbers = itertools.count(1)
    return Defaults(NOW, lambda: f"2.25.{next(numbers)}", lambda: f"ID{next(numbers)}", stations)


def made(whole: dict[str, Any], **stations: tuple[str, ...]) -> list[Any]:
    return entries.entries(keyword_form.data_set(whole), defaults(**stations))


def without(whole: dict[str, Any], *keywords: str) -> dict[str, Any]:
    changed = copy.deepcopy(whole)
    for keyword in keywords:
        changed.pop(keyword, None)
        changed["ScheduledProcedureStepSequence"][0].pop(keyword, None)
    return changed


def test_a_complete_entry_stays_as_it_is() -> None:
    whole = written(AdmissionID="V1")
    [(entry, state)] = made(whole)
    assert keyword_form.written(entry) == keyword_form.written(
        dict(sorted(keyword_form.data_set(whole).items()))
    ) | {"ScheduledProcedureStepSequence": keyword_form.written(entry)["ScheduledProcedureStepSequence"]}
    assert keyword_form.written(step_of(entry)) == dict(
        sorted(whole["ScheduledProcedureStepSequence"][0].items(), key=lambda one: TAGS[one[0]])
    )
    assert state == ""


TAGS = {
    "Modality": 0x00080060,
    "ScheduledStationAETitle": 0x00400001,
    "ScheduledProcedureStepStartDate": 0x00400002,
    "ScheduledProcedureStepStartTime": 0x00400003,
    "ScheduledProcedureStepDescription": 0x00400007,
    "ScheduledProcedureStepID": 0x00400009,
}


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "Modality", "ScheduledStationAETitle"])
def test_what_nobody_can_guess_is_asked_for(keyword: str) -> None:
    """PS3.4 Table K.6-1: return keys of type 1."""
    with pytest.raises(MissingValue) as caught:
        made(without(written(), keyword))
    assert caught.value.tag
    assert keyword in caught.value.reason


def test_ids_uids_and_the_moment_are_filled_in() -> None:
    keywords = (
        "StudyInstanceUID",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
    )
    [(entry, _)] = made(without(written(), *keywords))
    found = facts(entry)
    assert found.StudyInstanceUID.startswith("2.25.")
    assert found.RequestedProcedureID.startswith("ID")
    assert found.ScheduledProcedureStepID.startswith("ID")
    assert found.ScheduledProcedureStepID != found.RequestedProcedureID
    assert found.ScheduledProcedureStepStartDate == "20261123"
    assert text(step_of(entry), entries.START_TIME) == "093005"


def test_a_day_without_a_time_begins_at_midnight_and_not_now() -> None:
    [(entry, _)] = made(without(written(), "ScheduledProcedureStepStartTime"))
    assert text(step_of(entry), entries.START_TIME) == "000000"


def test_stations_come_from_the_modality() -> None:
    bare = without(written(), "ScheduledStationAETitle")
    [(entry, _)] = made(bare, CT=("CT1", "CT2"), MR=("MR1",))
    assert step_of(entry)[entries.STATION]["Value"] == ["CT1", "CT2"]
    [(entry, _)] = made(bare, **{"*": ("ROOM",)})
    assert step_of(entry)[entries.STATION]["Value"] == ["ROOM"]
    [(entry, _)] = made(written(), CT=("CT2",))
    assert step_of(entry)[entries.STATION]["Value"] == ["CT1"]


def test_one_description_serves_both_and_none_is_refused() -> None:
    [(entry, _)] = made(without(written(), "RequestedProcedureDescription"))
    assert text(entry, "00321060") == "Head"
    [(entry, _)] = made(without(written(), "ScheduledProcedureStepDescription"))
    assert text(step_of(entry), entries.STEP_DESCRIPTION) == "CT of the head"
    neither = without(written(), "RequestedProcedureDescription", "ScheduledProcedureStepDescription")
    with pytest.raises(MissingValue):
        made(neither)
    code = {"CodeValue": "X", "CodingSchemeDesignator": "L", "CodeMeaning": "By code"}
    [(entry, _)] = made(neither | {"RequestedProcedureCodeSequence": [code]})
    assert text(step_of(entry), entries.STEP_DESCRIPTION) == "By code"


def test_several_steps_become_as_many_entries_of_one_study() -> None:
    whole = written()
    first = whole["ScheduledProcedureStepSequence"][0]
    whole["ScheduledProcedureStepSequence"].append(first | {"ScheduledProcedureStepID": "OTHER"})
    found = made(without(whole, "StudyInstanceUID"))
    assert len(found) == 2
    assert {len(entry[entries.STEPS]["Value"]) for entry, _ in found} == {1}
    assert len({facts(entry).StudyInstanceUID for entry, _ in found}) == 1
    whole["ScheduledProcedureStepSequence"][1] |= {
        "ScheduledProcedureStepID": first["ScheduledProcedureStepID"]
    }
    with pytest.raises(InvalidValue):
        made(whole)


def test_no_more_steps_than_a_transaction_can_take() -> None:
    whole = written()
    whole["ScheduledProcedureStepSequence"] = [{"Modality": "CT", "ScheduledStationAETitle": "CT1"}] * 101
    with pytest.raises(InvalidValue, match="more than 100 items"):
        made(whole)


def test_the_state_is_apart_from_the_entry() -> None:
    [(entry, state)] = made(written(Step_ScheduledProcedureStepStatus="ARRIVED"))
    assert state == "ARRIVED"
    assert entries.STATUS not in step_of(entry)
    offered = entries.with_state(entry, "READY")
    assert text(step_of(offered), entries.STATUS) == "READY"
    assert entries.STATUS not in step_of(entry)
    with pytest.raises(InvalidValue):
        made(written(Step_ScheduledProcedureStepStatus="SOMETIME"))


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"PatientID": "x" * 65}, InvalidValue),
        ({"PatientID": "two\\ids"}, InvalidValue),
        ({"PatientID": "a\nb"}, InvalidValue),
        ({"PatientName": {"Alphabetic": "A=B"}}, CannotUnderstand),
        ({"AccessionNumber": "x" * 17}, InvalidValue),
        ({"StudyInstanceUID": "1.2.x"}, InvalidUID),
        ({"PatientBirthDate": "19700230"}, InvalidValue),
        ({"PatientSex": "female"}, InvalidValue),
        ({"Step_ScheduledProcedureStepStartDate": "2026-11-23"}, InvalidValue),
        ({"Step_ScheduledProcedureStepStartTime": "25"}, InvalidValue),
        ({"Step_Modality": "ct"}, InvalidValue),
        ({"Step_ScheduledStationAETitle": "A TITLE OF SEVENTEEN"}, InvalidValue),
        ({"PatientWeight": "heavy"}, InvalidValue),
    ],
)
def test_values_that_their_vr_does_not_allow(attributes: dict[str, Any], error: type[ArchiveError]) -> None:
    """What one modality cuts and the next refuses must not get in (PS3.5 6.2)."""
    with pytest.raises(error) as caught:
        made(written(**attributes))
    for value in attributes.values():
        assert str(value) not in caught.value.reason, "a value may name a patient"


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "text",
        {"PatientNname": "slip"},
        {"PatientID": "1", "00100020": "2"},
        {"00091001": "private, without a VR"},
        {"ScheduledProcedureStepSequence": ["text"]},
        {"PatientID": {"vr": "LO", "Value": [1]}},
    ],
)
def test_json_that_is_no_data_set(wrong: object) -> None:
    with pytest.raises(CannotUnderstand):
        keyword_form.data_set(wrong)


def test_ps3_18_f_2_is_taken_as_well() -> None:
    by_tag = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane", "Ideographic": "山田"}]},
        "00400100": {"vr": "SQ", "Value": [{"00080060": {"vr": "CS", "Value": ["CT"]}}]},
    }
    assert keyword_form.data_set(by_tag) == by_tag
    assert keyword_form.written(by_tag) == {
        "PatientName": "Doe^Jane=山田",
        "ScheduledProcedureStepSequence": [{"Modality": "CT"}],
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "PatientID",
                    "PatientName",
                    "ScheduledProcedureStepSequence",
                    "PregnancyStatus",
                    "vr",
                    "Value",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_json_comes_it_is_an_entry_or_an_error_of_ours(value: Any) -> None:
    with contextlib.suppress(ArchiveError):
        entries.entries(keyword_form.data_set(value), defaults())


TEXT = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="=\\"), min_size=1, max_size=12
)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), st.integers(1, 4))
def test_what_is_written_is_read_again(name: str, allergies: list[str], pregnancy: int) -> None:
    whole = written(PatientName=f"{name}={name}", Allergies=allergies, PregnancyStatus=pregnancy)
    read = keyword_form.data_set(whole)
    assert read["00100010"]["Value"] == [{"Alphabetic": name, "Ideographic": name}]
    assert read["00102110"]["Value"] == allergies
    assert keyword_form.data_set(keyword_form.written(read)) == read
