"""The command, `python -m benchmarks [ROW…]`: 0 when all rows were measured to the end, 1 otherwise."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import runner
from benchmarks.loads import dcmtk
from benchmarks.reporting import plots, results, table
from benchmarks.reporting.results import Measured
from benchmarks.rows.row import Row
from benchmarks.rows.table import ROWS, chosen
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.servers import floors, orthanc
from benchmarks.servers.server import ServerFault
from benchmarks.stage import Stage, say

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dicom-archive-benchmarks"
TABLE = "table.md"


def parser() -> argparse.ArgumentParser:
    """The options."""
    out = argparse.ArgumentParser("benchmarks", description="The archive and its peer side by side.")
    out.add_argument("rows", nargs="*", metavar="ROW", help="rows whose id begins so; all without")
    out.add_argument("--list", action="store_true", help="show the rows and end")
    out.add_argument(
        "--quick", action="store_true", help="each row once and small: whether it runs, not how fast"
    )
    out.add_argument("--rounds", type=int, help=f"measurements of each side ({FULL.rounds})")
    out.add_argument(
        "--data", type=Path, default=CACHE, help=f"kept: prepared files, filled servers ({CACHE})"
    )
    out.add_argument("--output", type=Path, help="results, table and plots (benchmarks/results)")
    out.add_argument("--peer-root", type=Path, help="chroot of the peer (DATA/peer), made when absent")
    out.add_argument("--no-peer", action="store_true", help="measure ours and the floors alone")
    out.add_argument(
        "--report", action="store_true", help="measure nothing: table and plots of what is there"
    )
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parser().parse_args(arguments)
    options.data = options.data.absolute()
    try:
        rows = chosen(options.rows)
    except KeyError as unknown:
        parser().error(f"no row begins with {unknown}; --list shows them")
    if options.list:
        _print("\n".join(f"{row.id:24} {row.metrics[0].title}" for row in rows))
        return 0
    _end_in_order()
    output = options.output or (options.data / "quick" if options.quick else HERE / "results")
    missing = [] if options.report else [tool for tool in dcmtk.NEEDED if not shutil.which(tool)]
    if missing:
        parser().error(f"needed and not installed: {', '.join(missing)} (apt install dcmtk)")
    if not options.report:
        try:
            _measure(options, rows, output)
        except ServerFault as fault:
            say(str(fault))
            return 1
    return _report(rows, output)


def _end_in_order() -> None:
    """Whoever ends this run ends its servers as well: they are in sessions of their own."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def _measure(options: argparse.Namespace, rows: Sequence[Row], output: Path) -> None:
    root: Path | None = None
    if not options.no_peer:
        root = options.peer_root or options.data / "peer"
        orthanc.install(root)
    options.data.mkdir(parents=True, exist_ok=True)
    measured = results.read(output)

    def done(one: Measured) -> None:
        measured[one.id] = one
        results.write(output, measured)

    # beside what is kept, so on the same disk
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.data) as folder:
        scratch = Path(folder)
        with floors.storescp(scratch / "sink", keep=False) as sink_port:
            stage = Stage(options.data, scratch, _scale(options), scratch.name, sink_port, root)
            runner.run(stage, rows, options.quick, done)


def _scale(options: argparse.Namespace) -> Scale:
    scale = QUICK if options.quick else FULL
    return replace(scale, rounds=options.rounds, large_rounds=options.rounds) if options.rounds else scale


def _report(rows: Sequence[Row], output: Path) -> int:
    measured = results.read(output)
    (output / TABLE).write_text(table.markdown(ROWS, measured))
    try:
        plots.draw(output, ROWS, measured)
    except ImportError:
        say("no plots: they need matplotlib (pip install '.[bench]')")
    _print(table.markdown(rows, measured))
    short = table.verdict(rows, measured)
    if short:
        say(f"short of what they must come to: {'; '.join(short)}")
    return int(any(measured[row.id].fault for row in rows if row.id in measured))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
