"""A data folder whose parts are on several disks, or hold what is none of ours."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.storage.local import LocalStore


def test_a_spool_that_is_a_file_system_of_its_own_is_refused(tmp_path: Path) -> None:
    """Every store would fail, and readiness be green."""
    store = LocalStore(tmp_path)
    other = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        (tmp_path / "spool").rmdir()
        (tmp_path / "spool").symlink_to(other)
        with pytest.raises(ConfigurationError, match="mount the data folder as a whole"):
            LocalStore(tmp_path)
        with pytest.raises(OutOfResources, match="mount the data folder as a whole"):
            store.check()
    finally:
        shutil.rmtree(other)


def test_what_was_tried_leaves_nothing(tmp_path: Path) -> None:
    LocalStore(tmp_path).check()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_one_strange_file_keeps_no_other_in_the_spool(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "spool" / "0.part").symlink_to("/nowhere")
    for name in ("00", "1"):
        (tmp_path / "spool" / f"{name}.part").touch()
    assert store.sweep(-1) == 2
