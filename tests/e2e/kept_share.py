"""Which share of its rate somebody keeps while something else goes on.

The rates with and without it are measured in turn, until a share is enough. A round in which programs that have nothing
to do with the test had the processors says nothing about the archive: it does not count. Where there are none but such
rounds the test is skipped, and says which programs these were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from archive_process import ArchiveServer, children

ROUNDS = 5
"""That count."""
MOST_ROUNDS = 10
MOST_OF_OTHERS = 0.15
"""Processors. With one that somebody keeps busy, rates fell to a third that are seven tenths without."""

_TICKS = os.sysconf("SC_CLK_TCK")
_KERNEL = 2
"""The parent of the kernel's own threads; what they do is done for somebody."""


@dataclass
class Others:
    """What those who have nothing to do with the test took, known when it is over."""

    processors: float = 0.0
    names: str = ""


@dataclass(frozen=True, order=True)
class Round:
    """What was measured once: the share, and what it is of (per second)."""

    share: float
    alone: int
    amid: int
    others: str


def assert_kept(
    server: ArchiveServer,
    rate: Callable[[ArchiveServer], float],
    what: Callable[[], AbstractContextManager[object]],
    least: float,
) -> None:
    """More than so much of the rate is kept while that goes on. Skips where others kept the machine from saying so."""
    counted: list[Round] = []
    disturbed: list[Round] = []
    while len(counted) < ROUNDS and len(counted) + len(disturbed) < MOST_ROUNDS:
        with others(server) as by_others:
            alone = rate(server)
            with what():
                amid = rate(server)
        measured = Round(round(amid / alone, 2), round(alone), round(amid), by_others.names)
        (counted if by_others.processors < MOST_OF_OTHERS else disturbed).append(measured)
        if measured.share > least:
            return
    if not counted:
        pytest.skip(f"this machine cannot say: other programs have its processors: {disturbed}")
    niceness, policy = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    raise AssertionError(f"{counted} at niceness {niceness}, policy {policy}; not counted: {disturbed}")


@contextmanager
def others(server: ArchiveServer) -> Iterator[Others]:
    """What is taken meanwhile by all but this process and the server."""
    found, began = Others(), monotonic()
    before, stolen = _used(), _stolen()
    yield found
    seconds, after = monotonic() - began, _used()
    ours = {os.getpid(), *_tree(server.process.pid)}
    taken = {pid: (ticks - before.get(pid, ("", 0))[1], name) for pid, (name, ticks) in after.items()}
    foreign = sorted((*taken[pid], pid) for pid in taken if pid not in ours and taken[pid][0] > 0)
    by_host = _stolen() - stolen
    found.processors = (sum(ticks for ticks, _, _ in foreign) + by_host) / _TICKS / seconds
    most = [f"{name} ({pid}) {ticks / _TICKS / seconds:.2f}" for ticks, name, pid in reversed(foreign[-5:])]
    found.names = ", ".join(
        [f"{found.processors:.2f} processors", f"host {by_host / _TICKS / seconds:.2f}", *most]
    )


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in children(pid):
        yield from _tree(child)


def _used() -> dict[int, tuple[str, int]]:
    """The name of each process, and the ticks of processors that it has had, with those of the ones it has buried
    (proc(5))."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        if int(fields[1]) != _KERNEL:
            found[int(folder.name)] = name, sum(map(int, fields[11:15]))
    return found


def _stolen() -> int:
    """Ticks that the host of a virtual machine has given to somebody else."""
    return int(Path("/proc/stat").read_text().split()[8])
