"""What the first object did not say and a later one does, on both engines."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.instance import Level
from archive.dicom.query import Key, Match, Query, SingleValue
from archive.index import matching
from archive.index.database import Database
from archive.index.recording import Outcome
from instances_made import instance, new_uid, requests, store

SAID_LATER = {
    "StudyDate": "20260101",
    "AccessionNumber": ("ACC1", "ACC2"),
    "StudyDescription": "Thorax",
    "PatientName": "Doe^Jane=山田",
    "PatientSex": "F",
    "PatientComments": "c",
    "BodyPartExamined": "CHEST",
    "RequestAttributesSequence": requests({"RequestedProcedureID": "P1"}),
}


def find(database: Database, level: Level, keyword: str, value: str) -> list[Match]:
    query = Query(level, (Key((BY_KEYWORD[keyword].tag,), SingleValue(value)),))
    with database.read() as connection:
        return list(matching.find(connection, query, matching.keys(connection, query)))


def test_a_study_is_found_by_what_a_later_object_says(database: Database) -> None:
    study, series = new_uid(), new_uid()
    first = instance(study, series, PatientID="7", StudyDate="", StudyDescription="Report", Modality="SR")
    assert (
        store(database, first, instance(study, series, PatientID="7", **SAID_LATER)) == [Outcome.STORED] * 2
    )
    for keyword, value in (
        ("StudyDate", "20260101"),
        ("AccessionNumber", "ACC1"),
        ("AccessionNumber", "ACC2"),
        ("PatientName", "doe^jane"),
        ("PatientName", "山田"),
        ("PatientSex", "F"),
        ("StudyDescription", "Report"),
    ):
        [match] = find(database, Level.STUDY, keyword, value)
        assert match["00080020"]["Value"] == ["20260101"]
        assert match["00081030"]["Value"] == ["Report"]
    assert find(database, Level.STUDY, "StudyDescription", "Thorax") == []
    [match] = find(database, Level.SERIES, "BodyPartExamined", "CHEST")
    assert match["00400275"]["Value"]
    assert match["00080060"]["Value"] == ["SR"]
    assert len(find(database, Level.PATIENT, "PatientName", "doe^jane")) == 1
    asked = Query(Level.SERIES, (Key((0x00400275, 0x00401001), SingleValue("P1")),))
    with database.read() as connection:
        assert matching.count(connection, asked) == 1


def test_what_was_filled_in_is_not_replaced(database: Database) -> None:
    study, series = new_uid(), new_uid()
    dates = [{}, {"StudyDate": "20260101"}, {"StudyDate": "20260202"}]
    store(database, *(instance(study, series, PatientID="7", **said) for said in dates))
    assert len(find(database, Level.STUDY, "StudyDate", "20260101")) == 1
    assert find(database, Level.STUDY, "StudyDate", "20260202") == []


def test_a_patient_is_completed_only_by_objects_that_name_the_same(database: Database) -> None:
    study = new_uid()
    store(database, instance(study, PatientID="7"), instance(study, PatientName="Somebody^Else"))
    assert find(database, Level.STUDY, "PatientName", "Somebody^Else") == []
    issued = instance(study, PatientID="7", IssuerOfPatientID="A")
    assert store(database, issued) == [Outcome.STORED]
    assert find(database, Level.STUDY, "IssuerOfPatientID", "A") == []
    store(database, instance(PatientID="7", PatientName="Doe^Jane"))
    assert len(find(database, Level.PATIENT, "PatientName", "Doe^Jane")) == 1


def test_many_complete_the_same_study_at_once(database: Database) -> None:
    study, series, threads = new_uid(), new_uid(), 8
    store(database, instance(study, series, PatientID="7"))
    made = [instance(study, series, PatientID="7", **SAID_LATER) for _ in range(threads)]
    together = threading.Barrier(threads)

    def send(number: int) -> list[Outcome]:
        together.wait()
        return store(database, made[number])

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(send, range(threads))) == [[Outcome.STORED]] * threads
    [match] = find(database, Level.STUDY, "AccessionNumber", "ACC2")
    assert match["00201208"]["Value"] == [threads + 1]
