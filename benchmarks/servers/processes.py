"""What the processes of a server cost: memory now, and at most since it was last asked; files out of the cache."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_RESET_PEAK = "5"
"""For /proc/PID/clear_refs: VmHWM begins anew at what is resident now (proc(5))."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `together` adds up all processes, so pages that they share count more than once; `largest` is that of
    the largest process."""

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


def reset_peaks(pid: int) -> None:
    """Let VmHWM of all processes below begin anew."""
    for each in tree(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            Path(f"/proc/{each}/clear_refs").write_text(_RESET_PEAK)


def peak(pid: int) -> Memory:
    """The most that was resident since `reset_peaks`."""
    return _memory(pid, "VmHWM")


def resident(pid: int) -> Memory:
    """What is resident now."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, field: str) -> Memory:
    values = [_status(each, field) for each in tree(pid)]
    return Memory(sum(values), max(values))


def _status(pid: int, field: str) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
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
