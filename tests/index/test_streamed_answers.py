"""Answers that are made while others write and delete, on both engines."""

from __future__ import annotations

import sqlalchemy as sa

from archive.dicom.instance import Level
from archive.dicom.query import Query
from archive.index import matching, schema
from archive.index.database import Database
from instances_made import instance, store
from matches import values


def test_answers_are_made_for_any_keys_in_their_order_and_without_a_connection(database: Database) -> None:
    store(database, *(instance(PatientID=str(number)) for number in range(5)))
    for level in Level:
        query = Query(level, offset=1)
        with database.read() as connection:
            found = matching.keys(connection, query)
            answers = matching.find(connection, query, [found[3], 0, found[1]])
        ids = [values(answer, "PatientID") for answer in answers]
        assert ids == [["4"], ["2"]], level


def test_a_row_that_was_deleted_meanwhile_is_left_out(database: Database) -> None:
    store(database, instance(PatientID="1"), instance(PatientID="2"))
    query = Query(Level.IMAGE)
    with database.read() as connection:
        found = matching.keys(connection, query)
    for table in (schema.instance_detail.c.instance_id, schema.instance.c.id):
        database.write(lambda c, key=table: c.execute(sa.delete(key.table).where(key == found[0])).rowcount)
    with database.read() as connection:
        [left] = matching.find(connection, query, found)
    assert values(left, "PatientID") == ["2"]
    assert matching.batch_size(query) > matching.batch_size(Query(Level.IMAGE, include_all=True))


def test_a_search_does_not_hinder_writers(database: Database) -> None:
    store(database, instance(), instance())
    query = Query(Level.STUDY)
    with database.read() as connection:
        found = matching.keys(connection, query)
        store(database, instance())
        assert len(list(matching.find(connection, query, found))) == 2
