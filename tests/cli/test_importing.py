"""`archive import` without the process around it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap import Archive
from archive.cli.importing import DICOMDIR, Fate, Report, Result, exit_code, gather, run, store, summary
from archive.dicom.errors import ConfigurationError
from objects import mr, part10


def test_folders_are_searched_and_files_taken(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/b/2", "a/1", "3"):
        (tmp_path / name).write_text("")
    assert gather([tmp_path / "a", tmp_path / "3"]) == [tmp_path / "a/1", tmp_path / "a/b/2", tmp_path / "3"]
    with pytest.raises(ConfigurationError, match="absent"):
        gather([tmp_path / "absent"])


def test_many_files_at_once(archive: Archive, tmp_path: Path) -> None:
    files = []
    for number in range(30):
        files.append(tmp_path / f"{number}.dcm")
        files[-1].write_bytes(part10(mr()))
    assert {result.fate for result in run(archive.ingest, files).results} == {Fate.STORED}
    assert {result.fate for result in run(archive.ingest, files).results} == {Fate.ALREADY_THERE}


def test_a_dicomdir_is_no_object_and_no_fault(archive: Archive, tmp_path: Path) -> None:
    data_set = mr(StudyInstanceUID=None)
    for name in ("DICOMDIR", "lost.dcm"):
        (tmp_path / name).write_bytes(part10(data_set))
    assert store(archive.ingest, tmp_path / "DICOMDIR") == Result(
        tmp_path / "DICOMDIR", Fate.NOT_DICOM, DICOMDIR
    )
    assert store(archive.ingest, tmp_path / "lost.dcm").fate is Fate.REFUSED


def test_a_file_that_vanished_is_named(archive: Archive, tmp_path: Path) -> None:
    result = store(archive.ingest, tmp_path / "gone")
    assert (result.fate, result.reason) == (Fate.REFUSED, "cannot be read: No such file or directory")


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
    class Interrupted(list[Path]):
        """As if Ctrl-C came while the second file was being taken."""

        def __iter__(self) -> Iterator[Path]:
            yield self[0]
            raise KeyboardInterrupt

    report = run(archive.ingest, Interrupted([tmp_path / "one", tmp_path / "two"]))
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
    assert gather([tmp_path / "in"]) == [closed]
    assert store(archive.ingest, closed).fate is Fate.REFUSED
