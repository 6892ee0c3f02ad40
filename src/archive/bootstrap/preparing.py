"""What is done once, before any worker starts and after the last one has ended."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from archive.bootstrap.opening import open_database, plan_folder
from archive.dicom.errors import ConfigurationError
from archive.index import instances
from archive.index.database import Database
from archive.services.ae_titles import AETitles
from archive.services.auditing import auditing
from archive.services.restoring import check_whole
from archive.services.workitem_events import WorkitemEvents
from archive.settings.whole import Settings
from archive.storage.local import LocalStore


def prepare(settings: Settings) -> None:
    """Bring the index's schema up to date and seed the AE titles that it never knew; once, before any worker starts.

    Raises ConfigurationError, OutOfResources."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    check_whole(settings.data)
    database = open_database(settings)
    try:
        if database.is_new():
            _check_no_objects(settings)
        # Objects may come and go from now on: what a reindex has begun is void.
        shutil.rmtree(plan_folder(settings), ignore_errors=True)
        database.migrate()
        _make_store(settings, database)
        titles = AETitles(database, settings.dimse.own_ae_titles)
        for seed in settings.ae_titles:
            titles.seed(seed.title, seed.address.host, seed.address.port)
    finally:
        database.close()


def _make_store(settings: Settings, database: Database) -> None:
    """The store's folders; not those of objects that the index knows of: where they are missing their disk is."""
    objects = settings.data / "objects"
    with database.read() as connection:
        if not objects.is_dir() and instances.any_stored(connection):
            raise ConfigurationError(
                f"folder {objects} is missing, but the index knows of objects: mount its disk, or restore it"
            )
    LocalStore(settings.data)


def folders(settings: Settings) -> tuple[Path, ...]:
    """Those that the archive writes to: of this run, and of the index where that is in a file."""
    database = open_database(settings)
    database.close()
    return (settings.run_folder, *((database.folder,) if database.folder is not None else ()))


def check_readable(settings: Settings) -> None:
    """Raises ConfigurationError or OutOfResources unless the archive can be read without anything being written."""
    check_whole(settings.data)
    database = open_database(settings).frozen()
    try:
        database.check_schema()
    finally:
        database.close()


def _check_no_objects(settings: Settings) -> None:
    """An empty index would hide what is stored, and everything would be an orphan."""
    if next(LocalStore(settings.data, make=False).keys(), None) is not None:
        raise ConfigurationError(
            f"no index, but {settings.data / 'objects'} holds objects: run `archive reindex`, or name the right index "
            "(index.url)"
        )


def announce(settings: Settings) -> None:
    """Leave it to the jobs to tell subscribers of workitems that the archive has been started. Raises
    OutOfResources."""
    database = open_database(settings)
    try:
        titles = AETitles(database, settings.dimse.own_ae_titles)
        WorkitemEvents(database, titles, settings).restarted()
    finally:
        database.close()
    record_activity(settings, started=True)


def record_activity(settings: Settings, *, started: bool) -> None:
    """In the audit trail, that the archive starts or has stopped."""
    closing = contextlib.closing
    with closing(open_database(settings)) as index, closing(auditing(settings, index)) as recording:
        recording.application(started=started)
