"""What the numbers were obtained on: processor, memory, disk, versions, and whether anybody else was at work."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loads import dcmtk

BUSY = 0.15
"""A share of the processors' time above which somebody else is at work."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine."""

    processor: str
    cores: int
    memory_gigabytes: float
    kernel: str
    filesystem: str
    python: str
    dcmtk: str
    commit: str


def machine(folder: Path) -> Machine:
    """This one; `folder` is where the servers keep their data."""
    return Machine(
        processor=_found(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()) or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gigabytes=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        kernel=platform.release(),
        filesystem=_said("findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)),
        python=_python(),
        dcmtk=dcmtk.version(),
        commit=_commit(),
    )


def _python() -> str:
    """Its version, and whether it is the one that the distribution has built."""
    return platform.python_version() + (" of the system" if sys.base_prefix == "/usr" else "")


def _commit() -> str:
    """What is measured, with + when the tree differs from it."""
    here = str(Path(__file__).parent)
    commit = _said("git", "-C", here, "rev-parse", "--short", "HEAD")
    places = (":/src", ":/benchmarks", ":(top,exclude)benchmarks/results")
    changed = _said("git", "-C", here, "status", "--porcelain", "--", *places)
    return f"{commit}{'+' if changed else ''}" if commit else "unknown"


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1].strip() if match else ""


def busy(seconds: float = 1.0) -> float:
    """The share of all processors' time that is used now, by whoever it is, or stolen by other machines."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    idle, total = after[0] - before[0], after[1] - before[1]
    return round(1 - idle / total, 3) if total else 0.0


def _ticks() -> tuple[int, int]:
    values = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return values[3] + values[4], sum(values)
