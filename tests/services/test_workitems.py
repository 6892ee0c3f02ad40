"""Workitems, their subscribers and events, on either engine (PS3.4 annex CC; dimse.md 1.5 UPS)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from archive import bootstrap, config
from archive.bootstrap import Archive
from archive.dicom.errors import (
    ActionNotAppropriate,
    ArchiveError,
    InstanceConflict,
    InvalidQuery,
    InvalidValue,
    NoSuchWorkitem,
    NotInProgress,
    ObjectTooLarge,
    PerformerOutOfReach,
    UnknownReceiver,
    WorkitemClaimed,
    WorkitemCompleted,
    WorkitemEnded,
    WrongTransactionUID,
)
from archive.dicom.instance import Level
from archive.dicom.query import Key, Query, SingleValue, UIDList, Wildcard
from archive.dicom.worklist import keyword_form
from archive.index import workitem_events
from archive.index.workitems_schema import workitem as items
from archive.services.workitems import FILTERED, GLOBAL, Workitems
from workitem_sets import as_json, code, performed, workitem

DAYS = 86_400.0
LOCK = "1.2.840.99"
PATIENT, LABEL, STATE = (0x00100020,), (0x00741204,), (0x00741000,)
CODE = (0x00404018, 0x00080100)


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    settings = config.load(environment={}, overrides={"data": str(tmp_path / "data"), "index.url": index_url})
    bootstrap.prepare(settings)
    built = bootstrap.build(settings)
    yield built
    built.close()


@pytest.fixture
def kept(archive: Archive) -> Workitems:
    return archive.workitems


def create(kept: Workitems, uid: str = "", **said: Any) -> str:
    return kept.create(uid, as_json(workitem(**said)))


def begun(kept: Workitems, uid: str = "", **said: Any) -> str:
    uid = create(kept, uid, **said)
    kept.change_state(uid, "IN PROGRESS", LOCK, "LINAC")
    return uid


def by_keyword(kept: Workitems, uid: str) -> dict[str, Any]:
    return keyword_form.written(kept.get(uid))


def matching(*keys: Key) -> Query:
    return Query(Level.IMAGE, keys, combined=True)


def found(kept: Workitems, *keys: Key, **options: Any) -> list[str]:
    answers = kept.search(matching(*keys), **options)
    return [one["00080018"]["Value"][0] for one in answers if one is not None]


def told(kept: Workitems, ae_title: str, after: int = 0) -> list[tuple[int, str, str]]:
    """Type, workitem and state of each event."""
    return [
        (one.type, one.workitem_uid, one.data_set.get("00741000", {}).get("Value", [""])[0])
        for one in kept.events_for(ae_title, after)
    ]


def test_from_beginning_to_end(kept: Workitems) -> None:
    uid = create(kept, PatientName="Müller^Jörg")
    assert uid.startswith("2.25.")
    assert by_keyword(kept, uid)["ProcedureStepState"] == "SCHEDULED"
    assert kept.change_state(uid, "IN PROGRESS", LOCK, "LINAC")
    assert kept.find(uid).performer == "LINAC"
    kept.update(uid, as_json(performed()), LOCK)
    assert kept.change_state(uid, "COMPLETED", LOCK)
    assert not kept.change_state(uid, "COMPLETED", LOCK)
    shown = by_keyword(kept, uid)
    assert shown["ProcedureStepState"] == "COMPLETED"
    assert shown["PatientName"] == "Müller^Jörg"
    assert shown["SOPClassUID"] == "1.2.840.10008.5.1.4.34.6.1"
    assert shown["SOPInstanceUID"] == uid


def test_nobody_gets_the_transaction_uid(kept: Workitems) -> None:
    """PS3.4 CC.2.7.3: it is the lock."""
    uid = begun(kept)
    kept.update(uid, as_json({"TransactionUID": LOCK, "ProcedureStepLabel": "Other"}))
    lock = Key((0x00081195,), UIDList(("1.2.3",)))
    [answer] = [one for one in kept.search(matching(lock)) if one is not None]
    for shown in (kept.get(uid), answer):
        assert "00081195" not in shown
        assert LOCK not in str(shown)


def test_a_uid_is_taken_once(kept: Workitems) -> None:
    create(kept, "1.2.3")
    with pytest.raises(InstanceConflict):
        create(kept, "1.2.3", PatientID="P2")
    assert by_keyword(kept, "1.2.3")["PatientID"] == "P1"
    for well_known in (GLOBAL, FILTERED):
        with pytest.raises(InstanceConflict):
            create(kept, well_known)
    assert create(kept, SOPInstanceUID="1.2.4") == "1.2.4"
    with pytest.raises(InvalidValue):
        create(kept, "1.2.5", SOPInstanceUID="1.2.6")
    with pytest.raises(InvalidValue):
        create(kept, "1.2.5", SOPClassUID="1.2.840.10008.1.1")


def test_a_workitem_that_nobody_created(kept: Workitems) -> None:
    asked: list[Callable[[], object]] = [
        lambda: kept.get("1.2"),
        lambda: kept.update("1.2", {}),
        lambda: kept.change_state("1.2", "IN PROGRESS", LOCK),
        lambda: kept.request_cancel("1.2", {}, "WARD"),
        lambda: kept.subscribe("WARD", "1.2"),
        lambda: kept.unsubscribe("WARD", "1.2"),
        lambda: kept.suspend("WARD", "1.2"),
        lambda: kept.cancel("1.2", ""),
    ]
    for ask in asked:
        with pytest.raises(NoSuchWorkitem):
            ask()


def test_what_stands_for_all_workitems_is_none(kept: Workitems) -> None:
    with pytest.raises(ActionNotAppropriate):
        kept.change_state(GLOBAL, "IN PROGRESS", LOCK)
    with pytest.raises(ActionNotAppropriate):
        kept.request_cancel(FILTERED, {}, "WARD")
    with pytest.raises(ActionNotAppropriate):
        kept.suspend("WARD", create(kept))


def test_who_does_not_perform_it_changes_nothing(kept: Workitems) -> None:
    uid = begun(kept)
    before = kept.find(uid)
    refused: list[tuple[type[ArchiveError], Callable[[], object]]] = [
        (WrongTransactionUID, lambda: kept.update(uid, as_json({"ProcedureStepLabel": "x"}))),
        (WrongTransactionUID, lambda: kept.update(uid, as_json({"ProcedureStepLabel": "x"}), "1.2")),
        (WrongTransactionUID, lambda: kept.change_state(uid, "IN PROGRESS", "1.2")),
        (WorkitemClaimed, lambda: kept.change_state(uid, "IN PROGRESS", LOCK)),
        (WrongTransactionUID, lambda: kept.change_state(uid, "CANCELED", "")),
        (InvalidValue, lambda: kept.update(uid, as_json({"TransactionUID": "1.2"}), LOCK)),
    ]
    for error, ask in refused:
        with pytest.raises(error):
            ask()
    assert kept.find(uid) == before
    with pytest.raises(NotInProgress):
        kept.update(create(kept), as_json({"ProcedureStepLabel": "x"}), LOCK)


def test_of_many_performers_one_gets_it(kept: Workitems) -> None:
    uid = create(kept)
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def claim(number: int) -> None:
        start.wait()
        try:
            kept.change_state(uid, "IN PROGRESS", f"1.2.{number}", f"LINAC{number}")
            outcomes.append(f"LINAC{number}")
        except WrongTransactionUID:
            outcomes.append("")

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[:-1] == [""] * 5
    assert kept.find(uid).performer == sorted(outcomes)[-1]


def test_a_workitem_has_its_size(kept: Workitems) -> None:
    with pytest.raises(ObjectTooLarge):
        create(kept, ReasonForVisit="x" * 64, **{"00420010": {"vr": "UT", "Value": ["x" * (1 << 20)]}})
    uid = create(kept)
    with pytest.raises(ObjectTooLarge):
        kept.update(uid, {"00420010": {"vr": "UT", "Value": ["x" * (1 << 20)]}})


def test_a_scheduled_workitem_is_canceled_at_once(kept: Workitems) -> None:
    """PS3.4 CC.2.2.3: first IN PROGRESS, then CANCELED."""
    uid = create(kept)
    kept.subscribe("WARD", uid)
    assert kept.request_cancel(uid, as_json({"ReasonForCancellation": "moved"}), "RIS")
    assert told(kept, "WARD") == [(1, uid, "SCHEDULED"), (1, uid, "IN PROGRESS"), (1, uid, "CANCELED")]
    [item] = by_keyword(kept, uid)["ProcedureStepProgressInformationSequence"]
    assert item["ReasonForCancellation"] == "moved"
    assert not kept.request_cancel(uid, {}, "RIS")
    with pytest.raises(WorkitemEnded):
        kept.change_state(uid, "IN PROGRESS", LOCK)


def test_a_performer_is_asked_to_cancel(kept: Workitems) -> None:
    uid = begun(kept)
    with pytest.raises(PerformerOutOfReach):
        kept.request_cancel(uid, {}, "RIS")
    kept.subscribe("LINAC", uid)
    assert kept.request_cancel(uid, as_json({"ReasonForCancellation": "moved"}), "RIS")
    [_, asked] = kept.events_for("LINAC", 0)
    assert keyword_form.written(asked.data_set) == {"ReasonForCancellation": "moved", "RequestingAE": "RIS"}
    assert by_keyword(kept, uid)["ProcedureStepState"] == "IN PROGRESS"
    kept.update(uid, as_json(performed()), LOCK)
    kept.change_state(uid, "COMPLETED", LOCK)
    with pytest.raises(WorkitemCompleted):
        kept.request_cancel(uid, {}, "RIS")


def test_an_administrator_cancels_what_its_performer_has_left(kept: Workitems) -> None:
    uid = begun(kept)
    assert kept.cancel(uid, "the console was replaced")
    assert not kept.cancel(uid, "")
    assert by_keyword(kept, uid)["ProcedureStepState"] == "CANCELED"


def test_who_is_subscribed_is_told_in_order(kept: Workitems) -> None:
    uid = create(kept)
    kept.subscribe("WARD", uid)
    kept.change_state(uid, "IN PROGRESS", LOCK)
    progress = {"ProcedureStepProgressInformationSequence": [{"ProcedureStepProgress": "50"}]}
    kept.update(uid, as_json(progress), LOCK)
    kept.update(uid, as_json(progress), LOCK)
    assert kept.unsubscribe("WARD", uid)
    assert not kept.unsubscribe("WARD", uid)
    kept.change_state(uid, "CANCELED", LOCK)
    events = kept.events_for("WARD", 0)
    assert [(one.type, one.workitem_uid) for one in events] == [(1, uid), (1, uid), (3, uid)]
    assert [one.number for one in events] == sorted({one.number for one in events})
    assert kept.events_for("WARD", events[1].number) == events[2:]
    assert kept.events_for("WARD", 0, 1) == events[:1]
    assert kept.newest_event() == events[-1].number
    assert kept.events_for("OTHER", 0) == []


def test_what_was_refused_is_told_to_nobody(kept: Workitems) -> None:
    uid = begun(kept)
    kept.subscribe("WARD", uid)
    before = kept.newest_event()
    with pytest.raises(ArchiveError):
        kept.change_state(uid, "COMPLETED", LOCK)
    with pytest.raises(ArchiveError):
        kept.update(uid, as_json({"InputReadinessState": "SOON"}), LOCK)
    assert kept.newest_event() == before


@pytest.mark.parametrize("lock", [True, False])
def test_who_subscribes_to_everything(kept: Workitems, lock: bool) -> None:
    """PS3.4 CC.2.4.3: with a lock the state of each workitem is told at once."""
    here = create(kept)
    kept.subscribe("ALL", GLOBAL, lock)
    assert told(kept, "ALL") == ([(1, here, "SCHEDULED")] if lock else [])
    after = kept.newest_event()
    new = create(kept, ScheduledStationNameCodeSequence=[code("LINAC1")])
    kept.change_state(here, "IN PROGRESS", LOCK)
    assert told(kept, "ALL", after) == [(1, new, "SCHEDULED"), (5, new, ""), (1, here, "IN PROGRESS")]
    assert [one.deletion_lock for one in kept.subscribers(new)] == [lock]


def test_what_somebody_said_of_one_workitem_stays(kept: Workitems) -> None:
    """PS3.4 CC.2.3.1: instance specific instructions take precedence, but for unsubscribing from all."""
    one, other = create(kept), create(kept)
    kept.subscribe("ALL", one, deletion_lock=False)
    kept.subscribe("ALL", GLOBAL, deletion_lock=True)
    assert not kept.subscribers(one)[0].deletion_lock
    assert kept.subscribers(other)[0].deletion_lock
    kept.unsubscribe("ALL", other)
    assert kept.subscribers(other) == []
    assert kept.unsubscribe("ALL", GLOBAL)
    assert kept.subscribers(one) == []
    assert kept.subscribers(create(kept)) == []
    assert not kept.unsubscribe("ALL", GLOBAL)


def test_a_suspended_subscription_keeps_what_it_has(kept: Workitems) -> None:
    here = create(kept)
    kept.subscribe("ALL", GLOBAL)
    assert kept.suspend("ALL", GLOBAL)
    assert not kept.suspend("ALL", GLOBAL)
    assert [one.ae_title for one in kept.subscribers(here)] == ["ALL"]
    assert kept.subscribers(create(kept)) == []


def test_who_subscribes_to_what_matches(kept: Workitems) -> None:
    mine = create(kept, PatientID="P7", ScheduledWorkitemCodeSequence=[code("1")])
    other = create(kept, PatientID="P8")
    keys = matching(Key(PATIENT, Wildcard("P7*")), Key(CODE, SingleValue("1")))
    kept.subscribe("SOME", FILTERED, matching_keys=keys)
    new = create(kept, PatientID="P71", ScheduledWorkitemCodeSequence=[code("2"), code("1")])
    create(kept, PatientID="P72", ScheduledWorkitemCodeSequence=[code("2")])
    assert told(kept, "SOME") == [(1, new, "SCHEDULED")]
    assert [len(kept.subscribers(uid)) for uid in (mine, other, new)] == [1, 0, 1]
    assert kept.unsubscribe("SOME", FILTERED)
    assert kept.subscribers(mine) == []
    for nothing in (None, matching()):
        with pytest.raises(InvalidQuery):
            kept.subscribe("SOME", FILTERED, matching_keys=nothing)


def test_a_filter_is_not_asked_for_the_transaction_uid(kept: Workitems) -> None:
    keys = matching(Key(PATIENT, SingleValue("P1")), Key((0x00081195,), UIDList((LOCK,))))
    kept.subscribe("SOME", FILTERED, matching_keys=keys)
    assert len(kept.subscribers(create(kept))) == 1


def test_two_global_subscriptions_of_one_ae_tell_it_once(kept: Workitems) -> None:
    kept.subscribe("ALL", GLOBAL, deletion_lock=True)
    kept.subscribe("ALL", FILTERED, matching_keys=matching(Key(PATIENT, SingleValue("P1"))))
    uid = create(kept)
    assert told(kept, "ALL") == [(1, uid, "SCHEDULED")]
    assert kept.subscribers(uid)[0].deletion_lock
    kept.unsubscribe("ALL", FILTERED)
    assert len(kept.subscribers(uid)) == 1


def test_only_known_ae_titles_are_reported_to(archive: Archive, kept: Workitems) -> None:
    uid = create(kept)
    with pytest.raises(UnknownReceiver):
        kept.subscribe("WARD", uid, reported=True)
    for none in ("", "W" * 17, "WA\\RD"):
        with pytest.raises(InvalidValue):
            kept.subscribe(none, uid)
    archive.ae_titles.add("WARD", "127.0.0.1", 104)
    kept.subscribe("WARD", uid, reported=True)
    kept.subscribe("WARD", uid, reported=False)
    assert kept.subscribers(uid)[0].reported


def test_search(kept: Workitems) -> None:
    late = create(kept, PatientID="P1", ScheduledProcedureStepStartDateTime="20261201")
    early = create(kept, PatientID="P1", ScheduledProcedureStepStartDateTime="20261101")
    other = begun(kept, PatientID="P2", ScheduledProcedureStepStartDateTime="20261120")
    assert found(kept) == [early, other, late]
    assert found(kept, Key(PATIENT, SingleValue("P1"))) == [early, late]
    assert found(kept, Key(STATE, SingleValue("IN PROGRESS"))) == [other]
    assert found(kept, Key(STATE, UIDList(("SCHEDULED", "IN PROGRESS")))) == [early, other, late]
    assert found(kept, Key((0x00080018,), UIDList((late, other)))) == [other, late]
    assert found(kept, Key(LABEL, Wildcard("Deliver*"))) == [early, other, late]
    assert found(kept, Key(LABEL, SingleValue("Deliver"))) == []
    assert found(kept, limit=1, offset=1) == [other]
    assert found(kept, limit=0) == []
    assert found(kept, offset=2) == [late]


def age(archive: Archive, days: float) -> None:
    """Everything happened so many days ago."""
    change = sa.update(items).values(changed_at=time.time() - days * DAYS)
    archive.database.write(lambda connection: connection.execute(change))


def test_what_has_ended_is_forgotten_unless_somebody_keeps_it(archive: Archive, kept: Workitems) -> None:
    """PS3.4 CC.2.1.3: not before all deletion locks are gone."""
    going, locked, alive = create(kept), create(kept), create(kept)
    kept.subscribe("WARD", going)
    kept.subscribe("WARD", locked, deletion_lock=True)
    for uid in (going, locked):
        kept.cancel(uid, "")
    age(archive, 29)
    assert kept.expire() == 0
    age(archive, 31)
    assert kept.expire() == 1
    with pytest.raises(NoSuchWorkitem):
        kept.get(going)
    assert kept.get(locked)
    assert kept.get(alive)
    kept.subscribe("WARD", locked, deletion_lock=False)
    age(archive, 31)
    assert kept.expire() == 1


def test_numbers_of_events_are_given_once(archive: Archive, kept: Workitems) -> None:
    """Who asks for events after a number would else miss those that get a lower one."""
    uid = create(kept)
    kept.subscribe("WARD", uid)
    last = kept.newest_event()
    gone = time.time() + DAYS
    archive.database.write(lambda connection: workitem_events.expire(connection, gone))
    kept.subscribe("WARD", uid)
    assert kept.newest_event() > last


def test_subscribing_while_workitems_are_created_misses_none(archive: Archive, kept: Workitems) -> None:
    stop, made = threading.Event(), []

    def make() -> None:
        while not stop.is_set():
            made.append(create(kept))

    maker = threading.Thread(target=make)
    maker.start()
    try:
        while len(made) < 5:
            time.sleep(0.005)
        kept.subscribe("ALL", GLOBAL)
        seen = len(made)
        while len(made) < seen + 5:
            time.sleep(0.005)
    finally:
        stop.set()
        maker.join()
    assert all(kept.subscribers(uid) for uid in made)


def test_settings(archive: Archive) -> None:
    settings = replace(archive.settings.workitems, worklist_label="Therapy")
    other = Workitems(archive.database, archive.ae_titles, settings)
    assert by_keyword(other, create(other))["WorklistLabel"] == "Therapy"
