"""Everything that has bytes comes once, in an order that stays; what is damaged is remembered until it is sound."""

from __future__ import annotations

import random

import pytest
import sqlalchemy as sa

from archive.index import referenced, schema, verification
from archive.index.database import Connection, Database
from archive.index.verification import BEGINNING, Fault, Held, Pass
from rows_made import new_key, row


def fill(database: Database, of_each: int) -> dict[str, str]:
    """The table by the key of every row that has bytes; among them are rows that have none."""
    made: dict[str, str] = {}

    def change(connection: Connection) -> None:
        for table in [table for table in referenced.HOLDERS for _ in range(of_each)]:
            key = new_key()
            row(connection, table, blob_key=key)
            made[key] = table.name
            if table.name in ("conflict", "corrected_object", "rewritten"):
                row(connection, table, blob_key="")

    database.write(change)
    return made


def walk(database: Database, at_once: int) -> list[Held]:
    found: list[Held] = []
    while True:
        with database.read() as connection:
            some = verification.held(connection, found[-1].place if found else BEGINNING, at_once)
        if not some:
            return found
        assert len(some) <= at_once
        found += some


@pytest.mark.parametrize("at_once", [1, 3, 4, 1000])
def test_each_comes_once(database: Database, at_once: int) -> None:
    made = fill(database, 3)
    found = walk(database, at_once)
    assert {one.blob_key: one.holder for one in found}.items() >= made.items()
    assert len({one.blob_key for one in found}) == len(found)
    assert {one.holder for one in found} == {table.name for table in referenced.HOLDERS}
    with database.read() as connection:
        totals = verification.totals(connection)
        assert all(verification.stands(connection, one) for one in found)
    assert (totals.number, totals.bytes) == (len(found), sum(one.blob_length for one in found))


def test_what_they_say_is_what_the_rows_say(database: Database) -> None:
    def change(connection: Connection) -> None:
        study = row(connection, schema.study, StudyInstanceUID="1.2")
        series = row(connection, schema.series, SeriesInstanceUID="1.2.3", study_id=study)
        bytes_of = {
            "data_set_offset": 300,
            "data_set_length": 20,
            "sha256": "ab",
            "transfer_syntax_uid": "1.9",
        }
        row(connection, schema.instance, series_id=series, SOPInstanceUID="1.2.3.4", blob_key="k", **bytes_of)
        of_copy = {
            "SOPInstanceUID": "1.5",
            "SeriesInstanceUID": "1.6",
            "StudyInstanceUID": "1.7",
            "blob_key": "c",
        }
        row(connection, schema.conflict, **of_copy, sha256="as it came", kept_sha256="as it is kept")

    database.write(change)
    found = {one.holder: one for one in walk(database, 10)}
    instance, copy = found["instance"], found["conflict"]
    told = (instance.SOPInstanceUID, instance.SeriesInstanceUID, instance.StudyInstanceUID, instance.blob_key)
    assert told == ("1.2.3.4", "1.2.3", "1.2", "k")
    assert (instance.blob_length, instance.sha256, instance.transfer_syntax_uid) == (320, "ab", "1.9")
    assert (copy.SOPInstanceUID, copy.StudyInstanceUID, copy.sha256) == ("1.5", "1.7", "as it is kept")


def test_a_place_that_no_table_has_is_the_beginning(database: Database) -> None:
    fill(database, 1)
    with database.read() as connection:
        assert verification.held(connection, ("gone", (1,)), 100) == verification.held(
            connection, BEGINNING, 100
        )


def test_a_row_that_points_elsewhere_does_not_stand(database: Database) -> None:
    fill(database, 1)
    for one in walk(database, 100):
        table = schema.metadata.tables[one.holder]
        database.write(
            lambda connection, table=table, one=one: connection.execute(
                sa.update(table).where(table.c.blob_key == one.blob_key).values(blob_key=new_key())
            ).close()
        )
        with database.read() as connection:
            assert not verification.stands(connection, one)


def known(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return {one.blob_key: one.fault for one in verification.damages(connection, 100)}


def test_damage_is_remembered_until_it_is_sound(database: Database) -> None:
    fill(database, 2)
    first, second, third, *_ = walk(database, 100)
    database.write(lambda c: verification.note(c, [(first, Fault.MISSING), (second, Fault.CUT)], ()))
    database.write(
        lambda c: verification.note(c, [(first, Fault.ALTERED), (third, Fault.CUT)], [second.blob_key])
    )
    assert known(database) == {first.blob_key: "altered", third.blob_key: "cut"}
    with database.read() as connection:
        assert verification.counts(connection) == {"altered": 1, "cut": 1}
        asked = [first.blob_key, second.blob_key, "other"]
        assert verification.known(connection, asked) == {first.blob_key: "altered"}
        [newest, oldest] = verification.damages(connection, 2)
        assert verification.damages(connection, 1) == [newest]
    assert oldest.found_at <= newest.found_at
    assert oldest.last_at > oldest.found_at


def test_damage_to_what_went_is_forgotten(database: Database) -> None:
    fill(database, 1)
    found = walk(database, 100)
    database.write(lambda c: verification.note(c, [(one, Fault.CUT) for one in found], ()))
    gone = random.choice([one for one in found if one.holder == "conflict"])
    database.write(lambda c: c.execute(sa.update(schema.conflict).values(blob_key="")).close())
    assert database.write(verification.forget_what_went) == 1
    assert set(known(database)) == {one.blob_key for one in found} - {gone.blob_key}


def test_how_far_the_scrubber_has_come_is_remembered(database: Database) -> None:
    fill(database, 2)
    with database.read() as connection:
        assert verification.scrubbed(connection) == Pass()
    for one in walk(database, 100):
        noted = Pass(one.place, 1.5, 0.5, 1.0, 7)
        database.write(lambda connection, noted=noted: verification.note_scrubbed(connection, noted))
        with database.read() as connection:
            assert verification.scrubbed(connection) == noted
    ended = Pass(last_begun_at=1.5, last_ended_at=2.0, verified=8)
    database.write(lambda connection: verification.note_scrubbed(connection, ended))
    with database.read() as connection:
        assert verification.scrubbed(connection) == ended
