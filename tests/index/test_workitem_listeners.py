"""How far those who fetch their events have come (dicomweb.md 4, row 19): where one begins, and what is forgotten."""

from __future__ import annotations

import time
from typing import Any

from archive.dicom.workitems.events import restarted
from archive.index import workitem_events, workitem_listeners
from archive.index.database import Database
from archive.index.workitem_subscriptions import Subscriber

FETCHES, TOLD = Subscriber("FETCHES", False, False), Subscriber("TOLD", False, True)


def tell(database: Database, *subscribers: Subscriber) -> int:
    """One event for each; the number of the last."""

    def change(connection: Any) -> int:
        workitem_events.put(connection, "1.2.3", [restarted()], subscribers)
        return workitem_events.newest(connection)

    return database.write(change)


def heard(database: Database, title: str = "FETCHES") -> int:
    with database.read() as connection:
        return workitem_listeners.heard(connection, title)


def confirm(database: Database, number: int) -> None:
    database.write(lambda connection: workitem_listeners.confirm(connection, "FETCHES", number))


def test_who_has_never_listened_begins_with_what_waits_for_it(database: Database) -> None:
    tell(database, TOLD)
    first = tell(database, FETCHES)
    tell(database, FETCHES)
    assert heard(database) < first
    with database.read() as connection:
        waiting = workitem_events.after(connection, "FETCHES", heard(database), 10)
    assert waiting[0].number == first
    assert len(waiting) == 2


def test_who_is_told_otherwise_begins_with_what_is_to_come(database: Database) -> None:
    """An AE title that N-EVENT-REPORTs go to has had the old ones."""
    newest = tell(database, TOLD)
    assert heard(database, "TOLD") == newest == heard(database, "NOBODY")


def test_a_slower_connection_takes_nothing_back(database: Database) -> None:
    numbers = [tell(database, FETCHES) for _ in range(3)]
    confirm(database, numbers[2])
    confirm(database, numbers[0])
    assert heard(database) == numbers[2]


def test_it_is_forgotten_with_the_last_of_its_events(database: Database) -> None:
    """Not before: an event that was confirmed would come again."""
    confirm(database, tell(database, FETCHES))
    later = time.time() + 60

    def sweep(connection: Any) -> int:
        workitem_events.expire(connection, later)
        return workitem_listeners.expire(connection, later)

    assert database.write(sweep) == 0, "its event is the newest of all, and stays"
    known = heard(database)
    newest = tell(database, TOLD)
    assert database.write(sweep) == 1
    assert known < heard(database) == newest
