"""`archive rejections …` as a person uses it (dimse.md 1.5 IOCM)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from archive_process import Finished
from in_process import archive_here
from objects import new_uid, part10, secondary_capture
from rejection_notes import PATIENT_SAFETY, rejection_note


class Administrator:
    """Somebody at the command line, with files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = folder / "archive.toml"
        self._settings.write_text("[storage]\nminimum_free_bytes = 0\n")

    def runs(self, *arguments: str, command: str = "rejections") -> Finished:
        options = ["--config", str(self._settings), "--data", str(self._folder / "data")]
        return archive_here(command, *arguments, *options)

    def imports(self, *data_sets: Dataset) -> None:
        """One after the other: a note after what it rejects."""
        for data_set in data_sets:
            path = self._folder / f"{new_uid()}.dcm"
            path.write_bytes(part10(data_set))
            done = self.runs(str(path), command="import")
            assert done.code == 0, done.stderr

    def rows(self, *arguments: str) -> list[list[str]]:
        done = self.runs(*arguments)
        assert done.code == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture
def administrator(tmp_path: Path) -> Administrator:
    return Administrator(tmp_path)


@pytest.fixture
def series(administrator: Administrator) -> list[Dataset]:
    """Two instances that are rejected."""
    first = secondary_capture()
    second = secondary_capture(
        StudyInstanceUID=first.StudyInstanceUID, SeriesInstanceUID=first.SeriesInstanceUID
    )
    administrator.imports(first, second, rejection_note(PATIENT_SAFETY, [first, second]))
    return [first, second]


def test_notes_are_listed_and_shown(administrator: Administrator, series: list[Dataset]) -> None:
    ((number, state, _, reason, awaited, held, *_),) = administrator.rows()
    assert (number, state, reason) == ("1", "active", "Rejected for Patient Safety Reasons")
    assert (awaited, held) == ("0", "2")
    shown = administrator.rows("show", "1")
    assert sorted(row[1] for row in shown) == sorted(one.SOPInstanceUID for one in series)
    assert {row[0] for row in shown} == {"held"}
    assert administrator.rows("list", "--study", series[0].StudyInstanceUID) != []
    assert administrator.rows("list", "--study", new_uid()) == []


def test_a_note_is_taken_back(administrator: Administrator, series: list[Dataset]) -> None:
    done = administrator.runs("restore", "1", "--instance", series[0].SOPInstanceUID)
    assert done.stdout == "1 restored, 0 not.\n"
    assert administrator.runs("restore", "1").stdout == "1 restored, 0 not.\n"
    assert administrator.rows() == []
    assert len(administrator.rows("list", "--all")) == 1
    again = administrator.runs("restore", "1")
    assert (again.code, "taken back already" in again.stderr) == (1, True)


def test_what_cannot_come_back_is_named(administrator: Administrator, series: list[Dataset]) -> None:
    administrator.imports(
        secondary_capture(StudyInstanceUID=series[0].StudyInstanceUID, PatientID="SOMEBODY-ELSE")
    )
    done = administrator.runs("restore", "1")
    assert (done.code, done.stdout) == (1, "0 restored, 2 not.\n")
    assert "another patient" in done.stderr
    assert series[0].SOPInstanceUID in done.stderr
    assert "SOMEBODY-ELSE" not in done.stderr


def test_what_is_held_is_dropped(administrator: Administrator, series: list[Dataset]) -> None:
    assert administrator.runs("drop", "1").stdout == "2 dropped.\n"
    assert {row[0] for row in administrator.rows("show", "1")} == {"dropped"}
    administrator.runs("drop", "1", "--instance", series[0].SOPInstanceUID)
    assert administrator.runs("drop", "2").code == 1


def test_an_awaited_instance_is_imported_aside(administrator: Administrator) -> None:
    there, awaited = secondary_capture(), secondary_capture()
    administrator.imports(there, rejection_note(PATIENT_SAFETY, [there, awaited]))
    path = administrator._folder / "awaited.dcm"
    path.write_bytes(part10(awaited))
    done = administrator.runs(str(path), command="import")
    assert "Kept aside" in done.stdout
    assert "archive rejections" in done.stdout
