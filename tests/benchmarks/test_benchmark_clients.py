"""Clients that work together begin together; what a server's processes cost is what the kernel says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.loads import together
from benchmarks.servers import processes
from benchmarks.servers.floors import copy_with_fsync


def test_clients_begin_when_all_are_ready_and_the_time_ends_with_the_last() -> None:
    def client(before: float, work: float) -> together.Task:
        def task(ready: Callable[[], None]) -> float:
            time.sleep(before)
            ready()
            begun = time.monotonic()
            time.sleep(work)
            return begun

        return task

    outcome = together.run([client(0, 0.1), client(1, 0.4)])
    first, second = outcome.results
    assert abs(first - second) < 0.5, "the first waited for the second"
    assert 0.4 <= outcome.seconds < 1.4, "what was done before the beginning does not count"


def test_the_fault_of_a_client_is_told() -> None:
    def task(ready: Callable[[], None]) -> None:
        ready()
        raise ValueError("no such study")

    with pytest.raises(together.ClientFault, match="ValueError: no such study"):
        together.run([task])


HOG = """
import sys
def hold(megabytes):
    held = bytearray(b'x') * (megabytes << 20)
    print('held', flush=True)
    sys.stdin.readline()
hold(200); hold(60); hold(1)
"""


def test_peak_memory_begins_anew_when_it_is_set_back() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def step() -> None:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "held\n"

        assert child.stdout.readline() == "held\n"
        with processes.peak(child.pid) as peak:
            step()
        assert processes.resident(child.pid).largest < 150 << 20
        assert peak.largest > 200 << 20
        assert peak.together > 190 << 20
        with processes.peak(child.pid) as peak:
            step()
        assert 50 << 20 < peak.largest < 150 << 20
        assert 40 << 20 < peak.together < 150 << 20
        child.stdin.write("\n")


def test_all_processes_below_count() -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert {parent.pid, child} <= set(processes.tree(parent.pid))
        memory = processes.resident(parent.pid)
        assert memory.together > 0
        assert memory.largest > 0
        os.kill(child, 15)


def test_the_floor_copies_the_bytes(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "ab"]
    for file in files:
        file.write_bytes(file.name.encode() * 100_000)
    copy_with_fsync(files, tmp_path / "copies")
    assert [each.read_bytes() for each in sorted((tmp_path / "copies").iterdir())] == [
        file.read_bytes() for file in files
    ]
