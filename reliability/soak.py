"""An hour of mixed load: what the archive's processes hold must stay as it is, and so must the time it takes.

Every ten seconds it is written down what each process has open, how many threads it has, its memory (Pss: a page that
several share counts once) and how long each operation took. `judged` compares the beginning, when the archive holds as
much as it will hold, with the end. `reliability.soak_plot` draws it.
"""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.servers import archive, processes, server
from benchmarks.servers.server import Server
from reliability.soak_load import Client, Watch, begin
from reliability.target import Target

SECONDS, INTERVAL, CLIENTS, PAUSE = 3600.0, 10.0, 3, 0.2
SETTLED = 0.2
"""The share of the time after which nothing may grow any more."""
SHARE = 0.2
"""The share at the beginning of that, and at its end, of which the medians are compared."""
MIB = 1 << 20


@dataclass(frozen=True)
class Allowed:
    """How much more there may be at the end: so many times, or so much, whichever is more."""

    times: float
    more: float


DESCRIPTORS = Allowed(1.05, 4)
THREADS = Allowed(1.05, 2)
MEMORY = Allowed(1.05, 8 * MIB)
BLOBS = Allowed(1.1, 5)
"""For each operation of as long as lies between two looks: what was deleted stays for a minute, so there are as many
as there is work."""
P99 = Allowed(1.5, 0.05)
"""Of seconds; what is measured on a machine that others use as well swings this much."""


@dataclass
class Moment:
    """What there is at one moment, by process, and what the operations since the last one took, in seconds."""

    at: float
    descriptors: dict[str, int] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    p99: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    blobs: int = 0


@dataclass(frozen=True)
class Line:
    """One thing that was compared."""

    what: str
    early: float
    late: float
    flat: bool


@dataclass
class Soak:
    """What came of it."""

    seconds: float
    interval: float
    moments: list[Moment]
    faults: list[str]
    done: int
    version: str = ""

    @property
    def lines(self) -> list[Line]:
        """Each thing, at the beginning and at the end."""
        return judged(self.moments)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong, no worker was replaced, and all is flat."""
        return not self.faults and all(line.flat for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """To be kept."""
        return asdict(self) | {"lines": [asdict(line) for line in self.lines], "ok": self.ok}


def run(
    seconds: float = SECONDS,
    interval: float = INTERVAL,
    *,
    folder: Path | None = None,
    say: Callable[[float], None] = lambda _: None,
) -> Soak:
    """Start an archive as it comes, load it for so long, and end it. Raises ServerFault when it does not start. `say`
    is told now and then how many seconds have passed."""
    with tempfile.TemporaryDirectory(prefix="soak-", dir=folder) as scratch:
        running = archive.start(Path(scratch), server.free_port())
        try:
            soak = _loaded(running, seconds, interval, say)
        finally:
            running.stop()
        if running.process.returncode:
            soak.faults.append(f"the archive ended with {running.process.returncode}")
        return soak


def _loaded(running: Server, seconds: float, interval: float, say: Callable[[float], None]) -> Soak:
    target = Target(running.http_port, running.dimse_port, running.ae_title, data=running.folder / "data")
    watch, stop = Watch(), threading.Event()
    wait = begin([Client(target, f"soak-{number}", watch, PAUSE) for number in range(CLIENTS)], stop)
    moments: list[Moment] = []
    begun = time.monotonic()
    try:
        for at in _ticks(begun, seconds, interval):
            running.must_run()
            moments.append(moment(at, running, watch))
            say(at)
    finally:
        stop.set()
        wait()
    return Soak(seconds, interval, moments, watch.faults, watch.done, running.version)


def _ticks(begun: float, seconds: float, interval: float) -> Iterator[float]:
    for number in range(1, int(seconds / interval) + 1):
        time.sleep(max(0.0, begun + number * interval - time.monotonic()))
        yield round(time.monotonic() - begun, 1)


def moment(at: float, running: Server, watch: Watch) -> Moment:
    """Look at every process now."""
    now = Moment(at, blobs=sum(1 for _ in (running.folder / "data" / "objects").glob("*/*/*")))
    names: Counter[str] = Counter()
    for pid in processes.tree(running.process.pid):
        with contextlib.suppress(OSError):
            held = len(os.listdir(f"/proc/{pid}/fd"))
            threads = len(os.listdir(f"/proc/{pid}/task"))
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            names[name] += 1
            name = name if names[name] == 1 else f"{name} ({names[name]})"
            now.descriptors[name], now.threads[name], now.pids[name] = held, threads, pid
            now.memory[name] = _share(pid)
    for operation, seconds in watch.take().items():
        now.counts[operation] = len(seconds)
        now.p99[operation] = sorted(seconds)[int(len(seconds) * 0.99)]
    return now


def _share(pid: int) -> int:
    """The memory of a process, in bytes, a page that several share counted once (Pss, proc(5))."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def judged(moments: list[Moment]) -> list[Line]:
    """What must be flat, compared. Of processes all together as well as of the one that has most of it."""
    settled = moments[int(len(moments) * SETTLED) :]
    share = max(1, int(len(settled) * SHARE))
    early, late = settled[:share], settled[-share:]
    lines = []
    for what, allowed in (("descriptors", DESCRIPTORS), ("threads", THREADS), ("memory", MEMORY)):
        for process in sorted({name for one in settled for name in one.pids}):
            lines.append(_compared(f"{what} of {process}", early, late, allowed, _of(what, process)))
    lines.append(_compared("objects on the disk for each operation", early, late, BLOBS, _blobs))
    for operation in sorted({name for one in settled for name in one.p99}):
        lines.append(_compared(f"p99 of {operation}", early, late, P99, _of("p99", operation)))
    replaced = sum(one.pids != settled[0].pids for one in settled)
    return [*lines, Line("looks that found another process", 0, replaced, replaced == 0)]


def _of(what: str, name: str) -> Callable[[Moment], float | None]:
    def value(one: Moment) -> float | None:
        found: float | None = getattr(one, what).get(name)
        return found

    return value


def _blobs(one: Moment) -> float | None:
    done = sum(one.counts.values())
    return one.blobs / done if done else None


def _compared(
    what: str,
    early: list[Moment],
    late: list[Moment],
    allowed: Allowed,
    value: Callable[[Moment], float | None],
) -> Line:
    first = [found for one in early if (found := value(one)) is not None]
    last = [found for one in late if (found := value(one)) is not None]
    if not first or not last:
        return Line(f"{what}: not seen at both ends", len(first), len(last), False)
    before, after = statistics.median(first), statistics.median(last)
    return Line(what, before, after, after <= max(before * allowed.times, before + allowed.more))
