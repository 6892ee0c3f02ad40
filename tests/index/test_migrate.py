"""What stands in the way of a migration is told in one sentence that names the next step."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.dicom.errors import ConfigurationError
from archive.index.database import Database
from suites.postgresql import Server
from suites.sqlite import migrated_sqlite

NOISE = bytes(range(1, 255)) * 100


def is_noise(path: Path) -> None:
    path.write_bytes(NOISE)


def is_damaged(path: Path) -> None:
    migrated_sqlite(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + NOISE[:20_000] + whole[20_100:])


def is_cut(path: Path) -> None:
    migrated_sqlite(path)
    path.write_bytes(path.read_bytes()[:4096])


def is_of_a_newer_version(path: Path) -> None:
    migrated_sqlite(path)
    execute(path, "UPDATE alembic_version SET version_num = '9999'")


def is_of_another_program(path: Path) -> None:
    execute(path, "CREATE TABLE patient (name TEXT)")


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (is_noise, "damaged"),
        (is_damaged, "damaged"),
        (is_cut, "damaged"),
        (is_of_a_newer_version, "another version"),
        (is_of_another_program, "other tables"),
    ],
)
def test_a_file_that_is_no_index_of_ours(tmp_path: Path, prepare: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "index.sqlite"
    prepare(path)
    database = Database.in_file(path)
    with pytest.raises(ConfigurationError, match=words) as caught:
        database.migrate()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 150
    database.close()


def test_a_database_of_another_program(postgresql: Server) -> None:
    with postgresql.database() as url:
        database = Database.open(url)
        database.write(lambda c: c.exec_driver_sql("CREATE TABLE patient (name TEXT)").close())
        with pytest.raises(ConfigurationError, match="other tables"):
            database.migrate()
        database.close()


def test_a_worker_does_not_load_the_migrations() -> None:
    """They cost 0.2 s of each start, and only whoever prepares the index needs them."""
    ask = "import sys, archive.bootstrap; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
