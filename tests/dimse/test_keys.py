"""From Identifiers to queries and scopes, by the rules of PS3.4 C.4.1.1.3 and C.2.2.2."""

from __future__ import annotations

from typing import Any

import pytest

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.errors import InvalidQuery, InvalidUID
from archive.dicom.instance import Level, Scope
from archive.dicom.query import Key, Matching, Range, SingleValue, UIDList, Universal, Wildcard
from archive.dimse.keys import Question, question, scope, supported_keys
from identifiers import data_set, identifier


def asked(level: str | None, root: Level = Level.STUDY, **keywords: Any) -> Question:
    return question(identifier(level, **keywords), root)


def matching_of(keyword: str, value: Any, level: str = "IMAGE") -> Matching:
    found = asked(level, **{keyword: value})
    assert [key.path for key in found.query.keys] == [(BY_KEYWORD[keyword].tag,)]
    return found.query.keys[0].matching


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("PatientName", "", Universal()),
        ("PatientName", "*", Universal()),
        ("PatientName", "DOE^JOHN", SingleValue("DOE^JOHN")),
        ("PatientName", "DOE*", Wildcard("DOE*")),
        ("PatientName", "D?E", Wildcard("D?E")),
        ("PatientID", "100%_", SingleValue("100%_")),
        ("StudyDate", "20240101", SingleValue("20240101")),
        ("StudyDate", "20240101-20241231", Range("20240101", "20241231")),
        ("StudyDate", "-20241231", Range("", "20241231")),
        ("StudyDate", "20240101-", Range("20240101", "")),
        ("StudyTime", "1200-1300", Range("1200", "1300")),
        ("StudyInstanceUID", "1.2.3", UIDList(("1.2.3",))),
        ("StudyInstanceUID", ["1.2.3", "1.2.4"], UIDList(("1.2.3", "1.2.4"))),
        ("ModalitiesInStudy", ["CT", "MR"], UIDList(("CT", "MR"))),
        ("AccessionNumber", "A-1", SingleValue("A-1")),
        ("InstanceNumber", "7", SingleValue("7")),
    ],
)
def test_kind_of_matching(keyword: str, value: Any, expected: Matching) -> None:
    assert matching_of(keyword, value) == expected


def test_what_is_not_matched_is_returned_and_said() -> None:
    plain = asked("STUDY", StudyDate="20240101", Occupation="", InstitutionAddress="")
    assert not plain.unsupported_keys
    assert plain.query.include == {BY_KEYWORD["Occupation"].tag, 0x00080081}
    assert asked("STUDY", Occupation="nurse").unsupported_keys
    assert asked("STUDY", InstitutionAddress="here").unsupported_keys


def test_the_time_zone_of_the_request() -> None:
    """PS3.4 C.2.2.2.5; it is no key itself."""
    found = asked("STUDY", StudyDate="20240101", TimezoneOffsetFromUTC="-0530")
    assert found.query.timezone == -330
    assert [key.path for key in found.query.keys] == [(0x00080020,)]
    assert asked("STUDY", TimezoneOffsetFromUTC="").query.timezone is None
    assert asked("STUDY", TimezoneOffsetFromUTC="CET").query.timezone is None


def test_a_key_of_a_lower_level_does_not_restrict() -> None:
    found = asked("STUDY", Modality="CT", SeriesInstanceUID="")
    assert found.unsupported_keys
    assert found.query.keys == ()
    assert found.query.include == frozenset()
    assert not asked("STUDY", Modality="").unsupported_keys


