"""`archive backup`, `restore` and `reindex` as a person runs them (reliability.md 1.5): restored on an empty folder,
all digests are equal."""

from __future__ import annotations

import hashlib
from pathlib import Path

from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope
from archive_here import archive_in, fill
from in_process import in_folder
from objects import secondary_capture


def digests(archive: Archive) -> dict[str, str]:
    """Of the bytes of every object, which are read."""
    found = {}
    for one in archive.retrieve.instances(Scope()):
        with archive.retrieve.open(one) as blob:
            data = blob.read(one.data_set_offset, one.data_set_length)
        found[one.SOPInstanceUID] = hashlib.sha256(data).hexdigest()
        assert found[one.SOPInstanceUID] == one.sha256
    return found


def test_a_backup_is_restored_with_all_digests_equal(tmp_path: Path) -> None:
    data, folder, new = tmp_path / "data", tmp_path / "backups", tmp_path / "new"
    with archive_in(data) as archive:
        fill(archive, *(secondary_capture() for _ in range(5)))
        before = digests(archive)
    assert len(before) == 5
    assert in_folder(data, "backup", str(folder)).code == 0
    with archive_in(data) as archive:
        fill(archive, secondary_capture())
    again = in_folder(data, "backup", str(folder))
    assert again.code == 0, again.stderr
    assert "Copied               1" in again.stdout
    [first, _] = sorted(path.name for path in (folder / "backups").iterdir())
    restored = in_folder(new, "restore", str(folder), "--backup", first)
    assert restored.code == 0, restored.stderr
    with archive_in(new) as archive:
        assert digests(archive) == before


def test_a_damaged_file_of_a_backup_is_named_and_not_restored(tmp_path: Path) -> None:
    data, folder, new = tmp_path / "data", tmp_path / "backups", tmp_path / "new"
    with archive_in(data) as archive:
        fill(archive, *(secondary_capture() for _ in range(2)))
    assert in_folder(data, "backup", str(folder)).code == 0
    damaged = next((folder / "objects").glob("*/*/*"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\xff")
    restored = in_folder(new, "restore", str(folder))
    assert restored.code == 1
    assert str(damaged.relative_to(folder / "objects")) in restored.stdout
    assert not (new / "objects" / damaged.relative_to(folder / "objects")).exists()
    mended = in_folder(data, "backup", str(folder), "--check")
    assert mended.code == 0
    assert "Mended               1" in mended.stdout


def test_an_archive_without_its_index_is_refused_until_it_is_reindexed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with archive_in(data) as archive:
        fill(archive, *(secondary_capture() for _ in range(3)))
        before = digests(archive)
    for path in data.glob("index.sqlite*"):
        path.unlink()
    refused = in_folder(data, "refusals")
    assert refused.code == 2
    assert "archive reindex" in refused.stderr
    assert in_folder(data, "reindex").code == 1  # what only the index knew is not there, and is named
    with archive_in(data) as archive:
        assert digests(archive) == before
