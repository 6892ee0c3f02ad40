"""Instance Availability Notification as SCU: who is told of which studies, when, and how often it is tried (PS3.4 annex
R; dimse.md 1.5 row 6)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid as new_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import InstanceAvailabilityNotification

from archive.bootstrap.building import Archive
from archive.dicom.instance import Scope, Source
from archive.index.notifications import Notification
from archive.index.reports import Progress
from archive.jobs import worker
from archive.jobs.destinations import Destinations
from archive.security.rules import Rules
from archive.services import notifications
from objects import part10, secondary_capture

QUIET = 60.0
DAYS = 86_400.0
Answer = Callable[[evt.Event], int]


@dataclass
class Told:
    """UID and attributes of each notification."""

    port: int = 0
    notifications: list[tuple[str, Dataset]] = field(default_factory=list)


@contextmanager
def listening(
    answer: Answer = lambda event: 0, sop_class: str = InstanceAvailabilityNotification
) -> Iterator[Told]:
    """An information system that takes notifications."""
    told = Told()

    def on_create(event: evt.Event) -> tuple[int, None]:
        told.notifications.append((event.request.AffectedSOPInstanceUID, event.attribute_list))
        return answer(event), None

    ae = AE("RIS")
    ae.add_supported_context(sop_class)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_CREATE, on_create)])
    assert server is not None
    told.port = server.server_address[1]
    try:
        yield told
    finally:
        server.shutdown()


def store(archive: Archive, **attributes: object) -> Dataset:
    """One object, stored."""
    made = secondary_capture(**attributes)
    with archive.ingest.part10(Source("DICOMweb", "127.0.0.1")) as reception:
        reception.write(part10(made))
        reception.finish()
    return made


def wants(archive: Archive, port: int = 1, notify: bool = True, title: str = "RIS") -> None:
    """An AE title that wants to be told."""
    archive.ae_titles.add(title, "127.0.0.1", port, Rules(notify=notify))


def pass_time(archive: Archive, seconds: float = 0.0) -> None:
    """What the job worker does, some time from now."""
    archive.notifications.notice(time.time() + seconds)
    talks = worker.Talks(archive, destinations=Destinations(), begin=lambda work: work())
    while talks.begin(time.time() + seconds):
        pass


def only(archive: Archive) -> Notification:
    """The one notification."""
    (found,) = archive.notifications.newest()
    return found


def named(attributes: Dataset) -> dict[str, list[str]]:
    """SOP Instance UIDs by Series Instance UID."""
    return {
        series.SeriesInstanceUID: [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence]
        for series in attributes.ReferencedSeriesSequence
    }


def test_a_study_is_told_of_once_it_is_quiet(archive: Archive) -> None:
    """All of it, as PS3.4 table R.3.2-1 has it, without an attribute more."""
    with listening() as told:
        wants(archive, told.port)
        pass_time(archive)
        first = store(archive)
        same = {"StudyInstanceUID": first.StudyInstanceUID, "SeriesInstanceUID": first.SeriesInstanceUID}
        second = store(archive, **same)
        third = store(archive, **{**same, "SeriesInstanceUID": new_uid()})
        pass_time(archive, QUIET - 5)
        assert not told.notifications
        pass_time(archive, QUIET + 5)
        [(uid, attributes)] = told.notifications
        pass_time(archive, 3 * QUIET)
        assert len(told.notifications) == 1
    assert uid.startswith("2.25.")
    assert {element.keyword for element in attributes} == {
        "ReferencedPerformedProcedureStepSequence",
        "ReferencedSeriesSequence",
        "StudyInstanceUID",
    }
    assert attributes.StudyInstanceUID == first.StudyInstanceUID
    assert {series: sorted(uids) for series, uids in named(attributes).items()} == {
        first.SeriesInstanceUID: sorted([first.SOPInstanceUID, second.SOPInstanceUID]),
        third.SeriesInstanceUID: [third.SOPInstanceUID],
    }
    item = attributes.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert {element.keyword: element.value for element in item} == {
        "RetrieveAETitle": "ARCHIVE",
        "InstanceAvailability": "ONLINE",
        "ReferencedSOPClassUID": first.SOPClassUID,
        "ReferencedSOPInstanceUID": item.ReferencedSOPInstanceUID,
    }
    assert only(archive).progress is Progress.DELIVERED


def test_growing_puts_it_off_and_growing_again_tells_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    with listening() as told:
        wants(archive, told.port)
        pass_time(archive)
        first = store(archive)
        pass_time(archive, 30)
        monkeypatch.setattr(time, "time", lambda: now() + 40)
        store(archive, StudyInstanceUID=first.StudyInstanceUID)
        pass_time(archive, QUIET - 10)
        assert not told.notifications
        pass_time(archive, QUIET + 10)
        assert len(told.notifications) == 1
        monkeypatch.setattr(time, "time", lambda: now() + 1000)
        store(archive, StudyInstanceUID=first.StudyInstanceUID)
        pass_time(archive, QUIET + 10)
    uids = [uid for uid, _ in told.notifications]
    assert len(set(uids)) == 2
    assert [sum(map(len, named(one).values())) for _, one in told.notifications] == [2, 3]


def test_everybody_who_wants_to_is_told_and_nobody_else(archive: Archive) -> None:
    with listening() as first, listening() as second, listening() as third:
        wants(archive, first.port)
        wants(archive, second.port, title="OTHER")
        wants(archive, third.port, title="NOBODY", notify=False)
        pass_time(archive)
        store(archive)
        pass_time(archive, QUIET + 5)
        assert [len(each.notifications) for each in (first, second, third)] == [1, 1, 0]


def test_what_was_stored_before_anybody_wanted_to_know_is_no_news(archive: Archive) -> None:
    store(archive)
    pass_time(archive)
    with listening() as told:
        wants(archive, told.port)
        pass_time(archive, QUIET + 5)
        pass_time(archive, 3 * QUIET)
        assert not told.notifications
        wants(archive, told.port, notify=False)
        pass_time(archive)
        store(archive)
        wants(archive, told.port)
        pass_time(archive, QUIET + 5)
        pass_time(archive, 3 * QUIET)
    assert not told.notifications


def test_storing_takes_no_part_in_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to be told: nothing is written beside the object, and looking is one question."""
    writes: list[object] = []
    pass_time(archive)
    monkeypatch.setattr(type(archive.database), "write", lambda _self, change: writes.append(change))
    archive.notifications.notice()
    assert not writes


