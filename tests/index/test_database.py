"""The database: migrations, durable settings, group commit, and errors that become ours."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from archive.dicom.errors import ArchiveError, ConfigurationError, OutcomeUnknown, OutOfResources
from archive.index import ae_titles, schema
from archive.index.database import Connection, Database
from archive.index.kept_connections import KeptConnections
from archive.index.prepared import Prepared
from archive.index.recording import Outcome
from archive.security.ae_titles import AETitle
from instances_made import instance, new_uid, store
from suites.postgresql import Server
from suites.sqlite import migrated_sqlite

OVERFLOW = "abs(-9223372036854775807 - length(CAST(1 AS text)))"


def add(title: str) -> Callable[[Connection], str]:
    def change(connection: Connection) -> str:
        ae_titles.add(connection, AETitle(title, "host", 104))
        return title

    return change


def titles(database: Database) -> list[str]:
    with database.read() as connection:
        return [entry.title for entry in ae_titles.all_titles(connection)]


def test_the_migrations_make_what_the_schema_says(database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_indexes_and_constraints_have_the_columns_that_the_schema_says(database: Database) -> None:
    with database.read() as connection:
        inspector = sa.inspect(connection)
        for table in schema.metadata.tables.values():
            made = {index["name"]: index["column_names"] for index in inspector.get_indexes(table.name)}
            for index in table.indexes - {schema.study_order}:
                assert made[index.name] == [column.name for column in index.columns], index.name


def test_migrating_again_changes_nothing(url: str) -> None:
    database = Database.open(url)
    database.write(add("KEPT"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: database.migrate(), range(4)))
    assert titles(database) == ["KEPT"]
    database.close()


def test_an_index_of_a_newer_version_is_left_alone(url: str) -> None:
    database = Database.open(url)
    database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")).rowcount)
    with pytest.raises(ConfigurationError):
        database.migrate()
    database.close()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_an_url_that_is_none_of_ours(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Database.open(url)


def test_sqlite_is_set_to_be_durable(tmp_path: Path) -> None:
    database = Database.open(migrated_sqlite(tmp_path / "folder" / "index.sqlite"))

    def pragmas(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    full = 2
    with database.read() as connection:
        assert pragmas(connection) == ["wal", full, 1, 10_000]
    assert database.write(pragmas) == ["wal", full, 1, 10_000]
    for path in (tmp_path / "folder").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    database.close()


def test_a_server_that_does_not_sync_is_warned_about(
    postgresql: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database.open(postgresql.url("postgres"))
    with database.read() as connection:
        connection.execute(sa.select(sa.literal(1)))
    database.close()
    warned = capsys.readouterr().out
    assert "index_not_durable" in warned
    assert "fsync" in warned


def test_another_encoding_than_utf_8_is_refused(postgresql: Server) -> None:
    postgresql.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    database = Database.open(postgresql.url("latin"))
    with pytest.raises(ConfigurationError):
        database.migrate()
    database.close()


def test_an_index_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    unreachable = ["postgresql://nobody@127.0.0.1:1/none", f"sqlite:///{tmp_path}/file/index.sqlite"]
    for url in unreachable:
        database = Database.open(url)
        for use in (Database.check, Database.migrate, lambda opened: opened.write(add("A"))):
            with pytest.raises(OutOfResources):
                use(database)
        database.close()


def test_an_index_that_has_no_tables_is_not_ready(postgresql: Server, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for url in (postgresql.url("postgres"), f"sqlite:///{tmp_path}/empty"):
        database = Database.open(url)
        with pytest.raises(OutOfResources):
            database.check()
        database.close()


def test_an_index_file_that_has_gone_is_noticed_and_not_made_anew(tmp_path: Path) -> None:
    """Although the connections in the pool still have the file that was deleted."""
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    database.write(add("A"))
    database.check()
    (tmp_path / "index.sqlite").rename(tmp_path / "elsewhere.sqlite")
    for use in (Database.check, titles, lambda opened: opened.write(add("LOST"))):
        with pytest.raises(OutOfResources):
            use(database)
    assert not (tmp_path / "index.sqlite").exists()
    (tmp_path / "index.sqlite").touch()
    with pytest.raises(OutOfResources):
        database.check()
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    migrated_sqlite(tmp_path / "index.sqlite")
    database.check()
    assert database.write(add("B")) == "B"
    assert titles(database) == ["B"]
    database.close()


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "what?mode=ro 100% #1" / "index.sqlite"
    database = Database.in_file(path)
    database.migrate()
    assert database.write(add("A")) == "A"
    database.close()
    assert path.is_file()


def test_errors_do_not_speak_about_patients(database: Database) -> None:
    def change(connection: Connection) -> None:
        values = {"identity": "SECRET", "PatientID": "SECRET"}
        connection.execute(sa.insert(schema.patient), values)

    with pytest.raises(OutOfResources) as caught:
        database.write(change)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_change_that_fails_leaves_nothing_and_harms_no_other(database: Database) -> None:
    def failing(connection: Connection) -> None:
        add("FAILED")(connection)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        database.write(failing)
    assert database.write(add("OK")) == "OK"
    assert titles(database) == ["OK"]


def test_changes_that_come_together_share_a_transaction(tmp_path: Path) -> None:
    """While one leads, the others queue up; then they are committed at once, each with its own fate."""
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    leading, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(sa.select(sa.literal(1)))
        leading.set()
        assert go_on.wait(30)

    def failing(connection: Connection) -> None:
        add("FAILED")(connection)
        raise KeyError("mine")

    commits: list[int] = []
    writer = database._writer
    sa.event.listen(writer._connections.engine, "commit", lambda _: commits.append(1))
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(database.write, slow)
        assert leading.wait(30)
        good = [pool.submit(database.write, add(f"T{number}")) for number in range(10)]
        bad = pool.submit(database.write, failing)
        while len(writer._queue) < 11:
            threading.Event().wait(0.001)
        go_on.set()
        assert sorted(future.result(30) for future in good) == sorted(f"T{number}" for number in range(10))
        with pytest.raises(KeyError):
            bad.result(30)
        first.result(30)
    assert len(commits) == 2
    assert len(titles(database)) == 10
    database.close()


def test_many_threads_get_their_own_results(database: Database) -> None:
    names = [f"T{number:03}" for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda name: database.write(add(name)), names)) == names
    assert titles(database) == names


def test_another_connection_sees_what_write_has_returned(url: str) -> None:
    here, there = Database.open(url), Database.open(url)
    for number in range(10):
        here.write(add(f"T{number}"))
        assert f"T{number}" in titles(there)
    here.close()
    there.close()


def test_a_commit_without_an_answer_is_told_apart(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise sa.exc.OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    with monkeypatch.context() as patched:
        patched.setattr(sa.Connection, "commit", broken)
        with pytest.raises(OutcomeUnknown):
            database.write(add("A"))
    assert database.write(add("B")) == "B"
    assert titles(database) == ["B"]


def test_what_fails_after_the_commit_is_no_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the caller would delete the bytes that the index points to."""
    close, give_back = sa.Connection.close, KeptConnections._give_back

    def closing_fails(connection: sa.Connection) -> None:
        close(connection)
        raise OSError(5, "Input/output error")

    def giving_back_fails(*given: Any) -> None:
        give_back(*given)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(sa.Connection, "close", closing_fails)
        patched.setattr(KeptConnections, "_give_back", giving_back_fails)
        assert database.write(add("A")) == "A"
    assert titles(database) == ["A"]
    assert database.write(add("B")) == "B"


