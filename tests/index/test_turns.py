"""Turns of the processes that write to one SQLite file, and how often the changes of a turn are run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
    with old.turn():
        pass
    path.unlink()
    entered = threading.Event()

    def enter() -> None:
        with old.turn():
            entered.set()

    waiting = threading.Thread(target=enter, daemon=True)
    with new.turn():
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(30)
    waiting.join()


def test_a_turn_that_goes_on_keeps_its_lock_when_the_database_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    turnstile = _Turnstile(path)
    with turnstile.turn():
        turnstile.close()
        assert not is_free(path)
    assert is_free(path)
    assert turnstile._descriptor == -1


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    yield opened
    opened.close()


@contextlib.contextmanager
def turn_of_another(database: Database) -> Iterator[None]:
    """Another process writes, and does not come to an end."""
    descriptor = os.open(database._writer._turnstile._path, os.O_RDWR | os.O_CREAT)  # type: ignore[attr-defined]
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def add(database: Database, title: str) -> None:
    database.write(lambda connection: ae_titles.add(connection, AETitle(title, "host", 104)))


def titles(database: Database) -> list[str]:
    with database.read() as connection:
        return [entry.title for entry in ae_titles.all_titles(connection)]


def test_nobody_waits_for_ever_for_a_process_that_was_stopped_in_its_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability.md I9: who leads is told as all others are, and nothing of it is done later."""
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 0.3)
    add(database, "BEFORE")
    with turn_of_another(database), ThreadPoolExecutor(8) as threads:
        tried = [threads.submit(add, database, f"LATE{number}") for number in range(8)]
        for one in tried:
            with pytest.raises(OutOfResources, match="another process"):
                one.result(30)
    add(database, "AFTER")
    assert titles(database) == ["AFTER", "BEFORE"]


def test_nor_does_a_start(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 0.2)
    with turn_of_another(database), pytest.raises(OutOfResources, match="another process"):
        database.migrate()
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 30.0)
    with ThreadPoolExecutor(1) as threads:
        with turn_of_another(database):
            waiting = threads.submit(database.migrate)
            assert not wait([waiting], 0.1).done
        waiting.result(30)
    add(database, "AFTER")


def test_a_turn_that_ends_in_time_is_waited_for(database: Database) -> None:
    with ThreadPoolExecutor(8) as threads:
        for round_ in range(5):
            with turn_of_another(database):
                waiting = [threads.submit(add, database, f"{round_}-{number}") for number in range(8)]
                assert not wait(waiting, 0.05).done
            for one in waiting:
                one.result(30)
    assert len(titles(database)) == 40


def test_who_gave_up_leaves_the_lead_to_others(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some give up while others come; each is answered, and what is there is what was promised."""
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 0.02)
    kept: list[str] = []

    def attempt(number: int) -> None:
        title = f"T{number}"
        try:
            add(database, title)
        except OutOfResources:
            return
        kept.append(title)

    with ThreadPoolExecutor(8) as threads:
        for round_ in range(10):
            with turn_of_another(database):
                tried = [threads.submit(attempt, 100 * round_ + number) for number in range(16)]
                wait(tried[:8], 0.03)
            assert not wait(tried, 60).not_done
    assert sorted(kept) == titles(database)
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 30.0)
    add(database, "ZLAST")
    assert titles(database)[-1] == "ZLAST"


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


def test_who_comes_while_a_turn_ends_that_nobody_waits_for_is_run_in_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = database._writer
    assert isinstance(writer, group_commit.GroupWriter)
    one = writer._connections.one
    with ThreadPoolExecutor(1) as threads:
        coming: list[Future[None]] = []

        @contextlib.contextmanager
        def overtaken() -> Iterator[Connection]:
            with one() as connection:
                yield connection
                if not coming:
                    coming.append(threads.submit(add, database, "LATE"))
                    _until(lambda: bool(writer._queue))

        with turn_of_another(database), monkeypatch.context() as patched:
            patched.setattr(group_commit, "TURN_SECONDS", 0.1)
            with pytest.raises(OutOfResources, match="another process"):
                add(database, "GAVE-UP")
            monkeypatch.setattr(writer._connections, "one", overtaken)
        _until(lambda: bool(coming))
        coming[0].result(30)
    assert titles(database) == ["LATE"]


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)
