"""Turns of the processes that write to one SQLite file, and how often the changes of a turn are run."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.dicom.errors import OutOfResources
from archive.index import ae_titles, group_commit
from archive.index.database import Connection, Database
from archive.index.group_commit import _Turnstile
from archive.security.ae_titles import AETitle
from suites.sqlite import migrated_sqlite


def is_free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_who_has_the_lock_file_open_waits_for_who_found_another_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    old, new = _Turnstile(path), _Turnstile(path)
    with old:
        pass
    path.unlink()
    entered = threading.Event()

    def enter() -> None:
        with old:
            entered.set()

    waiting = threading.Thread(target=enter, daemon=True)
    with new:
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(30)
    waiting.join()


def test_a_turn_that_goes_on_keeps_its_lock_when_the_database_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    turnstile = _Turnstile(path)
    with turnstile:
        turnstile.close()
        assert not is_free(path)
    assert is_free(path)
    assert turnstile._descriptor == -1


@pytest.mark.parametrize("long_seconds", [0.0, 60.0])
def test_a_change_that_fails_is_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_seconds: float
) -> None:
    monkeypatch.setattr(group_commit, "LONG_SECONDS", long_seconds)
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    ran: list[str] = []

    def change(title: str, fails: bool = False) -> Callable[[Connection], str]:
        def run(connection: Connection) -> str:
            ran.append(title)
            ae_titles.add(connection, AETitle(title, "host", 104))
            if fails:
                raise ValueError(title)
            return title

        return run

    settled = database.write_each([change("ONE"), change("BAD", fails=True), change("TWO")], ["", "", ""])
    assert [type(one.error) for one in settled] == [type(None), ValueError, type(None)]
    assert ran.count("BAD") == 1
    assert ran.count("ONE") == (2 if long_seconds else 1)
    with database.read() as connection:
        assert [entry.title for entry in ae_titles.all_titles(connection)] == ["ONE", "TWO"]
    database.close()


def test_nobody_hears_of_success_when_the_engine_has_undone_the_changes(tmp_path: Path) -> None:
    """A change that swallows the error with which SQLite undid all of it."""
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))

    def change(connection: Connection) -> None:
        ae_titles.add(connection, AETitle("LOST", "host", 104))
        connection.connection.driver_connection.rollback()  # type: ignore[union-attr]

    with pytest.raises(OutOfResources):
        database.write(change)
    with database.read() as connection:
        assert not ae_titles.all_titles(connection)
    database.close()
