"""SCUs of storage commitment before a DIMSE door, and the jobs behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid
from pynetdicom import evt
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.sop_class import StorageCommitmentPushModel

from archive.index.reports import Report
from archive.jobs import worker
from archive.jobs.destinations import Destinations
from archive.network.association import Association
from archive.network.commands import request_of
from archive.network.requestor import Proposal
from door import Door, keep, response
from objects import encoded, secondary_capture
from report_receivers import WELL_KNOWN, Told, action

COMMITMENT = Proposal(StorageCommitmentPushModel, (ExplicitVRLittleEndian,))
SECONDS = 20.0
DAYS = 86_400.0


def stored(door: Door, number: int = 1) -> list[tuple[str, str]]:
    """Objects in the archive: class and instance."""
    objects = [secondary_capture() for _ in range(number)]
    keep(door, *objects)
    return [(each.SOPClassUID, each.SOPInstanceUID) for each in objects]


def until(true: Callable[[], Any]) -> None:
    """Wait for something that other threads do."""
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(0.02)


def ask(
    door: Door,
    asked: Dataset,
    told: Told | None = None,
    answer: Callable[[evt.Event], int] = lambda event: 0,
    syntax: str = ExplicitVRLittleEndian,
    title: str = "MODALITY",
) -> int:
    """N-ACTION by pynetdicom, which waits for the result if there is somebody to be told; the status."""
    handlers = [(evt.EVT_N_EVENT_REPORT, told.handler(answer))] if told else []
    association = door.associate(
        [(StorageCommitmentPushModel, [syntax])], ae_title=title, evt_handlers=handlers
    )
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, WELL_KNOWN)
    if told:
        assert told.came.wait(SECONDS)
        until(lambda: report(door).attempts)
    association.release()
    return int(status.Status)


def report(door: Door) -> Report:
    """The one report."""
    (found,) = door.archive.reports.newest()
    return found


def run_jobs(door: Door, now: float | None = None) -> None:
    """Everything that is due, as the job worker does it, without its threads."""
    talks = worker.Talks(door.archive, destinations=Destinations(), begin=lambda work: work())
    clock = time.time if now is None else lambda: now
    while worker.work(door.archive, now=clock) + talks.begin(clock()):
        pass


def sent(association: Association, asked: Dataset | bytes | None, **values: Any) -> Any:
    """The response to a raw N-ACTION."""
    command, data = request(asked, **values)
    association.send(next(iter(association.contexts)), command, data)
    return response(association).command


def request(asked: Dataset | bytes | None, **values: Any) -> tuple[Any, list[bytes] | None]:
    """A raw N-ACTION, with other values in its command set."""
    usual = {
        "MessageID": 7,
        "RequestedSOPClassUID": StorageCommitmentPushModel,
        "RequestedSOPInstanceUID": WELL_KNOWN,
        "ActionTypeID": 1,
    }
    data = encoded(asked) if isinstance(asked, Dataset) else asked
    return request_of(N_ACTION, **{**usual, **values}), None if data is None else [data]


def waiting(door: Door, asked: Sequence[tuple[str, str]] = ()) -> None:
    """A request of an SCU that has left, checked and due to be told."""
    references = asked or stored(door)
    assert ask(door, action(new_uid(), *references)) == 0
    until(lambda: not report(door).held_until)
