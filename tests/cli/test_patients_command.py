"""`archive patients …` as a person uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archive.cli import patients
from archive_process import Finished
from in_process import archive_here
from objects import new_uid, part10, secondary_capture

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "corrections.md"


class Administrator:
    """Somebody at the command line, with one study of each of two patients."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.study = new_uid()
        prior = secondary_capture(PatientID="T99", PatientName="Doe^Emergency", StudyInstanceUID=self.study)
        other = secondary_capture(PatientID="4711", PatientName="Roe^Jane", PatientBirthDate="19700131")
        for number, data_set in enumerate((prior, other)):
            (folder / f"{number}.dcm").write_bytes(part10(data_set))
            assert self.runs(str(folder / f"{number}.dcm"), command="import").code == 0

    def runs(self, *arguments: str, command: str = "patients") -> Finished:
        return archive_here(command, *arguments, "--data", str(self._folder / "data"))

    def rows(self, *arguments: str) -> list[list[str]]:
        done = self.runs(*arguments)
        assert done.code == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture
def administrator(tmp_path: Path) -> Administrator:
    return Administrator(tmp_path)


def test_merging_looking_and_undoing(administrator: Administrator) -> None:
    assert [row[:3] for row in administrator.rows("list", "--name", "doe*")] == [["T99", "", "Doe^Emergency"]]
    done = administrator.runs("merge", "T99", "4711", "--reason", "identified")
    assert (done.code, done.stdout) == (0, "correction 1: merge, done\n")
    assert [row[:4] + row[5:] for row in administrator.rows("list")] == [
        ["4711", "", "Roe^Jane", "19700131", "2"]
    ]
    assert administrator.study in [row[-1] for row in administrator.rows("show", "4711")]
    (row,) = administrator.rows("history", "--id", "T99")
    assert row[:2] + row[3:6] + row[7:9] == [
        "1",
        "done",
        "merge",
        "T99",
        "4711",
        "command line",
        "identified",
    ]
    assert administrator.runs("undo", "1").stdout == "correction 2: undo, done\n"
    assert len(administrator.rows("list")) == 2


def test_the_other_commands(administrator: Administrator) -> None:
    assert (
        administrator.runs("update", "T99", "--set", "PatientName=Doe^John", "--set", "PatientSex=").code == 0
    )
    assert administrator.rows("list", "--id", "T*")[0][2] == "Doe^John"
    again = administrator.runs("update", "T99", "--set", "PatientName=Doe^John")
    assert (again.code, again.stdout) == (0, "nothing that is stored had to be changed\n")
    assert administrator.runs("change-id", "T99", "5822").code == 0
    assert administrator.runs("update-study", administrator.study, "--set", "AccessionNumber=A7").code == 0
    assert administrator.rows("show", "5822")[0][1] == "A7"
    assert administrator.runs("move-study", administrator.study, "4711").code == 0
    assert [row[0] for row in administrator.rows("list")] == ["4711"]
    assert [row[1] for row in administrator.rows("history")] == ["done"] * 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("merge", "T99", "typo"), 1, "archive patients list"),
        (("merge", "T99", "T99"), 2, "into itself"),
        (("update", "T99", "--set", "StudyDate=20200101"), 2, "cannot be corrected"),
        (("update", "T99", "--set", "PatientName"), 2, "KEYWORD=VALUE"),
        (("show", "nobody"), 1, "archive patients list"),
        (("undo", "7"), 1, "archive patients history"),
        (("retry", "7"), 1, "archive patients history"),
        (("move-study", "1.2.3", "4711"), 1, "search for it"),
    ],
)
def test_what_cannot_be_done_names_the_next_step(
    administrator: Administrator, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = administrator.runs(*arguments)
    assert (done.code, words in done.stderr) == (code, True), done.stderr


def test_the_guide_has_every_command(administrator: Administrator) -> None:
    named = set(re.findall(r"archive patients ([a-z-]+)", GUIDE.read_text()))
    assert named == {
        command.name or command.callback.__name__ for command in patients.app.registered_commands
    }
