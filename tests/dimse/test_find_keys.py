"""From Identifiers to queries, by the rules of PS3.4 C.4.1 and C.2.2.2 (dimse.md 1.3 rows)."""

from __future__ import annotations

from struct import Struct
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.errors import InvalidQuery, InvalidUID
from archive.dicom.instance import Level
from archive.dicom.query import (
    AsGiven,
    Empty,
    Key,
    Matching,
    Range,
    SingleValue,
    UIDList,
    Universal,
    Wildcard,
)
from archive.dimse.extended import Agreed
from archive.dimse.find_keys import Question, Terms, question
from archive.dimse.identifier import read
from identifiers import data_set, encoded, identifier

LIMIT = 100


def asked(level: str | None, root: Level = Level.STUDY, terms: Terms | None = None, **keys: Any) -> Question:
    return question(identifier(level, **keys), terms or Terms(root, LIMIT))


def agreeing(root: Level = Level.STUDY, **options: bool) -> Terms:
    return Terms(root, LIMIT, Agreed(**options))


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
        ("Occupation", "nurse", SingleValue("nurse")),
        ("PatientWeight", "70.5", SingleValue("70.5")),
        ("AcquisitionDateTime", "2024-2025", Range("2024", "2025")),
        ("AcquisitionDateTime", "2024-1100", SingleValue("2024-1100")),
    ],
)
def test_kind_of_matching(keyword: str, value: Any, expected: Matching) -> None:
    assert matching_of(keyword, value) == expected


def test_any_attribute_is_matched_at_its_level_and_above() -> None:
    found = asked("STUDY", StudyDate="20240101", Occupation="", InstitutionAddress="")
    assert found.unsupported_keys == ()
    assert found.query.include == {BY_KEYWORD["Occupation"].tag}
    assert asked("SERIES", InstitutionAddress="here").query.keys == (Key((0x00080081,), SingleValue("here")),)
    assert asked("IMAGE", KVP="120", SOPClassUID="1.2").unsupported_keys == ()


@pytest.mark.parametrize(
    ("level", "keys", "unmatched"),
    [
        ("STUDY", {"InstitutionAddress": "here"}, {(0x00080081,)}),
        ("STUDY", {"Modality": "CT"}, {(0x00080060,)}),
        ("STUDY", {"NumberOfStudyRelatedInstances": "3"}, {(0x00201208,)}),
        ("STUDY", {"RetrieveAETitle": "OTHER"}, {(0x00080054,)}),
        ("STUDY", {"InstanceAvailability": "OFFLINE"}, {(0x00080056,)}),
        ("STUDY", {"QueryRetrieveView": "CLASSIC"}, {(0x00080053,)}),
        ("STUDY", {"MaximumNumberOfRecords": 3}, {(0x00080429,)}),
        ("STUDY", {"RetrieveAETitle": "ARCHIVE", "InstanceAvailability": "ONLINE"}, set()),
        ("STUDY", {"Modality": "", "StorageMediaFileSetID": "", "RetrieveAETitle": "*"}, set()),
    ],
)
def test_what_is_not_matched_is_said(level: str, keys: dict[str, Any], unmatched: set[Any]) -> None:
    """FF01 where a key did not restrict the answer, and only there (dimse.md 1.3 row)."""
    found = asked(level, terms=Terms(Level.STUDY, LIMIT, retrieve_ae_title="ARCHIVE"), **keys)
    assert set(found.unsupported_keys) == unmatched
    assert found.query.keys == ()


def test_the_time_zone_of_the_request() -> None:
    """PS3.4 C.2.2.2.5; it is no key itself."""
    found = asked("STUDY", StudyDate="20240101", TimezoneOffsetFromUTC="-0530")
    assert found.query.timezone == -330
    assert [key.path for key in found.query.keys] == [(0x00080020,)]
    assert found.query.include == {0x00080201}
    assert asked("STUDY", TimezoneOffsetFromUTC="").query.timezone is None
    with pytest.raises(InvalidQuery) as refused:
        asked("STUDY", TimezoneOffsetFromUTC="CET")
    assert refused.value.tag == 0x00080201


def test_what_has_to_be_agreed_upon() -> None:
    """Without extended negotiation none of it (PS3.4 C.4.1.3.2)."""
    keys = {"StudyDate": "20240101-", "StudyTime": "10-", "AccessionNumber": '""', "PatientName": "A"}
    plain = asked("STUDY", **keys).query
    assert (plain.fuzzy, plain.combined) == (False, False)
    assert Key((0x00080050,), SingleValue('""')) in plain.keys
    full = asked("STUDY", terms=agreeing(combined=True, fuzzy=True, empty=True), **keys).query
    assert (full.fuzzy, full.combined) == (True, True)
    assert Key((0x00080050,), Empty()) in full.keys


