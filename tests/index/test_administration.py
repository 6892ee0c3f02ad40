"""AE titles, refusals, conflicts and the outbox, on both engines."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from archive.dicom.instance import Source
from archive.index import ae_titles, conflicts, outbox, refusals
from archive.index.database import Connection, Database
from archive.index.refusals import RefusedAssociation, RefusedObject
from archive.security.ae_titles import AETitle
from instances_made import SOURCE, instance

FOREVER = 1e12


def test_ae_titles_are_added_changed_and_removed(database: Database) -> None:
    database.write(lambda c: ae_titles.add(c, AETitle("MR1", "192.0.2.1", 104)))
    database.write(lambda c: ae_titles.add(c, AETitle("CT1", "192.0.2.2", 104)))
    database.write(lambda c: ae_titles.add(c, AETitle("MR1", "192.0.2.3", 11112)))
    with database.read() as connection:
        changed = AETitle("MR1", "192.0.2.3", 11112)
        assert ae_titles.all_titles(connection) == [AETitle("CT1", "192.0.2.2", 104), changed]
        assert ae_titles.get(connection, "MR1") == changed
        assert ae_titles.get(connection, "mr1") is None
        assert ae_titles.get(connection, "MR1\0'") is None
    assert database.write(lambda c: ae_titles.remove(c, "MR1"))
    assert not database.write(lambda c: ae_titles.remove(c, "MR1"))


def test_a_removed_title_is_remembered_and_can_be_added_again(database: Database) -> None:
    database.write(lambda c: ae_titles.add(c, AETitle("MR1", "192.0.2.1", 104)))
    database.write(lambda c: ae_titles.remove(c, "MR1"))
    with database.read() as connection:
        assert ae_titles.was_known(connection, "MR1")
        assert not ae_titles.was_known(connection, "CT1")
        assert ae_titles.get(connection, "MR1") is None
        assert ae_titles.all_titles(connection) == []
    again = AETitle("MR1", "192.0.2.2", 11112)
    database.write(lambda c: ae_titles.add(c, again))
    with database.read() as connection:
        assert ae_titles.all_titles(connection) == [again]


def refuse(database: Database, calling: str, times: int = 1) -> None:
    refused = RefusedAssociation(calling, "ARCHIVE", "192.0.2.9", "not known", "add it")
    database.write(lambda c: refusals.record_association(c, refused, times))


def test_refusals_are_kept_newest_first_and_counted(database: Database) -> None:
    for calling, times in (("A", 1), ("B", 3), ("A\0", 1), ("A", 5)):
        refuse(database, calling, times)
    with database.read() as connection:
        found = refusals.associations(connection, 10)
        assert [(one.refused.calling, one.times) for one in found] == [("A", 6), ("A\u2400", 1), ("B", 3)]
        assert refusals.associations(connection, 1) == found[:1]
        assert found[0].refused == RefusedAssociation("A", "ARCHIVE", "192.0.2.9", "not known", "add it")


def test_a_flood_of_refusals_does_not_fill_the_disk(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "KEPT_REFUSALS", 5)
    for number in range(20):
        refuse(database, f"A{number}")
        refuse_object(database, status=f"{number:04X}")
    with database.read() as connection:
        found = [one.refused.calling for one in refusals.associations(connection, 100)]
        statuses = [one.refused.status for one in refusals.objects(connection, 100)]
    assert found == ["A19", "A18", "A17", "A16", "A15"]
    assert statuses == ["0013", "0012", "0011", "0010", "000F"]


def refuse_object(database: Database, uid: str = "1.2", **changed: str) -> None:
    refused = replace(
        RefusedObject("DIMSE", "CT1", "192.0.2.9", "1.3", "1.4", "A700", "full", "room"), **changed
    )
    database.write(lambda c: refusals.record_object(c, refused, uid))


def test_objects_that_were_refused_alike_are_one(database: Database) -> None:
    """A thousand slices that the same disk has no room for are one line; what would help is that of the last."""
    refuse_object(database, "1.2.1")
    refuse_object(database, "1.2.2", remedy="more room")
    refuse_object(database, "1.2.3", status="C000")
    with database.read() as connection:
        found = [
            (one.SOPInstanceUID, one.times, one.refused.remedy) for one in refusals.objects(connection, 9)
        ]
    assert found == [("1.2.3", 1, "room"), ("1.2.2", 2, "more room")]


def test_a_conflict_is_recorded_once_and_counted(database: Database) -> None:
    made, other = instance(), instance()
    later = Source("STOW-RS", "192.0.2.1")

    def record(connection: Connection) -> tuple[int, int, int]:
        first = conflicts.record_conflict(connection, made, "a" * 64, SOURCE, "taken")
        again = conflicts.record_conflict(connection, made, "a" * 64, later, "taken")
        return first, again, conflicts.record_conflict(connection, other, "b" * 64, SOURCE, "taken")

    first, again, third = database.write(record)
    assert first == again != third
    with database.read() as connection:
        found = {one.id: one for one in conflicts.conflicts(connection)}
    assert (found[first].times, found[first].door, found[third].times) == (2, "STOW-RS", 1)
    assert found[first].SOPInstanceUID == made.SOPInstanceUID


def put(database: Database, *events: str) -> None:
    for event in events:
        database.write(lambda c, event=event: outbox.put(c, event, {"event": event}))


def claim(database: Database, now: float, limit: int = 10) -> list[outbox.Job]:
    return database.write(lambda c: outbox.claim(c, now=now, lease_seconds=60, limit=limit))


def test_a_job_is_claimed_once_until_its_lease_ends(database: Database) -> None:
    put(database, "a", "b")
    jobs = claim(database, FOREVER)
    assert [(job.event, job.payload, job.attempts) for job in jobs] == [
        ("a", {"event": "a"}, 1),
        ("b", {"event": "b"}, 1),
    ]
    assert claim(database, FOREVER + 59) == []
    assert [job.attempts for job in claim(database, FOREVER + 61)] == [2, 2]


def test_a_job_is_not_due_before_its_time(database: Database) -> None:
    put(database, "a")
    assert claim(database, time.time() - 60) == []


def test_a_finished_job_is_forgotten(database: Database) -> None:
    put(database, "a")
    [job] = claim(database, FOREVER)
    database.write(lambda c: outbox.finish(c, job.id))
    assert claim(database, FOREVER * 2) == []


def test_a_failed_job_comes_back_when_it_is_due_or_is_given_up(database: Database) -> None:
    put(database, "a")
    [job] = claim(database, FOREVER)
    database.write(lambda c: outbox.fail(c, job.id, retry_at=FOREVER + 10, reason="peer unreachable"))
    assert claim(database, FOREVER + 9) == []
    [again] = claim(database, FOREVER + 11)
    assert again.attempts == 2
    database.write(lambda c: outbox.fail(c, job.id, retry_at=None, reason="peer unreachable"))
    assert claim(database, FOREVER * 2) == []


def test_what_is_put_by_a_change_that_fails_is_not_there(database: Database) -> None:
    def failing(connection: Connection) -> None:
        outbox.put(connection, "a", {})
        raise KeyError

    with pytest.raises(KeyError):
        database.write(failing)
    assert claim(database, FOREVER) == []


def test_no_job_is_claimed_twice_by_many_workers(database: Database) -> None:
    put(database, *(f"e{number}" for number in range(40)))
    workers = 8
    together = threading.Barrier(workers)

    def work(_: int) -> list[str]:
        together.wait()
        return [job.event for _ in range(5) for job in claim(database, FOREVER, limit=3)]

    with ThreadPoolExecutor(workers) as pool:
        claimed = [event for events in pool.map(work, range(workers)) for event in events]
    assert len(claimed) == len(set(claimed)) == 40
