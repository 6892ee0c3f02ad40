"""The measurement of the search box runs, on an index that is written without objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive.dicom.instance import Level
from archive.dicom.query import Key, Query, SingleValue
from archive.index.database import Database
from archive.services.search import Search
from benchmarks import searchbox
from benchmarks.synthetic.indexed import fill
from benchmarks.synthetic.population import Population


def test_an_index_holds_the_population(tmp_path: Path) -> None:
    said: list[str] = []
    population = Population(30)
    fill(tmp_path / "index.sqlite", population, said.append)
    database = Database.in_file(tmp_path / "index.sqlite")
    one = Key((0x0020000D,), SingleValue(population.StudyInstanceUID(29)))
    [found] = Search(database).find(Query(Level.STUDY, (one,))).matches
    assert found["00100010"]["Value"] == [{"Alphabetic": population.values(29)["PatientName"]}]
    assert Search(database).count(Query(Level.STUDY)) == 30
    assert said == ["30 of 30 studies are in the index"]
    database.close()


def test_it_prints_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    searchbox.main(["--studies", "40", "--rounds", "1", "--data", str(tmp_path)])
    table = capsys.readouterr().out
    assert all(f"| {kind.title} |" in table for kind in searchbox.KINDS)
