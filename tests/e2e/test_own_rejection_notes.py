"""The rejection notes that the archive makes pass dciodvfy (Debian's dicom3tools), whatever they refer to."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope, Source
from archive.services.rejections import Reason
from objects import ct, part10, secondary_capture
from suites.sqlite import prepare


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    settings = config.load(environment={}, overrides={"storage.minimum_free_bytes": 0})
    settings = replace(settings, data=tmp_path / "data")
    prepare(settings)
    built = building.build(settings)
    yield built
    built.close()


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize(
    "stored",
    [
        ct(),
        secondary_capture(),
        secondary_capture(PatientName=None, PatientID=None, StudyDate=None, StudyID=None),
    ],
    ids=["ct", "secondary capture", "nobody's"],
)
def test_dciodvfy_finds_no_fault(archive: Archive, tmp_path: Path, stored: Dataset, reason: Reason) -> None:
    with archive.ingest.part10(Source("IMPORT")) as reception:
        reception.write(part10(stored))
        reception.finish()
    archive.rejections.reject(Scope((stored.StudyInstanceUID,)), reason, Source("REJECT-RS"))
    note, blob = archive.rejections.open_note(1)
    path = tmp_path / "note.dcm"
    with blob:
        path.write_bytes(blob.read(0, note.blob_length))
    done = subprocess.run(["dciodvfy", path], capture_output=True, check=False, timeout=60)
    said = done.stderr.decode("latin-1").splitlines()
    assert "KeyObjectSelectionDocument" in said
    assert [line for line in said if line.startswith("Error")] == []
