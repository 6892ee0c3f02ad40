"""Workitems on either engine: created, changed, found (PS3.4 annex CC; dimse.md 1.5 UPS)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import (
    ActionNotAppropriate,
    ArchiveError,
    InstanceConflict,
    InvalidValue,
    NoSuchWorkitem,
    NotInProgress,
    ObjectTooLarge,
    PerformerOutOfReach,
    WorkitemClaimed,
    WorkitemCompleted,
    WorkitemEnded,
    WrongTransactionUID,
)
from archive.dicom.query import Key, SingleValue, UIDList, Wildcard
from archive.dicom.worklist import keyword_form
from archive.services.workitems import FILTERED, GLOBAL, Workitems
from workitem_sets import as_json, performed
from workitems_here import (
    LABEL,
    LOCK,
    PATIENT,
    STATE,
    archive_with_workitems,
    begun,
    by_keyword,
    create,
    found,
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


def test_settings(archive: Archive) -> None:
    settings = replace(archive.settings.workitems, worklist_label="Therapy")
    other = Workitems(archive.database, archive.ae_titles, settings)
    assert by_keyword(other, create(other))["WorklistLabel"] == "Therapy"
