"""Five hundred silent, slow and half-open peers leave a known modality more than half of its rate (reliability.md
D1, D2, D3; dimse.md traps T1, T2, T19)."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import crowd
from archive_process import ArchiveServer
from certificates import Authority
from kept_share import assert_kept
from objects import encoded, mr, series
from scu import open_to

LEAST_SHARE = 0.5
OBJECTS = 150
EXPLICIT = "1.2.840.10008.1.2.1"

pytestmark = pytest.mark.alone


@contextmanager
def a_crowd(server: ArchiveServer) -> Iterator[subprocess.Popen[bytes]]:
    """The crowd, once all of it is there."""
    command = [sys.executable, crowd.__file__, str(server.dimse_port), str(server.tls_port), server.ae_title]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert crowd.wait_for_ready(process.stdout.fileno(), 120), "the crowd did not get in"
        yield process
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def objects_per_second(server: ArchiveServer) -> float:
    """One association of a modality that sends MR slices, each of them stored."""
    from pynetdicom.dimse_primitives import C_STORE

    from archive.network.commands import request_of

    data_sets = series(mr, OBJECTS)
    prepared = [(data_set, encoded(data_set, EXPLICIT)) for data_set in data_sets]
    begin = time.perf_counter()
    with open_to(server, (str(data_sets[0].SOPClassUID), EXPLICIT)) as association:
        for number, (data_set, data) in enumerate(prepared, 1):
            request = request_of(
                C_STORE,
                MessageID=number,
                AffectedSOPClassUID=data_set.SOPClassUID,
                AffectedSOPInstanceUID=data_set.SOPInstanceUID,
                Priority=0,
            )
            association.send(1, request, [data])
            answer = association.receive()
            assert answer is not None
            assert answer.command.Status == 0
    return OBJECTS / (time.perf_counter() - begin)


@pytest.fixture
def server(start_archive: Callable[..., ArchiveServer], tmp_path: Path) -> ArchiveServer:
    """With TLS as well, as handshakes that never come are the worst of them."""
    authority = Authority(tmp_path)
    proof = authority.proof("archive")
    environment = {
        "ARCHIVE_TLS_LISTEN": "127.0.0.1:0",
        "ARCHIVE_TLS_CERTIFICATE": str(proof.chain),
        "ARCHIVE_TLS_KEY": str(proof.key),
        "ARCHIVE_TLS_CLIENT_CA": str(authority.file),
    }
    return start_archive(environment=environment)


def test_a_known_modality_keeps_more_than_half_of_its_rate(server: ArchiveServer) -> None:
    """Reliability: D1, D2, D3."""
    objects_per_second(server)  # the first files and pages are not what is measured
    assert_kept(server, objects_per_second, lambda: a_crowd(server), LEAST_SHARE)
    assert server.log.count('"calling": "CROWD"') >= crowd.SLOW_SENDERS + crowd.HALF_OPEN  # they got in, too
    assert "association_failed" not in server.log
