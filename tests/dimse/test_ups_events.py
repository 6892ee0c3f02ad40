"""N-EVENT-REPORT to subscribers of workitems (PS3.4 CC.2.4; dimse.md 1.5 UPS; reliability.md D15)."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt

from archive.bootstrap import preparing
from archive.index import outbox, workitem_events
from archive.services import workitem_events as services
from archive.services.workitems import GLOBAL
from committing import DAYS, run_jobs
from door import Door, open_door
from workitem_receivers import listening
from workitem_sets import as_json, code, workitem

LOCK = "1.2.840.99"


def create(door: Door, **said: Any) -> str:
    return door.archive.workitems.create("", as_json(workitem(**said)))


def subscribed(door: Door, port: int, **said: Any) -> str:
    """A workitem that WARD is told of."""
    door.archive.ae_titles.add("WARD", "127.0.0.1", port)
    uid = create(door, **said)
    door.archive.workitems.subscribe("WARD", uid, reported=True)
    return uid


def waiting(door: Door) -> int:
    with door.archive.database.read() as connection:
        return len(workitem_events.waiting(connection, "WARD", 10_000))


def jobs(door: Door) -> int:
    """In the outbox, due or not."""
    later = time.time() + 100 * DAYS
    with door.archive.database.read() as connection:
        counted = outbox.outbox
        return len(connection.execute(counted.select().where(counted.c.due_at < later)).all())


def test_who_subscribes_is_told(door: Door) -> None:
    """In the order in which it happened, on one association, of which we are SCP (CC.2.4.3)."""
    with listening() as heard:
        uid = subscribed(door, heard.port)
        workitems = door.archive.workitems
        workitems.change_state(uid, "IN PROGRESS", LOCK)
        progress = [{"ProcedureStepProgress": "50", "ProcedureStepProgressDescription": "größer"}]
        workitems.update(uid, as_json({"ProcedureStepProgressInformationSequence": progress}), LOCK)
        workitems.update(uid, as_json({"ScheduledStationNameCodeSequence": [code("A")]}), LOCK)
        workitems.request_cancel(uid, as_json({"ReasonForCancellation": "moved"}), "RIS")
        workitems.change_state(uid, "CANCELED", LOCK)
        run_jobs(door)
    assert [(kind, of) for kind, of, _ in heard.reports] == [(one, uid) for one in (1, 1, 3, 5, 2, 1)]
    first, _, third, _, asked, last = (information for _, _, information in heard.reports)
    assert (first.ProcedureStepState, first.InputReadinessState) == ("SCHEDULED", "READY")
    [item] = third.ProcedureStepProgressInformationSequence
    assert item.ProcedureStepProgressDescription == "größer"
    assert (asked.RequestingAE, asked.ReasonForCancellation) == ("RIS", "moved")
    assert last.ProcedureStepState == "CANCELED"
    assert (heard.associations, heard.roles) == (1, [(False, True)])
    assert (waiting(door), jobs(door)) == (0, 0)


def test_who_is_off_is_told_later_and_in_order(door: Door) -> None:
    with listening() as heard:
        port = heard.port
    uid = subscribed(door, port)
    run_jobs(door)
    door.archive.workitems.change_state(uid, "IN PROGRESS", LOCK)
    run_jobs(door)
    assert (waiting(door), jobs(door)) == (2, 1)
    with listening() as heard:
        door.archive.ae_titles.add("WARD", "127.0.0.1", heard.port)
        run_jobs(door, time.time() + 60)
    states = [information.ProcedureStepState for _, _, information in heard.reports]
    assert states == ["SCHEDULED", "IN PROGRESS"]
    assert (waiting(door), jobs(door)) == (0, 0)


def test_it_survives_a_restart(tmp_path: Path) -> None:
    with listening() as heard:
        with open_door(tmp_path / "data") as door:
            uid = subscribed(door, heard.port)
        with open_door(tmp_path / "data") as door:
            run_jobs(door)
            door.archive.workitems.change_state(uid, "IN PROGRESS", LOCK)
            run_jobs(door)
    assert [of for _, of, _ in heard.reports] == [uid, uid]


def test_an_event_that_is_refused_does_not_hold_up_the_others(door: Door) -> None:
    """0113 No Such Event Type, and a failure that may be over some day."""
    answers = iter((0x0113, 0x0110, 0x0000))
    with listening(lambda event: next(answers)) as heard:
        uid = subscribed(door, heard.port)
        door.archive.workitems.change_state(uid, "IN PROGRESS", LOCK)
        run_jobs(door)
        assert (len(heard.reports), waiting(door)) == (2, 1)
        run_jobs(door, time.time() + 60)
    assert [information.ProcedureStepState for _, _, information in heard.reports] == [
        "SCHEDULED",
        "IN PROGRESS",
        "IN PROGRESS",
    ]
    assert waiting(door) == 0


def test_who_never_listens_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    subscribed(door, 1)
    run_jobs(door)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 8 * DAYS)
    run_jobs(door)
    assert (waiting(door), jobs(door)) == (0, 0)
    monkeypatch.setattr(time, "time", now)
    with listening() as heard:
        door.archive.ae_titles.add("WARD", "127.0.0.1", heard.port)
        create_and_tell(door)
    assert len(heard.reports) == 1


def create_and_tell(door: Door) -> None:
    door.archive.workitems.subscribe("WARD", create(door), reported=True)
    run_jobs(door, time.time() + 60)


def test_an_ae_title_that_was_removed(door: Door) -> None:
    subscribed(door, 1)
    door.archive.ae_titles.remove("WARD")
    run_jobs(door)
    assert (waiting(door), jobs(door)) == (1, 1)


def test_who_does_not_take_such_events(door: Door) -> None:
    with listening(sop_class="1.2.840.10008.1.1") as heard:
        subscribed(door, heard.port)
        run_jobs(door)
    assert (heard.reports, waiting(door)) == ([], 1)


def test_who_fetches_its_events_is_not_called(door: Door) -> None:
    with listening() as heard:
        door.archive.ae_titles.add("WARD", "127.0.0.1", heard.port)
        uid = create(door)
        door.archive.workitems.subscribe("WARD", uid)
        run_jobs(door)
    assert heard.associations == 0
    assert len(door.archive.workitems.events_for("WARD", 0)) == 1


def test_a_long_talk_is_broken_off_and_gone_on_with(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "TALK_SECONDS", 0.0)
    with listening() as heard:
        uid = subscribed(door, heard.port)
        services_events = door.archive.workitem_events
        services_events.deliver("WARD", 1)
        assert (heard.reports, waiting(door), jobs(door)) == ([], 1, 2)
        monkeypatch.setattr(services, "TALK_SECONDS", 60.0)
        run_jobs(door)
    assert [of for _, of, _ in heard.reports] == [uid]
    assert (waiting(door), jobs(door)) == (0, 0)


def test_a_slow_subscriber_is_left_in_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two events too: the lease of the job would end, and another one tell them beside it."""
    monkeypatch.setattr(services, "TALK_SECONDS", 1.0)

    def slowly(_event: evt.Event) -> int:
        time.sleep(1.5)
        return 0

    with listening(slowly) as heard:
        uid = subscribed(door, heard.port)
        door.archive.workitems.change_state(uid, "IN PROGRESS", LOCK)
        door.archive.workitems.change_state(uid, "CANCELED", LOCK)
        door.archive.workitem_events.deliver("WARD", 1)
        assert (len(heard.reports), waiting(door), jobs(door)) == (1, 2, 2)


