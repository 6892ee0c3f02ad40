"""A search that takes too long ends, on both engines, and nobody else feels the limit (H11)."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa

from archive.dicom.errors import OutOfResources
from archive.dicom.instance import Level
from archive.dicom.query import Query, SingleValue, Wildcard
from archive.index import matching
from archive.index.database import Connection, Database
from archive.index.time_limit import limited
from archive.services.search import Search
from instances_made import instance, store
from matches import keys

ENDLESS = sa.text("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c")
LONG = sa.text(
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 400000) SELECT count(*) FROM c"
)
"""Some tenths of a second: hundreds of looks at the clock."""


def asked(database: Database, statement: sa.TextClause) -> Any:
    with database.read() as connection:
        return connection.execute(statement).scalar_one()


def test_h11_what_never_ends_is_ended(database: Database) -> None:
    begin = time.monotonic()
    with pytest.raises(OutOfResources, match=r"limits\.search_seconds \(0\.2\).*PatientID"):  # noqa: SIM117
        with database.read() as connection, limited(connection, 0.2):
            connection.execute(ENDLESS)
    assert 0.15 < time.monotonic() - begin < 5


def test_other_errors_stay_what_they_are(database: Database) -> None:
    with pytest.raises(OutOfResources, match="the index cannot be used now"):  # noqa: SIM117
        with database.read() as connection, limited(connection, 5):
            connection.execute(sa.text("SELECT * FROM nothing_of_the_kind"))


def test_the_limit_ends_with_the_question(database: Database) -> None:
    """Also where the question failed: the connection goes to somebody else."""
    for statement in (LONG, ENDLESS):
        with pytest.raises(OutOfResources):  # noqa: SIM117
            with database.read() as connection, limited(connection, 0.001):
                connection.execute(statement)
        assert asked(database, LONG) == 400_000
    with database.read() as connection:
        with limited(connection, 0.001):
            pass
        if connection.dialect.name == "sqlite":
            assert connection.execute(LONG).scalar_one() == 400_000


def test_a_search_has_the_limit_of_the_settings(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """By every way to search: at once, as a stream, and when it is only counted."""
    database.write(lambda connection: store(connection, instance()))

    def endless(connection: Connection, *_: object) -> Any:
        return connection.execute(ENDLESS).scalar_one()

    search = Search(database, 0.1)
    query = Query(Level.STUDY, keys(PatientID=SingleValue("nobody")))
    for name, ask in (
        ("page", search.find),
        ("keys", lambda query: list(search.stream(query))),
        ("count", search.count),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(matching, name, endless)
            with pytest.raises(OutOfResources, match="search_seconds"):
                ask(query)
    assert search.count(query) == 0


def test_others_are_answered_meanwhile(database: Database) -> None:
    """Neither readers nor writers wait for a search that takes long."""
    begun, ended = threading.Event(), threading.Event()

    def search() -> None:
        with contextlib.suppress(OutOfResources), database.read() as connection, limited(connection, 6):
            begun.set()
            connection.execute(ENDLESS)
        ended.set()

    thread = threading.Thread(target=search)
    thread.start()
    assert begun.wait(10)
    database.write(lambda connection: store(connection, instance()))
    assert Search(database).count(Query(Level.STUDY)) == 1
    assert not ended.is_set(), "they waited for it"
    thread.join()


def test_h11_a_flood_of_wildcards_takes_no_time(database: Database) -> None:
    """Patterns that a naive matcher would try in every way there is."""
    made = [instance(PatientName="a" * 64, PatientID="a" * 64, StudyDescription="a" * 64) for _ in range(30)]
    database.write(lambda connection: store(connection, *made))
    begin = time.monotonic()
    for pattern in ("*a" * 30 + "*b", "*?" * 30 + "b", "a*" * 31 + "b", "?" * 63 + "*b"):
        for keyword in ("PatientName", "PatientID", "StudyDescription"):
            query = Query(Level.STUDY, keys(**{keyword: Wildcard(pattern)}))
            assert Search(database).count(query) == 0, (keyword, pattern)
    assert time.monotonic() - begin < 5
