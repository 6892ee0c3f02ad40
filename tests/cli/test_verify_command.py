"""`archive verify` as a person uses it: what it finds, what it says mends it, and what it mends."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.cli import verify as verify_command
from archive.dicom.instance import Scope
from archive_here import archive_in, fill
from archive_process import Finished
from in_process import in_folder
from objects import part10, secondary_capture

OLD = time.time() - 2 * 86_400


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An archive of four objects."""
    with archive_in(tmp_path / "data") as archive:
        fill(archive, *(secondary_capture() for _ in range(4)))
    return tmp_path / "data"


def verify(data: Path, *options: str) -> Finished:
    return in_folder(data, "verify", *options)


def rows(done: Finished) -> list[list[str]]:
    return [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]


def keys(data: Path) -> list[str]:
    with archive_in(data) as archive:
        return [stored.blob_key for stored in archive.retrieve.instances(Scope())]


def path_of(data: Path, key: str) -> Path:
    return data / "objects" / key


def orphan(archive: Archive, content: bytes = b"nobody's") -> str:
    writer = archive.store.create()
    writer.write(content)
    writer.publish()
    return writer.key


@pytest.mark.parametrize("level", ["exists", "size", "checksum"])
def test_nothing_is_wrong(data: Path, level: str) -> None:
    done = verify(data, "--level", level)
    assert (done.code, rows(done)) == (0, [])
    assert "nothing is wrong" in done.stderr
    assert "4/4" in done.stderr


def test_what_is_wrong_and_what_mends_it(data: Path) -> None:
    missing, cut, altered, _ = keys(data)
    path_of(data, missing).unlink()
    os.truncate(path_of(data, cut), 100)
    with path_of(data, altered).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    for options, found in (
        (["--level", "exists"], {missing: "missing"}),
        (["--level", "size"], {missing: "missing", cut: "cut"}),
        ([], {missing: "missing", cut: "cut", altered: "altered"}),
        (["--repair"], {missing: "missing", cut: "cut", altered: "altered"}),
    ):
        done = verify(data, *options)
        assert done.code == 1
        assert {row[4]: row[0] for row in rows(done)} == found
        assert all("archive import FILE" in row[5] for row in rows(done))
    assert "1 altered, 1 cut, 1 missing" in done.stderr
    known = verify(data, "--found")
    assert known.code == 1
    assert {row[4] for row in rows(known)} == {missing, cut, altered}
    assert path_of(data, altered).exists()
    assert path_of(data, cut).stat().st_size == 100


def test_the_plan_is_carried_out(data: Path) -> None:
    with archive_in(data) as archive:
        lost = keys(data)[0]
        archive.store.set_aside(lost, "by mistake")
        nobodys = orphan(archive)
        os.utime(path_of(data, nobodys), (OLD, OLD))
    planned = verify(data, "--grace-hours", "0")
    assert planned.code == 1
    assert {row[4]: row[0] for row in rows(planned)} == {lost: "missing", nobodys: "orphan"}
    assert all("archive verify --repair" in row[5] for row in rows(planned))
    assert path_of(data, nobodys).exists()
    done = verify(data, "--grace-hours", "0", "--repair")
    assert done.code == 0, done.stdout + done.stderr
    assert f"Set aside: {nobodys}" in done.stdout
    assert path_of(data, lost).exists()
    assert not path_of(data, nobodys).exists()
    again = verify(data)
    assert (again.code, rows(again)) == (0, [])
    shown = verify(data, "--found")
    assert [row[4] for row in rows(shown)] == [f"{nobodys.replace('/', '-')}.dcm"]


def test_what_is_young_may_be_about_to_be_entered(data: Path) -> None:
    with archive_in(data) as archive:
        nobodys = orphan(archive)
    done = verify(data, "--repair")
    assert (done.code, rows(done)) == (0, [])
    assert path_of(data, nobodys).exists()


def test_what_was_set_aside_can_be_imported(data: Path) -> None:
    """Bytes that a crash left without a row are a whole object."""
    made = secondary_capture()
    with archive_in(data) as archive:
        nobodys = orphan(archive, part10(made))
    assert verify(data, "--grace-hours", "0", "--repair").code == 0
    name = f"{nobodys.replace('/', '-')}.dcm"
    assert in_folder(data, "import", str(data / "quarantine" / name)).code == 0
    with archive_in(data) as archive:
        assert archive.retrieve.instances(Scope(sop_instance_uids=(made.SOPInstanceUID,)))


def test_it_names_no_patient(data: Path) -> None:
    with archive_in(data) as archive:
        fill(archive, secondary_capture(PatientID="ZZCANARY", PatientName="ZZCANARY^PHI"))
    for key in keys(data):
        path_of(data, key).unlink()
    done = verify(data)
    assert len(rows(done)) == 5
    assert "ZZCANARY" not in done.stdout + done.stderr


def test_no_archive(tmp_path: Path) -> None:
    done = verify(tmp_path / "nothing")
    assert done.code == 2
    assert "--data" in done.stderr


def test_it_holds_no_more_than_it_shows(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of millions that a disk has lost it says how many, and mends all that it can."""
    monkeypatch.setattr(verify_command, "MOST_SHOWN", 2)
    with archive_in(data) as archive:
        for key in list(archive.store.keys())[:3]:
            archive.store.set_aside(key, "a test")
    done = verify(data)
    assert (done.code, len(rows(done))) == (1, 2)
    assert "3 missing; the first 2 of each are shown" in done.stderr
    assert len(rows(verify(data, "--found"))) == 2 + 2
    assert verify(data, "--repair").code == 0
    assert verify(data).code == 0
