"""What others are to be told survives the archive: killed between the request and the result, it tells the result when
it runs again (dimse.md 1.5 row 4)."""

from __future__ import annotations

import signal
import socket
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid
from pynetdicom import AE
from pynetdicom.sop_class import SecondaryCaptureImageStorage, StorageCommitmentPushModel

from archive_process import ArchiveServer, StartArchive, archive
from objects import part10, secondary_capture
from report_receivers import WELL_KNOWN, action, committed, listening

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


def test_a_running_archive_tells_within_seconds(start_archive: StartArchive) -> None:
    """An SCU that leaves at once, as most do."""
    server = start_archive("--workers", "1")
    with listening() as told:
        known(server.data, told.port)
        uid = store_and_ask(server)
        assert told.came.wait(SECONDS)
        assert committed(told.reports[0][1]) == [uid]
