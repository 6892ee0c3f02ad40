"""Run as a program: an archive of which a worker dies, or stands still, at one point of `failpoints`.

    python -m reliability.launcher POINT[:N] MARKER kill|stop serve --data … [OPTIONS]

is `archive serve …`, but for this: the first of its processes that passes the point (for the Nth time in its own life)
writes its process id to the file MARKER and is killed (SIGKILL), or stops (SIGSTOP), there. It happens once, so that a
worker that takes the place of the dead one serves.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading

from archive.cli import commands
from reliability import failpoints

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def at_point(point: str, marker: str, number: signal.Signals) -> failpoints.Strike:
    """A strike at this point, once among all processes."""
    name, _, nth = point.partition(":")
    counter, lock = itertools.count(1), threading.Lock()

    def strike(passed: str) -> None:
        if passed != name:
            return
        with lock:
            if next(counter) != int(nth or 1):
                return
            try:
                descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return
            os.write(descriptor, str(os.getpid()).encode())
            os.close(descriptor)
        os.kill(os.getpid(), number)

    return strike


def main() -> None:
    """Arm the point, then do what `archive` does."""
    point, marker, how = sys.argv[1:4]
    steps = failpoints.STEPS + failpoints.OF_A_SERVER
    if point.partition(":")[0] not in failpoints.names(steps):
        sys.exit(f"no point {point!r}; there are: {', '.join(failpoints.names(steps))}")
    failpoints.arm(at_point(point, marker, SIGNALS[how]), steps)
    sys.argv[1:4] = []
    commands.main()


if __name__ == "__main__":
    main()
