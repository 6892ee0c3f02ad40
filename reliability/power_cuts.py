"""The run `power-cuts`: the power fails at random moments under eight senders, again and again (reliability.md 4.3).

A disk goes on through several cuts, each on what the one before has left, until something was lost on it. The moments
lie between 50 ms and 12 s after the first object, evenly by their logarithm: a server that writes its index down every
ten seconds is met in every state. Meanwhile whole studies are deleted, where the server can do that.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loads.http import BrokenOff
from benchmarks.servers import orthanc
from benchmarks.servers.server import ServerFault
from reliability import checker, figures
from reliability.checker import Report
from reliability.deletions import deleting
from reliability.disks import CannotMount
from reliability.ledger import Ledger
from reliability.power_cut import Machine, Subject
from reliability.progress import progress
from reliability.senders import THREADS, sending
from reliability.servers import Archive, Peer

RUN, ROUNDS = "power-cuts", 100
EARLIEST, LATEST = 0.05, 12.0
CUTS_OF_A_DISK = 5
BY_STOW = 3
_MOST_KEPT = 20
_SLOWEST = 60.0


@dataclass
class Cuts:
    """What came of the cuts so far. `with_loss`: so many of them lost something; `partial`: objects that are listed and
    not to be had whole."""

    cuts: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    there_unanswered: int = 0
    deleted: int = 0
    lost: int = 0
    with_loss: int = 0
    partial: int = 0
    copies: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)

    def add(self, ledger: Ledger, report: Report) -> None:
        """One more, on a ledger of its own."""
        self.cuts += 1
        self.acknowledged += report.acknowledged
        self.unanswered += report.unanswered
        self.there_unanswered += report.there_unanswered
        self.deleted += sum(entry.deleted for entry in ledger.entries())
        self.lost += report.lost
        self.with_loss += bool(report.lost)
        self.partial += len(report.violations.get("I2", []))
        self.note(f"cut {self.cuts}", report)

    def note(self, when: str, report: Report) -> None:
        """What is wrong."""
        for invariant, lines in report.violations.items():
            self.violations.setdefault(invariant, []).extend(f"{when}: {line}" for line in lines)

    def as_figures(self) -> dict[str, object]:
        """To be kept."""
        return {
            "rounds": self.cuts,
            "senders": THREADS,
            "acknowledged": self.acknowledged,
            "unanswered": self.unanswered,
            "there_though_unanswered": self.there_unanswered,
            "deleted": self.deleted,
            "lost_or_altered": self.lost,
            "rounds_with_loss": self.with_loss,
            "partial_objects_visible": self.partial,
            "violations": {invariant: lines[:_MOST_KEPT] for invariant, lines in self.violations.items()},
        }


def run(options: argparse.Namespace) -> int:
    """As the command line says; 0 when nothing was lost and nothing else is wrong."""
    count, seed = options.rounds or ROUNDS, options.seed or random.randrange(1 << 32)
    subject: Subject = Archive
    if options.peer:
        orthanc.install(options.peer_root)
        subject = lambda folder: Peer(folder, options.peer_root)  # noqa: E731
    server = subject(Path())
    came = Cuts()
    with tempfile.TemporaryDirectory(prefix="power-", dir=options.folder) as folder:
        try:
            with progress(f"{server.name}: power cuts", count) as done:
                for came in cuts(subject, Path(folder), count, seed):
                    done(came.cuts, f"{came.lost} of {came.acknowledged} lost")
                    path = figures.write(RUN, server.name, server.version, came.as_figures() | {"seed": seed})
        except CannotMount as error:
            sys.stderr.write(f"{error}\n")
            return 2
    if came.cuts:
        sys.stdout.write(path.read_text())
    return int(bool(came.violations))


def cuts(subject: Subject, folder: Path, count: int, seed: int) -> Iterator[Cuts]:
    """So many cuts: what came of them, after each. Raises CannotMount, and ServerFault when nothing starts at all."""
    numbers, came = random.Random(seed), Cuts()
    for disk in range(count):
        if came.cuts >= count:
            return
        with Machine(subject, folder / f"disk-{disk}") as machine:
            machine.switch_on()
            yield from _on_one_disk(machine, came, count, numbers)


def _on_one_disk(machine: Machine, came: Cuts, count: int, numbers: random.Random) -> Iterator[Cuts]:
    ledgers, orphans = [], 0
    for _ in range(min(CUTS_OF_A_DISK, count - came.cuts)):
        moment = math.exp(numbers.uniform(math.log(EARLIEST), math.log(LATEST)))
        ledgers.append(Ledger())
        report = cut_once(machine, ledgers[-1], f"power-{came.cuts}", moment, orphans)
        orphans = report.orphans
        came.add(ledgers[-1], report)
        yield came
        if not report.ok:
            return
    for ledger in ledgers:
        came.note("at the end of a disk", checker.check_served(ledger, machine.target))
    came.copies += machine.copies
    machine.switch_off()
    if faults := machine.disk_faults():
        raise CannotMount(f"this machine cannot simulate a disk: {faults}")


def cut_once(
    machine: Machine, ledger: Ledger, name: str, moment: float, orphans: int = 0, at_least: int = 0
) -> Report:
    """Load the server for so long, and until so much was acknowledged; cut, start again, and ask it. The machine is on
    before and after."""
    able_to_delete = isinstance(machine.server, Archive)
    with (
        sending(ledger, machine.target, name, THREADS, BY_STOW),
        deleting(ledger, machine.target, able_to_delete),
    ):
        time.sleep(moment)
        deadline = time.monotonic() + _SLOWEST
        while ledger.acknowledged < at_least and time.monotonic() < deadline:
            time.sleep(0.005)
        machine.cut(ledger)
    return after_the_cut(machine, ledger, orphans)


def after_the_cut(machine: Machine, ledger: Ledger, orphans: int = 0) -> Report:
    """Switch on, and ask whether all is there. A server that does not start has lost all that it has."""
    try:
        machine.switch_on()
        return checker.check(ledger, machine.target, orphans_before=orphans)
    except (ServerFault, OSError, EOFError, BrokenOff) as fault:
        report = Report(acknowledged=ledger.acknowledged, unanswered=ledger.unanswered)
        report.add("I9", f"it does not serve: {fault}")
        for entry in ledger.entries():
            if entry.is_due:
                report.add("I1", f"{entry.uid}: acknowledged, and nobody serves it")
        return report
