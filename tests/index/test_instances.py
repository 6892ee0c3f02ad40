"""Recording instances and finding them for retrieval, on both engines."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
import zstandard

from archive.dicom.errors import NotFound
from archive.dicom.instance import BulkValue, Scope
from archive.index import instances, recording, schema
from archive.index.database import Database
from archive.index.recording import Outcome
from instances_made import SOURCE, instance, new_uid, requests, store


def counts(database: Database) -> dict[str, int]:
    tables = (schema.patient, schema.study, schema.series, schema.instance, schema.instance_detail)
    with database.read() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in tables
        }


def in_scope(database: Database, **restrictions: tuple[str, ...]) -> list[str]:
    with database.read() as connection:
        return [one.SOPInstanceUID for one in instances.instances(connection, Scope(**restrictions))]


def test_a_recorded_instance_is_found_with_its_place(database: Database) -> None:
    made = instance()
    database.write(lambda c: recording.record(c, made, "ab/cd/key", 372, "f" * 64, SOURCE))
    with database.read() as connection:
        found = instances.find_instance(connection, made.SOPInstanceUID)
        assert found is not None
        assert instances.frame_table(connection, found) == b"frames"
        bulk = instances.bulk_value(connection, found, "7FE00010")
        assert instances.bulk_value(connection, found, "00420011") is None
        with pytest.raises(NotFound):
            instances.frame_table(connection, replace(found, SOPInstanceUID="1.2.3"))
    assert (found.blob_key, found.data_set_offset, found.data_set_length) == ("ab/cd/key", 372, 1000)
    assert (found.sha256, found.SeriesInstanceUID) == ("f" * 64, made.SeriesInstanceUID)
    assert bulk == BulkValue("7FE00010", "OW", 500, 500)


def test_an_unknown_instance_is_none_or_not_found(database: Database) -> None:
    with database.read() as connection:
        assert instances.find_instance(connection, "1.2.3") is None
        assert instances.find_instance(connection, "1\0'; DROP TABLE study") is None


def test_offsets_are_those_of_the_bytes_that_were_found(database: Database) -> None:
    """What was deleted and stored anew meanwhile has others; they would make wrong frames of the old bytes."""
    made = instance()
    database.write(lambda c: recording.record(c, made, "ab/cd/new", 372, "f" * 64, SOURCE))
    with database.read() as connection:
        found = instances.find_instance(connection, made.SOPInstanceUID)
        assert found is not None
        before = replace(found, blob_key="ab/cd/old")
        with pytest.raises(NotFound):
            instances.frame_table(connection, before)
        with pytest.raises(NotFound):
            instances.bulk_values(connection, before)


def test_the_same_object_again_changes_nothing(database: Database) -> None:
    made = instance()
    assert store(database, made, made) == [Outcome.STORED, Outcome.ALREADY_THERE]
    assert set(counts(database).values()) == {1}


def test_other_content_under_the_same_uid_is_kept_out(database: Database) -> None:
    made = instance()
    store(database, made, sha256="a" * 64)
    elsewhere = instance(sop=made.SOPInstanceUID)
    recompressed = replace(made, transfer_syntax_uid="1.2.840.10008.1.2.4.70")
    assert store(database, made, sha256="b" * 64) == [Outcome.OTHER_CONTENT]
    assert store(database, elsewhere, sha256="a" * 64) == [Outcome.ELSEWHERE]
    assert store(database, recompressed, sha256="a" * 64) == [Outcome.OTHER_CONTENT]
    assert set(counts(database).values()) == {1}


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ({"PatientID": "1"}, {"PatientID": "2"}, Outcome.OTHER_PATIENT),
        ({"PatientID": "1"}, {"PatientID": " 1 "}, Outcome.STORED),
        ({"PatientID": "1"}, {"PatientID": ""}, Outcome.STORED),
        ({}, {"PatientID": "2"}, Outcome.OTHER_PATIENT),
        ({"IssuerOfPatientID": "A"}, {"PatientID": "2", "IssuerOfPatientID": "A"}, Outcome.OTHER_PATIENT),
        ({"PatientID": ""}, {}, Outcome.STORED),
        ({"PatientID": ("1", "2")}, {"PatientID": "1"}, Outcome.OTHER_PATIENT),
        ({"PatientID": ("1", "2")}, {"PatientID": ("1", "2")}, Outcome.STORED),
        (
            {"PatientID": "1", "IssuerOfPatientID": "A"},
            {"PatientID": "1", "IssuerOfPatientID": "B"},
            Outcome.OTHER_PATIENT,
        ),
        ({"PatientID": "1", "IssuerOfPatientID": "A"}, {"PatientID": "1"}, Outcome.STORED),
    ],
)
def test_a_study_has_one_patient(
    database: Database, first: dict[str, Any], second: dict[str, Any], outcome: Outcome
) -> None:
    study = new_uid()
    assert store(database, instance(study, **first), instance(study, **second)) == [Outcome.STORED, outcome]
    assert counts(database)["patient"] == 1


def test_a_study_without_patient_does_not_become_that_of_two(database: Database) -> None:
    study = new_uid()
    made = [instance(study, PatientID=patient_id) for patient_id in ("", "X", "Y", "")]
    outcomes = store(database, *made)
    assert outcomes == [Outcome.STORED, Outcome.OTHER_PATIENT, Outcome.OTHER_PATIENT, Outcome.STORED]


def test_a_series_has_one_study(database: Database) -> None:
    series = new_uid()
    made = store(database, instance(series=series), instance(series=series))
    assert made == [Outcome.STORED, Outcome.OTHER_STUDY]
    assert counts(database)["study"] == 1


def test_a_patient_is_known_by_id_and_issuer(database: Database) -> None:
    store(database, instance(PatientID="1"), instance(PatientID="1"), instance(PatientID="2"))
    store(database, instance(PatientID="1", IssuerOfPatientID="elsewhere"))
    assert counts(database)["patient"] == 3


def test_studies_without_patient_id_are_not_one_patient(database: Database) -> None:
    study = new_uid()
    store(database, instance(study), instance(study), instance(), instance(PatientID=""))
    assert counts(database)["patient"] == 3


def test_scopes(database: Database) -> None:
    study, series, other = new_uid(), new_uid(), new_uid()
    a = instance(study, series, PatientID="7", SeriesNumber="2", InstanceNumber="10")
    b = instance(study, series, PatientID="7", SeriesNumber="2", InstanceNumber="9")
    c = instance(study, PatientID="7", SeriesNumber="1")
    d = instance(other)
    store(database, a, b, c, d)
    uids = [one.SOPInstanceUID for one in (c, b, a)]
    assert in_scope(database, study_instance_uids=(study,)) == uids
    assert in_scope(database, patient_ids=("7",)) == uids
    assert in_scope(database, series_instance_uids=(series,)) == uids[1:]
    assert in_scope(database, study_instance_uids=(other,), series_instance_uids=(series,)) == []
    assert in_scope(database, sop_instance_uids=(d.SOPInstanceUID, c.SOPInstanceUID, "9.9")) == [
        c.SOPInstanceUID,
        d.SOPInstanceUID,
    ]
    assert len(in_scope(database)) == 4


def test_a_scope_of_very_many_uids(database: Database) -> None:
    made = instance()
    store(database, made)
    many = tuple(f"1.2.{number}" for number in range(100_000))
    assert in_scope(database, sop_instance_uids=(*many, made.SOPInstanceUID)) == [made.SOPInstanceUID]


def test_metadata_are_those_of_just_these_bytes(database: Database) -> None:
    study = new_uid()
    made = [instance(study, InstanceNumber=str(number)) for number in range(3)]
    store(database, *made)
    with database.read() as connection:
        stored = instances.instances(connection, Scope(study_instance_uids=(study,)))
        found = instances.metadata(connection, stored[1:])
    assert [one.SOPInstanceUID for one in stored] == [one.SOPInstanceUID for one in made]
    assert list(found) == [one.blob_key for one in stored[1:]]
    second = orjson.loads(zstandard.decompress(found[stored[1].blob_key]))
    assert second["00080018"]["Value"] == [made[1].SOPInstanceUID]


def test_hostile_values_are_stored(database: Database) -> None:
    hostile = {
        "PatientName": "A\0B^'; DROP TABLE study\ud800=\u202e=%_",
        "PatientID": "x" * 10_000,
        "StudyDate": "yesterday",
        "StudyTime": "99:99",
        "SeriesNumber": "99999999999999999999",
        "InstanceNumber": "-",
        "StudyDescription": ("a", "", "b\0", "c" * 5000),
        "Modality": "",
    }
    encodable = {key: value for key, value in hostile.items() if key != "PatientName"}
    made = instance(**encodable, RequestAttributesSequence=requests({"RequestedProcedureID": "x\0" * 700}))
    name = made.attributes[0x00100020]
    elements = {**made.attributes, 0x00100010: replace(name, vr="PN", values=(hostile["PatientName"],))}
    assert store(database, replace(made, attributes=elements)) == [Outcome.STORED]


def test_counters_and_rows_are_right_when_many_start_the_same_study(database: Database) -> None:
    study, series, threads = new_uid(), new_uid(), 16
    made = [instance(study, series, PatientID="new") for _ in range(threads)]
    together = threading.Barrier(threads)

    def send(number: int) -> list[Outcome]:
        together.wait()
        return store(database, made[number])

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(send, range(threads)))
    assert outcomes == [[Outcome.STORED]] * threads
    assert counts(database) == {
        "patient": 1,
        "study": 1,
        "series": 1,
        "instance": threads,
        "instance_detail": threads,
    }
    with database.read() as connection:
        kept = connection.execute(
            sa.select(schema.study.c.number_of_series, schema.study.c.number_of_instances)
        ).one()
    assert tuple(kept) == (1, threads)


def test_one_of_many_same_instances_is_stored(database: Database) -> None:
    made, threads = instance(PatientID="new"), 16
    together = threading.Barrier(threads)

    def send(number: int) -> Outcome:
        together.wait()
        return store(database, made)[0]

    with ThreadPoolExecutor(threads) as pool:
        outcomes = sorted(outcome.name for outcome in pool.map(send, range(threads)))
    assert outcomes == ["ALREADY_THERE"] * (threads - 1) + ["STORED"]
    assert set(counts(database).values()) == {1}
