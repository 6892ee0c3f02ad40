"""What the processes of a server cost: memory now, and at most since it was last asked; files out of the cache."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_RESET_PEAK = "5"
"""For /proc/PID/clear_refs: VmHWM begins anew at what is resident now (proc(5))."""
_BETWEEN_LOOKS = 0.25


@dataclass(slots=True)
class Memory:
    """Bytes. `together` adds up all processes, a page that several share once (Pss, proc(5)); `largest` is what is
    resident in the largest process, with all that it shares."""

    together: int
    largest: int


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        found += _children(parent)
    return found


def _children(pid: int) -> list[int]:
    """None of a process or thread that has ended, which it may do at any of these steps."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def resident(pid: int) -> Memory:
    """What is in memory now."""
    processes = tree(pid)
    return Memory(sum(map(_share, processes)), max(_status(each, "VmRSS") for each in processes))


@contextmanager
def peak(pid: int) -> Iterator[Memory]:
    """The most that is in memory within the block, known at its end: `together` as seen several times a second,
    `largest` as the kernel has noted it."""
    for each in tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            Path(f"/proc/{each}/clear_refs").write_text(_RESET_PEAK)
    most, ended = Memory(0, 0), threading.Event()

    def look() -> None:
        most.together = max(most.together, sum(map(_share, tree(pid))))

    def watch() -> None:
        while not ended.wait(_BETWEEN_LOOKS):
            look()

    look()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()
        look()
        most.largest = max(_status(each, "VmHWM") for each in tree(pid))


def _share(pid: int) -> int:
    return _value(Path(f"/proc/{pid}/smaps_rollup"), "Pss")


def _status(pid: int, field: str) -> int:
    return _value(Path(f"/proc/{pid}/status"), field)


def _value(path: Path, field: str) -> int:
    """Bytes; 0 of a process that has ended."""
    try:
        text = path.read_text()
    except OSError:
        return 0
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def evict(folder: Path) -> None:
    """Take all files below a folder out of the page cache, so that the next reader waits for the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                _evict(path)


def _evict(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