def test_a_locked_database_is_waited_for_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.index.database._PRAGMAS", ("PRAGMA busy_timeout = 1",))
    database = Database.open(migrated_sqlite(tmp_path / "index.sqlite"))
    other = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutOfResources):
        database.write(add("A"))
    other.execute("ROLLBACK")
    other.close()
    assert database.write(add("B")) == "B"
    database.close()


def record_in_process(url: str, study: str, series: str, uids: list[str]) -> list[str]:
    """Runs in a process of its own."""
    database = Database.open(url)
    outcomes = [store(database, instance(study, series, uid, PatientID="new"))[0].name for uid in uids]
    database.close()
    return outcomes


def test_processes_write_in_turn(url: str) -> None:
    study, series, processes = new_uid(), new_uid(), 3
    uids = [[f"1.2.{process}.{number}" for number in range(1, 9)] for process in range(processes)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        running = [pool.submit(record_in_process, url, study, series, part) for part in uids]
        outcomes = [name for future in running for name in future.result(120)]
    assert set(outcomes) == {Outcome.STORED.name}
    database = Database.open(url)
    with database.read() as connection:
        counters = sa.select(schema.study.c.number_of_series, schema.study.c.number_of_instances)
        assert [tuple(row) for row in connection.execute(counters)] == [(1, processes * 8)]
    database.close()


def test_changes_that_deadlock_are_run_again(postgresql_url: str) -> None:
    """Not on SQLite: it has one writer."""
    database = Database.open(postgresql_url)
    database.write(add("A"))
    database.write(add("B"))
    together = threading.Barrier(2)
    first_time = threading.local()

    def change(one: str, other: str) -> Callable[[Connection], None]:
        def run(connection: Connection) -> None:
            touch(connection, one)
            if not getattr(first_time, "passed", False):
                first_time.passed = True
                together.wait(30)
            touch(connection, other)

        return run

    def touch(connection: Connection, title: str) -> None:
        entry = schema.ae_title
        connection.execute(sa.update(entry).where(entry.c.title == title).values(port=entry.c.port + 1))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(database.write, [change("A", "B"), change("B", "A")]))
    with database.read() as connection:
        assert [entry.port for entry in ae_titles.all_titles(connection)] == [106, 106]
    database.close()


def test_all_errors_are_ours(database: Database) -> None:
    with pytest.raises(ArchiveError), database.read() as connection:
        connection.execute(sa.text("SELECT nonsense"))


def test_an_error_between_two_rows_is_adapted_like_any_other(database: Database) -> None:
    """The first step succeeds, the second overflows."""
    rows = sa.union_all(sa.select(sa.literal_column("1")), sa.select(sa.literal_column(OVERFLOW)))
    for ask in (Prepared(rows).row, Prepared(rows).rows):
        with pytest.raises(OutOfResources), database.read() as connection:
            ask(connection)
