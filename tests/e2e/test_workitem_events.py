"""Events of workitems reach who listens, whichever process and whichever door changed the workitem, and after the
archive was killed (dimse.md 1.5 UPS; dicomweb.md 4, row 19: subscriptions that are unreliable elsewhere)."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid
from pynetdicom import AE
from pynetdicom.sop_class import UnifiedProcedureStepPush
from websockets.sync.client import ClientConnection, connect

from archive.dicom.workitems.attributes import GLOBAL
from archive_process import ArchiveServer, StartArchive
from workitems import data_set, state

SECONDS = 60
JSON = {"Content-Type": "application/dicom+json"}


def listening(server: ArchiveServer, title: str) -> ClientConnection:
    url = server.dicomweb_url.replace("http://", "ws://")
    return connect(f"{url}/subscribers/{title}", open_timeout=SECONDS)


def heard(connection: ClientConnection, number: int) -> list[tuple[str, str]]:
    """Workitem and state of the next events."""
    events = [json.loads(connection.recv(timeout=SECONDS)) for _ in range(number)]
    return [(one["00001000"]["Value"][0], one["00741000"]["Value"][0]) for one in events]


def subscribe(server: ArchiveServer, title: str) -> None:
    answer = httpx.post(f"{server.dicomweb_url}/workitems/{GLOBAL}/subscribers/{title}", timeout=SECONDS)
    assert answer.status_code == 201, answer.text


def pushed(server: ArchiveServer) -> str:
    """A workitem made over DIMSE."""
    scu = AE("RIS")
    scu.add_requested_context(UnifiedProcedureStepPush, ExplicitVRLittleEndian)
    association = scu.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    assert association.is_established
    uid = str(new_uid())
    status, _ = association.send_n_create(data_set(), UnifiedProcedureStepPush, uid)
    association.release()
    assert status.Status == 0
    return uid


def claim(server: ArchiveServer, uid: str) -> None:
    body = [state("IN PROGRESS", str(new_uid()))]
    answer = httpx.put(
        f"{server.dicomweb_url}/workitems/{uid}/state", json=body, headers=JSON, timeout=SECONDS
    )
    assert answer.status_code == 200, answer.text


def test_over_several_processes(start_archive: StartArchive) -> None:
    """Each event once, and in order, at every connection, though workitems are made side by side."""
    server = start_archive("--workers", "3")
    titles = [f"VIEWER{number}" for number in range(6)]
    with ExitStack() as stack:
        connections = [stack.enter_context(listening(server, title)) for title in titles]
        for title in titles:
            subscribe(server, title)
        with ThreadPoolExecutor(4) as together:
            uids = set(together.map(lambda _: pushed(server), range(12)))
            list(together.map(lambda uid: claim(server, uid), uids))
        stories = [heard(connection, 24) for connection in connections]
    for story in stories:
        assert sorted(story) == sorted((uid, said) for uid in uids for said in ("SCHEDULED", "IN PROGRESS"))
        for uid in uids:
            assert story.index((uid, "SCHEDULED")) < story.index((uid, "IN PROGRESS"))
        assert story == stories[0], "in the order in which it happened"


def test_after_it_was_killed(start_archive: StartArchive) -> None:
    """What was confirmed does not come again; what happened meanwhile, and before the kill, does."""
    first = start_archive("--workers", "1")
    subscribe(first, "VIEWER")
    with listening(first, "VIEWER") as connection:
        uid = pushed(first)
        assert heard(connection, 1) == [(uid, "SCHEDULED")]
        other = pushed(first)
        assert heard(connection, 1) == [(other, "SCHEDULED")]
    claim(first, uid)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = start_archive("--workers", "1", data=first.data)
    claim(second, other)
    with listening(second, "VIEWER") as connection:
        story: list[tuple[str, str]] = []
        while (other, "IN PROGRESS") not in story:
            event = json.loads(connection.recv(timeout=SECONDS))
            if "00741000" in event:
                story.append((event["00001000"]["Value"][0], event["00741000"]["Value"][0]))
    assert [one for one in story if one[1] == "IN PROGRESS"] == [
        (uid, "IN PROGRESS"),
        (other, "IN PROGRESS"),
    ]
    assert story.count((uid, "SCHEDULED")) == 0, "it was confirmed before the next event came"
