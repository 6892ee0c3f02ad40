"""A migrated index in a file. The migrations run once in a process; who wants an index gets a copy of what they made,
and what is new in it is then looked for as in every other: of 0.2 s of computing that is a tenth."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from archive.bootstrap import preparing
from archive.index.database import Database
from archive.settings.whole import Settings


def migrated_sqlite(path: Path) -> str:
    """The URL of a new SQLite index with all migrations applied."""
    _lay(path)
    return _migrated(path)


def prepare(settings: Settings) -> None:
    """`preparing.prepare`, for tests of what comes after it."""
    index = settings.data / "index.sqlite"
    if not settings.index.url and not index.exists() and not (settings.data / "objects").exists():
        _lay(index)
    preparing.prepare(settings)


def _migrated(path: Path) -> str:
    url = f"sqlite:///{path}"
    database = Database.open(url)
    database.migrate()
    database.close()
    return url


def _lay(path: Path) -> None:
    """The same bytes and the same modes as if it had been made here."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(_template())


@functools.cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        _migrated(path)
        assert not path.with_name("index.sqlite-wal").exists(), "all of it lies in the one file"
        return path.read_bytes()
