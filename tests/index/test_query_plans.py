"""How SQLite carries out the queries: indexes are walked and searched, nothing large is sorted or scanned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.instance import Level
from archive.dicom.query import Key, Matching, Query, SingleValue, UIDList, Wildcard
from archive.index import matching
from archive.index.database import Database
from archive.index.sql import FEW
from archive.security.views import View
from suites.sqlite import migrated_sqlite


def keys(**given: Matching) -> tuple[Key, ...]:
    return tuple(Key((BY_KEYWORD[keyword].tag,), value) for keyword, value in given.items())


def test_the_first_page_is_an_index_walk(tmp_path: Path) -> None:
    """However many are stored: nothing is sorted, and nothing is scanned but the index that gives the order."""
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    asked = [Query(level, limit=101) for level in (Level.STUDY, Level.SERIES, Level.IMAGE)]
    asked.append(Query(Level.SERIES, keys(Modality=SingleValue("CT")), limit=101))
    for query in asked:
        steps = explain(database, query)
        assert "SCAN study USING COVERING INDEX study_order" in steps
        assert not [step for step in steps if "FOR ORDER BY" in step]
        assert len([step for step in steps if step.startswith("SCAN")]) == 1
    database.close()


def test_indexes_find_names_ids_and_uids(tmp_path: Path) -> None:
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    for key in (
        keys(PatientName=Wildcard("doe^j*")),
        keys(PatientName=SingleValue("doe^jane")),
        keys(PatientID=SingleValue("7")),
        keys(AccessionNumber=Wildcard("A[1]*")),
        keys(StudyInstanceUID=SingleValue("1.2.3")),
        keys(StudyInstanceUID=UIDList(("1.2.3", "1.2.4"))),
    ):
        steps = explain(database, Query(Level.STUDY, key))
        assert not [step for step in steps if step.startswith("SCAN study")], (key, steps)
    database.close()


def test_the_classes_in_a_study_are_looked_up_from_the_study(tmp_path: Path) -> None:
    """Not from all the instances of a class, which took minutes for some ten thousand studies."""
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    steps = explain(database, Query(Level.STUDY, keys(SOPClassesInStudy=UIDList(("1.2.3",)))))
    looked_up = [step for step in steps if step.startswith("SEARCH")]
    assert "study_id=?" in looked_up[-2], steps
    assert "series_id=?" in looked_up[-1], steps
    database.close()


def test_answers_are_looked_up_by_key(tmp_path: Path) -> None:
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    for level in Level:
        steps = explain(database, Query(level, include_all=True), answering=True)
        assert [step for step in steps if step.startswith("SEARCH study") or level is Level.PATIENT], steps
        assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step], steps
    database.close()


def test_many_uids_are_looked_up(tmp_path: Path) -> None:
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    uids = UIDList(tuple(f"1.2.{number}" for number in range(FEW + 1)))
    steps = explain(database, Query(Level.STUDY, keys(StudyInstanceUID=uids)))
    assert not [step for step in steps if step.startswith("SCAN") and "json_each" not in step], steps
    database.close()


def explain(
    database: Database, query: Query, *, answering: bool = False, view: View | None = None
) -> list[str]:
    """SQLite's plan for finding the keys of a query, or for answering with them, step by step."""
    asked: list[str] = []
    with database.read() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(asked.append)
        keys = matching.keys(connection, query, view)
        if answering:
            asked.clear()
            matching.find(connection, query, keys or [1, 2, 3])
        driver.set_trace_callback(None)
        asked = [statement for statement in asked if statement.startswith("SELECT")]
        return [row[3] for statement in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]


def test_a_view_scans_nothing(tmp_path: Path) -> None:
    """What names patients or studies is found by index; anything else is looked up from the studies that are walked."""
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    of_patients = View.read(["patient=1,2; modality=CT", "study=1.2"])
    others = View.read(["institution=St. Mary*; modality=CT", "referring=doe*", "ae=CT1"])
    for view in (of_patients, others, of_patients & others):
        for level in Level:
            steps = explain(database, Query(level, keys(PatientID=SingleValue("7")), limit=101), view=view)
            assert steps
            assert not [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step], steps
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        steps = explain(database, Query(level, limit=101), view=of_patients)
        assert not [step for step in steps if step.startswith("SCAN study")], steps
    database.close()
