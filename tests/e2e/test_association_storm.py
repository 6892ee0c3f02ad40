"""Ten thousand associations one after the other, released, aborted, cut and refused, leave nothing behind in a worker
(reliability.md D14; the leak of CVE-2026-50003's class)."""

from __future__ import annotations

import itertools
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

from archive.network import pdu
from archive.network.negotiation import AssociateRequest, ProposedContext, encode_request
from archive.network.user_information import UserInformation
from archive.security import tls
from archive.settings.doors import TLSSettings
from archive_process import ArchiveServer
from certificates import Authority

ASSOCIATIONS, OVER_TLS = 10_000, 500
WARM = 500
MOST_GROWTH = 10 << 20
VERIFICATION = "1.2.840.10008.1.1"

ENDINGS = {
    "released": pdu.RELEASE_RQ,
    "aborted": pdu.abort_pdu(),
    "cut": b"",
    "cut within a PDU": pdu.HEADER.pack(pdu.P_DATA_TF, 1000) + b"half",
}


def request(called: str) -> bytes:
    context = ProposedContext(1, VERIFICATION, ("1.2.840.10008.1.2",))
    return encode_request(AssociateRequest(called, "STORM", (context,), UserInformation(16384)))


def storm(port: int, ae_title: str, count: int, context: ssl.SSLContext | None = None) -> None:
    """So many associations, their endings in turn; each fifth is for a called AE title that is not ours."""
    asking, wrong = request(ae_title), request("NOBODY")
    for number, ending in zip(range(count), itertools.cycle(ENDINGS.values()), strict=False):
        plain = socket.create_connection(("127.0.0.1", port), 60)
        with plain, secured(plain, context) as connection:
            refused = number % 5 == 4
            connection.sendall(wrong if refused else asking)
            answer = connection.recv(4096)
            assert answer[0] == (pdu.A_ASSOCIATE_RJ if refused else pdu.A_ASSOCIATE_AC)
            if not refused and ending:
                connection.sendall(ending)
            if ending == pdu.RELEASE_RQ and not refused:
                assert connection.recv(4096) == pdu.RELEASE_RP


def secured(plain: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    """The connection over TLS, if that is wanted."""
    return context.wrap_socket(plain, server_hostname="127.0.0.1") if context is not None else plain


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def at_rest(pid: int) -> tuple[int, int]:
    """Open files and threads, once the last connections have been taken down."""
    deadline, pause = time.monotonic() + 30, threading.Event()
    while True:
        files, threads = (len(list(Path(f"/proc/{pid}/{kind}").iterdir())) for kind in ("fd", "task"))
        if threads < 8 or time.monotonic() > deadline:
            return files, threads
        pause.wait(0.1)


def test_nothing_grows(start_archive: Callable[..., ArchiveServer], tmp_path: Path) -> None:
    """Reliability: D14."""
    authority = Authority(tmp_path)
    proof = authority.proof("archive")
    environment = {
        "ARCHIVE_TLS_LISTEN": "127.0.0.1:0",
        "ARCHIVE_TLS_CERTIFICATE": str(proof.chain),
        "ARCHIVE_TLS_KEY": str(proof.key),
        "ARCHIVE_TLS_CLIENT_CA": str(authority.file),
        "ARCHIVE_LOG_LEVEL": "error",
    }
    server = start_archive("--workers", "1", environment=environment)
    (worker,) = server.worker_pids("dimse")
    client = TLSSettings(certificate=str(proof.chain), key=str(proof.key), client_ca=str(authority.file))
    secured = tls.towards(client, "127.0.0.1", "").context()
    storm(server.dimse_port, server.ae_title, WARM)
    storm(server.tls_port, server.ae_title, WARM // 5, secured)
    before, files_before = resident(worker), at_rest(worker)
    storm(server.dimse_port, server.ae_title, ASSOCIATIONS)
    storm(server.tls_port, server.ae_title, OVER_TLS, secured)
    after, files_after = resident(worker), at_rest(worker)
    print(f"resident before {before >> 10} KiB, after {after >> 10} KiB; {files_before}, {files_after}")
    assert after - before < MOST_GROWTH
    assert files_after[0] <= files_before[0] + 2
    assert files_after[1] <= files_before[1] + 2
