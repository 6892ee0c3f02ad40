"""An archive in this process, on its embedded default."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archive import config
from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.index.database import Database
from suites.postgresql import Server, running_server
from suites.sqlite import prepare

# The oracles of the dicom tests are those of the services too.
sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Empty, with its data in `tmp_path/data`."""
    settings = replace(config.load(environment={}), data=tmp_path / "data")
    prepare(settings)
    built = building.build(settings)
    yield built
    built.close()


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


@pytest.fixture(params=["sqlite", "postgresql"])
def index_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The setting `index.url`, for each engine."""
    if request.param == "sqlite":
        yield ""
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database(request.getfixturevalue("migrated_template")) as url:
        yield url
