"""What works on a whole archive: reindex, backup and restore."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from archive.bootstrap.building import Archive
from archive.bootstrap.opening import open_database, plan_folder
from archive.index import rebuilding
from archive.index.rebuild_plan import Plan
from archive.services.backing_up import BackingUp, Pace
from archive.services.reindexing import Reindexing
from archive.services.restoring import Restoring, check_whole
from archive.settings.whole import Settings
from archive.storage.backup_folder import BackupFolder
from archive.storage.local import LocalStore
from archive.storage.notes import Notes


@contextlib.contextmanager
def reindexing(settings: Settings, *, from_files: bool) -> Iterator[Reindexing]:
    """What makes the index again. Nobody else may use the archive meanwhile; `prepare` has not run. When the block ends
    as it should, nothing is left of the work. Raises ConfigurationError, OutOfResources."""
    check_whole(settings.data)
    store, notes = LocalStore(settings.data), Notes(settings.data)
    beside = rebuilding.beside(settings.index.url or f"sqlite:///{settings.data / 'index.sqlite'}")
    plan = Plan(plan_folder(settings) / "plan.sqlite")
    work = Reindexing(store, notes, plan, beside, from_files=from_files)
    try:
        yield work
    finally:
        work.close()
        plan.close()
    shutil.rmtree(plan_folder(settings), ignore_errors=True)


def backing_up(archive: Archive, folder: Path, *, bytes_per_second: float, check: bool) -> BackingUp:
    """What makes backups into a folder."""
    notes, pace = Notes(archive.settings.data), Pace(bytes_per_second)
    return BackingUp(archive.store, notes, archive.database, BackupFolder(folder), pace, check=check)


@contextlib.contextmanager
def restoring(settings: Settings, folder: Path, moment: str) -> Iterator[Restoring]:
    """What restores one. Raises ConfigurationError, OutOfResources."""
    index = open_database(settings) if settings.index.url else None
    try:
        yield Restoring(BackupFolder(folder), settings.data, moment, index)
    finally:
        if index is not None:
            index.close()
