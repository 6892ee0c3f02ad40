"""Connections that stay open between questions never show what is no longer so."""

from __future__ import annotations

import math
import shutil
import sqlite3
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from archive.dicom.errors import OutOfResources
from archive.index import kept_connections
from archive.index.database import Connection, Database
from archive.index.kept_connections import OfProcess
from archive.index.prepared import Prepared
from suites.sqlite import migrated_sqlite

NAMES = sa.text("SELECT title FROM ae_title ORDER BY title")
ADD = sa.text(
    "INSERT INTO ae_title (title, host, port, rules, added_at, removed_at) VALUES (:title, '', 1, '', 0, 0)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrated_sqlite(tmp_path / "index.sqlite")
    return tmp_path / "index.sqlite"


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(NAMES).scalars())


def add(database: Database, title: str) -> None:
    database.write(lambda connection: connection.execute(ADD, {"title": title}))


def test_each_question_sees_what_was_committed_before_it(path: Path) -> None:
    here, there = Database.in_file(path), Database.in_file(path)
    for number in range(5):
        add(there, f"T{number}")
        assert names(here) == [f"T{n}" for n in range(number + 1)]
    here.close()
    there.close()


def test_an_answer_that_was_left_half_read_makes_no_later_one_old(path: Path) -> None:
    here = Database.in_file(path)
    for title in "ABC":
        add(here, title)

    def first() -> str:
        with here.read() as connection:
            for title in connection.execute(NAMES).scalars():
                return str(title)
        return ""

    for number in range(20):
        assert first() == "A"
        add(here, f"T{number:02}")
        assert names(here)[-1] == f"T{number:02}"
    here.close()


def test_another_file_under_the_same_name_is_opened(path: Path, tmp_path: Path) -> None:
    here = Database.in_file(path)
    shutil.copy(path, tmp_path / "empty.sqlite")
    add(here, "A")
    assert names(here) == ["A"]
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    (tmp_path / "empty.sqlite").replace(path)
    assert names(here) == []
    add(here, "B")
    assert names(here) == ["B"]
    here.close()


def test_one_that_failed_is_not_lent_again_in_its_transaction(path: Path) -> None:
    here = Database.in_file(path)

    def fails(connection: Connection) -> None:
        connection.execute(ADD, {"title": "LOST"})
        raise KeyError("mine")

    for _ in range(3):
        with pytest.raises(KeyError):
            here.write(fails)
    with pytest.raises(OutOfResources), here.read() as connection:
        connection.execute(sa.text("SELECT nothing"))
    add(here, "KEPT")
    assert names(here) == ["KEPT"]
    here.close()


