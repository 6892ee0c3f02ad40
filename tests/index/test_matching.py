"""Matching, answers, order and pages, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from archive.dicom.errors import InvalidQuery, TooBroad
from archive.dicom.instance import Instance, Level
from archive.dicom.query import Key, Matching, Query, Range, SingleValue, UIDList, Universal, Wildcard
from archive.index.database import Database
from instances_made import CT, EXPLICIT, element, instance, new_uid, requests, store
from matches import find, keys, tag, values

MR = "1.2.840.10008.5.1.4.1.1.4"


def found_ids(database: Database, **given: Matching) -> list[str]:
    """The PatientIDs of the studies that match."""
    matches = find(database, Query(Level.STUDY, keys(**given)))
    return sorted(values(match, "PatientID")[0] for match in matches)


def assert_found(database: Database, keyword: str, cases: list[tuple[Matching, list[str]]]) -> None:
    found = [(key, found_ids(database, **{keyword: key})) for key, _ in cases]
    assert found == cases


def store_patients(database: Database, keyword: str, *given: Any) -> None:
    """One study each, of patients 0, 1, 2 …, with these values of an attribute."""
    for number, value in enumerate(given):
        store(database, instance(PatientID=str(number), **{keyword: value}))


NAMES: list[tuple[Matching, list[str]]] = [
    (SingleValue("doe^jane"), ["0"]),
    (SingleValue("Doe^Jane^^"), ["0"]),
    (SingleValue("DOE"), []),
    (Wildcard("doe*"), ["0", "1"]),
    (Wildcard("Muller*"), ["2"]),
    (Wildcard("M?ller^J*"), ["2"]),
    (Wildcard("yamada*"), ["3"]),
    (Wildcard("山田*"), ["3"]),
    (SingleValue("山田^太郎"), ["3"]),
    (Wildcard("やまだ*"), ["3"]),
    (Wildcard("=山田*"), ["3"]),
    (Wildcard("山田*="), []),
    (SingleValue("Yamada^Tarou=山田^太郎"), ["3"]),
    (SingleValue("Yamada^Tarou=山田^花子"), []),
    (Wildcard("*"), ["0", "1", "2", "3", "4"]),
    (Wildcard("?*"), ["0", "1", "2", "3"]),
    (Wildcard("%"), []),
    (Wildcard("_*"), []),
    (SingleValue("'; DROP TABLE study;--"), []),
    (Wildcard("Doe\0*"), []),
]


def test_names(database: Database) -> None:
    store_patients(
        database,
        "PatientName",
        "Doe^Jane",
        "DOE^John^Q",
        "Müller^Jürgen",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "",
    )
    assert_found(database, "PatientName", NAMES)


TEXTS: list[tuple[Matching, list[str]]] = [
    (SingleValue("Chest CT"), ["0"]),
    (SingleValue("chest ct"), []),
    (Wildcard("chest*"), ["1"]),
    (Wildcard("*CT"), ["0"]),
    (Wildcard("100%"), []),
    (Wildcard("100%*"), ["2"]),
    (Wildcard("*[a-z]*"), ["3"]),
    (SingleValue("a_b\\"), ["4"]),
    (Wildcard("a_b\\*"), ["4"]),
    (Wildcard("a?b?"), ["4", "5"]),
    (Wildcard("[*"), ["3"]),
    (SingleValue("*"), []),
    (Wildcard("second*"), ["6"]),
    (SingleValue("third"), ["6"]),
    (Wildcard("*é*"), ["7"]),
    (Wildcard("*e*"), ["0", "1", "2", "6", "7"]),
    (SingleValue(" chest mr "), ["1"]),
]


def test_texts_match_with_case_and_literally(database: Database) -> None:
    described = ("Chest CT", "chest mr", "100% sure", "[a-z]", "a_b\\", "axb|", ("first", "second", "third"))
    store_patients(database, "StudyDescription", *described, "épaule", "")
    assert_found(database, "StudyDescription", TEXTS)


DATES: list[tuple[Matching, list[str]]] = [
    (SingleValue("20240229"), ["0"]),
    (SingleValue("2024.02.29"), ["0"]),
    (Range("20240101", "20241231"), ["0", "1"]),
    (Range("20240301", ""), ["1"]),
    (Range("", "20231231"), ["2"]),
    (Range("2024.03.01", "2024.03.01"), ["1"]),
    (Range("20250101", "20240101"), []),
    (Wildcard("*"), ["0", "1", "2", "3", "4"]),
]


def test_dates(database: Database) -> None:
    store_patients(database, "StudyDate", "20240229", "2024.03.01", "19991231", "", "unknown")
    assert_found(database, "StudyDate", DATES)


TIMES: list[tuple[Matching, list[str]]] = [
    (SingleValue("10"), ["0", "1", "2", "3"]),
    (SingleValue("1030"), ["1", "2", "3"]),
    (SingleValue("103015"), ["2", "3"]),
    (SingleValue("10:30:15"), ["2", "3"]),
    (SingleValue("103015.5"), ["3"]),
    (SingleValue("103015.25"), []),
    (Range("1030", "11"), ["1", "2", "3", "4"]),
    (Range("", "1030"), ["0", "1", "2", "3"]),
    (Range("103016", ""), ["4"]),
]


def test_times(database: Database) -> None:
    store_patients(
        database, "StudyTime", "10", "1030", "10:30:15", "103015.500000", "115959.999999", "", "25h"
    )
    assert_found(database, "StudyTime", TIMES)


REFUSED = [
    ("StudyDate", SingleValue("yesterday")),
    ("StudyDate", Range("", "")),
    ("StudyDate", Range("2024", "2025")),
    ("StudyDate", Wildcard("2024*")),
    ("StudyDate", UIDList(("20240101", "20240102"))),
    ("StudyTime", Range("1", "2")),
    ("PatientID", Range("1", "2")),
    ("PatientName", Range("A", "B")),
    ("PatientName", Wildcard("a" * 5000 + "*")),
    ("NumberOfStudyRelatedSeries", SingleValue("1")),
    ("Modality", SingleValue("CT")),
    ("RequestAttributesSequence", SingleValue("x")),
]


def test_what_cannot_be_matched(database: Database) -> None:
    for keyword, key in REFUSED:
        with pytest.raises(InvalidQuery):
            find(database, Query(Level.STUDY, keys(**{keyword: key})))


def test_numbers_match_by_value(database: Database) -> None:
    store(database, instance(SeriesNumber="007"), instance(SeriesNumber="70"), instance())
    for key in (SingleValue("7"), SingleValue("+07"), UIDList(("8", "7"))):
        matches = find(database, Query(Level.SERIES, keys(SeriesNumber=key)))
        assert [values(match, "SeriesNumber") for match in matches] == [["007"]]
    with pytest.raises(InvalidQuery):
        find(database, Query(Level.SERIES, keys(SeriesNumber=SingleValue("seven"))))


def test_modalities_in_study(database: Database) -> None:
    study, other = new_uid(), new_uid()
    store(
        database,
        instance(study, PatientID="1", Modality="CT"),
        instance(study, PatientID="1", Modality="SR"),
        instance(study, PatientID="1", Modality="CT"),
        instance(other, PatientID="2", Modality="MR", SOPClassUID=MR),
        instance(PatientID="3"),
    )
    assert found_ids(database, ModalitiesInStudy=SingleValue("CT")) == ["1"]
    assert found_ids(database, ModalitiesInStudy=UIDList(("MR", "SR"))) == ["1", "2"]
    assert found_ids(database, ModalitiesInStudy=Wildcard("?R")) == ["1", "2"]
    assert found_ids(database, ModalitiesInStudy=SingleValue("CT\\SR")) == []
    assert found_ids(database, SOPClassesInStudy=SingleValue(MR)) == ["2"]
    by_id = {values(match, "PatientID")[0]: match for match in find(database, Query(Level.STUDY))}
    assert values(by_id["1"], "ModalitiesInStudy") == ["CT", "SR"]
    assert "00080061" not in by_id["3"]
    named = find(
        database, Query(Level.STUDY, keys(SOPClassesInStudy=Universal(), PatientID=SingleValue("2")))
    )
    assert values(named[0], "SOPClassesInStudy") == [MR]


def test_requests_match_within_one_item(database: Database) -> None:
    step, procedure = 0x00400009, 0x00401001
    items = ({"ScheduledProcedureStepID": "S1", "RequestedProcedureID": "P1"}, {"RequestedProcedureID": "P2"})
    store(database, instance(RequestAttributesSequence=requests(*items)), instance())

    def count(*pairs: tuple[int, str]) -> int:
        asked = tuple(Key((0x00400275, inner), SingleValue(value)) for inner, value in pairs)
        return len(find(database, Query(Level.SERIES, asked)))

    assert count((procedure, "P2")) == 1
    assert count((procedure, "P1"), (step, "S1")) == 1
    assert count((procedure, "P2"), (step, "S1")) == 0
    with pytest.raises(InvalidQuery):
        find(database, Query(Level.STUDY, (Key((0x00400275, procedure), SingleValue("P1")),)))


def test_uid_lists_of_any_length(database: Database) -> None:
    made = [instance(PatientID=str(number)) for number in range(3)]
    store(database, *made)
    listed = (*(f"1.2.{number}" for number in range(100_000)), made[2].StudyInstanceUID, "x\0y")
    assert found_ids(database, StudyInstanceUID=UIDList(listed)) == ["2"]
    assert found_ids(database, StudyInstanceUID=UIDList((made[0].StudyInstanceUID,))) == ["0"]


def test_keys_of_higher_levels_join_up(database: Database) -> None:
    study = new_uid()
    wanted = instance(study, PatientName="Doe^Jane", StudyDate="20240101", Modality="CT", InstanceNumber="1")
    others = [instance(study, Modality="MR"), instance(PatientName="Doe^Jane", Modality="CT")]
    store(database, wanted, *others)
    asked = keys(
        PatientName=Wildcard("doe*"),
        StudyDate=SingleValue("20240101"),
        Modality=SingleValue("CT"),
        InstanceNumber=SingleValue("1"),
    )
    [match] = find(database, Query(Level.IMAGE, asked))
    assert values(match, "SOPInstanceUID") == [wanted.SOPInstanceUID]
    assert values(match, "PatientName") == [{"Alphabetic": "Doe^Jane"}]


def test_more_time_zones_than_there_are(database: Database) -> None:
    """Q6: each is a condition, of which SQLite takes a thousand; a search without a zone does not care."""
    zones = [f"+{hours:02}{minutes:02}" for hours in range(12) for minutes in range(50, 60)]
    store(database, *(instance(StudyDate="20240101", TimezoneOffsetFromUTC=zone) for zone in zones))
    asked = keys(StudyDate=SingleValue("20240101"))
    assert len(find(database, Query(Level.STUDY, asked))) == len(zones)
    with pytest.raises(TooBroad):
        find(database, Query(Level.STUDY, asked, timezone=0))


def two_series() -> list[Instance]:
    study, series = new_uid(), new_uid()
    patient = {"PatientID": "7", "PatientName": "Doe^Jane", "PatientComments": "c", "StudyDescription": "d"}
    return [
        instance(study, series, **patient, SeriesNumber="2", InstanceNumber="2", Modality="CT", Rows="512"),
        instance(study, series, SeriesNumber="2", InstanceNumber="1", Modality="CT"),
        instance(study, SeriesNumber="1", Modality="CT"),
    ]


def test_a_study_answer(database: Database) -> None:
    made = two_series()
    store(database, *made)
    [match] = find(database, Query(Level.STUDY))
    assert list(match) == sorted(match)
    assert values(match, "StudyInstanceUID") == [made[0].StudyInstanceUID]
    assert values(match, "StudyDescription") == ["d"]
    assert values(match, "NumberOfStudyRelatedSeries") == [2]
    assert values(match, "NumberOfStudyRelatedInstances") == [3]
    assert match["00080020"] == {"vr": "DA"}
    assert not {"00104000", "00080060", "00080201", "00201200"} & set(match)


def test_named_attributes_are_added(database: Database) -> None:
    store(database, *two_series(), instance(PatientID="7"))
    named = keys(PatientComments=Universal(), NumberOfPatientRelatedStudies=Universal(), Modality=Universal())
    include = frozenset({tag("NumberOfPatientRelatedInstances"), tag("PatientAge"), tag("Rows")})
    found = find(database, Query(Level.STUDY, named, include))
    match = next(match for match in found if values(match, "PatientComments"))
    assert values(match, "NumberOfPatientRelatedStudies") == [2]
    assert values(match, "NumberOfPatientRelatedInstances") == [4]
    assert match["00101010"] == {"vr": "AS"}
    assert not {"00080060", "00280010"} & set(match)


def test_series_and_instance_answers_hold_the_levels_above(database: Database) -> None:
    made = two_series()
    store(database, *made)
    numbered = find(database, Query(Level.SERIES))
    assert [values(match, "SeriesNumber") for match in numbered] == [["1"], ["2"]]
    assert values(numbered[1], "NumberOfSeriesRelatedInstances") == [2]
    assert values(numbered[1], "PatientName") == [{"Alphabetic": "Doe^Jane"}]
    found = find(database, Query(Level.IMAGE, keys(SeriesNumber=SingleValue("2"))))
    assert [values(match, "SOPInstanceUID")[0] for match in found] == [
        made[1].SOPInstanceUID,
        made[0].SOPInstanceUID,
    ]
    assert values(found[1], "Rows") == ["512"]
    assert values(found[0], "AvailableTransferSyntaxUID") == [EXPLICIT]
    assert values(found[0], "SOPClassUID") == [CT]


def test_patients(database: Database) -> None:
    store(database, *two_series(), instance(PatientID="7"), instance(PatientName="Nobody"))
    asked = keys(PatientName=Wildcard("d*"), NumberOfPatientRelatedSeries=Universal(), StudyDate=Universal())
    [match] = find(database, Query(Level.PATIENT, asked))
    assert values(match, "PatientID") == ["7"]
    assert values(match, "NumberOfPatientRelatedSeries") == [3]
    assert "00080020" not in match
    assert len(find(database, Query(Level.PATIENT))) == 2


def test_the_patient_is_shown_and_matched_as_in_the_study(database: Database) -> None:
    store(database, instance(PatientID="7", PatientName="Maiden^Jane"))
    store(database, instance(PatientID="7", PatientName="Married^Jane"))
    assert found_ids(database, PatientName=Wildcard("married*")) == ["7"]
    [match] = find(database, Query(Level.STUDY, keys(PatientName=Wildcard("married*"))))
    assert values(match, "PatientName") == [{"Alphabetic": "Married^Jane"}]
    assert find(database, Query(Level.PATIENT, keys(PatientName=Wildcard("married*")))) == []


OTHERS = {
    "00101001": {"vr": "PN", "Value": [{"Alphabetic": "Other^Name"}]},
    "00081048": {"vr": "PN", "Value": [{"Alphabetic": "Dr^Who"}]},
    "00181000": {"vr": "LO", "Value": ["serial"]},
    "00180060": {"vr": "DS", "Value": [120]},
}
LEVELS = dict(zip(OTHERS, Level, strict=True))


def test_attributes_that_are_not_prepared_come_from_the_metadata(database: Database) -> None:
    """What is named always, what is not only at its level and below (Q4, PS3.18 10.6.3.3)."""
    linked = {"00091001": {"vr": "OB", "BulkDataURI": "bulkdata/00091001"}}
    store(database, instance(PatientID="1", others=OTHERS | linked, Rows="512"))
    for level in Level:
        [asked] = find(database, Query(level, include=frozenset({0x00180060, 0x00091001, 0x00185555})))
        assert asked["00180060"] == OTHERS["00180060"]
        [everything] = find(database, Query(level, include_all=True))
        assert {tag for tag in OTHERS if tag in everything} == {
            tag for tag, at in LEVELS.items() if at <= level
        }
        assert not {"00091001", "00185555"} & {*asked, *everything}
        assert ("00280010" in everything) == (level is Level.IMAGE)
    assert "00180060" not in find(database, Query(Level.IMAGE))[0]


def test_pages_are_stable(database: Database) -> None:
    dates = ["20240101", "", "20240301", "20240301", "20240201"]
    times = ["", "12", "0800", "0900", ""]
    made = [instance(StudyDate=date, StudyTime=time) for date, time in zip(dates, times, strict=True)]
    store(database, *made)
    order = [made[number].StudyInstanceUID for number in (3, 2, 4, 0, 1)]
    paged = [
        values(match, "StudyInstanceUID")[0]
        for offset in range(0, 6, 2)
        for match in find(database, Query(Level.STUDY, limit=2, offset=offset))
    ]
    assert paged == order
    assert len(find(database, Query(Level.STUDY, offset=3))) == 2
    assert find(database, Query(Level.STUDY, limit=0)) == []


def test_a_name_with_further_values(database: Database) -> None:
    two = element("PN", "First^One", "Second^Two=二^二")
    store(database, instance(PerformingPhysicianName=two), instance())
    for key in (SingleValue("second^two"), Wildcard("二*"), SingleValue("First^One")):
        assert len(find(database, Query(Level.SERIES, keys(PerformingPhysicianName=key)))) == 1
    assert (
        find(database, Query(Level.SERIES, keys(PerformingPhysicianName=SingleValue("First^One=二^二"))))
        == []
    )
