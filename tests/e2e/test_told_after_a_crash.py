"""What others are to be told survives the archive: killed between the request and the result, it tells the result when
it runs again (dimse.md 1.5 row 4, and UPS)."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid
from pynetdicom import AE
from pynetdicom.sop_class import (
    SecondaryCaptureImageStorage,
    StorageCommitmentPushModel,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)

from archive.dicom.workitems.attributes import GLOBAL
from archive_process import ArchiveServer, StartArchive, archive, children
from objects import part10, secondary_capture
from report_receivers import WELL_KNOWN, action, committed, listening
from workitem_receivers import listening as hearing
from workitem_sets import as_dataset, workitem

SECONDS = 60.0


def store_and_ask(server: ArchiveServer) -> str:
    """One object by C-STORE, and the request to keep it; its SOP Instance UID."""
    made = dcmread(BytesIO(part10(secondary_capture())))
    scu = AE("MODALITY")
    scu.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    scu.add_requested_context(StorageCommitmentPushModel, ExplicitVRLittleEndian)
    association = scu.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    assert association.is_established
    assert association.send_c_store(made).Status == 0
    asked = action(new_uid(), (made.SOPClassUID, made.SOPInstanceUID))
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, WELL_KNOWN)
    assert status.Status == 0
    association.release()
    return str(made.SOPInstanceUID)


def known(data: Path, port: int) -> None:
    done = archive("ae", "add", "MODALITY", "127.0.0.1", str(port), "--data", str(data))
    assert done.code == 0, done.stderr


def test_the_result_is_told_by_the_next_archive(start_archive: StartArchive) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        dead = reserved.getsockname()[1]
    first = start_archive("--workers", "1")
    known(first.data, dead)
    uid = store_and_ask(first)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    with listening() as told:
        known(first.data, told.port)
        start_archive("--workers", "1", data=first.data)
        assert told.came.wait(SECONDS), archive("commitments", "list", "--data", str(first.data)).stdout
        [(event_type, information, calling)] = told.reports
        assert (event_type, committed(information), calling) == (1, [uid], "ARCHIVE")


def kill(server: ArchiveServer) -> None:
    """All of its processes at once: workers go on to the end of a talk when only the supervisor is gone."""
    pids = children(server.process.pid)
    for pid in (server.process.pid, *pids):
        os.kill(pid, signal.SIGKILL)
    server.process.wait()


def end_leases(data: Path) -> None:
    """What the dead had claimed comes due some minutes later by itself."""
    index = sqlite3.connect(data / "index.sqlite")
    with closing(index), index:
        index.execute("UPDATE outbox SET due_at = 0")


def act(server: ArchiveServer, *workitems: str, subscriber: str = "") -> None:
    """Subscribe somebody to everything, then create workitems."""
    scu = AE("PLANNER")
    for uid in (UnifiedProcedureStepPush, UnifiedProcedureStepWatch):
        scu.add_requested_context(uid, ExplicitVRLittleEndian)
    association = scu.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    assert association.is_established
    if subscriber:
        wanted = as_dataset({"ReceivingAE": subscriber, "DeletionLock": "FALSE"})
        status, _ = association.send_n_action(
            wanted, 3, UnifiedProcedureStepPush, GLOBAL, meta_uid=UnifiedProcedureStepWatch
        )
        assert status.Status == 0
    for uid in workitems:
        status, _ = association.send_n_create(as_dataset(workitem()), UnifiedProcedureStepPush, uid)
        assert status.Status == 0
    association.release()


def test_no_event_of_a_workitem_is_lost_when_the_archive_is_killed_in_between(
    start_archive: StartArchive,
) -> None:
    """Killed while its subscriber thinks about an event; that one may be told again, those after it are told, in their
    order."""
    uids = [new_uid() for _ in range(6)]
    slow = threading.Event()

    def answer(_: object) -> int:
        if len(heard.reports) == 3:
            slow.wait(SECONDS)
        return 0

    with hearing(answer) as heard:
        first = start_archive("--workers", "1")
        done = archive("ae", "add", "WARD", "127.0.0.1", str(heard.port), "--data", str(first.data))
        assert done.code == 0, done.stderr
        act(first, *uids, subscriber="WARD")
        assert heard.wait_for(3)
        kill(first)
        end_leases(first.data)
        slow.set()
        start_archive("--workers", "1", data=first.data)
        assert heard.wait_for(8), archive("workitems", "subscribers", "--data", str(first.data)).stdout
    told = [uid for kind, uid, _ in heard.reports if kind == 1]
    assert list(dict.fromkeys(told)) == uids
    assert heard.reports[-1][:2] == (4, GLOBAL)


def test_a_running_archive_tells_within_seconds(start_archive: StartArchive) -> None:
    """An SCU that leaves at once, as most do."""
    server = start_archive("--workers", "1")
    with listening() as told:
        known(server.data, told.port)
        uid = store_and_ask(server)
        assert told.came.wait(SECONDS)
        assert committed(told.reports[0][1]) == [uid]
