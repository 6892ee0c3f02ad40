"""A migrated index in a file."""

from __future__ import annotations

from pathlib import Path

from archive.index.database import Database


def migrated_sqlite(path: Path) -> str:
    """The URL of a new SQLite index with all migrations applied."""
    url = f"sqlite:///{path}"
    database = Database.open(url)
    database.migrate()
    database.close()
    return url
