"""`archive demo`: what it stores is there once, is what it says, and goes again without anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from archive.bootstrap.building import Archive
from archive.cli.demo import command
from archive.cli.demo.command import fill, has_others, stored, taken_out
from archive.cli.demo.plan import planned
from archive.cli.importing import Fate
from archive.dicom.errors import ConfigurationError
from archive.dicom.instance import Level, Scope
from archive.dicom.query import Query
from archive_here import archive_in
from archive_here import fill as store
from objects import mr

DAY = date(2026, 11, 23)
PATIENT = ("SpecificCharacterSet", "PatientID", "PatientName", "PatientBirthDate", "PatientSex")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive with the demonstration in it."""
    with archive_in(tmp_path_factory.mktemp("demo") / "data") as opened:
        report = fill(opened)
        assert {one.fate for one in report.results} == {Fate.STORED}
        assert len(report.results) > 100
        yield opened


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Archive]:
    """The same, to be changed."""
    with archive_in(tmp_path / "data") as opened:
        fill(opened)
        yield opened


def studies(archive: Archive) -> list[dict[str, Any]]:
    return [dict(match) for match in archive.search.find(Query(Level.STUDY, include_all=True)).matches]


def text(match: dict[str, Any], tag: str) -> Any:
    return match[tag]["Value"][0]


def data_sets(archive: Archive) -> Iterator[Dataset]:
    for instance in archive.retrieve.instances(Scope()):
        with archive.retrieve.open(instance) as blob:
            yield dcmread(BytesIO(blob.read(0, blob.length)))


def test_patients_of_several_scripts_are_found_by_name_and_modality(filled: Archive) -> None:
    found = studies(filled)
    names = {text(one, "00100010")["Alphabetic"] for one in found}
    assert {"Sample^Grace^^Dr.", "Müller-Beispiel^Jörg", "Mihon^Hanako", "Exempel^Åsa"} == names
    assert "見本^花子" in json.dumps(found, ensure_ascii=False)
    modalities = {value for one in found for value in one["00080061"]["Value"]}
    assert modalities == {"CT", "SR", "DOC", "MR", "DX", "US"}
    today = max(text(one, "00080020") for one in found)
    assert abs((date.fromisoformat(today) - date.today()).days) <= 1


def test_a_second_run_stores_nothing_on_whatever_day(fresh: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {one.SOPInstanceUID: one.sha256 for one in fresh.retrieve.instances(Scope())}

    class Later(date):
        @classmethod
        def today(cls) -> date:
            return date(2030, 1, 1)

    monkeypatch.setattr(command, "date", Later)
    assert fill(fresh).results == []
    assert {one.SOPInstanceUID: one.sha256 for one in fresh.retrieve.instances(Scope())} == before
    gone = next(iter(stored(fresh).values()))
    of = ((gone.StudyInstanceUID,), (gone.SeriesInstanceUID,), (gone.SOPInstanceUID,))
    assert fresh.deletion.delete(Scope(*of)) == 1
    (result,) = fill(fresh).results
    assert (result.fate, result.SOPInstanceUID) == (Fate.STORED, gone.SOPInstanceUID)
    assert {text(one, "00080020") for one in studies(fresh)}.isdisjoint({"20300101"})
    assert fresh.conflicts.last(5) == [], "the day of what was there holds"


def test_slices_lie_where_they_say(filled: Archive) -> None:
    """As a volume needs: one frame of reference and orientation, equal steps; the head is where they put it."""
    slices = [one for one in data_sets(filled) if one.Modality == "CT"]
    slices.sort(key=lambda one: one.ImagePositionPatient[2])
    assert len({one.FrameOfReferenceUID for one in slices}) == 1
    assert {tuple(one.ImageOrientationPatient) for one in slices} == {(1, 0, 0, 0, 1, 0)}
    heights = [float(one.ImagePositionPatient[2]) for one in slices]
    assert np.allclose(np.diff(heights), float(slices[0].SliceThickness))
    middle = min(slices, key=lambda one: abs(one.ImagePositionPatient[2]))
    values = middle.pixel_array * float(middle.RescaleSlope) + float(middle.RescaleIntercept)
    x, y, _ = (float(value) for value in middle.ImagePositionPatient)
    spacing = float(middle.PixelSpacing[0])

    def at(left: float, back: float) -> float:
        row, column = round((back - y) / spacing), round((left - x) / spacing)
        return float(values[row - 2 : row + 3, column - 2 : column + 3].mean())

    assert at(100, -100) == pytest.approx(-1000, abs=15), "air"
    assert at(70, 0) > 700, "skull on the left"
    assert at(-70, 0) > 700, "and on the right"
    assert 20 < at(40, 0) < 50, "brain"


def test_other_studies_are_told_apart_and_left_alone(fresh: Archive) -> None:
    assert not has_others(fresh)
    theirs = mr()
    ct = fresh.retrieve.instances(Scope())[0]
    whose = {name: getattr(next(data_sets(fresh)), name) for name in PATIENT}
    beside = mr(StudyInstanceUID=ct.StudyInstanceUID, **whose)
    store(fresh, theirs, beside)
    assert has_others(fresh)
    number = len(stored(fresh))
    assert taken_out(fresh) == number
    left = {one.SOPInstanceUID for one in fresh.retrieve.instances(Scope())}
    assert left == {theirs.SOPInstanceUID, beside.SOPInstanceUID}
    assert taken_out(fresh) == 0


def test_uids_are_the_same_each_time_and_each_is_one() -> None:
    once, again = ([one.SOPInstanceUID for one in planned(day)] for day in (DAY, date(2027, 1, 1)))
    assert once == again
    assert len(set(once)) == len(once)
    first = next(planned(DAY))
    assert first.file() == first.file()


def test_the_command_wants_an_empty_archive(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with archive_in(data) as opened:
        store(opened, mr())
    with pytest.raises(ConfigurationError, match="--yes"):
        command.demo(data=str(data))
    with pytest.raises(ConfigurationError, match="no archive"):
        command.demo(remove=True, data=str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
    with archive_in(data) as opened:
        assert opened.search.count(Query(Level.STUDY)) == 1
