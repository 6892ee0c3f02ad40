"""kill -9 of a whole server at random instants under eight senders, and started again, many times (4.3).

Each round sends new objects into new studies, kills all processes of the server after 50 to 2000 ms, starts it again on
what it left and asks the checker.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.servers import orthanc
from reliability import checker, figures
from reliability.checker import Report
from reliability.ledger import Ledger
from reliability.senders import THREADS, sending
from reliability.servers import Archive, Peer, Running

ROUNDS = 200
ON_ONE_FOLDER = 25
"""Rounds; then all that was acknowledged in them is asked for once more, and the server begins with an empty folder."""
EARLIEST, LATEST = 0.05, 2.0
BY_STOW = 2
"""Of the senders; the others send by C-STORE."""


@dataclass
class Kills:
    """What came of so many rounds."""

    rounds: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    there_unanswered: int = 0
    orphans: int = 0
    lost: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """What was found after a round."""
        self.rounds += 1
        self.acknowledged += report.acknowledged
        self.unanswered += report.unanswered
        self.there_unanswered += report.there_unanswered
        self.note("", report)

    def note(self, when: str, report: Report) -> None:
        """What is wrong."""
        self.lost += report.lost
        for invariant, lines in report.violations.items():
            self.violations.setdefault(invariant, []).extend(when + line for line in lines)


def kill_again_and_again(
    server: Archive | Peer, rounds: int, chance: random.Random, name: str, came: Kills
) -> Iterator[int]:
    """Do it on one folder, a round each time the next one is asked for. No process is left at the end, whatever
    happens."""
    ledgers: list[Ledger] = []
    orphans = 0
    running = server.start()
    try:
        for number in range(rounds):
            ledgers.append(Ledger())
            running, report = _round(server, running, ledgers[-1], f"{name}-{number}", chance, orphans)
            orphans = report.orphans
            came.add(report)
            yield number
        came.orphans += orphans
        for ledger in ledgers:
            came.note("at the end: ", checker.check_served(ledger, running.target))
    finally:
        running.kill()


def _round(
    server: Archive | Peer, running: Running, ledger: Ledger, name: str, chance: random.Random, orphans: int
) -> tuple[Running, Report]:
    with sending(ledger, running.target, name, THREADS, BY_STOW):
        time.sleep(chance.uniform(EARLIEST, LATEST))
        running.kill()
    again = server.start()
    try:
        return again, checker.check(ledger, again.target, whole=False, orphans_before=orphans)
    except BaseException:
        again.kill()
        raise


def _rounds(
    options: argparse.Namespace, folder: Path, rounds: int, chance: random.Random, came: Kills
) -> Iterator[int]:
    for first in range(0, rounds, ON_ONE_FOLDER):
        here = folder / str(first)
        server = Peer(here, options.peer_root) if options.peer else Archive(here)
        yield from kill_again_and_again(server, min(ON_ONE_FOLDER, rounds - first), chance, str(first), came)
        if not came.violations:
            shutil.rmtree(here, ignore_errors=True)


def run(options: argparse.Namespace) -> int:
    """`python -m reliability kills`."""
    rounds, seed = options.rounds or ROUNDS, options.seed or random.randrange(1 << 32)
    folder = Path(tempfile.mkdtemp(prefix="kills-", dir=options.folder))
    if options.peer:
        orthanc.install(options.peer_root)
    server = Peer(folder, options.peer_root) if options.peer else Archive(folder)
    came = Kills()
    done = _rounds(options, folder, rounds, random.Random(seed), came)
    for _ in track(done, f"{server.name}: kill -9", total=rounds, console=Console(stderr=True)):
        pass
    found = {
        "rounds": came.rounds,
        "seed": seed,
        "senders": THREADS,
        "acknowledged": came.acknowledged,
        "unanswered": came.unanswered,
        "there_though_unanswered": came.there_unanswered,
        "lost_or_altered": came.lost,
        "orphaned_files": came.orphans,
        "violations": {invariant: lines[:20] for invariant, lines in came.violations.items()},
    }
    path = figures.write("kills", server.name, server.version, found)
    sys.stdout.write(path.read_text())
    if came.violations:
        sys.stdout.write(f"what the last rounds left is in {folder}\n")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0
