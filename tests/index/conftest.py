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


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def reused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all examples; each begins by emptying it."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("index")
        database = Database.open(migrated_sqlite(folder / "index.sqlite"))
        yield database
        database.close()
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database(request.getfixturevalue("migrated_template")) as url:
        database = Database.open(url)
        yield database
        database.close()
