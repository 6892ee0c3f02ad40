"""Every test of the index runs on both engines: SQLite in a temporary folder, PostgreSQL on a private server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.index.database import Database
from suites.postgresql import Server, running_server
from suites.sqlite import migrated_sqlite


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgresql: Server) -> str:
    """The name of a database with all migrations applied, to be copied for each test."""
    postgresql.execute("CREATE DATABASE migrated TEMPLATE template0 ENCODING 'UTF8'")
    database = Database.open(postgresql.url("migrated"))
    database.migrate()
    database.close()
    return "migrated"


@pytest.fixture
def postgresql_url(postgresql: Server, migrated_template: str) -> Iterator[str]:
    with postgresql.database(migrated_template) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty, migrated index."""
    if request.param == "sqlite":
        yield migrated_sqlite(tmp_path / "index.sqlite")
        return
    yield request.getfixturevalue("postgresql_url")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    yield opened
    opened.close()
