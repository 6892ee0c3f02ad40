"""A SQLite index that is damaged, robbed of its log, or on a disk that takes nothing (reliability.md 4.3)."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.index.database import Database
from suites.sqlite import migrated_sqlite

NAMES = sa.text("SELECT title FROM ae_title ORDER BY title")
ADD = sa.text(
    "INSERT INTO ae_title (title, host, port, rules, added_at, removed_at) VALUES (:title, '', 1, '', 0, 0)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "index").mkdir()
    migrated_sqlite(tmp_path / "index" / "index.sqlite")
    return tmp_path / "index" / "index.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], Database]]:
    """Opens databases, and closes them in the end."""
    made: list[Database] = []

    def open_one() -> Database:
        made.append(Database.in_file(path))
        return made[-1]

    yield open_one
    for database in made:
        database.close()


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(NAMES).scalars())


def add(database: Database, *titles: str) -> None:
    for title in titles:
        database.write(lambda connection, title=title: connection.execute(ADD, {"title": title}))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def crashed(path: Path, to: Path) -> Path:
    """What is on the disk when whoever has the index open dies now."""
    to.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", to)
    return to / path.name


def test_on_a_disk_that_takes_nothing_it_is_read_and_nothing_is_made(
    path: Path, opened: Callable[[], Database]
) -> None:
    database = opened()
    add(database, "A", "B")
    database.close()
    (path.with_name(path.name + ".lock")).unlink()
    before = contents(path.parent)
    assert set(before) == {"index.sqlite"}
    frozen = Database.in_file(path).frozen()
    frozen.check_schema()
    with pytest.raises(OutOfResources, match="read-only"):
        frozen.check()
    assert names(frozen) == ["A", "B"]
    with pytest.raises(OutOfResources, match="read-only"):
        add(frozen, "C")
    frozen.close()
    assert contents(path.parent) == before


def test_after_a_crash_the_log_is_read_with_it(
    path: Path, tmp_path: Path, opened: Callable[[], Database]
) -> None:
    database = opened()
    add(database, "A", "B")
    left = crashed(path, tmp_path / "left")
    before = contents(left.parent)
    assert len(before["index.sqlite-wal"]) > 0
    frozen = [Database.in_file(left).frozen() for _ in range(2)]
    assert [names(each) for each in frozen] == [["A", "B"]] * 2
    frozen[0].close()
    assert names(frozen[1]) == ["A", "B"]
    frozen[1].close()
    assert contents(left.parent) == before
    thawed = Database.in_file(left)
    add(thawed, "C")
    assert names(thawed) == ["A", "B", "C"]
    thawed.close()


def test_an_older_schema_cannot_be_read_where_it_cannot_be_brought_up_to_date(path: Path) -> None:
    with sqlite3.connect(path) as direct:
        direct.execute("UPDATE alembic_version SET version_num = '0016'")
    direct.close()
    frozen = Database.in_file(path).frozen()
    with pytest.raises(ConfigurationError, match="make room"):
        frozen.check_schema()
    frozen.close()


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_log_that_is_taken_away_is_noticed_before_anything_is_written(
    path: Path, opened: Callable[[], Database], suffix: str
) -> None:
    """Two logs beside each other would be two indexes; the old one is whole as long as somebody has it open."""
    database = opened()
    add(database, "A")
    assert names(database) == ["A"]
    path.with_name(path.name + suffix).unlink()
    for use in (names, lambda each: add(each, "LOST"), Database.check):
        with pytest.raises(OutOfResources, match="start it again"):
            use(database)
    database.close()
    again = opened()
    assert names(again) == ["A"]
    add(again, "B")
    assert names(again) == ["A", "B"]
    assert integrity(path) == "ok"


def test_without_its_log_what_is_left_is_whole(
    path: Path, tmp_path: Path, opened: Callable[[], Database]
) -> None:
    """What was only in the log is gone from the index, which does not hurt the rest: objects lie in files of their own,
    and can be indexed again."""
    database = opened()
    add(database, "A")
    database.close()
    database = opened()
    add(database, "B")
    left = crashed(path, tmp_path / "left")
    left.with_name(left.name + "-wal").unlink()
    rest = Database.in_file(left)
    rest.migrate()
    assert names(rest) == ["A"]
    add(rest, "C")
    rest.close()
    assert integrity(left) == "ok"


def test_a_damaged_page_is_an_error_that_says_what_to_do(path: Path, opened: Callable[[], Database]) -> None:
    database = opened()
    add(database, *(f"T{number:03}" for number in range(200)))
    database.close()
    damage(path, "ae_title")
    database = opened()
    for use in (names, lambda each: add(each, "X")):
        with pytest.raises(OutOfResources, match="archive reindex"):
            use(database)
    assert names_of_tables(database), "what is not damaged is served"


def test_what_is_no_index_is_not_overwritten(path: Path, opened: Callable[[], Database]) -> None:
    path.write_bytes(b"nothing of ours" * 1000)
    with pytest.raises(ConfigurationError, match="archive reindex"):
        opened().migrate()
    assert path.read_bytes() == b"nothing of ours" * 1000


def test_who_reads_does_not_wait_for_who_has_it_locked(path: Path, opened: Callable[[], Database]) -> None:
    database = opened()
    add(database, "A")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert names(database) == ["A"]
    other.execute("ROLLBACK")
    other.close()
    add(database, "B")
    assert names(database) == ["A", "B"]


def test_a_connection_that_failed_is_not_used_again(
    path: Path, opened: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was opened while the disk was read-only would refuse every change for good."""
    database = opened()
    read_only: list[bool] = [True]
    connect = sqlite3.connect

    def connected(name: str, **options: Any) -> sqlite3.Connection:
        return connect(name.replace("mode=rw", "mode=ro") if read_only[0] else name, **options)

    monkeypatch.setattr(sqlite3, "connect", connected)
    with pytest.raises(OutOfResources, match="read-only"):
        add(database, "A")
    read_only[0] = False
    add(database, "B")
    assert names(database) == ["B"]


def damage(path: Path, table: str) -> None:
    """Overwrite every page of a table but not the first of the file."""
    with sqlite3.connect(path) as direct:
        (size,) = direct.execute("PRAGMA page_size").fetchone()
        roots = direct.execute(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name = ? AND rootpage > 0", (table,)
        ).fetchall()
    direct.close()
    with path.open("r+b") as file:
        for (root,) in roots:
            os.pwrite(file.fileno(), b"\xa5" * size, (root - 1) * size)


def names_of_tables(database: Database) -> list[str]:
    with database.read() as connection:
        return sa.inspect(connection).get_table_names()


def integrity(path: Path) -> str:
    with sqlite3.connect(path) as direct:
        (answer,) = direct.execute("PRAGMA integrity_check").fetchone()
    direct.close()
    return str(answer)
