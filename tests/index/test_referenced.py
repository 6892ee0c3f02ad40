"""Everything that points to bytes is known: what a sweep takes for nobody's must be nobody's."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from archive.index import outbox, referenced, schema
from archive.index.database import Connection, Database
from rows_made import new_key, row

NO_HOLDERS = {
    "damage.blob_key",  # what is said of bytes that another table points to
    "rewritten.former_key",  # what it was made from, which `instance` points to as long as that matters
    "deleted_object.blob_key",  # what is to be told of as destroyed
}
"""Columns with a key of bytes that nobody needs for them."""


def test_every_column_with_a_key_of_bytes_is_known() -> None:
    columns = {
        f"{table.name}.{column.name}"
        for table in schema.metadata.sorted_tables
        for column in table.columns
        if column.name.endswith("_key")
    }
    known = {f"{table.name}.blob_key" for table in referenced.HOLDERS}
    assert columns == known | NO_HOLDERS
    assert len(known) >= 6


def pointed_to(database: Database) -> set[str]:
    with database.read() as connection:
        return set(referenced.keys(connection))


def test_a_row_of_each_table_and_each_job(database: Database) -> None:
    held = {table.name: new_key() for table in referenced.HOLDERS}
    jobs = [new_key() for _ in range(4)]

    def fill(connection: Connection) -> None:
        for table in referenced.HOLDERS:
            row(connection, table, blob_key=held[table.name])
        outbox.put(connection, "BlobAbandoned", {"key": jobs[0]})
        outbox.put(connection, "BlobsDeleted", {"keys": jobs[1:3]}, after_seconds=60)
        outbox.put(connection, "BlobsDeleted", {"keys": jobs[3:]})
        outbox.put(connection, "CommitmentRequested", {"id": 1})

    database.write(fill)
    database.write(
        lambda connection: connection.execute(
            sa.update(schema.outbox).where(schema.outbox.c.payload.contains(jobs[3])).values(given_up=True)
        ).close()
    )
    everything = {*held.values(), *jobs}
    assert everything <= pointed_to(database)
    nobodys = new_key()
    with database.read() as connection:
        assert referenced.among(connection, [*everything, nobodys]) == everything
        assert referenced.among(connection, [nobodys]) == set()
        assert referenced.among(connection, []) == set()


@pytest.mark.parametrize("number", [1, 3, 1200])
def test_any_number_of_keys_may_be_asked_for(database: Database, number: int) -> None:
    keys = [new_key() for _ in range(number)]
    database.write(lambda connection: outbox.put(connection, "BlobsDeleted", {"keys": keys}))
    with database.read() as connection:
        assert referenced.among(connection, [*keys, new_key()]) == set(keys)


def test_an_empty_key_is_no_key(database: Database) -> None:
    database.write(lambda connection: row(connection, schema.conflict, blob_key=""))
    assert pointed_to(database) == set()