def test_one_that_cannot_be_rolled_back_is_not_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one that writes: without it nothing would ever be stored again."""
    here = Database.in_file(path)

    def fails(_: Connection) -> None:
        raise sa.exc.OperationalError("ROLLBACK", None, Exception("disk I/O error"))

    add(here, "A")
    with monkeypatch.context() as patched:
        patched.setattr(sa.Connection, "rollback", fails)
        for _ in range(3):
            with pytest.raises(OutOfResources), here.read() as connection:
                connection.execute(NAMES)
    kept = here._connections
    assert isinstance(kept, kept_connections.KeptConnections)
    assert kept.engine.pool.checkedout() == len(kept._idle)  # type: ignore[attr-defined]
    add(here, "B")
    assert names(here) == ["A", "B"]
    here.close()


def test_no_more_than_some_stay_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connections, "MOST_IDLE", 2)
    engine = sa.create_engine(f"sqlite:///{path}")
    kept = kept_connections.KeptConnections(engine, path, 4)
    lent = [kept.one() for _ in range(4)]
    for one in lent:
        one.__enter__()
    for one in lent:
        one.__exit__(None, None, None)
    assert len(kept._idle) == 2
    kept.close()
    assert not kept._idle


def test_a_log_that_another_thread_makes_meanwhile_was_not_taken_away(tmp_path: Path) -> None:
    """The first questions after a start come together: none has seen a log before, and one makes it."""
    path = tmp_path / "index.sqlite"
    migrated_sqlite(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    here = Database.in_file(path)
    kept = here._connections
    assert isinstance(kept, kept_connections.KeptConnections)

    class OvertakenOnce(deque[Any]):
        """Just before one is taken, another is asked and given back."""

        overtaken = False

        def pop(self, *which: int) -> Any:
            if not self.overtaken:
                self.overtaken = True
                assert names(here) == []
            return super().pop(*which)

    kept._idle = OvertakenOnce()
    assert names(here) == []
    assert len(kept._idle) == 1
    here.close()


def test_who_waits_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connections, "WAIT_SECONDS", 0.05)
    kept = kept_connections.KeptConnections(sa.create_engine(f"sqlite:///{path}"), path, 1)
    with kept.one(), pytest.raises(sa.exc.TimeoutError), kept.one():
        pass
    with kept.one() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
    kept.close()


def test_a_log_that_is_taken_away_while_it_is_in_use_is_noticed(path: Path) -> None:
    """Who has seen a log has it open, so another that stands there by the next question is none of its own."""
    here = Database.in_file(path)
    add(here, "A")
    assert names(here) == ["A"]
    with here.read() as connection:
        assert list(connection.execute(NAMES).scalars()) == ["A"]
        for suffix in ("-wal", "-shm"):
            taken = path.with_name(path.name + suffix)
            taken.rename(taken.with_name(taken.name + ".taken"))
            taken.touch()
    with pytest.raises(OutOfResources, match="write-ahead log"):
        names(here)
    here.close()


def test_a_question_alone_takes_no_transaction_and_sees_what_is_committed(path: Path) -> None:
    here, there = Database.in_file(path), Database.in_file(path)
    asked = Prepared(sa.select(sa.column("title")).select_from(sa.table("ae_title")).order_by("title"))
    with here.read() as connection:
        assert asked.rows(connection, alone=True) == []
        assert not connection.in_transaction()
        add(there, "A")
        assert asked.rows(connection, alone=True) == [("A",)]
        assert asked.rows(connection) == [("A",)]
        assert connection.in_transaction()
        add(there, "B")
        assert asked.rows(connection, alone=True) == [("A",)], "within a transaction it is of that moment"
    assert names(here) == ["A", "B"]
    here.close()
    there.close()


class Kept:
    """Stands for the connections of an engine, and counts how often those were closed that nobody uses."""

    def __init__(self, of_process: OfProcess) -> None:
        self.closed = 0
        of_process.add(self)  # type: ignore[arg-type]

    def close_idle(self) -> None:
        self.closed += 1


def test_where_one_could_not_write_all_are_closed_once_none_is_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connections, "GATHER_SECONDS", 3600.0)
    of_process = OfProcess()
    kept = [Kept(of_process) for _ in range(2)]
    of_process.lend()
    of_process.doubt()
    with ThreadPoolExecutor(4) as threads:
        lending = [threads.submit(of_process.lend) for _ in range(4)]
        assert not wait(lending, 0.1).done
        assert [each.closed for each in kept] == [0, 0]
        of_process.give_back()
        for each in lending:
            each.result(5)
    assert [each.closed for each in kept] == [1, 1]


def test_who_holds_one_for_long_keeps_nobody_waiting_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_connections, "GATHER_SECONDS", 0.1)
    of_process = OfProcess()
    kept = Kept(of_process)
    of_process.lend()
    of_process.doubt()
    with ThreadPoolExecutor(3) as threads:
        for each in [threads.submit(of_process.lend) for _ in range(3)]:
            each.result(5)
    assert kept.closed == 0
    assert of_process._trusted_until > time.monotonic() - 60
    monkeypatch.setattr(kept_connections, "GATHER_SECONDS", 3600.0)
    of_process._trusted_until = math.inf
    of_process.doubt()  # too soon to try again
    of_process.lend()
    of_process._trusted_until = -math.inf
    of_process.doubt()
    for _ in range(5):
        of_process.give_back()
    of_process.lend()
    assert kept.closed == 1


def test_a_disk_that_is_read_only_is_so_at_the_second_look(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for ever: each change asks once more after all were closed, and hears what the engine says then."""
    here = Database.in_file(path)
    add(here, "A")
    looks = 0
    begin = sa.Connection.begin

    def fails(connection: Connection) -> sa.RootTransaction:
        nonlocal looks
        looks += 1
        begin(connection)
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorname = "SQLITE_READONLY"
        raise sa.exc.OperationalError("BEGIN IMMEDIATE", None, error)

    with monkeypatch.context() as patched:
        patched.setattr(sa.Connection, "begin", fails)
        with pytest.raises(OutOfResources, match="read-only"):
            add(here, "B")
    assert looks == 2
    add(here, "C")
    assert names(here) == ["A", "C"]
    here.close()
