"""Opening the index that the settings name, and where work on it keeps its plan."""

from __future__ import annotations

from pathlib import Path

from archive.index import rebuilding
from archive.index.database import Database
from archive.settings.whole import Settings


def open_database(settings: Settings) -> Database:
    """The index that the settings name: SQLite in the data folder unless `index.url` says otherwise."""
    if settings.index.url:
        return Database.open(settings.index.url)
    return Database.in_file(settings.data / "index.sqlite")


def plan_folder(settings: Settings) -> Path:
    """Where a reindex keeps what it has found out so far."""
    return settings.data / rebuilding.FOLDER
