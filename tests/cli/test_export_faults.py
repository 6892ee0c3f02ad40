"""`archive export`: what goes wrong, and where the next run goes on (dimse.md 1.6 PDI)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from archive.bootstrap.building import Archive
from archive.cli import export_targets
from archive.cli.export import purpose
from archive.cli.export_targets import JOURNAL, FolderTarget, ZipTarget
from archive.cli.exporting import summary
from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.dicom.instance import Scope, StoredInstance
from archive.services.file_sets import FileIDs
from archive.services.media import Form
from archive_here import fill
from exports import ALL, damaged, exported, files, folder, study
from file_sets import file_set
from objects import mr, series


def test_damaged_bytes_never_leave(archive: Archive, tmp_path: Path) -> None:
    """Without that instance it is not complete, and there is no DICOMDIR; the next run goes on where it was."""
    several, blob = damaged(archive)
    target = folder(tmp_path / "medium")
    result = exported(archive, target)
    assert not result.complete
    assert list(result.failed) == [several[-1].SOPInstanceUID]
    said = summary(result, target, None)
    assert "damaged" in said
    assert "--incomplete" in said
    assert not (tmp_path / "medium" / "DICOMDIR").exists()
    raw = bytearray(blob.read_bytes())
    raw[-1] ^= 1
    blob.write_bytes(raw)
    again = exported(archive, folder(tmp_path / "medium"))
    assert (again.complete, again.kept, again.files) == (True, 4, 5)
    assert not (tmp_path / "medium" / JOURNAL).exists()


def test_incomplete_on_purpose(archive: Archive, tmp_path: Path) -> None:
    """The missing one is told by the summary, by the README and by the exit code."""
    several, _ = damaged(archive)
    target = folder(tmp_path / "medium")
    result = exported(archive, target, incomplete=True)
    assert (result.complete, result.files) == (True, 4)
    assert several[-1].SOPInstanceUID in (tmp_path / "medium" / "README.TXT").read_text()
    with file_set(tmp_path / "medium") as found:
        assert len(found) == 4


def test_a_medium_that_lies_is_found_out(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read back is compared, and the DICOMDIR does not get its name. The next run mends it."""
    fill(archive, *study())
    read = FolderTarget.read

    def lie(self: FolderTarget, name: str) -> Iterator[bytes]:
        for piece in read(self, name):
            yield piece[:-1] + b"?" if name.endswith("I0000002") else piece

    with monkeypatch.context() as patched:
        patched.setattr(FolderTarget, "read", lie)
        with pytest.raises(
            OutOfResources, match=r"I0000002 does not read back .* run the same command again"
        ):
            exported(archive, folder(tmp_path / "medium"))
    assert not (tmp_path / "medium" / "DICOMDIR").exists()
    assert not list((tmp_path / "medium").rglob("I0000002"))
    assert exported(archive, folder(tmp_path / "medium")).kept == 4


def test_a_kept_file_that_was_changed_is_found_out(archive: Archive, tmp_path: Path) -> None:
    """Also one that an earlier run had written."""
    damaged(archive)
    exported(archive, folder(tmp_path / "medium"))
    kept = next((tmp_path / "medium").rglob("I0000001"))
    raw = bytearray(kept.read_bytes())
    raw[-1] ^= 1
    kept.write_bytes(raw)
    with pytest.raises(OutOfResources, match="I0000001"):
        exported(archive, folder(tmp_path / "medium"), incomplete=True)
    again = exported(archive, folder(tmp_path / "medium"), incomplete=True)
    assert again.complete


class Stopped(BaseException):
    """As when the process is killed: nothing is caught."""


