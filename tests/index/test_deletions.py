"""Deleting from the index: rows, counts, what is remembered, and stores that come at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from archive.dicom.errors import Gone, NotFound
from archive.dicom.instance import Instance, Scope
from archive.index import deletions, instances, schema
from archive.index.database import Database
from archive.index.recording import Outcome
from instances_made import instance, new_uid, requests, store


def scope(*uids: str) -> Scope:
    return Scope(*((uid,) for uid in uids))


def place(one: Instance) -> tuple[str, str, str]:
    return one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID


def delete(database: Database, *uids: str) -> list[str]:
    return database.write(lambda connection: deletions.delete(connection, scope(*uids)))


def missing(database: Database, *uids: str) -> type[NotFound]:
    with database.read() as connection:
        return type(deletions.missing(connection, scope(*uids)))


def rows_left(database: Database) -> dict[str, int]:
    """How many rows each table has, of those that have any."""
    with database.read() as connection:
        counted = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in schema.metadata.sorted_tables
        }
    return {name: number for name, number in counted.items() if number}


def counts(database: Database) -> list[tuple[str, int, int]]:
    """Of each study: its UID and the two counts."""
    columns = schema.study.c
    with database.read() as connection:
        found = connection.execute(
            sa.select(columns.StudyInstanceUID, columns.number_of_series, columns.number_of_instances)
        )
        return sorted(map(tuple, found))


def test_n15_nothing_is_left_of_a_study_but_that_it_was_there(database: Database) -> None:
    """Terms, requests, details and the patient go with it."""
    study = new_uid()
    made = [
        instance(
            study,
            PatientID="P",
            PatientName=("A^B=漢", "C"),
            StudyDescription=("one", "two"),
            SeriesDescription=("three", "four"),
            RequestAttributesSequence=requests({"RequestedProcedureID": "R"}),
        )
        for _ in range(3)
    ]
    store(database, *made)
    assert {"patient_term", "study_term", "series_term", "request"} <= set(rows_left(database))
    keys = delete(database, study)
    assert len(set(keys)) == 3
    left = rows_left(database)
    left.pop("retired_key", 0)
    assert left == {"deletion": 3}
    assert [missing(database, *place(made[0])[:depth]) for depth in (1, 2, 3)] == [Gone] * 3
    assert delete(database, study) == []


def test_counts_follow_a_partial_delete(database: Database) -> None:
    study, series = new_uid(), new_uid()
    first, second, third = (
        instance(study, series),
        instance(study, series),
        instance(study, PatientID=""),
    )
    store(database, first, second, third)
    assert counts(database) == [(study, 2, 3)]
    assert len(delete(database, *place(first))) == 1
    assert counts(database) == [(study, 2, 2)]
    assert missing(database, *place(first)) is Gone
    assert len(delete(database, study, series)) == 1
    assert counts(database) == [(study, 1, 1)]
    assert missing(database, study, series) is Gone
    assert len(delete(database, *place(third))) == 1
    assert counts(database) == []
    assert missing(database, study) is Gone


def test_a_patient_stays_as_long_as_a_study_does(database: Database) -> None:
    kept, gone = instance(PatientID="SAME"), instance(PatientID="SAME")
    store(database, kept, gone)
    delete(database, gone.StudyInstanceUID)
    assert rows_left(database)["patient"] == 1
    delete(database, kept.StudyInstanceUID)
    assert "patient" not in rows_left(database)


def test_storing_again_takes_the_remembrance_away(database: Database) -> None:
    one = instance()
    store(database, one)
    first = delete(database, one.StudyInstanceUID)
    assert store(database, one, sha256="1" * 64) == [Outcome.STORED], "other content is allowed by now"
    assert "deletion" not in rows_left(database)
    assert delete(database, one.StudyInstanceUID) != first, "the new bytes have a key of their own"


def test_keys_are_not_given_out_again(database: Database) -> None:
    """A search reads by the keys that it has found: they must not mean something else by then."""

    def keys() -> list[tuple[int, ...]]:
        tables = (schema.patient, schema.study, schema.series, schema.instance)
        with database.read() as connection:
            return [tuple(connection.execute(sa.select(table.c.id)).scalars()) for table in tables]

    seen: set[tuple[int, tuple[int, ...]]] = set()
    for _ in range(3):
        one = instance(PatientID=new_uid())
        store(database, one)
        found = set(enumerate(keys()))
        assert not seen & found
        seen |= found
        delete(database, one.StudyInstanceUID)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_was_never_there_is_not_gone(database: Database, depth: int) -> None:
    one = instance()
    store(database, one)
    delete(database, one.StudyInstanceUID)
    other = (new_uid(), new_uid(), new_uid())
    assert missing(database, *other[:depth]) is NotFound
    assert missing(database, one.StudyInstanceUID, new_uid()) is NotFound
    assert delete(database, *other[:depth]) == []


def test_only_what_is_at_the_whole_path_is_deleted(database: Database) -> None:
    """An instance named below another study or series is not there."""
    one, other = instance(), instance()
    store(database, one, other)
    assert delete(database, other.StudyInstanceUID, *place(one)[1:]) == []
    assert delete(database, one.StudyInstanceUID, other.SeriesInstanceUID, one.SOPInstanceUID) == []
    assert rows_left(database)["instance"] == 2


def test_stores_and_deletes_at_the_same_time(database: Database) -> None:
    """An object whose store was acknowledged is there, or was deleted after that; counts are right all the time, and
    nobody hears of an error."""
    study, series, patient_id = new_uid(), new_uid(), "P"
    made = [instance(study, series, PatientID=patient_id) for _ in range(40)]
    stored = threading.Semaphore(0)

    def storing(some: list[Instance]) -> list[Outcome]:
        return [(store(database, one)[0], stored.release(2))[0] for one in some]

    def deleting(whom: Callable[[], tuple[str, ...]]) -> int:
        number = 0
        for _ in made:
            assert stored.acquire(timeout=60)
            number += len(delete(database, *whom()))
        return number

    turns = iter(range(10**9))
    with ThreadPoolExecutor(6) as threads:
        deleters = [
            threads.submit(deleting, lambda: (study,)),
            threads.submit(deleting, lambda: place(made[next(turns) % len(made)])),
        ]
        stores = [threads.submit(storing, made[part::4]) for part in range(4)]
        assert all(outcome is Outcome.STORED for one in stores for outcome in one.result())
        number_deleted = sum(one.result() for one in deleters)
    with database.read() as connection:
        left = [one.SOPInstanceUID for one in instances.instances(connection, scope(study))]
        remembered = connection.execute(sa.select(schema.deletion.c.SOPInstanceUID)).scalars().all()
    assert number_deleted == len(remembered)
    assert sorted([*left, *remembered]) == sorted(one.SOPInstanceUID for one in made)
    assert counts(database) == ([(study, 1, len(left))] if left else [])
