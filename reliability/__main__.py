"""The command, `python -m reliability RUN`: 0 when all that must hold held, 1 otherwise."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from reliability.table import RUNS

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PEER_ROOT = CACHE / "peer-orthanc"


def parser() -> argparse.ArgumentParser:
    """The options."""
    out = argparse.ArgumentParser(
        "reliability", description="Faults, and what is left of what was acknowledged."
    )
    out.add_argument("run", nargs="?", choices=sorted(RUNS), metavar="RUN", help=", ".join(sorted(RUNS)))
    out.add_argument("--list", action="store_true", help="show the runs and end")
    out.add_argument(
        "--rounds", type=int, default=0, help="so many times; each run has its own number without"
    )
    out.add_argument(
        "--seconds", type=float, default=0.0, help="for as long, where a run is measured in time"
    )
    out.add_argument("--seed", type=int, default=0, help="the same instants again")
    out.add_argument(
        "--folder", type=Path, help="where the server keeps its data meanwhile (a temporary folder)"
    )
    out.add_argument("--peer", action="store_true", help="the same of the peer, Orthanc")
    out.add_argument("--peer-root", type=Path, default=PEER_ROOT, help=f"chroot of the peer ({PEER_ROOT})")
    out.add_argument(
        "--report", action="store_true", help="run nothing: the report of the results that are there"
    )
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parser().parse_args(arguments)
    if options.list:
        sys.stdout.write("".join(f"{name:12} {says}\n" for name, (_, says) in sorted(RUNS.items())))
        return 0
    if options.report:
        status: int = import_module("reliability.report").write()
        return status
    if options.run is None:
        parser().error("which run? --list shows them")
    for number in (signal.SIGTERM, signal.SIGHUP):  # what a run has mounted and started ends with it
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    begin, _ = RUNS[options.run]
    return begin(options)


if __name__ == "__main__":
    sys.exit(main())
