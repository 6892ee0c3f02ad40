"""The words of names, by which fuzzy matching finds them: entered, filled in later, gone with what they belong to."""

from __future__ import annotations

from pathlib import Path

import orjson
import sqlalchemy as sa
from alembic import command

from archive.dicom.instance import Level
from archive.dicom.query import Query, SingleValue
from archive.index import migrate, schema
from archive.index.database import Database
from archive.services.search import Search
from instances_made import instance, store
from matches import keys, values


def found(database: Database, keyword: str, name: str, level: Level = Level.STUDY) -> list[str]:
    query = Query(level, keys(**{keyword: SingleValue(name)}), fuzzy=True)
    return sorted(values(match, "PatientID")[0] for match in Search(database).find(query).matches)


def test_names_of_each_level(database: Database) -> None:
    store(
        database, instance(PatientID="1", PatientName="Müller^Jürgen=", ReferringPhysicianName="Who^Doctor")
    )
    store(database, instance(PatientID="2", PerformingPhysicianName=("First^One", "Second^Two=二^二")))
    assert found(database, "PatientName", "jurgen mueler") == ["1"]
    assert found(database, "ReferringPhysicianName", "doktor") == ["1"]
    assert found(database, "PerformingPhysicianName", "secnod two", Level.SERIES) == ["2"]
    assert found(database, "PerformingPhysicianName", "first two", Level.SERIES) == []
    assert found(database, "PerformingPhysicianName", "=二", Level.SERIES) == ["2"]


def test_a_name_that_a_later_object_tells(database: Database) -> None:
    first = instance(PatientID="1")
    store(database, first, instance(first.StudyInstanceUID, PatientID="1", PatientName="Schmidt"))
    assert found(database, "PatientName", "schmitd") == ["1"]


def test_words_go_with_their_study(database: Database) -> None:
    store(database, instance(PatientID="1", PatientName="Schmidt", PerformingPhysicianName="Who"))
    for table in (schema.instance_detail, schema.instance, schema.series, schema.study):
        database.write(lambda c, table=table: c.execute(sa.delete(table)).rowcount)
    with database.read() as connection:
        for table in (schema.study_word, schema.series_word):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0


def test_an_index_of_the_version_before_gets_its_words_and_zones(tmp_path: Path) -> None:
    """From what each study and series has prepared; thousands of them, in pieces."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0002")
        _fill(connection, 2500)
    engine.dispose()
    database = Database.in_file(tmp_path / "index.sqlite")
    database.migrate()
    with database.read() as connection:
        zones = connection.execute(sa.select(schema.study.c[schema.TIMEZONE]).distinct()).scalars()
        assert list(zones) == ["+0100"]
        counted = sa.select(sa.func.count()).select_from(schema.study_word)
        assert connection.execute(counted).scalar_one() == 4 * 2500
        words = connection.execute(sa.select(schema.series_word.c.word).distinct()).scalars()
        assert list(words) == ["who"]
    assert len(found(database, "PatientName", "schmitd")) == 2500
    database.close()


def _fill(connection: sa.Connection, number: int) -> None:
    """Rows as that version made them, as far as it matters."""
    tables = sa.MetaData()
    tables.reflect(connection)
    name = {"vr": "PN", "Value": [{"Alphabetic": "Schmidt^Jörg", "Ideographic": "施密特"}]}
    zone = {"vr": "SH", "Value": ["+0100"]}
    who = {"vr": "PN", "Value": [{"Alphabetic": "Who"}]}
    prepared = {
        "patient": {},
        "study": {"00100010": name, "00080201": zone, "00100020": {"vr": "LO", "Value": ["1"]}},
        "series": {"00081050": who},
    }
    for level, members in prepared.items():
        rows = [
            _row(tables.tables[level], key, orjson.dumps(members).decode()) for key in range(1, number + 1)
        ]
        connection.execute(sa.insert(tables.tables[level]), rows)


def _row(table: sa.Table, key: int, attributes: str) -> dict[str, object]:
    """Every column has its key, as text or number."""
    numbered = {column.name: key if column.type.python_type is int else str(key) for column in table.columns}
    return numbered | {"attributes": attributes}