def test_several_values_when_agreed_upon() -> None:
    """PS3.4 C.2.2.2.8."""
    several = {"OtherPatientIDs": ["A", "B"]}
    with pytest.raises(InvalidQuery) as refused:
        asked("STUDY", **several)
    assert refused.value.tag == 0x00101000
    found = asked("STUDY", terms=agreeing(multiple=True), **several)
    assert [key.matching for key in found.query.keys] == [SingleValue("A"), SingleValue("B")]
    with pytest.raises(InvalidQuery):
        asked("STUDY", terms=agreeing(multiple=True), AccessionNumber=["A", "B"])


def test_a_series_is_answered_with_what_its_first_instance_has() -> None:
    assert asked("SERIES", KVP="", InstanceNumber="").query.include == {0x00180060}
    assert asked("STUDY", KVP="").query.include == frozenset()
    with_value = asked("SERIES", KVP="120")
    assert (with_value.query.keys, with_value.unsupported_keys) == ((), ((0x00180060,),))


def test_a_key_of_a_lower_level_does_not_restrict() -> None:
    found = asked("STUDY", Modality="CT", SeriesInstanceUID="")
    assert found.unsupported_keys
    assert found.query.keys == ()
    assert found.query.include == frozenset()


def test_a_unique_key_of_a_lower_level_is_refused() -> None:
    with pytest.raises(InvalidQuery) as refused:
        asked("STUDY", SOPInstanceUID="1.2.3")
    assert refused.value.tag == 0x00080018


def test_missing_upper_keys_are_relational() -> None:
    found = asked("IMAGE", Modality="CT", PatientName="A*")
    assert found.query.level is Level.IMAGE
    assert {key.path[0] for key in found.query.keys} == {0x00080060, 0x00100010}


@pytest.mark.parametrize(
    ("root", "level", "keys", "to_blame"),
    [
        (Level.STUDY, "SERIES", {"Modality": "CT"}, 0x0020000D),
        (Level.STUDY, "SERIES", {"StudyInstanceUID": ["1.2", "1.3"]}, 0x0020000D),
        (Level.STUDY, "SERIES", {"StudyInstanceUID": "*"}, 0x0020000D),
        (Level.STUDY, "IMAGE", {"StudyInstanceUID": "1.2"}, 0x0020000E),
        (Level.STUDY, "SERIES", {"StudyInstanceUID": "1.2", "PatientName": "A"}, 0x00100010),
        (Level.PATIENT, "STUDY", {"StudyDate": "20240101"}, 0x00100020),
        (Level.PATIENT, "STUDY", {"PatientID": "7", "PatientSex": "M"}, 0x00100040),
    ],
)
def test_hierarchical_queries_name_one_object_of_each_level_above(
    root: Level, level: str, keys: dict[str, Any], to_blame: int
) -> None:
    """PS3.4 C.4.1.2.1: A900 unless relational queries were negotiated, or the AE's rules allow them."""
    with pytest.raises(InvalidQuery) as refused:
        asked(level, terms=Terms(root, LIMIT, relational=False), **keys)
    assert refused.value.tag == to_blame
    asked(level, terms=Terms(root, LIMIT, relational=True), **keys)
    asked(level, terms=Terms(root, LIMIT, Agreed(relational=True), relational=False), **keys)


@pytest.mark.parametrize(
    ("root", "level", "keys"),
    [
        (Level.STUDY, "STUDY", {"PatientName": "A*", "StudyDate": "20240101-"}),
        (Level.STUDY, "SERIES", {"StudyInstanceUID": "1.2", "Modality": "CT", "PatientName": ""}),
        (Level.PATIENT, "PATIENT", {"PatientName": "A*"}),
        (Level.PATIENT, "SERIES", {"PatientID": "7", "StudyInstanceUID": "1.2", "Modality": "CT"}),
    ],
)
def test_hierarchical_queries_pass(root: Level, level: str, keys: dict[str, Any]) -> None:
    asked(level, terms=Terms(root, LIMIT, relational=False), **keys)


