"""The real `archive serve`: it survives its workers, drains, and refuses what an administrator must change."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom.dimse_primitives import C_STORE

from archive.config import load
from archive.dicom.errors import AssociationAborted
from archive.network.commands import request_of
from archive.network.requestor import Proposal, open_association
from archive.remote import echo_scu
from archive.remote.peer import Peer
from archive.settings.whole import Settings
from archive.supervisor.serve import greeting
from archive_process import ArchiveServer, StartArchive, await_end
from in_process import archive_here
from objects import encoded, mr, part10

PATIENT_SECONDS = 90


def fetch(server: ArchiveServer, path: str) -> int:
    with urllib.request.urlopen(server.http_url + path, timeout=PATIENT_SECONDS) as answer:
        return int(answer.status)


def echo(server: ArchiveServer) -> echo_scu.EchoOutcome:
    """C-ECHO, patient enough for a worker that is just being replaced."""
    return echo_scu.echo(
        Peer(
            "127.0.0.1",
            server.dimse_port,
            called_ae_title=server.ae_title,
            calling_ae_title="TESTER",
            connect_deadline=PATIENT_SECONDS,
        )
    )


def test_a_killed_worker_is_replaced_and_its_port_never_closes(start_archive: StartArchive) -> None:
    server = start_archive("--workers", "1")
    assert len(server.worker_pids()) == 3
    victims = [*server.worker_pids("http"), *server.worker_pids("dimse")]
    assert len(victims) == 2
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
        await_end(pid)
    assert fetch(server, "/health/ready") == 200
    assert echo(server).ok
    assert not set(victims) & set(server.worker_pids())
    assert server.log.count("worker ended") == 2


MANY = 40


def sockets(pid: int) -> int:
    """How many a process has."""
    links = (os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink())
    return sum(link.startswith("socket:") for link in links)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection.recv(17)


def held_more(server: ArchiveServer, door: str, before: dict[int, int]) -> list[int]:
    return sorted(sockets(pid) - before[pid] for pid in server.worker_pids(door))


@pytest.mark.parametrize("door", ["http", "dimse"])
def test_connections_spread_evenly_over_the_workers(start_archive: StartArchive, door: str) -> None:
    server = start_archive("--workers", "2")
    before = {pid: sockets(pid) for pid in server.worker_pids(door)}
    port = server.http_port if door == "http" else server.dimse_port
    with contextlib.ExitStack() as stack:
        for number in range(1, MANY + 1):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENT_SECONDS))
            deadline = time.monotonic() + PATIENT_SECONDS
            while sum(held := held_more(server, door, before)) < number:
                assert time.monotonic() < deadline
        # On a busy machine one that is late loses a connection to the other, and has the next one for it.
        assert max(held) - min(held) <= 4, held


def test_a_worker_that_stands_still_keeps_no_connection_from_the_other(start_archive: StartArchive) -> None:
    server = start_archive("--workers", "2")
    still = [server.worker_pids(door)[0] for door in ("http", "dimse")]
    for pid in still:
        os.kill(pid, signal.SIGSTOP)
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                address = ("127.0.0.1", server.http_port)
                connection = stack.enter_context(socket.create_connection(address, PATIENT_SECONDS))
                assert ask(connection) == b"HTTP/1.1 200 OK\r\n"
        assert all(echo(server).ok for _ in range(3))
    finally:
        for pid in still:
            os.kill(pid, signal.SIGCONT)


def test_workers_share_the_memory_of_what_they_are_made_of(start_archive: StartArchive) -> None:
    server = start_archive("--workers", "2")
    for pid in server.worker_pids():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        sizes = {name: int(size) for name, size in re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE)}
        assert sizes["Private_Dirty"] < sizes["Rss"] / 2


def test_stopping_lets_a_running_request_end(start_archive: StartArchive) -> None:
    server = start_archive("--workers", "1")
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part10(mr()) + b"\r\n--b--\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=PATIENT_SECONDS)
    connection.putrequest("POST", "/dicom-web/studies")
    connection.putheader("Content-Type", 'multipart/related; type="application/dicom"; boundary=b')
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    (worker,) = server.worker_pids("http")
    server.process.send_signal(signal.SIGTERM)
    connection.send(body)
    with connection.getresponse() as answer:
        assert answer.status == 200
        answer.read()
    connection.close()
    assert server.process.wait(PATIENT_SECONDS) == 0
    await_end(worker)


def test_ctrl_c_drains_and_leaves_nobody(start_archive: StartArchive) -> None:
    server = start_archive("--workers", "1")
    workers = server.worker_pids()
    assert server.stop(signal.SIGINT) == 0
    for pid in workers:
        await_end(pid)
    assert "worker killed" not in server.log
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.http_port), timeout=5)


def test_an_object_that_is_late_for_the_drain_leaves_nothing(start_archive: StartArchive) -> None:
    """The worker itself aborts what is left at the deadline; it is not killed at that very moment."""
    server = start_archive("--workers", "1", environment={"ARCHIVE_DRAIN_SECONDS": "1"})
    association = open_association(
        "127.0.0.1",
        server.dimse_port,
        calling_ae_title="LATE",
        called_ae_title=server.ae_title,
        contexts=[Proposal(MRImageStorage, (ExplicitVRLittleEndian,))],
    )
    data_set = mr()
    request = request_of(
        C_STORE,
        MessageID=1,
        AffectedSOPClassUID=data_set.SOPClassUID,
        AffectedSOPInstanceUID=data_set.SOPInstanceUID,
        Priority=2,
    )

    def half() -> Iterator[bytes]:
        bytes_of_it = encoded(data_set)
        yield bytes_of_it[: len(bytes_of_it) // 2]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENT_SECONDS) == 0

    def send() -> None:
        association.send(next(iter(association.contexts)), request, half())
        association.receive()

    with pytest.raises(AssociationAborted):
        send()
    assert "worker killed" not in server.log
    assert list((server.data / "spool").iterdir()) == []


def test_workers_end_when_the_supervisor_is_killed(start_archive: StartArchive) -> None:
    server = start_archive("--workers", "1")
    workers = server.worker_pids()
    server.process.kill()
    server.process.wait()
    for pid in workers:
        await_end(pid)
    again = start_archive("--workers", "1")
    assert fetch(again, "/health/ready") == 200


def test_one_data_folder_has_one_server(archive_server: ArchiveServer) -> None:
    server = archive_server
    second = archive_here(
        "serve", "--data", str(server.data), "--http", "127.0.0.1:0", "--dimse", "127.0.0.1:0"
    )
    assert second.code == 2
    assert second.stderr.count("\n") == 1
    assert "served by another archive" in second.stderr
    assert fetch(server, "/health/live") == 200


@pytest.mark.parametrize("door", ["http", "dimse"])
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = {"http": "127.0.0.1:0", "dimse": "127.0.0.1:0", door: f"127.0.0.1:{port}"}
        done = archive_here(
            "serve", "--data", str(tmp_path / "data"), "--http", options["http"], "--dimse", options["dimse"]
        )
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert str(port) in done.stderr
    assert f"--{door}" in done.stderr
    assert done.stdout == ""


def test_a_data_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = archive_here("serve", "--data", str(tmp_path / "file" / "data"), "--http", "127.0.0.1:0")
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert "--data" in done.stderr


def test_an_unknown_key_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "archive.toml"
    path.write_text("[dimse]\nae_titel = 'X'\n")
    done = archive_here("serve", "--config", str(path), "--data", str(tmp_path / "data"))
    assert done.code == 2
    assert done.stderr.count("\n") == 1
    assert "ae_titel" in done.stderr
    assert "dimse.ae_title" in done.stderr
    assert str(path) in done.stderr


def test_the_greeting_leads_to_this_machine_where_it_listens_everywhere() -> None:
    settings = load(environment={"ARCHIVE_HTTP_PUBLIC_URL": "https://pacs.example"})
    assert isinstance(settings, Settings)
    text = greeting(dataclasses.replace(settings, data=Path("/srv/archive")))
    assert "echoscu -aec ARCHIVE 127.0.0.1 11112" in text
    assert "curl http://127.0.0.1:8080/dicom-web/studies" in text
    assert "known as https://pacs.example" in text
    assert "archive import FOLDER --data /srv/archive" in text