def test_a_job_that_was_lost_is_made_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as heard:
        subscribed(door, heard.port)
        door.archive.database.write(lambda connection: connection.execute(outbox.outbox.delete()))
        door.archive.workitem_events.sweep()
        assert jobs(door) == 0
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 9 * DAYS)
        door.archive.workitem_events.sweep()
        run_jobs(door)
    assert len(heard.reports) == 1


def test_subscribers_hear_of_a_restart_once(door: Door) -> None:
    """CC.2.4.3: SCP Status Change."""
    with listening() as heard:
        door.archive.ae_titles.add("WARD", "127.0.0.1", heard.port)
        door.archive.workitems.subscribe("WARD", GLOBAL, reported=True)
        door.archive.workitems.subscribe("WEB", GLOBAL)
        uid = create(door)
        preparing.announce(door.archive.settings)
        preparing.announce(door.archive.settings)
        run_jobs(door)
    assert [(kind, of) for kind, of, _ in heard.reports] == [(1, uid), (4, GLOBAL)]
    told = heard.reports[1][2]
    assert (told.SCPStatus, told.SubscriptionListStatus) == ("RESTARTED", "WARM START")
    assert [one.type for one in door.archive.workitems.events_for("WEB", 0)][:2] == [1, 4]


def test_events_that_come_while_it_is_told(door: Door) -> None:
    """None is left behind, and none is told twice."""
    made = threading.Event()

    def answer(event: evt.Event) -> int:
        if not made.is_set():
            made.set()
            door.archive.workitems.change_state(uid, "IN PROGRESS", LOCK)
        return 0

    with listening(answer) as heard:
        uid = subscribed(door, heard.port)
        run_jobs(door)
    assert [one.ProcedureStepState for _, _, one in heard.reports] == ["SCHEDULED", "IN PROGRESS"]
    assert (waiting(door), jobs(door)) == (0, 0)
