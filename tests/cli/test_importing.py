"""`archive import` without the process around it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.cli.importing import Fate, Report, Result, exit_code, run, summary
from archive.cli.sources import File, Gathered, files
from archive.dicom.errors import ConfigurationError
from archive_here import imported
from objects import mr, part10


def test_folders_are_searched_and_files_taken(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/b/2", "a/1", "3"):
        (tmp_path / name).write_text("")
    assert files([tmp_path / "a", tmp_path / "3"]) == [tmp_path / "a/1", tmp_path / "a/b/2", tmp_path / "3"]
    with pytest.raises(ConfigurationError, match="absent"):
        files([tmp_path / "absent"])


def test_many_files_at_once(archive: Archive, tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{number}.dcm").write_bytes(part10(mr()))
    assert {result.fate for result in imported(archive, tmp_path / "in").results} == {Fate.STORED}
    assert {result.fate for result in imported(archive, tmp_path / "in").results} == {Fate.ALREADY_THERE}


def test_a_file_that_vanished_is_named(archive: Archive, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    report = run(archive.ingest, Gathered([File(gone, lambda: gone.open("rb"))]))
    assert report.results == [Result(gone, Fate.REFUSED, "cannot be read: No such file or directory")]


def test_the_summary_groups_by_reason_and_names_some() -> None:
    results = [Result(Path(f"f{number:03}"), Fate.REFUSED, "broken") for number in range(30)]
    results += [Result(Path("g"), Fate.NOT_DICOM, "text"), Result(Path("h"), Fate.STORED)]
    text = summary(Report(results))
    assert "Refused: broken (30)" in text
    assert "f019" in text
    assert "f020" not in text
    assert "10 more" in text
    assert "Not DICOM: text (1)\n  g" in text
    assert "f029" in summary(Report(results), names=None)
    assert exit_code(Report(results)) == 1
    assert exit_code(Report(results[30:])) == 0


def test_an_interrupted_import_says_so(archive: Archive, tmp_path: Path) -> None:
    class Interrupted(list[File]):
        """As if Ctrl-C came while the second file was being taken."""

        def __iter__(self) -> Iterator[File]:
            yield self[0]
            raise KeyboardInterrupt

    several = [File(path, path.open) for path in (tmp_path / "one", tmp_path / "two")]
    report = run(archive.ingest, Gathered(Interrupted(several)))
    assert report.interrupted
    assert exit_code(report) == 1
    assert "run it again" in summary(report)


def test_a_folder_that_cannot_be_read_is_named(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root every folder can be read, so the system's answer is put in its place."""
    closed = tmp_path / "in" / "closed"
    closed.mkdir(parents=True)
    scandir = os.scandir

    def refuse(folder: str) -> Iterator[os.DirEntry[str]]:
        if Path(folder) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert files([tmp_path / "in"]) == [closed]
    (result,) = imported(archive, tmp_path / "in").results
    assert (result.path, result.fate) == (closed, Fate.REFUSED)


def test_names_of_files_do_not_steer_the_terminal() -> None:
    text = summary(Report([Result(Path("a\x1b[2Jb"), Fate.REFUSED, "broken")]))
    assert "a\\x1b[2Jb" in text
    assert "\x1b" not in text
