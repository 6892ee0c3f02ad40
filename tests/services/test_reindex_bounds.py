"""What a reindex, and what comes before it, makes of a disk that answers only in part."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from archive.bootstrap import preparing
from archive.bootstrap.building import Archive
from archive.dicom.errors import OutOfResources
from archive.index.rebuild_plan import Plan
from archive.storage import notes
from corrected import opened_archive
from held import store
from objects import secondary_capture
from reindexed import closed, reindexed, without_index


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A folder below `objects` gives its entries to nobody."""
    real = os.listdir, os.scandir

    def fails(call: Any) -> Any:
        def listed(path: Any = ".") -> Any:
            if "objects/" in os.fspath(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return call(path)

        return listed

    monkeypatch.setattr(os, "listdir", fails(real[0]))
    monkeypatch.setattr(os, "scandir", fails(real[1]))
    return monkeypatch


def filled(archive: Archive) -> None:
    for _ in range(3):
        store(archive, secondary_capture())


def test_objects_that_cannot_be_listed_are_not_left_out(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with opened_archive(tmp_path, "") as archive:
        filled(archive)
        with closed(archive) as settings:
            without_index(settings.data)
            unreadable: pytest.MonkeyPatch = request.getfixturevalue("unreadable")
            with pytest.raises(OutOfResources, match="cannot be read"):
                reindexed(settings)
            with pytest.raises(OutOfResources, match="cannot be read"):
                preparing.prepare(settings)
            unreadable.undo()
            assert reindexed(settings).entered == 3


def test_the_plan_is_synced(tmp_path: Path) -> None:
    """It says what need not be read again: a power cut must not let it say more than is so."""
    plan = Plan(tmp_path / "plan.sqlite")
    try:
        [(synchronous,)] = plan._connection.execute("PRAGMA synchronous").fetchall()
        assert synchronous >= 2
    finally:
        plan.close()


def test_a_plan_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "plan.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(OutOfResources, match="remove the folder `reindex`"):
        Plan(tmp_path / "plan.sqlite")


def test_notes_are_kept_while_the_disk_of_the_objects_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted would come back with the disk, where the index is made again from the files."""
    monkeypatch.setattr(notes, "WORTH_TIDYING", 0)
    with opened_archive(tmp_path, "") as archive:
        filled(archive)
        key = next(archive.store.keys())
        archive.noting.note([key])
        objects = archive.settings.data / "objects"
        objects.rename(objects.with_name("away"))
        objects.mkdir()
        assert not archive.noting.tidy()
        objects.rmdir()
        objects.with_name("away").rename(objects)
        assert key in notes.Notes(archive.settings.data).all()
        assert archive.noting.tidy()
