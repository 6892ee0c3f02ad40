"""Clocks that leap (reliability.md 4.3): nothing goes early, and nothing waits for ever."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive, build
from archive.bootstrap.preparing import prepare
from archive.index import outbox
from archive.jobs import worker
from archive.jobs.clock import NOTED_EVERY_SECONDS, PACE_SECONDS, TRUST_SECONDS, Clock
from archive.jobs.table import RECURRING, Recurring
from archive.settings.whole import Settings

HOUR, YEAR = 3600.0, 365.25 * 86400


class Hands:
    """Those of both clocks."""

    def __init__(self) -> None:
        self.wall, self.steady = 1.7e9, 100.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def clock(hands: Hands, tmp_path: Path) -> Clock:
    """One that is trusted."""
    started(hands, tmp_path)
    hands.pass_by(TRUST_SECONDS)
    return started(hands, tmp_path, left=0)


def started(hands: Hands, folder: Path, left: float | None = None) -> Clock:
    if left is not None:
        (folder / "clock").write_text(f"{hands.wall} {left}")
    return Clock(folder / "clock", lambda: hands.wall, lambda: hands.steady)


def test_a_clock_that_nobody_has_seen_before_is_trusted_after_a_day(hands: Hands, tmp_path: Path) -> None:
    clock = started(hands, tmp_path)
    assert not clock.is_trusted()
    hands.pass_by(TRUST_SECONDS - 1)
    assert not clock.is_trusted()
    hands.pass_by(1)
    assert clock.is_trusted()


@pytest.mark.parametrize("leap", [HOUR + 60, -HOUR - 60, 10 * YEAR, -10 * YEAR])
def test_after_a_leap_nothing_goes_by_its_age_for_a_day(hands: Hands, clock: Clock, leap: float) -> None:
    assert clock.is_trusted()
    hands.wall += leap
    assert not clock.is_trusted()
    hands.pass_by(TRUST_SECONDS - 1)
    assert not clock.is_trusted()
    hands.pass_by(1)
    assert clock.is_trusted()


def test_a_clock_that_is_put_right_by_a_little_stays_trusted(hands: Hands, clock: Clock) -> None:
    for seconds in (1, -1, 600, -600):
        hands.wall += seconds
        assert clock.is_trusted()
        hands.pass_by(2 * PACE_SECONDS)


@pytest.mark.parametrize(("off", "trusted"), [(HOUR, True), (-2 * HOUR, False), (2 * TRUST_SECONDS, False)])
def test_who_starts_asks_whether_the_clock_has_gone_on(
    hands: Hands, tmp_path: Path, off: float, trusted: bool
) -> None:
    clock = started(hands, tmp_path, left=0)
    hands.pass_by(NOTED_EVERY_SECONDS)
    assert clock.is_trusted()
    hands.wall += off
    hands.steady = 5.0  # the machine was started anew
    assert started(hands, tmp_path).is_trusted() is trusted


def test_an_archive_that_is_restarted_every_few_hours_trusts_its_clock_one_day(
    hands: Hands, tmp_path: Path
) -> None:
    starts = 0
    while not (clock := started(hands, tmp_path)).is_trusted():
        for _ in range(18):
            hands.pass_by(NOTED_EVERY_SECONDS)
            clock.is_trusted()
        starts += 1
        assert starts < 12
    assert starts == 8


def test_what_is_due_in_a_minute_is_due_in_a_minute_after_a_leap(hands: Hands, clock: Clock) -> None:
    due = clock.now() + 60
    hands.wall += 10 * YEAR
    assert clock.now() < due
    hands.pass_by(59)
    assert clock.now() < due
    hands.pass_by(1)
    assert clock.now() >= due
    assert clock.now() == hands.wall


def test_a_clock_that_goes_back_counts_at_once(hands: Hands, clock: Clock) -> None:
    hands.wall -= 10 * YEAR
    assert clock.now() == hands.wall


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    settings = dataclasses.replace(Settings(), data=tmp_path / "data")
    prepare(settings)
    return build(settings)


def test_a_job_from_the_future_is_done(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was left while the clock was ten years ahead."""
    right = time.time()
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: right + 10 * YEAR)
        archive.database.write(lambda connection: outbox.put(connection, "Event", {}, after_seconds=60))
    ran: list[int] = []
    jobs = {"Event": lambda _archive, _payload: ran.append(1)}
    assert worker.work(archive, jobs=jobs, now=lambda: right) == 1
    assert worker.work(archive, jobs=jobs, now=lambda: right) == 0
    assert ran == [1]
    archive.close()


def test_what_goes_by_age_waits_for_the_clock(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    stop = threading.Event()
    recurring = (
        Recurring("old", HOUR, lambda _: ran.append("old"), by_age=True),
        Recurring("other", HOUR, lambda _: ran.append("other")),
    )
    monkeypatch.setattr(worker, "RECURRING", recurring)
    worker.run(archive, lambda: stop.set() if ran else None, stop)
    assert ran == ["other"]
    ran.clear()
    stop.clear()
    archive.settings.run_folder.mkdir(exist_ok=True)
    (archive.settings.run_folder / "clock").write_text(f"{time.time():.0f} 0")
    worker.run(archive, lambda: stop.set() if ran else None, stop)
    assert ran == ["old", "other"]
    archive.close()


def test_all_that_expires_goes_by_age() -> None:
    assert all(each.by_age for each in RECURRING if each.name.startswith("expire"))
    assert sum(each.by_age for each in RECURRING) >= 7
