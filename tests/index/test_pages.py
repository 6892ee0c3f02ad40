"""Pages of many matches: however the index comes by them, they are the same, and as many are said to remain."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from archive.dicom.instance import Level, Scope
from archive.dicom.query import Match, Matching, Query, Range, SingleValue, UIDList, Wildcard
from archive.index import deletions, matching, migrate, schema
from archive.index.database import Database
from archive.services.search import Search
from instances_made import instance, new_uid, store
from matches import keys, values

NAMES = ("Doe^Jane", "Doe^John", "Roe^Jane=山田^花子", "Poe^Edgar", "", ("Moe^A", "Doe^Extra"))
DESCRIPTIONS = ("Thorax", "Abdomen", "MR thorax", ("Knee", "Thorax"), "")
PATTERNS: tuple[dict[str, Matching], ...] = (
    {},
    {"PatientName": Wildcard("doe*")},
    {"PatientName": Wildcard("*oe^j*")},
    {"PatientName": Wildcard("*extra*")},
    {"PatientName": Wildcard("*田*")},
    {"PatientName": SingleValue("doe^jane")},
    {"PatientName": Wildcard("*nobody*")},
    {"ModalitiesInStudy": SingleValue("CT")},
    {"ModalitiesInStudy": UIDList(("MR", "US")), "StudyDate": Range("20260103", "20260106")},
    {"StudyDescription": Wildcard("*horax")},
    {"StudyDescription": Wildcard("T*")},
    {"StudyDescription": SingleValue("Thorax"), "PatientName": Wildcard("*oe*")},
)


def filled(database: Database, number: int) -> random.Random:
    chance = random.Random(1)
    made = [
        instance(
            PatientID=str(each % 20),
            PatientName=chance.choice(NAMES),
            StudyDescription=chance.choice(DESCRIPTIONS),
            StudyDate=f"202601{chance.randrange(1, 9):02}",
            Modality=chance.choice(("CT", "MR", "SR", "")),
            StudyTime=f"{chance.randrange(3):02}0000",
        )
        for each in range(number)
    ]
    store(database, *made)
    return chance


def uids(matches: list[Match]) -> list[str]:
    return [values(match, "StudyInstanceUID")[0] for match in matches]


@pytest.mark.parametrize("far", [1, 10_000])
@pytest.mark.parametrize("most_sorted", [0, 100_000])
def test_every_page_is_a_part_of_the_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch, far: int, most_sorted: int
) -> None:
    filled(database, 50)
    search = Search(database)
    for given in PATTERNS:
        query = Query(Level.STUDY, keys(**given))
        monkeypatch.undo()
        whole = uids(list(search.find(query).matches))
        assert len(whole) == search.count(query)
        monkeypatch.setattr(matching, "FAR", far)
        monkeypatch.setattr(matching, "MOST_SORTED", most_sorted)
        for offset in (0, 3, 31, 49, 200):
            page = search.find(Query(Level.STUDY, keys(**given), limit=7, offset=offset))
            assert page.number == len(whole[offset : offset + 7])
            assert page.remaining == max(0, len(whole) - offset - 7)
            assert uids(list(page.matches)) == whole[offset : offset + 7], (given, offset)


def test_patterns_find_each_text_wherever_it_stands(database: Database) -> None:
    filled(database, 60)
    search = Search(database)
    everything = list(search.find(Query(Level.STUDY)).matches)
    wanted = [match for match in everything if "thorax" in str(values(match, "StudyDescription")).lower()]
    for pattern in ("*horax*", "*hora?"):
        found = search.find(Query(Level.STUDY, keys(StudyDescription=Wildcard(pattern))))
        assert uids(list(found.matches)) == uids(wanted)


def test_what_triggers_keep_follows_the_studies(database: Database) -> None:
    chance = filled(database, 40)
    check_kept(database)
    study, series = new_uid(), new_uid()
    store(database, instance(study, series, PatientID="", StudyDescription="", PatientName="", Modality=""))
    store(database, instance(study, series, PatientID="", StudyDescription="Said later", Modality="CT"))
    store(database, instance(study, PatientID="", Modality="CT"), instance(study, PatientID="", Modality="C"))
    last = instance(study, PatientID="", Modality="MR")
    store(database, last)
    check_kept(database)
    delete(database, study, last.SeriesInstanceUID)
    check_kept(database)
    delete(database, study, series)
    check_kept(database)
    for uid in chance.sample(uids(list(Search(database).find(Query(Level.STUDY)).matches)), 30):
        delete(database, uid)
    check_kept(database)


def test_a_series_that_goes_to_another_study_takes_its_modality_along(database: Database) -> None:
    first, second = (instance(Modality=modality) for modality in ("CT", "MR"))
    store(database, first, second)
    statement = sa.update(schema.series).values(
        study_id=sa.select(sa.func.min(schema.study.c.id)).scalar_subquery()
    )
    database.write(lambda connection: connection.execute(statement).close())
    check_kept(database)


def test_a_study_of_many_series_goes_without_a_look_at_all_of_them_for_each(database: Database) -> None:
    steps = {number: steps_to_delete(database, number) for number in (150, 600)}
    assert not steps[150] or steps[600] < 7 * steps[150]


def steps_to_delete(database: Database, number: int) -> int:
    """Steps of SQLite's machine, in hundreds; 0 on PostgreSQL."""
    study = new_uid()
    store(database, *(instance(study, PatientID="1", Modality="SR") for _ in range(number)))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    def change(connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        if connection.dialect.name == "sqlite":
            driver.set_progress_handler(step, 100)
        deletions.delete(connection, Scope(study_instance_uids=(study,)))
        if connection.dialect.name == "sqlite":
            driver.set_progress_handler(None, 0)

    database.write(change)
    check_kept(database)
    return steps


def test_an_index_of_the_version_before_is_looked_through(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0014")
        tables = sa.MetaData()
        tables.reflect(connection)
        for level in ("patient", "study", "series"):
            rows = [row(tables.tables[level], key) for key in range(1, 30)]
            connection.execute(sa.insert(tables.tables[level]), rows)
    engine.dispose()
    database = Database.in_file(tmp_path / "index.sqlite")
    database.migrate()
    check_kept(database)
    query = Query(Level.STUDY, keys(ModalitiesInStudy=SingleValue("7"), PatientName=Wildcard("*7")))
    with database.read() as connection:
        assert matching.keys(connection, query) == [7]
    database.close()


def row(table: sa.Table, key: int) -> dict[str, object]:
    """Every column has its key, as text or number."""
    return {column.name: key if column.type.python_type is int else str(key) for column in table.columns}


def delete(database: Database, study: str, *series: str) -> None:
    scope = Scope(study_instance_uids=(study,), series_instance_uids=series)
    database.write(partial(deletions.delete, scope=scope))


def check_kept(database: Database) -> None:
    """On SQLite; PostgreSQL looks at the indexes themselves."""
    names = {"PatientName_search": 0x00100010, "ReferringPhysicianName_search": 0x00080090}
    names["StudyDescription"] = 0x00081030
    with database.read() as connection:
        if connection.dialect.name != "sqlite":
            return
        listed = {tuple(row[:2]): row[2] for row in connection.execute(sa.select(schema.study_text))}
        rows = list(connection.execute(sa.select(*(schema.study.c[name] for name in names))))
        noted = list(connection.execute(sa.select(schema.study.c.id, schema.study.c.modalities)))
        columns = schema.series.c
        found = list(connection.execute(sa.select(columns.study_id, columns.Modality)))
    expected = Counter((tag, row[place]) for row in rows for place, tag in enumerate(names.values()))
    assert listed == dict(expected)
    for key, text in noted:
        modalities = {modality for study_id, modality in found if study_id == key and modality}
        assert set(filter(None, text.split("\\"))) == modalities
        assert not modalities or (text[0], text[-1]) == ("\\", "\\")
