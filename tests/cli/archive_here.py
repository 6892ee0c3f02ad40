"""An archive of a test's own, in its process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import Dataset

from archive.bootstrap.building import Archive, build
from archive.bootstrap.preparing import prepare
from archive.cli.importing import Report, run
from archive.cli.sources import gather
from archive.dicom.instance import Source
from archive.settings.whole import Settings
from objects import part10


@contextmanager
def archive_in(folder: Path) -> Iterator[Archive]:
    """An archive whose data is in the folder."""
    settings = dataclasses.replace(Settings(), data=folder)
    prepare(settings)
    archive = build(settings)
    try:
        yield archive
    finally:
        archive.close()


def imported(archive: Archive, *paths: Path) -> Report:
    """As `archive import` does."""
    with ExitStack() as opened:
        return run(archive.ingest, gather(paths, opened))


def fill(archive: Archive, *objects: Dataset | bytes) -> None:
    """Store data sets, and PS3.10 files as they are."""
    for one in objects:
        file = BytesIO(one if isinstance(one, bytes) else part10(one))
        with archive.ingest.part10(Source("IMPORT")) as reception:
            reception.write(file.read())
            reception.finish()