def test_a_unique_key_of_a_lower_level_is_refused() -> None:
    with pytest.raises(InvalidQuery):
        asked("STUDY", SOPInstanceUID="1.2.3")
    with pytest.raises(InvalidQuery):
        scope(identifier("STUDY", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3"), Level.STUDY)


def test_missing_upper_keys_are_relational() -> None:
    found = asked("IMAGE", Modality="CT", PatientName="A*")
    assert found.query.level is Level.IMAGE
    assert {key.path[0] for key in found.query.keys} == {0x00080060, 0x00100010}


def test_request_attributes_are_matched_in_their_item() -> None:
    item = data_set(None, ScheduledProcedureStepID="S1", RequestedProcedureID="")
    found = asked("SERIES", RequestAttributesSequence=[item])
    assert found.query.keys == (Key((0x00400275, 0x00400009), SingleValue("S1")),)
    other = data_set(None, ScheduledProcedureStepDescription="x")
    assert asked("SERIES", RequestAttributesSequence=[other]).unsupported_keys
    assert asked("SERIES", RequestAttributesSequence=[]).query.include == {0x00400275}
    assert asked(
        "SERIES", ReferencedStudySequence=[data_set(None, ReferencedSOPClassUID="1")]
    ).unsupported_keys


def test_facts_about_the_archive_are_no_keys() -> None:
    found = asked("STUDY", RetrieveAETitle="X", InstanceAvailability="", StorageMediaFileSetID="")
    assert found.query.keys == ()
    assert found.query.include == frozenset()
    assert not found.unsupported_keys


@pytest.mark.parametrize("level", [None, "", "EXAM", "INSTANCE"])
def test_level_is_required(level: str | None) -> None:
    with pytest.raises(InvalidQuery):
        asked(level, StudyInstanceUID="1.2.3")


def test_no_patient_level_in_study_root() -> None:
    with pytest.raises(InvalidQuery):
        asked("PATIENT", PatientID="1")
    assert asked("PATIENT", Level.PATIENT, PatientID="1").query.level is Level.PATIENT


@pytest.mark.parametrize("value", [["a", "b"], "a\nb"])
def test_values_that_cannot_be_keys(value: Any) -> None:
    with pytest.raises(InvalidQuery):
        asked("STUDY", AccessionNumber=value)


def test_scope_of_each_level() -> None:
    assert scope(identifier("PATIENT", PatientID="P 1"), Level.PATIENT) == Scope(patient_ids=("P 1",))
    assert scope(identifier("STUDY", StudyInstanceUID=["1.2", "1.3"]), Level.STUDY) == Scope(("1.2", "1.3"))
    everything = identifier("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", SOPInstanceUID="1.9")
    assert scope(everything, Level.STUDY) == Scope(("1.2",), ("1.2.3",), ("1.9",))
    assert scope(identifier("SERIES", SeriesInstanceUID="1.2.3"), Level.STUDY) == Scope((), ("1.2.3",))


def test_a_backslash_in_a_patient_id_does_not_name_two_patients() -> None:
    both = scope(identifier("PATIENT", PatientID=["A", "B"]), Level.PATIENT)
    assert both == Scope(patient_ids=("A\\B",))


def test_patient_id_counts_in_the_patient_root_only() -> None:
    both = identifier("STUDY", PatientID="7", StudyInstanceUID="1.2")
    assert scope(both, Level.PATIENT) == Scope(("1.2",), patient_ids=("7",))
    assert scope(both, Level.STUDY) == Scope(("1.2",))


@pytest.mark.parametrize(
    ("root", "level", "keywords"),
    [
        (Level.STUDY, "STUDY", {}),
        (Level.STUDY, "STUDY", {"StudyInstanceUID": ""}),
        (Level.STUDY, "SERIES", {"StudyInstanceUID": "1.2"}),
        (Level.PATIENT, "PATIENT", {}),
        (Level.PATIENT, "PATIENT", {"PatientID": "*"}),
        (Level.STUDY, "PATIENT", {"PatientID": "7"}),
    ],
)
def test_nobody_gets_everything(root: Level, level: str, keywords: dict[str, str]) -> None:
    with pytest.raises(InvalidQuery):
        scope(identifier(level, **keywords), root)


def test_a_retrieve_names_whole_uids() -> None:
    with pytest.raises(InvalidUID):
        scope(identifier("STUDY", StudyInstanceUID="1.2.*"), Level.STUDY)


def test_every_required_key_is_supported() -> None:
    keys = supported_keys(Level.STUDY)
    assert {"PatientName", "PatientID", "StudyDate", "StudyInstanceUID"} <= set(keys[Level.STUDY])
    assert supported_keys(Level.PATIENT)[Level.PATIENT][0] == "PatientName"
