"""A running archive whose index is locked by another process, or whose PostgreSQL is killed under load (reliability.md
4.3): refusals that say so, reading as long as it can be, and all is well by itself afterwards."""

from __future__ import annotations

import http.client
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from reliability import dimse, objects
from reliability.checker import check
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES, Object
from reliability.senders import sending, store
from reliability.servers import Archive, Running
from reliability.target import Target
from reliability.web import Web, data_set_of
from suites.postgresql import SAFE_FROM_KILLS, Server, running_server
from test_kills import ENOUGH, await_that

IMPATIENT = (str(Path(__file__).with_name("impatient_launcher.py")),)


@contextmanager
def served(
    folder: Path, program: tuple[str, ...] = ("-m", "archive.cli"), **environment: str
) -> Iterator[Running]:
    running = Archive(folder, ("--workers", "2"), environment).start(program=program)
    try:
        yield running
    finally:
        running.kill()


def posted(target: Target, one: Object) -> http.client.HTTPResponse:
    """STOW-RS of one object."""
    body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + one.file + b"\r\n--B--\r\n"
    return asked(
        target,
        "POST",
        "/studies",
        body,
        {"Content-Type": 'multipart/related; type="application/dicom"; boundary=B'},
    )


def asked(
    target: Target, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    with closing(http.client.HTTPConnection(target.host, target.http_port, timeout=60)) as connection:
        connection.request(method, target.prefix + path, body or None, headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer


def test_the_index_is_locked_by_another_process(tmp_path: Path) -> None:
    """For longer than anybody waits for it: what changes something is refused, what reads is served."""
    there, one, other = (objects.made("locked", number) for number in range(3))
    ledger = Ledger()
    with served(tmp_path, IMPATIENT) as running, dimse.storing(running.target, SOP_CLASSES) as association:
        target = running.target
        assert store(ledger, association, there) == 0
        assert target.data is not None
        with closing(sqlite3.connect(target.data / "index.sqlite", isolation_level=None)) as locking:
            locking.execute("BEGIN EXCLUSIVE")
            assert store(ledger, association, one) == 0xA700
            refused = posted(target, other)
            assert (refused.status, bool(refused.getheader("Retry-After"))) == (503, True)
            study = f"/studies/{there.StudyInstanceUID}"
            assert asked(target, "DELETE", study).status == 503
            with Web(target) as web:
                assert [data_set_of(file) for file in web.retrieve(study)] == [there.data_set]
                assert len(web.search(f"{study}/instances")) == 1
            assert store(ledger, association, one) == 0xA700
            locking.execute("ROLLBACK")
        assert store(ledger, association, one) == 0
        assert posted(target, other).status == 200
        report = check(ledger, target, whole=False)
        assert report.ok, report


@pytest.fixture
def postgresql() -> Iterator[Server]:
    """One of the test's own, which is killed."""
    with running_server(SAFE_FROM_KILLS) as server:
        yield server


def test_postgresql_is_killed_under_load(tmp_path: Path, postgresql: Server) -> None:
    """kill -9 of all its processes, and started again: what was acknowledged is there."""
    with postgresql.database() as url, served(tmp_path, ARCHIVE_INDEX_URL=url) as running:
        ledger = Ledger()
        with sending(ledger, running.target, "killed", 4, by_stow=2):
            await_that(lambda: ledger.acknowledged > ENOUGH)
            postgresql.kill()
            postgresql.start()
            before = ledger.acknowledged
            await_that(lambda: ledger.acknowledged > before + ENOUGH)
        report = check(ledger, running.target)
        assert report.ok, report
        assert running.process.poll() is None
