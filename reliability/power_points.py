"""The run `power-cuts-at-points`: the power fails once at each point of `failpoints`, where a worker stands still then.

All happens on one disk, each cut on what the one before has left. Points that only jobs pass are waited for without
load: what was deleted goes a minute later. Those that storing and deleting do not pass at all are named.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reliability import failpoints, figures
from reliability.checker import Report
from reliability.deletions import deleting
from reliability.disks import CannotMount
from reliability.ledger import Ledger
from reliability.power_cut import Machine
from reliability.power_cuts import BY_STOW, Cuts, after_the_cut
from reliability.progress import progress
from reliability.senders import THREADS, sending
from reliability.servers import Archive

RUN = "power-cuts-at-points"
WHILE_STARTING = {"migrated"}
"""Points that are passed before there is a server to send to."""
RARE = {
    *("folder made", "read back", "spool opened", "swept"),
    *("claimed", "attempted", "settled", "deleting", "deleted"),
}
"""Points that are passed now and then. At the others the twentieth time counts: something was acknowledged by then."""
_UNDER_LOAD, _AFTER_IT = 4.0, 80.0


@dataclass
class AtPoints:
    """What came of it. `not_met`: points that nobody passed."""

    cuts: Cuts = field(default_factory=Cuts)
    not_met: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """So many points."""
        return self.cuts.cuts + len(self.not_met)


def run(options: argparse.Namespace) -> int:
    """As the command line says; 0 when nothing was lost and nothing else is wrong."""
    if options.peer:
        sys.stderr.write(f"{RUN}: the points are functions of the archive; the peer has none\n")
        return 0
    known = failpoints.names(failpoints.STEPS + failpoints.OF_A_SERVER)
    points = [name for name in known if name not in WHILE_STARTING][: options.rounds or len(known)]
    came = AtPoints()
    with tempfile.TemporaryDirectory(prefix="power-", dir=options.folder) as folder:
        try:
            with progress("archive: power cuts at points", len(points)) as done:
                for came in at_points(Path(folder), points):
                    done(came.done, f"{came.cuts.lost} of {came.cuts.acknowledged} lost")
        except CannotMount as error:
            sys.stderr.write(f"{error}\n")
            return 2
    server = Archive(Path())
    path = figures.write(
        RUN, server.name, server.version, came.cuts.as_figures() | {"points_not_met": came.not_met}
    )
    sys.stdout.write(path.read_text())
    return int(bool(came.cuts.violations))


def at_points(folder: Path, points: list[str]) -> Iterator[AtPoints]:
    """A cut at each of these points: what came of them, after each. Raises CannotMount."""
    came, orphans = AtPoints(), 0
    with Machine(Archive, folder / "disk") as machine:
        for point in points:
            ledger = Ledger()
            nth = point if point in RARE else f"{point}:20"
            report = cut_at(machine, ledger, f"power-at-{came.done}", nth, orphans)
            if report is None:
                came.not_met.append(point)
            else:
                orphans = report.orphans
                came.cuts.add(ledger, report)
                machine.switch_off()
            yield came
        if faults := machine.disk_faults():
            raise CannotMount(f"this machine cannot simulate a disk: {faults}")


def cut_at(
    machine: Machine, ledger: Ledger, name: str, point: str, orphans: int = 0, after_it: float = _AFTER_IT
) -> Report | None:
    """Cut when a worker passes this point; None when none does in time. The machine is off before, and afterwards on if
    there was a cut."""
    marker = machine.folder / name
    target = machine.switch_on(("-m", "reliability.launcher", point, str(marker), "stop")).target
    with sending(ledger, target, name, THREADS, BY_STOW), deleting(ledger, target):
        if met := _appears(marker, _UNDER_LOAD):
            machine.cut(ledger)
    if not met:
        if not _appears(marker, after_it):
            machine.switch_off()
            return None
        machine.cut(ledger)
    return after_the_cut(machine, ledger, orphans)


def _appears(marker: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not marker.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
