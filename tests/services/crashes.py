"""Have another process do something and be killed at a step of it: `crash_while`, which one process of tests shares."""

from __future__ import annotations

import atexit
import functools
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("crash_while.py")


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: `passed` are the points that it came to, the last of them that at which it died."""

    returncode: int
    stderr: str
    passed: list[str]

    @property
    def was_killed(self) -> bool:
        """Whether it came to the point where it was to die."""
        return self.returncode == -signal.SIGKILL


@functools.cache
def _program() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait()
    process.stdout.close()


def crash(order: dict[str, Any]) -> Ended:
    """Carry out an order in a process of its own."""
    process = _program()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    return Ended(**json.loads(process.stdout.readline()))


def kill(order: dict[str, Any]) -> None:
    """The same; it must have died where it was to die."""
    ended = crash(order)
    assert ended.was_killed, (ended.returncode, ended.stderr, ended.passed)
