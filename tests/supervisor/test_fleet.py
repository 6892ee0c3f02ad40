"""Workers that hang, die and refuse to go, each a few lines of Python that follow the protocol of a worker."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from archive.supervisor.fleet import End, Fleet, Patience, Post, delay
from archive.supervisor.worker import heartbeat

# What every worker below begins with: know the pipes and how often we were started.
PREAMBLE = """
import os, pathlib, signal, sys, time
pipe, alive, supervisor = int(sys.argv[3]), int(sys.argv[4]), os.getppid()
lives = pathlib.Path(sys.argv[2]) / sys.argv[1]
life = len(lives.read_text()) + 1 if lives.exists() else 1
lives.write_text("x" * life)
beat = lambda: os.write(pipe, b".")
end_all = lambda *_: os.kill(supervisor, signal.SIGTERM)
until_told = lambda: os.read(alive, 1)
"""

IMPATIENT = Patience(first_delay=0.0, clean_up=0.1)


class Run:
    """One fleet of one worker, run to its end."""

    def __init__(
        self, tmp_path: Path, script: str, patience: Patience = IMPATIENT, drain_seconds: float = 30.0
    ) -> None:
        self.greetings = 0
        self.dead: list[int] = []

        def work(post: Post, heartbeat_pipe: int, alive: int) -> None:
            for pipe in (heartbeat_pipe, alive):
                os.set_inheritable(pipe, True)
            program = (sys.executable, "-c", PREAMBLE + script)
            os.execv(sys.executable, [*program, post.door, str(tmp_path), str(heartbeat_pipe), str(alive)])

        self.end = Fleet(
            [Post("door", 1)],
            work,
            drain_seconds=drain_seconds,
            on_ready=self._greet,
            on_death=self.dead.append,
            patience=patience,
        ).run()
        self.lives = len((tmp_path / "door").read_text())

    def _greet(self) -> None:
        self.greetings += 1


def test_a_worker_that_ends_when_told_has_drained(tmp_path: Path) -> None:
    run = Run(tmp_path, "beat(); end_all(); until_told()")
    assert (run.end, run.lives, run.dead) == (End.DRAINED, 1, [])


def test_the_greeting_comes_once_however_often_workers_are_replaced(tmp_path: Path) -> None:
    run = Run(tmp_path, "beat()\nif life == 3:\n    end_all(); until_told()")
    assert (run.end, run.greetings, run.lives) == (End.DRAINED, 1, 3)
    assert len(run.dead) == 2


def test_a_silent_worker_is_killed_and_replaced(tmp_path: Path) -> None:
    script = "beat()\nif life == 1:\n    until_told()\nend_all(); until_told()"
    run = Run(tmp_path, script, Patience(silence=0.3, first_delay=0.0))
    assert run.end is End.DRAINED
    assert run.lives == len(run.dead) + 1 >= 2


def test_a_worker_that_never_gets_ready_ends_the_start(tmp_path: Path) -> None:
    run = Run(tmp_path, "sys.exit(3)")
    assert (run.end, run.lives, run.greetings) == (End.NEVER_READY, 3, 0)


def test_a_worker_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); beat(); end_all(); until_told()",
        drain_seconds=0.1,
    )
    assert run.end is End.KILLED


def test_a_second_signal_cuts_the_drain_short(tmp_path: Path) -> None:
    began = time.monotonic()
    run = Run(
        tmp_path,
        "signal.signal(signal.SIGTERM, end_all); beat(); end_all(); until_told()",
        drain_seconds=300,
    )
    assert run.end is End.KILLED
    assert time.monotonic() - began < 60


def test_signal_handlers_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    Run(tmp_path, "beat(); end_all(); until_told()")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_delays_double_up_to_half_a_minute() -> None:
    assert [delay(failures, Patience()) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert delay(10_000, Patience()) == 30


def test_a_heartbeat_is_written_at_most_once_a_second() -> None:
    near, far = os.pipe()
    now = 0.0
    beat = heartbeat(far, clock=lambda: now)
    for step in range(30):
        now = step / 10
        beat()
    os.close(far)
    assert os.read(near, 100) == b"..."
    os.close(near)


def test_a_heartbeat_never_raises_when_the_supervisor_is_gone() -> None:
    near, far = os.pipe()
    os.close(near)
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        heartbeat(far)()
    finally:
        signal.signal(signal.SIGPIPE, before)
        os.close(far)


@pytest.mark.parametrize("door", ["http", "dimse", "jobs"])
def test_there_is_a_door_for_every_post(door: str) -> None:
    from archive.supervisor.worker import DOORS

    assert door in DOORS
