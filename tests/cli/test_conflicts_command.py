"""`archive conflicts …` as a person uses it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from archive_process import Finished
from in_process import archive_here
from objects import new_uid, part10, secondary_capture


class Administrator:
    """Somebody at the command line, with files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = folder / "archive.toml"
        self._settings.write_text('[dimse]\nduplicates = "conflict"\n[storage]\nminimum_free_bytes = 0\n')

    def runs(self, *arguments: str, command: str = "conflicts") -> Finished:
        options = ["--config", str(self._settings), "--data", str(self._folder / "data")]
        return archive_here(command, *arguments, *options)

    def imports(self, *data_sets: Dataset) -> Finished:
        """One after the other, as the order says which is the first."""
        for data_set in data_sets:
            path = self._folder / f"{new_uid()}.dcm"
            path.write_bytes(part10(data_set))
            done = self.runs(str(path), command="import")
            assert done.code == 0, done.stderr
        return done

    def rows(self, *arguments: str) -> list[list[str]]:
        done = self.runs(*arguments)
        assert done.code == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture
def administrator(tmp_path: Path) -> Administrator:
    return Administrator(tmp_path)


def versions() -> tuple[Dataset, Dataset]:
    first = secondary_capture(PatientComments="the first")
    second = copy.deepcopy(first)
    second.PatientComments = "the second"
    return first, second


def test_an_import_says_what_it_kept_aside(administrator: Administrator) -> None:
    done = administrator.imports(*versions())
    assert "Kept aside" in done.stdout
    assert "archive conflicts" in done.stdout


def test_conflicts_are_listed_shown_and_decided(administrator: Administrator) -> None:
    first, second = versions()
    administrator.imports(first, second)
    (row,) = administrator.rows()
    number = row[0]
    assert (row[1], row[4]) == ("open", first.SOPInstanceUID)
    shown = administrator.rows("differences", number)
    assert shown == [["(0010,4000)", "PatientComments", "the first", "the second"]]
    assert administrator.runs("accept", number).stdout == "1 decided, 0 not.\n"
    assert administrator.rows() == []
    assert sorted(row[1] for row in administrator.rows("list", "--all")) == ["accepted", "replaced"]


def test_a_study_is_decided_at_once(administrator: Administrator) -> None:
    first, second = versions()
    third = copy.deepcopy(second)
    third.PatientComments = "the third"
    administrator.imports(first, second, third, *versions())
    assert len(administrator.rows()) == 3
    assert len(administrator.rows("list", "--study", first.StudyInstanceUID)) == 2
    assert administrator.runs("drop", "--study", first.StudyInstanceUID).stdout == "2 decided, 0 not.\n"
    assert len(administrator.rows()) == 1


def test_what_cannot_be_decided_is_named(administrator: Administrator) -> None:
    administrator.imports(*versions())
    (row,) = administrator.rows()
    done = administrator.runs("keep", row[0], "4711")
    assert done.code == 1
    assert done.stdout == "1 decided, 1 not.\n"
    assert "conflict 4711" in done.stderr
    nothing = administrator.runs("keep")
    assert nothing.code == 2
    assert "--study" in nothing.stderr


def test_options_before_the_command_are_refused(tmp_path: Path, administrator: Administrator) -> None:
    """They would be those of the list, and another archive would be decided about."""
    administrator.imports(*versions())
    done = archive_here("conflicts", "--data", str(tmp_path / "data"), "drop", "1", "--data", str(tmp_path))
    assert done.code == 2
