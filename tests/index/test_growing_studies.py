"""Studies that grow, as the index sees them: by the keys of their instances, on both engines."""

from __future__ import annotations

import time
from typing import Any

import pytest
import sqlalchemy as sa

from archive.index import notifications, outbox
from archive.index.database import Database
from archive.index.follow_up_schema import growing_study, noticed
from archive.index.notifications import NOTIFICATION_DUE, OVERLAP_SECONDS, Notification
from archive.index.reports import Progress
from archive.index.schema import instance as instance_table
from instances_made import instance, store

SOON = OVERLAP_SECONDS + 5


def look(database: Database, later: float = 0.0) -> None:
    database.write(lambda connection: notifications.look(connection, time.time() + later))


def growing(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(sa.select(growing_study.c.StudyInstanceUID)).scalars())


def highest(database: Database) -> tuple[int, int]:
    """How far was looked, and the highest key that there is."""
    with database.read() as connection:
        seen = connection.execute(sa.select(noticed.c.highest)).scalar_one()
        there = connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(instance_table.c.id), 0))
        ).scalar_one()
    return seen, there


def test_what_comes_after_the_first_look_is_news(database: Database) -> None:
    store(database, instance("2.25.1001"))
    look(database)
    assert growing(database) == []
    store(database, instance("2.25.1002"), instance("2.25.1003"), instance("2.25.1002"))
    look(database)
    assert growing(database) == ["2.25.1002", "2.25.1003"]


def test_the_last_moments_are_looked_at_again(database: Database) -> None:
    """A transaction that took its key earlier may commit later."""
    look(database)
    store(database, instance())
    look(database)
    seen, there = highest(database)
    assert seen < there
    look(database, SOON)
    seen, there = highest(database)
    assert seen == there


def test_quiet_studies_are_told_of_once(database: Database) -> None:
    look(database)
    store(database, instance("2.25.1004"))
    look(database, SOON)

    def quiet(before: float) -> list[str]:
        return database.write(lambda connection: notifications.quiet(connection, before))

    assert quiet(time.time() - 60) == []
    assert quiet(time.time() + 1) == ["2.25.1004"]
    assert quiet(time.time() + 1) == []
    look(database, 2 * SOON)
    assert growing(database) == []
    store(database, instance("2.25.1004"))
    look(database)
    assert growing(database) == ["2.25.1004"]


def test_nobody_wants_to_know_any_more(database: Database) -> None:
    look(database)
    store(database, instance())
    look(database)
    database.write(notifications.stop)
    assert growing(database) == []
    with database.read() as connection:
        assert not notifications.is_watched(connection)
    look(database)
    assert growing(database) == []


def put(database: Database, study: str, title: str = "RIS", uid: str = "2.25.9") -> Notification:
    """The notification, as it is left to the jobs."""
    database.write(lambda connection: notifications.put(connection, study, title, uid))
    with database.read() as connection:
        found = notifications.newest(connection, 100)
    return next(one for one in found if (one.StudyInstanceUID, one.ae_title) == (study, title))


def jobs(database: Database) -> list[dict[str, Any]]:
    only = {"only": (NOTIFICATION_DUE,), "lease_seconds": 1000, "limit": 100}
    return [job.payload for job in database.write(lambda c: outbox.claim(c, now=time.time(), **only))]


def test_a_study_is_told_again_under_another_turn(database: Database) -> None:
    """What an earlier attempt still wants to note is void."""
    first = put(database, "2.25.1005")
    again = put(database, "2.25.1005", uid="2.25.10")
    assert (again.id, first.turn, again.turn, again.SOPInstanceUID) == (first.id, 1, 2, "2.25.10")
    assert jobs(database) == [{"id": first.id, "turn": 1}, {"id": first.id, "turn": 2}]
    for turn, progress in ((1, Progress.WAITING), (2, Progress.DELIVERED)):
        database.write(
            lambda connection, of=turn: notifications.settle(connection, first.id, of, Progress.DELIVERED)
        )
        with database.read() as connection:
            found = notifications.get(connection, first.id)
        assert found is not None
        assert found.progress is progress


def test_each_ae_title_has_its_own(database: Database) -> None:
    ids = {put(database, "2.25.1006", title).id for title in ("RIS", "OTHER")}
    assert len(ids) == 2


@pytest.mark.parametrize(("progress", "left"), [(Progress.WAITING, 1), (Progress.GIVEN_UP, 0)])
def test_what_is_over_is_forgotten_some_day(database: Database, progress: Progress, left: int) -> None:
    made = put(database, "2.25.1007")
    database.write(lambda connection: notifications.settle(connection, made.id, 1, progress, "why"))
    with database.read() as connection:
        (found,) = notifications.newest(connection, 9, progress)
    assert (found.attempts, found.reason) == (1, "why")
    database.write(lambda connection: notifications.expire(connection, time.time() + 1))
    with database.read() as connection:
        assert len(notifications.newest(connection, 9)) == left
    database.write(lambda connection: notifications.forget(connection, made.id, 1))
    with database.read() as connection:
        assert notifications.newest(connection, 9) == []
