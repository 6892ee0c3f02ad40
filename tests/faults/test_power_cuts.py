"""The power fails under eight senders (reliability.md 4.3, fact 1 and fact 10): what was acknowledged is there, and
nothing is there by halves. A few cuts; `python -m reliability power-cuts` makes a hundred."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability import power_cuts, power_points
from reliability.disks import CannotMount
from reliability.ledger import Ledger
from reliability.power_cut import WITHOUT_FSYNC, Machine, freeze, is_still
from reliability.senders import sending
from reliability.servers import Archive


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A server whose power can be cut."""
    try:
        with Machine(Archive, tmp_path / "machine") as made:
            made.switch_on()
            yield made
    except CannotMount as error:
        pytest.skip(str(error))


def test_what_was_acknowledged_survives(machine: Machine) -> None:
    """At a random moment; then on what that has left, when a file has its name and its folder is not yet synced."""
    ledger = Ledger()
    report = power_cuts.cut_once(machine, ledger, "first", 0.3, at_least=40)
    assert report.ok, report
    assert report.acknowledged >= 40
    machine.switch_off()
    again = power_points.cut_at(machine, Ledger(), "second", "linked:20", report.orphans)
    assert again is not None, "nobody passed the point"
    assert again.ok, again
    assert machine.copies >= 2
    machine.switch_off()
    assert machine.disk_faults() == ""


def test_without_fsync_it_would_be_lost(machine: Machine) -> None:
    """The control: this disk forgets what nobody has synced."""
    machine.switch_off()
    machine.switch_on(WITHOUT_FSYNC)
    ledger = Ledger()
    with sending(ledger, machine.target, "unsafe"):
        while ledger.acknowledged < 40:
            os.sched_yield()
        machine.cut(ledger)
    report = power_cuts.after_the_cut(machine, ledger)
    assert report.lost > 0


def test_who_is_stopped_does_nothing_any_more() -> None:
    """Also the threads of what it has started."""
    program = "import os, threading\nos.fork()\n"
    program += "threading.Thread(target=lambda: [print(1) for _ in iter(int, 1)]).start()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as running:
        try:
            assert running.stdout is not None
            running.stdout.read(1)
            while len(found := freeze(running.pid)) < 2:
                os.killpg(running.pid, signal.SIGCONT)
            assert all(map(is_still, found))
        finally:
            os.killpg(running.pid, signal.SIGKILL)
