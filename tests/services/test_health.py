"""Readiness (reliability.md 4.3): green only where a store would succeed now, and an answer also where the disk gives
none."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from archive.bootstrap import preparing
from archive.config import load
from archive.dicom.errors import OutOfResources
from archive.index.database import Database
from archive.services.health import Health


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    settings = load(environment={}, overrides={"data": str(tmp_path), "storage.minimum_free_bytes": 0})
    preparing.prepare(settings)
    made = Database.in_file(tmp_path / "index.sqlite")
    yield made
    made.close()


class Disk:
    """A store whose check does what a disk does."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check


def reasons(health: Health) -> dict[str, str]:
    return {each.name: each.reason for each in health.ready()}


def well() -> None: ...


def ended() -> None:
    raise OutOfResources("the disk of the store is read-only")


def test_what_fails_is_named(database: Database) -> None:
    assert reasons(Health(Disk(well), database)) == {"storage": "", "index": ""}  # type: ignore[arg-type]
    found = reasons(Health(Disk(ended), database))  # type: ignore[arg-type]
    assert found == {"storage": "the disk of the store is read-only", "index": ""}


def test_an_index_that_can_only_be_read_is_not_ready(database: Database, tmp_path: Path) -> None:
    """Locked by another program: every store would wait in vain."""
    health = Health(Disk(well), database, patience=0.5)  # type: ignore[arg-type]
    assert reasons(health)["index"] == ""
    with closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM ae_title").scalar() is not None
        assert "no answer" in reasons(health)["index"]
        other.execute("ROLLBACK")
    deadline = time.monotonic() + 30
    while reasons(health)["index"]:
        assert time.monotonic() < deadline, "it did not recover"


def test_a_change_that_cannot_be_synced_is_seen(database: Database, tmp_path: Path) -> None:
    """The check is a change that reaches the log of the index."""
    log = tmp_path / "index.sqlite-wal"
    reasons(Health(Disk(well), database))  # type: ignore[arg-type]
    before = os.stat(log).st_mtime_ns, log.read_bytes()
    reasons(Health(Disk(well), database))  # type: ignore[arg-type]
    assert (os.stat(log).st_mtime_ns, log.read_bytes()) != before


def test_a_disk_that_hangs_takes_one_thread_however_many_ask(database: Database) -> None:
    goes_on = threading.Event()
    health = Health(Disk(lambda: goes_on.wait(60) and None), database, patience=0.05)  # type: ignore[arg-type]
    before = threading.active_count()
    for _ in range(20):
        found = reasons(health)
        assert "no answer" in found["storage"]
    assert threading.active_count() <= before + 2
    goes_on.set()
    deadline = time.monotonic() + 30
    while reasons(health)["storage"]:
        assert time.monotonic() < deadline, "it did not recover"
