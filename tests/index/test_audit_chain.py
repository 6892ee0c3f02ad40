"""Records are added to a chain, by many at a time, and found again; what is received stands for itself until then."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from archive.dicom.instance import Source
from archive.index import audit
from archive.index.audit import GENESIS, Entry, Sought
from archive.index.audit_schema import audit_head, audit_record, receiving
from archive.index.database import Database
from archive.index.schema import patient, study
from rows_made import row

SOURCE = Source("DIMSE", "192.0.2.1", "SCANNER", "ARCHIVE")


def entry(number: int, **fields: Any) -> Entry:
    return Entry(f'{{"n":{number}}}', 1000.0 + number, "110103", **{"actor": "DOCTOR", **fields})


def add(database: Database, *entries: Entry) -> None:
    database.write(lambda connection: audit.append(connection, entries))


def test_each_hash_binds_the_one_before_it(database: Database) -> None:
    add(database, entry(1), entry(2))
    add(database)
    add(database, entry(3))
    with database.read() as connection:
        found = audit.records(connection)
        head = audit.head(connection)
    assert [one.position for one in found] == [1, 2, 3]
    last = GENESIS
    for one in found:
        last = audit.digest(last, one.entry.message)
        assert one.hash == last
    assert (head.position, head.hash) == (3, last)


def test_a_change_that_fails_leaves_no_record(database: Database) -> None:
    def change(connection: Any) -> None:
        audit.append(connection, [entry(1)])
        raise KeyError

    with pytest.raises(KeyError):
        database.write(change)
    add(database, entry(2))
    with database.read() as connection:
        assert [(one.position, one.entry.message) for one in audit.records(connection)] == [(1, '{"n":2}')]


def test_many_at_a_time_make_one_chain(url: str) -> None:
    databases = [Database.open(url) for _ in range(4)]

    def write(database: Database, first: int) -> None:
        for number in range(first, first + 25):
            add(database, entry(number), entry(-number))

    threads = [threading.Thread(target=write, args=(one, 25 * n + 1)) for n, one in enumerate(databases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].read() as connection:
        found = audit.records(connection)
    for one in databases:
        one.close()
    assert [one.position for one in found] == list(range(1, 201))
    assert len({one.entry.message for one in found}) == 200
    last = GENESIS
    for one in found:
        last = audit.digest(last, one.entry.message)
        assert one.hash == last


def test_a_chain_goes_on_without_the_row_of_its_head(database: Database) -> None:
    with database.read() as connection:
        assert audit.head(connection) == audit.Head(0, GENESIS)
        assert connection.execute(sa.select(audit_head)).first() is None
    add(database, entry(1))
    with database.read() as connection:
        assert audit.head(connection).position == 1


def test_records_are_found_by_what_they_are_about(database: Database) -> None:
    add(
        database,
        entry(1, PatientID="P1", StudyInstanceUID="1.2"),
        entry(2, PatientID="P1^^^HOSPITAL", StudyInstanceUID="1.3", actor="SCANNER"),
        entry(3, PatientID="P10", address="192.0.2.1"),
        entry(4, PatientID="P_"),
    )

    def found(limit: int = 10, before: int = 0, **fields: Any) -> list[int]:
        with database.read() as connection:
            return [one.position for one in audit.search(connection, Sought(**fields), limit, before)]

    assert found() == [4, 3, 2, 1]
    assert found(limit=2) == [4, 3]
    assert found(limit=2, before=3) == [2, 1]
    assert found(PatientID="P1") == [2, 1]
    assert found(PatientID="P1^^^HOSPITAL") == [2]
    assert found(PatientID="P_") == [4]
    assert found(StudyInstanceUID="1.3") == [2]
    assert found(actor="SCANNER") == [2]
    assert found(address="192.0.2.1") == [3]
    assert found(events=("110104",)) == []
    assert found(since=1002.0, until=1004.0) == [3, 2]


def test_patients_are_those_of_the_studies_that_are_stored(database: Database) -> None:
    def change(connection: Any) -> None:
        who = row(connection, patient)
        row(connection, study, patient_id=who, StudyInstanceUID="1.2", PatientID="P1", IssuerOfPatientID="")
        row(connection, study, patient_id=who, StudyInstanceUID="1.3", PatientID="P1", IssuerOfPatientID="H")

    database.write(change)
    with database.read() as connection:
        assert audit.patients_of(connection, ["1.2", "1.3", "1.4"]) == {"1.2": "P1", "1.3": "P1^^^H"}
        assert audit.patients_of(connection, []) == {}


def test_what_is_received_stands_until_it_is_recorded(database: Database) -> None:
    def change(connection: Any) -> None:
        for _ in range(2):  # a change may run again
            audit.begin_receiving(connection, "t1", "1.2", "SCANNER", SOURCE, 100.0)
        audit.begin_receiving(connection, "t1", "1.3", "SCANNER", SOURCE, 100.0)
        audit.begin_receiving(connection, "t2", "1.2", "SCANNER", SOURCE, 100.0)
        audit.still_receiving(connection, ["t2"], 500.0)

    database.write(change)
    left = database.write(lambda connection: audit.left_behind(connection, 400.0))
    assert [(one.transfer, one.StudyInstanceUID) for one in left] == [("t1", "1.2"), ("t1", "1.3")]
    assert left[0].source == Source("DIMSE", "192.0.2.1", "SCANNER")
    database.write(lambda connection: audit.end_receiving(connection, "t1"))
    with database.read() as connection:
        assert connection.execute(sa.select(receiving.c.transfer)).scalars().all() == ["t2"]


def test_how_far_others_were_told_is_apart_from_the_chain(database: Database) -> None:
    add(database, entry(1), entry(2))
    with database.read() as connection:
        first = audit.records(connection, limit=1)[0]
        assert audit.told(connection).position == 0
    until = audit.Head(first.position, first.hash)
    database.write(lambda connection: audit.tell(connection, until))
    with database.read() as connection:
        assert (audit.told(connection), audit.head(connection).position) == (until, 2)


def test_searches_have_indexes(database: Database) -> None:
    names = {one.name for one in audit_record.indexes}
    with database.read() as connection:
        there = {one["name"] for one in sa.inspect(connection).get_indexes("audit_record")}
    assert names
    assert names == there
