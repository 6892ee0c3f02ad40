"""Who is told of workitems, what, and for how long they are kept (PS3.4 CC.2.3, CC.2.4; dimse.md 1.5 UPS)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import (
    ArchiveError,
    InvalidQuery,
    InvalidValue,
    NoSuchWorkitem,
    UnknownReceiver,
)
from archive.dicom.query import Key, SingleValue, UIDList, Wildcard
from archive.index import workitem_events
from archive.services.workitems import FILTERED, GLOBAL, Workitems
from workitem_sets import as_json, code
from workitems_here import (
    CODE,
    DAYS,
    LOCK,
    PATIENT,
    age,
    archive_with_workitems,
    begun,
    create,
    matching,
    told,
)


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with archive_with_workitems(tmp_path / "data", index_url) as opened:
        yield opened


@pytest.fixture
def kept(archive: Archive) -> Workitems:
    return archive.workitems


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


def test_who_is_reported_to_goes_on_to_be(archive: Archive, kept: Workitems) -> None:
    """Whichever door it comes by next."""
    archive.ae_titles.add("WARD", "127.0.0.1", 104)
    kept.subscribe("WARD", GLOBAL, reported=True)
    kept.subscribe("WARD", GLOBAL)
    assert kept.subscribers(create(kept))[0].reported