def test_who_is_away_is_told_later(archive: Archive) -> None:
    with listening() as told:
        port = told.port
    wants(archive, port)
    pass_time(archive)
    store(archive)
    pass_time(archive, QUIET + 5)
    assert (only(archive).progress, only(archive).attempts) == (Progress.WAITING, 1)
    assert str(port) in only(archive).reason
    with listening() as told:
        wants(archive, told.port)
        pass_time(archive, QUIET + 60)
        assert len(told.notifications) == 1
    assert only(archive).progress is Progress.DELIVERED


def test_it_is_given_up_where_everybody_sees_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    wants(archive)
    pass_time(archive)
    store(archive)
    pass_time(archive, QUIET + 5)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 8 * DAYS)
    pass_time(archive)
    assert only(archive).progress is Progress.GIVEN_UP
    archive.notifications.expire()
    assert only(archive)
    monkeypatch.setattr(time, "time", lambda: now() + 60 * DAYS)
    archive.notifications.expire()
    assert not archive.notifications.newest()


@pytest.mark.parametrize(
    ("status", "progress", "reason"),
    [
        (0x0107, Progress.DELIVERED, ""),
        (0x0111, Progress.DELIVERED, ""),
        (0x0110, Progress.WAITING, "0110"),
        (0x0106, Progress.GIVEN_UP, "0106"),
    ],
)
def test_what_the_other_side_answers(archive: Archive, status: int, progress: Progress, reason: str) -> None:
    """A warning is none of our business; a duplicate is an attempt whose answer was lost; some failures pass."""
    with listening(lambda event: status) as told:
        wants(archive, told.port)
        pass_time(archive)
        store(archive)
        pass_time(archive, QUIET + 5)
    assert len(told.notifications) == 1
    assert only(archive).progress is progress
    assert reason in only(archive).reason


def test_every_attempt_has_the_same_uid(archive: Archive) -> None:
    with listening(lambda event: 0x0110) as told:
        wants(archive, told.port)
        pass_time(archive)
        store(archive)
        pass_time(archive, QUIET + 5)
        pass_time(archive, QUIET + 60)
    assert len(told.notifications) == 2
    assert len({uid for uid, _ in told.notifications}) == 1


def test_who_does_not_know_the_service_is_asked_again(archive: Archive) -> None:
    with listening(sop_class="1.2.840.10008.1.1") as told:
        wants(archive, told.port)
        pass_time(archive)
        store(archive)
        pass_time(archive, QUIET + 5)
    assert only(archive).progress is Progress.WAITING
    assert "Instance Availability Notification" in only(archive).reason


@pytest.mark.parametrize("change", ["deleted", "unwanted"])
def test_what_is_over_is_not_told_any_more(archive: Archive, change: str) -> None:
    wants(archive)
    pass_time(archive)
    made = store(archive)
    pass_time(archive, QUIET + 5)
    assert only(archive).attempts == 1
    with listening() as told:
        wants(archive, told.port, notify=change == "deleted")
        if change == "deleted":
            archive.deletion.delete(Scope((made.StudyInstanceUID,)))
        pass_time(archive, QUIET + 60)
        assert not told.notifications
    assert not archive.notifications.newest()


def test_a_large_study_takes_several(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "INSTANCES_AT_ONCE", 2)
    with listening() as told:
        wants(archive, told.port)
        pass_time(archive)
        study = new_uid()
        uids = {store(archive, StudyInstanceUID=study).SOPInstanceUID for _ in range(5)}
        pass_time(archive, QUIET + 5)
    assert len({uid for uid, _ in told.notifications}) == 3
    assert uids == {uid for _, one in told.notifications for some in named(one).values() for uid in some}
