"""Worker processes made by fork from the supervisor, which has imported everything: they start at once, and share its
pages for as long as nobody writes to them. Started anew, each would hold some 75 MB of code of its own.

The supervisor has one thread that runs Python, and no connection to the index is open when it forks.
"""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.process
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.context import ForkProcess
from pathlib import Path

_FORK = multiprocessing.get_context("fork")
_OF_THE_SUPERVISOR = (signal.SIGTERM, signal.SIGINT)


def share_memory() -> None:
    """What is in memory now stays: no collection looks at it, which would write to its pages."""
    gc.collect()
    gc.freeze()


def forked(name: str, work: Callable[[], None]) -> ForkProcess:
    """A process that does the work and ends. A signal to it that comes early waits until it has its own handlers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_SUPERVISOR)
    try:
        process = _FORK.Process(target=partial(_begin, name, work), name=name)
        process.start()
        return process
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_SUPERVISOR)


def let_be(process: ForkProcess) -> None:
    """Do not wait for it when this process ends, as multiprocessing does for all that it has begun."""
    of_this_process: set[object] = getattr(multiprocessing.process, "_children", set())
    of_this_process.discard(process)


def _begin(name: str, work: Callable[[], None]) -> None:
    os.setpgid(0, 0)  # a terminal's Ctrl-C is for the supervisor alone
    os.dup2(2, 1)  # what it says by mistake goes to the log
    signal.set_wakeup_fd(-1)
    for each in _OF_THE_SUPERVISOR:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_THE_SUPERVISOR)
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"archive-{name}"[:15])
    try:
        work()
    except Exception:  # noqa: BLE001 - multiprocessing would print its text, which may name a patient
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
