"""Several changes of one caller: one transaction, and each with its own fate."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from archive.dicom.errors import ArchiveError, OutcomeUnknown
from archive.index import ae_titles, schema
from archive.index.database import Connection, Database
from suites.sqlite import migrated_sqlite
from test_database import add, titles


def test_changes_of_one_caller_share_a_transaction(tmp_path: Path) -> None:
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    commits: list[int] = []
    sa.event.listen(database._writer._connections.engine, "commit", lambda _: commits.append(1))
    names = [f"T{number}" for number in range(5)]
    assert [
        settled.result() for settled in database.write_each([add(name) for name in names], names)
    ] == names
    assert len(commits) == 1
    assert titles(database) == names
    assert database.write_each([], []) == []
    database.close()


def test_on_postgresql_only_changes_about_the_same_share_a_transaction(postgresql_url: str) -> None:
    """Others would lock the same rows in any order, and each in the way of another's."""
    database = Database.open(postgresql_url)
    database.migrate()
    commits: list[int] = []
    sa.event.listen(database._writer._engine, "commit", lambda _: commits.append(1))
    names = [f"T{number}" for number in range(5)]
    settled = database.write_each([add(name) for name in names], ["1", "1", "2", "2", "1"])
    assert [one.result() for one in settled] == names
    assert len(commits) == 3
    database.close()


def test_changes_of_one_caller_have_each_its_own_fate(database: Database) -> None:
    """And each sees what those before it have done."""

    def failing(connection: Connection) -> None:
        add("FAILED")(connection)
        raise KeyError("mine")

    def seeing(connection: Connection) -> str:
        return ",".join(entry.title for entry in ae_titles.all_titles(connection))

    def unlawful(connection: Connection) -> None:
        values = sa.select(schema.ae_title).where(schema.ae_title.c.title == "A")
        connection.execute(sa.insert(schema.ae_title).from_select(schema.ae_title.c.keys(), values))

    changes: list[Callable[[Connection], Any]] = [add("A"), failing, unlawful, add("B"), seeing]
    first, bad, worse, last, seen = database.write_each(changes, ["one"] * len(changes))
    assert (first.result(), last.result(), seen.result()) == ("A", "B", "A,B")
    with pytest.raises(KeyError, match="mine"):
        bad.result()
    with pytest.raises(ArchiveError):
        worse.result()
    assert titles(database) == ["A", "B"]


def test_changes_of_one_caller_whose_commit_has_no_answer_are_not_made_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unheard(connection: sa.Connection) -> None:
        commit(connection)
        raise sa.exc.OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    commit = sa.Connection.commit
    made: list[str] = []

    def counted(connection: Connection) -> None:
        made.append("A")
        add("A")(connection)

    with monkeypatch.context() as patched:
        patched.setattr(sa.Connection, "commit", unheard)
        settled = database.write_each([counted, add("B")], ["one", "one"])
    assert [type(one.error) for one in settled] == [OutcomeUnknown] * 2
    assert made == ["A"]
    assert titles(database) == ["A", "B"]
