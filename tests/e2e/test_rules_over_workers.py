"""Rules of AE titles hold over all worker processes of a running archive, whatever becomes of one of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from archive.dicom.errors import AssociationRejected, PeerFailure
from archive.network.association import Association
from archive.network.requestor import Proposal, open_association
from archive_process import ArchiveServer, StartArchive
from in_process import in_folder

VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"
LIMIT = 3


def call(server: ArchiveServer) -> Association:
    return open_association(
        "127.0.0.1",
        server.dimse_port,
        calling_ae_title="CT1",
        called_ae_title=server.ae_title,
        contexts=[Proposal(VERIFICATION, (IMPLICIT,))],
    )


def callers(server: ArchiveServer, number: int) -> tuple[list[Association], list[AssociationRejected]]:
    """Whoever got in, and how the others were refused."""
    inside: list[Association] = []
    refused: list[AssociationRejected] = []
    for _ in range(number):
        try:
            inside.append(call(server))
        except AssociationRejected as error:
            refused.append(error)
    return inside, refused


def test_a_limit_holds_over_workers_and_outlives_one(start_archive: StartArchive) -> None:
    """dimse.md 1.1, max associations per AE: 2/3/2 in whichever worker it lands; the seats of one that is killed are
    free again."""
    server = start_archive("--workers", "2")
    rules = ("--maximum-associations", str(LIMIT))
    assert in_folder(server.data, "ae", "add", "CT1", "127.0.0.1", "104", *rules).code == 0
    inside, refused = callers(server, 12)
    assert len(inside) == LIMIT
    assert {(one.result, one.source, one.diagnostic) for one in refused} == {(2, 3, 2)}
    for worker in server.worker_pids("dimse"):
        os.kill(worker, signal.SIGKILL)
    for association in inside:
        association.abort()
    again = until_full(server)
    assert len(again) == LIMIT
    for association in again:
        association.release()


def until_full(server: ArchiveServer) -> list[Association]:
    """As many as get in, once the workers are there again."""
    deadline, pause = time.monotonic() + 120, threading.Event()
    inside: list[Association] = []
    while time.monotonic() < deadline:
        try:
            inside.append(call(server))
        except AssociationRejected:
            if inside:
                return inside
        except PeerFailure:
            for association in inside:
                with suppress(PeerFailure):
                    association.abort()
            inside = []
        pause.wait(0.05)
    return inside


def test_what_an_administrator_changes_counts_in_every_worker(start_archive: StartArchive) -> None:
    """By the command line, beside the running archive: the next association is judged by it."""
    server = start_archive("--workers", "2", environment={"ARCHIVE_DIMSE_TRUST_THIS_MACHINE": "false"})
    inside, refused = callers(server, 6)
    assert inside == []
    assert {(one.result, one.source, one.diagnostic) for one in refused} == {(1, 1, 3)}
    (line,) = in_folder(server.data, "refusals").stdout.splitlines()
    assert line.endswith("archive ae add CT1 127.0.0.1 104")
    assert in_folder(server.data, "ae", "add", "CT1", "127.0.0.1", "104").code == 0
    inside, refused = callers(server, 6)
    assert (len(inside), refused) == (6, [])
    for association in inside:
        association.release()
    assert in_folder(server.data, "ae", "remove", "CT1").code == 0
    inside, refused = callers(server, 6)
    assert (inside, len(refused)) == ([], 6)
