"""The real archive is killed under load (reliability.md 4.3): whole, at random and at steps of the table, or a worker
of it; and told to end under load. What was acknowledged is there afterwards, as it was sent."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive_process import await_end
from benchmarks.servers.server import ServerFault
from reliability.checker import check
from reliability.kills import Kills, kill_again_and_again
from reliability.ledger import Ledger
from reliability.senders import sending
from reliability.servers import Archive, Running

ENOUGH = 10
"""So many acknowledged objects make a test tell something."""

Begin = Callable[..., Running]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive", ("--workers", "2"))


@pytest.fixture
def begin(archive: Archive) -> Iterator[Begin]:
    """Starts the archive on its folder; nothing is left of it."""
    started: list[Running] = []

    def start(program: tuple[str, ...] = ("-m", "archive.cli")) -> Running:
        started.append(archive.start(program=program))
        return started[-1]

    yield start
    for running in started:
        running.kill()


def await_that(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


def test_killed_at_random(archive: Archive) -> None:
    """`python -m reliability kills` does the same 200 times."""
    came = Kills()
    rounds = list(kill_again_and_again(archive, 2, random.Random(1), "few", came))
    assert len(rounds) == came.rounds == 2
    assert came.acknowledged + came.unanswered > 0
    assert not came.violations, came.violations


@pytest.mark.parametrize("point", ["answering by DIMSE:5", "answering by STOW-RS:2"])
def test_killed_when_all_is_safe_and_nobody_was_told(tmp_path: Path, begin: Begin, point: str) -> None:
    marker = tmp_path / "marker"
    running = begin(("-m", "reliability.launcher", point, str(marker), "kill"))
    ledger = Ledger()
    with sending(ledger, running.target, point, 4, by_stow=2):
        await_that(marker.exists)
        await_end(int(marker.read_text()))
        running.kill()
    report = check(ledger, begin().target)
    assert report.ok, report
    assert report.there_unanswered >= 1, "it died too early, or too late"


def test_killed_when_the_index_is_made(tmp_path: Path, archive: Archive, begin: Begin) -> None:
    marker = tmp_path / "marker"
    with pytest.raises(ServerFault):
        begin(("-m", "reliability.launcher", "migrated", str(marker), "kill"))
    assert marker.exists()
    running, ledger = begin(), Ledger()
    with sending(ledger, running.target, "after", 1):
        await_that(lambda: ledger.acknowledged > 0)
    report = check(ledger, running.target)
    assert report.ok, report


def test_workers_that_are_killed_under_load(begin: Begin) -> None:
    """The others go on, somebody takes the place of each, and nothing is lost that one had acknowledged."""
    running, ledger = begin(), Ledger()
    with sending(ledger, running.target, "workers", by_stow=2):
        for door in ("dimse", "http", "jobs"):
            before = ledger.acknowledged
            await_that(lambda before=before: ledger.acknowledged > before + ENOUGH)  # type: ignore[misc]
            os.kill(running.workers(door)[0], signal.SIGKILL)
        before = ledger.acknowledged
        await_that(lambda: ledger.acknowledged > before + ENOUGH)
    report = check(ledger, running.target)
    assert report.ok, report


def test_told_to_end_under_load(begin: Begin) -> None:
    """SIGTERM: it ends by itself and well; what it has acknowledged until then stays."""
    running, ledger = begin(), Ledger()
    with sending(ledger, running.target, "ending", by_stow=2):
        await_that(lambda: ledger.acknowledged > ENOUGH)
        assert running.stop() == 0
    report = check(ledger, begin().target)
    assert report.ok, report
    assert report.acknowledged > ENOUGH