def test_sequences_are_matched_in_their_items() -> None:
    """PS3.4 C.2.2.2.6, at any depth and with any attribute."""
    item = data_set(None, ScheduledProcedureStepID="S1", RequestedProcedureID="")
    found = asked("SERIES", RequestAttributesSequence=[item])
    assert found.query.keys == (Key((0x00400275, 0x00400009), SingleValue("S1")),)
    assert found.query.include_parts == {(0x00400275, 0x00401001)}
    other = data_set(None, ScheduledProcedureStepDescription="x*")
    assert asked("SERIES", RequestAttributesSequence=[other]).query.keys == (
        Key((0x00400275, 0x00400007), Wildcard("x*")),
    )
    whole = (Key((0x00400275,), Universal()),)
    assert asked("SERIES", RequestAttributesSequence=[]).query.keys == whole
    code = data_set(None, CodeValue="T-1", CodingSchemeDesignator="SRT")
    deep = data_set(None, ScheduledProtocolCodeSequence=[code])
    assert {key.path for key in asked("SERIES", RequestAttributesSequence=[deep]).query.keys} == {
        (0x00400275, 0x00400008, 0x00080100),
        (0x00400275, 0x00400008, 0x00080102),
    }


def test_an_empty_item_asks_for_the_whole_sequence() -> None:
    assert asked("IMAGE", ReferencedImageSequence=[Dataset()]).query.include == {0x00081140}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_private_attributes_with_their_creator(syntax: str) -> None:
    """PS3.5 7.8.1; the VR of a private attribute is what the object says."""
    keys = data_set("IMAGE")
    keys.add_new(0x00230010, "LO", "ACME LTD")
    keys.add_new(0x00231001, "LO", "7*")
    keys.add_new(0x00231002, "LO", "")
    raw = encoded(keys, implicit=syntax == ImplicitVRLittleEndian)
    found = question(read(raw, syntax), Terms(Level.STUDY, LIMIT))
    assert found.query.keys == (Key((0x00231001,), AsGiven(("7*",))),)
    assert found.query.creators == (((0x00230010,), "ACME LTD"),)
    assert found.query.include == {0x00231002}
    assert found.unsupported_keys == ()


@pytest.mark.parametrize("value", [["a", "b"], "a\nb"])
def test_values_that_cannot_be_keys(value: Any) -> None:
    with pytest.raises(InvalidQuery):
        asked("STUDY", AccessionNumber=value)


def test_uids_that_are_none() -> None:
    with pytest.raises(InvalidUID):
        asked("STUDY", StudyInstanceUID="1.2.*")


def test_more_keys_than_are_examined() -> None:
    many = {keyword: "1" for keyword in _short_texts(51)}
    with pytest.raises(InvalidQuery, match="50 keys"):
        asked("IMAGE", **many)


def _short_texts(number: int) -> list[str]:
    from pydicom.datadict import DicomDictionary

    found = [row[4] for row in DicomDictionary.values() if row[0] == "LO" and row[1] == "1" and row[4]]
    return [keyword for keyword in found if keyword not in BY_KEYWORD][:number]


# --- Repository Query (PS3.4 C.6.4) ---


def of_records(**keys: Any) -> Question:
    return asked("STUDY", terms=Terms(Level.STUDY, LIMIT, records=True), **keys)


def test_a_portion_of_the_records() -> None:
    plain = of_records(StudyInstanceUID="")
    assert (plain.limit, plain.query.limit, plain.query.by_record_key) == (LIMIT, LIMIT + 1, False)
    first = of_records(RecordKey=b"", MaximumNumberOfRecords=10)
    assert (first.limit, first.query.limit, first.query.by_record_key) == (10, 11, True)
    later = of_records(PriorRecordKey=(7).to_bytes(8, "big"), MaximumNumberOfRecords=1000)
    assert (later.limit, later.query.by_record_key, later.query.after_record_key) == (LIMIT, True, 7)
    assert later.unsupported_keys == ()


@pytest.mark.parametrize("key", [b"abcd", b"\xff" * 8])
def test_a_record_key_that_was_never_given(key: bytes) -> None:
    with pytest.raises(InvalidQuery):
        of_records(PriorRecordKey=key)


def test_record_keys_are_no_keys_of_other_models() -> None:
    found = asked("STUDY", PriorRecordKey=(7).to_bytes(8, "big"))
    assert found.query.after_record_key == 0
    assert found.unsupported_keys == ((0x0008041C,),)


@pytest.mark.parametrize(
    ("tag", "value"), [(0x00420011, b"abcd"), (0x0008041B, b"abcdefgh"), (0x00091010, b"abcd")]
)
def test_bytes_that_are_no_values_do_not_restrict_and_are_said(tag: int, value: bytes) -> None:
    """Status FF01 (PS3.4 Table C.4-1)."""
    level = b"\x08\x00\x52\x00CS\x06\x00IMAGE "
    sent = Struct("<HH2sHI").pack(tag >> 16, tag & 0xFFFF, b"OB", 0, len(value)) + value
    found = question(read(level + sent, ExplicitVRLittleEndian), Terms(Level.STUDY, LIMIT))
    assert found.unsupported_keys == ((tag,),)
