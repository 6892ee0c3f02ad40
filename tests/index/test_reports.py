"""Reports of storage commitment in the index: one party at a time, on both engines."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydicom.uid import generate_uid as new_uid

from archive.dicom.instance import Source
from archive.dicom.receiving.commitment import Reference, Verdict
from archive.index import commitments, outbox, reports
from archive.index.database import Database
from archive.index.reports import REPORT_DUE, Progress, Report

SOURCE = Source("DIMSE", "127.0.0.1", "MODALITY", "ARCHIVE")
LATER = 1000.0


def entered(database: Database, number: int = 2, held: float = LATER) -> int:
    """A request that an association holds."""
    references = [Reference("1.2", new_uid()) for _ in range(number)]

    def change(connection: Any) -> int:
        key = commitments.begin(connection, new_uid(), references, SOURCE)
        assert key is not None
        now = time.time()
        assert reports.enter(connection, key, wait_until=now, held_until=now + held) == 1
        return key

    return database.write(change)


def finish(database: Database, key: int) -> None:
    """All verdicts, of which the last is a failure."""

    def change(connection: Any) -> None:
        state = commitments.get(connection, key)
        assert state is not None
        asked = commitments.asked(connection, key)
        verdicts = [Verdict(one, 0) for one in asked[:-1]] + [Verdict(asked[-1], 0x0112)]
        assert commitments.conclude(connection, state, verdicts)

    database.write(change)


def get(database: Database, key: int) -> Report:
    with database.read() as connection:
        found = reports.get(connection, key)
    assert found is not None
    return found


def jobs(database: Database) -> list[dict[str, Any]]:
    claimed = database.write(
        lambda connection: outbox.claim(
            connection, now=time.time(), lease_seconds=0, limit=100, only=(REPORT_DUE,)
        )
    )
    return [job.payload for job in claimed]


def test_what_is_entered_is_found(database: Database) -> None:
    key = entered(database)
    report = get(database, key)
    assert (report.turn, report.progress, report.number_of_items, report.checked) == (
        1,
        Progress.WAITING,
        2,
        0,
    )
    assert (report.calling_ae_title, report.called_ae_title, report.failed) == ("MODALITY", "ARCHIVE", 0)
    assert not report.finished
    finish(database, key)
    assert (get(database, key).finished, get(database, key).failed) == (True, 1)
    with database.read() as connection:
        assert reports.find(connection, report.TransactionUID) == get(database, key)
        assert reports.wait_until(connection, key) == report.wait_until
        assert reports.wait_until(connection, key + 1) == 0


def test_a_job_takes_over_what_nobody_holds_once(database: Database) -> None:
    key = entered(database, held=-1)

    def schedule() -> bool:
        return database.write(lambda connection: reports.schedule(connection, key, time.time()))

    assert not schedule(), "there is no result yet"
    finish(database, key)
    assert schedule()
    assert not schedule()
    assert jobs(database) == [{"id": key, "turn": 2}]
    assert get(database, key).scheduled


def test_what_is_held_is_not_taken_over(database: Database) -> None:
    key = entered(database)
    finish(database, key)
    now = time.time()
    assert not database.write(lambda connection: reports.schedule(connection, key, now))
    with database.read() as connection:
        assert reports.abandoned(connection, now) == []
        assert reports.abandoned(connection, now + LATER + 1) == [key]


@pytest.mark.parametrize("finished", [False, True])
def test_letting_go(database: Database, finished: bool) -> None:
    """A job follows at once if there is a result, else as soon as there is."""
    key = entered(database)
    if finished:
        finish(database, key)
    database.write(lambda connection: reports.let_go(connection, key, 7))
    assert get(database, key).held_until > time.time(), "somebody else's turn"
    database.write(lambda connection: reports.let_go(connection, key, 1))
    assert len(jobs(database)) == int(finished)
    if not finished:
        finish(database, key)
        assert database.write(lambda connection: reports.schedule(connection, key, time.time()))


def test_a_turn_that_is_over_changes_nothing(database: Database) -> None:
    key = entered(database)
    finish(database, key)
    again = database.write(lambda connection: reports.take(connection, key, held_until=time.time() + LATER))
    assert again == 2
    told = {"progress": Progress.DELIVERED}
    assert not database.write(lambda connection: reports.settle(connection, key, 1, **told))
    held = {"held_until": time.time() + LATER}
    assert database.write(lambda connection: reports.take(connection, key, turn=1, **held)) is None
    assert database.write(lambda connection: reports.take(connection, key, turn=2, **held)) == 2
    assert database.write(lambda connection: reports.settle(connection, key, 2, **told))
    assert get(database, key).progress is Progress.DELIVERED
    assert database.write(lambda connection: reports.take(connection, key, **held)) is None


def test_attempts_and_reasons(database: Database) -> None:
    key = entered(database)

    def settle(progress: Progress, reason: str) -> None:
        database.write(
            lambda connection: reports.settle(connection, key, 1, progress=progress, reason=reason)
        )

    settle(Progress.WAITING, "away\0")
    settle(Progress.WAITING, "away again")
    report = get(database, key)
    assert (report.attempts, report.reason) == (2, "away again")
    settle(Progress.GIVEN_UP, "away for long")
    assert get(database, key).progress is Progress.GIVEN_UP
    database.write(lambda connection: reports.reopen(connection, key))
    assert (get(database, key).progress, get(database, key).turn) == (Progress.WAITING, 2)


def test_verdicts_are_revised_and_forgotten(database: Database) -> None:
    key = entered(database, 3)
    finish(database, key)
    with database.read() as connection:
        first = commitments.asked(connection, key)[0].SOPInstanceUID
    database.write(lambda connection: reports.revise(connection, key, [first], 0x0112))
    assert get(database, key).failed == 2
    database.write(lambda connection: reports.begin_again(connection, key))
    assert (get(database, key).checked, get(database, key).failed) == (0, 0)


def test_newest_first_and_by_progress(database: Database) -> None:
    keys = [entered(database) for _ in range(3)]
    database.write(
        lambda connection: reports.settle(connection, keys[0], 1, progress=Progress.GIVEN_UP, reason="")
    )
    with database.read() as connection:
        assert [one.id for one in reports.newest(connection, 2)] == keys[:0:-1]
        assert [one.id for one in reports.newest(connection, 9, Progress.GIVEN_UP)] == keys[:1]


def test_old_requests_are_forgotten_with_their_reports(database: Database) -> None:
    key = entered(database)
    finish(database, key)
    future = time.time() + LATER
    database.write(
        lambda connection: commitments.expire(connection, finished_before=future, requested_before=0)
    )
    assert get(database, key).expired
    database.write(
        lambda connection: commitments.expire(connection, finished_before=future, requested_before=future)
    )
    with database.read() as connection:
        assert reports.get(connection, key) is None
