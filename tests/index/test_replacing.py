"""Putting another version in the place of a stored instance, on both engines."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from archive.dicom.instance import BulkValue, Form, Instance, Scope, Source
from archive.index import deletions, instances, recording, schema
from archive.index.database import Connection, Database, Raced
from archive.index.recording import Former, Outcome
from instances_made import SOURCE, instance

LATER = Source("STOW-RS", "192.0.2.7")


def record(database: Database, one: Instance, key: str) -> Outcome:
    return database.write(lambda c: recording.record(c, one, key, 300, key.ljust(64, "0"), SOURCE))


def put_in_place(connection: Connection, one: Instance, key: str) -> Former:
    return recording.replace(connection, one, key, 400, key.ljust(64, "0"), LATER)


def form(one: Instance, key: str) -> Form:
    return Form(key.ljust(64, "0"), one.transfer_syntax_uid)


def rows(database: Database, table: sa.Table) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)))


def test_everything_of_the_former_version_goes_and_is_told(database: Database) -> None:
    first = instance(InstanceNumber="1")
    second = replace(
        instance(first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID, InstanceNumber="2"),
        bulk_values=(BulkValue("7FE00010", "OB", 700, 800),),
        frames=b"other frames",
    )
    record(database, first, "a")
    (before,) = rows(database, schema.instance)
    former = database.write(lambda c: put_in_place(c, second, "b"))
    assert (former.stored.blob_key, former.source) == ("a", SOURCE)
    (after,) = rows(database, schema.instance)
    assert (after.id, after.InstanceNumber, after.blob_key, after.data_set_offset) == (before.id, 2, "b", 400)
    (detail,) = rows(database, schema.instance_detail)
    assert (detail.door, detail.address) == ("STOW-RS", "192.0.2.7")
    with database.read() as connection:
        found = instances.find_instance(connection, first.SOPInstanceUID)
        assert found is not None
        assert instances.frame_table(connection, found) == b"other frames"
        assert instances.bulk_values(connection, found) == [BulkValue("7FE00010", "OB", 700, 800)]
    (study,) = rows(database, schema.study)
    assert (study.number_of_series, study.number_of_instances) == (1, 1)


def test_there_has_to_be_something_to_replace(database: Database) -> None:
    with database.read() as connection, pytest.raises(Raced):
        put_in_place(connection, instance(), "a")


@pytest.mark.parametrize("moved", ["SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID", "PatientID", ""])
def test_what_has_changed_since_it_was_judged_is_not_replaced(database: Database, moved: str) -> None:
    """It is judged anew: it may stand in another study by now, which nothing but a person may take it from; or be the
    very same object, of which nothing is to be kept aside."""
    first = instance(PatientID="A")
    uids = first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID
    record(database, first, "a")
    second = instance(*uids, PatientID="B") if moved == "PatientID" else first
    if moved not in ("PatientID", ""):
        second = replace(first, **{moved: "1.2.3"})
    record(database, instance("1.2.3", PatientID="A"), "c")
    key = "b" if moved else "a"
    with database.read() as connection, pytest.raises(Raced):
        put_in_place(connection, second, key)
    with database.read() as connection:
        found = instances.find_instance(connection, first.SOPInstanceUID)
    assert found is not None
    assert (found.blob_key, found.SeriesInstanceUID) == ("a", first.SeriesInstanceUID)


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({}, Outcome.OTHER_CONTENT),
        ({"transfer_syntax_uid": "1.2.840.10008.1.2"}, Outcome.OTHER_CONTENT),
        ({"SOPClassUID": "1.2.3"}, Outcome.ELSEWHERE),
        ({"SeriesInstanceUID": "1.2.3"}, Outcome.ELSEWHERE),
        ({"StudyInstanceUID": "1.2.3"}, Outcome.ELSEWHERE),
        ({"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.4"}, Outcome.OTHER_STUDY),
        ({"SOPInstanceUID": "1.2.3"}, None),
    ],
)
def test_what_is_in_the_way_is_told_beforehand(
    database: Database, changed: dict[str, str], outcome: Outcome | None
) -> None:
    first = instance(PatientID="A")
    record(database, first, "a")
    second = replace(first, **changed)
    with database.read() as connection:
        assert recording.judge(connection, second, form(second, "b")) == outcome
        assert recording.judge(connection, first, form(first, "a")) == Outcome.ALREADY_THERE
    if outcome is not None:
        assert record(database, second, "b") == outcome


def test_another_patient_is_seen_also_under_a_known_instance(database: Database) -> None:
    first = instance(PatientID="A")
    uids = first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID
    record(database, first, "a")
    assert record(database, instance(*uids, PatientID="B"), "b") == Outcome.OTHER_PATIENT
    assert record(database, instance(*uids), "b") == Outcome.OTHER_CONTENT


def test_a_deletion_that_is_under_way_is_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has seen which bytes to delete. Were they replaced now, those that are kept aside would go, and others be
    left that nobody knows."""
    first = instance()
    second = replace(first, transfer_syntax_uid="1.2.840.10008.1.2")
    record(database, first, "a")
    has_seen, go_on = threading.Event(), threading.Event()
    remember = deletions._remember

    def slowly(*arguments: Any) -> None:
        has_seen.set()
        assert go_on.wait(30)
        remember(*arguments)

    monkeypatch.setattr(deletions, "_remember", slowly)

    def change(connection: Connection) -> str:
        outcome = recording.record(connection, second, "b", 300, "b" * 64, LATER)
        if outcome is Outcome.STORED:
            return "stored anew"
        return f"replaced {put_in_place(connection, second, 'b').stored.blob_key}"

    with ThreadPoolExecutor(2) as threads:
        scope = Scope((first.StudyInstanceUID,))
        deleting = threads.submit(lambda: database.write(lambda c: deletions.delete(c, scope)))
        assert has_seen.wait(30)
        replacing = threads.submit(lambda: database.write(change))
        with pytest.raises(TimeoutError):
            replacing.result(timeout=1)
        go_on.set()
        assert deleting.result() == ["a"]
        assert replacing.result() == "stored anew"
    (row,) = rows(database, schema.instance)
    assert row.blob_key == "b"


def test_two_versions_at_once_replace_one_after_the_other(database: Database) -> None:
    first = instance()
    record(database, first, "k0")
    keys = [f"k{number}" for number in range(1, 9)]
    syntaxes = {key: f"1.2.{key[1:]}" for key in keys}

    def attempt(key: str) -> str:
        version = replace(first, transfer_syntax_uid=syntaxes[key])
        return database.write(lambda c: put_in_place(c, version, key)).stored.blob_key

    with ThreadPoolExecutor(8) as threads:
        former = list(threads.map(attempt, keys))
    (row,) = rows(database, schema.instance)
    assert sorted([*former, row.blob_key]) == sorted(["k0", *keys])