@pytest.mark.parametrize("steps", range(12))
def test_stopped_anywhere_it_goes_on(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After any write and rename: no DICOMDIR without all of it, and the next run ends with the same files."""
    fill(archive, *series(mr, 3))
    whole = tmp_path / "whole"
    exported(archive, folder(whole))
    left = [steps]

    def counted(done: object) -> object:
        def step(*arguments: object, **keywords: object) -> object:
            if left[0] == 0:
                raise Stopped
            left[0] -= 1
            return done(*arguments, **keywords)  # type: ignore[operator]

        return step

    medium = tmp_path / "medium"
    monkeypatch.setattr(FolderTarget, "writers", 1)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", counted(Path.replace))
        patched.setattr(export_targets.os, "fsync", counted(export_targets.os.fsync))
        patched.setattr(FolderTarget, "note", counted(FolderTarget.note))
        try:
            exported(archive, folder(medium))
        except Stopped:
            assert not (medium / "DICOMDIR").exists() or len(files(medium)) >= 5
        else:
            return
    if (medium / "DICOMDIR").exists() and not (medium / JOURNAL).exists():
        assert files(medium) == files(whole)
        return
    assert exported(archive, folder(medium)).complete
    assert files(medium) == files(whole)


def test_killed_and_run_again(archive: Archive, tmp_path: Path) -> None:
    """kill -9 amid the files: no DICOMDIR, and the next run goes on with what is whole."""
    fill(archive, *series(mr, 400))
    medium = tmp_path / "medium"
    command = [sys.executable, "-m", "archive.cli", "export", str(medium), "--all"]
    command += ["--data", str(archive.settings.data)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(list(medium.rglob("I*"))) < 10 and process.poll() is None:
            assert time.monotonic() < deadline, "nothing was exported"
        process.kill()
    assert not (medium / "DICOMDIR").exists()
    assert (medium / JOURNAL).exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "400 instances, 1 study, 1 patient" in done.stdout
    exported(archive, folder(tmp_path / "whole"))
    names = {name for name in files(medium) if name != "README.TXT"}
    assert names == {name for name in files(tmp_path / "whole") if name != "README.TXT"}
    assert not list(medium.rglob("*.TMP"))


def test_published_and_cut_off_before_the_journal_went(archive: Archive, tmp_path: Path) -> None:
    """What changed meanwhile is never under the former DICOMDIR."""
    fill(archive, mr())
    medium = tmp_path / "medium"
    exported(archive, folder(medium))
    (medium / JOURNAL).write_bytes(orjson.dumps({"purpose": purpose(ALL, Form.EXPLICIT)}) + b"\n")
    target = folder(medium)
    assert not (medium / "DICOMDIR").exists()
    assert exported(archive, target).complete


def test_what_changed_in_between(archive: Archive, tmp_path: Path) -> None:
    """An instance that was deleted after an interrupted run is not on the medium; a new one is, under a new name."""
    several, _ = damaged(archive)
    exported(archive, folder(tmp_path / "medium"))
    for one in (several[0], several[-1]):
        archive.deletion.delete(
            Scope((one.StudyInstanceUID,), (one.SeriesInstanceUID,), (one.SOPInstanceUID,))
        )
    fill(archive, mr())
    assert exported(archive, folder(tmp_path / "medium")).complete
    with file_set(tmp_path / "medium") as found:
        uids = {one.SOPInstanceUID for one in found}
    assert several[0].SOPInstanceUID not in uids
    assert len(uids) == 4
    assert len(list((tmp_path / "medium" / "DICOM").rglob("I*"))) == 4


def test_a_name_that_was_given_anew(archive: Archive, tmp_path: Path) -> None:
    """A file takes the name of one that was removed, and has its length: the older line of the journal means nothing
    any more."""
    several, _ = damaged(archive)
    medium = tmp_path / "medium"
    exported(archive, folder(medium))
    fault = several[-1]
    header, *lines = (medium / JOURNAL).read_bytes().splitlines()
    gone = orjson.loads(lines[-1]) | {"blob_key": "gone", "SOPInstanceUID": "1.2.3"}
    (medium / JOURNAL).write_bytes(b"\n".join([header, *lines[:-1], orjson.dumps(gone), lines[-1]]) + b"\n")
    archive.deletion.delete(
        Scope((fault.StudyInstanceUID,), (fault.SeriesInstanceUID,), (fault.SOPInstanceUID,))
    )
    assert exported(archive, folder(medium)).complete
    with file_set(medium) as found:
        assert {one.SOPInstanceUID for one in found} == {one.SOPInstanceUID for one in several[:-1]}


def test_a_folder_in_which_something_is(archive: Archive, tmp_path: Path) -> None:
    fill(archive, mr())
    medium = tmp_path / "medium"
    exported(archive, folder(medium))
    with pytest.raises(ConfigurationError, match="holds DICOM already: choose an empty folder"):
        folder(medium)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is a file"):
        folder(tmp_path / "file")
    usb = tmp_path / "usb"
    (usb / "System Volume Information").mkdir(parents=True)
    assert exported(archive, folder(usb)).complete


def test_an_unfinished_export_of_something_else(archive: Archive, tmp_path: Path) -> None:
    damaged(archive)
    exported(archive, folder(tmp_path / "medium"))
    with pytest.raises(ConfigurationError, match="unfinished export of something else"):
        FolderTarget(tmp_path / "medium", purpose(replace(ALL, several_patients=True), Form.STORED))


def test_two_at_a_time_into_one_place(tmp_path: Path) -> None:
    for make in (lambda: folder(tmp_path / "medium"), lambda: ZipTarget(tmp_path / "medium.zip")):
        first = make()
        with pytest.raises(ConfigurationError, match="another export is writing"):
            make()
        first.leave()


def test_no_room(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(archive, mr())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutOfResources, match=r"0\.0 MB free, and 0\.0 MB are needed: make room"):
        exported(archive, folder(tmp_path / "medium"))


def test_the_first_free_names_are_given_first() -> None:
    """Files are remembered as they become ready: what was written and not remembered is to be written over."""
    first, second, third = (StoredInstance("1", "2", f"3.{n}", *[""] * 3, 0, 0, "") for n in range(3))
    names = FileIDs([(second, ("DICOM", "S00001", "R00001", "I0000002"))])
    assert [names.of(one)[3] for one in (first, second, third)] == ["I0000001", "I0000002", "I0000003"]
    assert names.of(third)[:3] == ("DICOM", "S00001", "R00001")
