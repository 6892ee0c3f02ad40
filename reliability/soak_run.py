"""The run `soak` (`make soak`): an hour of mixed load on the archive, its verdict, and what the plot is drawn from."""

from __future__ import annotations

import argparse
import sys

from benchmarks.servers import archive
from reliability import figures, soak
from reliability.progress import progress

RUN = "soak"


def run(options: argparse.Namespace) -> int:
    """As the command line says; 0 when nothing went wrong and all is flat."""
    seconds = options.seconds or soak.SECONDS
    with progress(RUN, seconds) as done:
        found = soak.run(seconds, folder=options.folder, say=lambda at: done(round(at), ""))
    figures.write(RUN, archive.NAME, found.version, found.as_json())
    for fault in found.faults:
        sys.stdout.write(f"{fault}\n")
    for line in found.lines:
        mark = "" if line.flat else "   NOT FLAT"
        sys.stdout.write(f"{line.what:40} {line.early:14.3f} {line.late:14.3f}{mark}\n")
    return int(not found.ok)
