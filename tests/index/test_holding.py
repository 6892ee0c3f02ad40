"""Objects that are kept aside, held by several at once, on both engines."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from archive.dicom.instance import Instance, StoredInstance
from archive.index import conflicts, schema
from archive.index.conflicts import Copy, State
from archive.index.database import Connection, Database
from instances_made import SOURCE, instance

DIGEST = "d" * 64
REASON = "another version is stored"


def copy_of(one: Instance, key: str) -> Copy:
    uids = one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID, one.SOPClassUID
    return Copy(StoredInstance(*uids, one.transfer_syntax_uid, key, 300, one.length, DIGEST, ""), SOURCE)


def hold(database: Database, one: Instance, key: str, state: State = State.OPEN) -> tuple[int, str]:
    return database.write(lambda c: conflicts.hold(c, copy_of(one, key), REASON, state))


def test_bytes_that_somebody_holds_at_the_same_time_are_told(database: Database) -> None:
    """Also where the object was refused before: of two senders of it one would leave bytes that nobody knows."""
    one = instance()
    number = database.write(lambda c: conflicts.record_conflict(c, one, DIGEST, SOURCE, REASON))
    has_held, go_on = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> tuple[int, str]:
        held = conflicts.hold(connection, copy_of(one, "a"), REASON)
        has_held.set()
        assert go_on.wait(30)
        return held

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(database.write, slowly)
        assert has_held.wait(30)
        second = threads.submit(hold, database, one, "b")
        with contextlib.suppress(TimeoutError):
            second.result(timeout=0.5)
        go_on.set()
        assert first.result() == (number, "")
        assert second.result() == (number, "a")


def test_what_waits_for_a_person_is_not_decided_by_a_policy(database: Database) -> None:
    one = instance()
    number, _ = hold(database, one, "a")
    assert hold(database, one, "b", State.KEPT) == (number, "a")
    with database.read() as connection:
        found = conflicts.find(connection, number)
    assert found is not None
    assert (found.state, found.blob_key, found.settled_at) == (State.OPEN, "b", 0.0)


def test_what_came_again_stays_as_long_as_it_was_promised(database: Database) -> None:
    """Its sender has heard a warning, and may have deleted it since."""
    one = instance()
    number, _ = hold(database, one, "a", State.KEPT)
    old = sa.update(schema.conflict).values(settled_at=1000.0, last_at=1000.0)
    database.write(lambda c: c.execute(old))
    database.write(lambda c: conflicts.count_again(c, number, SOURCE))
    assert database.write(lambda c: conflicts.expire(c, 2000.0, 10)) == []
    database.write(lambda c: c.execute(old))
    assert database.write(lambda c: conflicts.expire(c, 2000.0, 10)) == ["a"]
