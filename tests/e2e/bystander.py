"""Somebody who asks for `/health/live` all the time, while others attack: how long the longest answer took.

`python bystander.py PORT` is a process of its own, as the attacker's work must not count. For each line of its standard
input it says the number of answers since the last one, and the seconds that the slowest took; it ends when that does.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archive_process import ArchiveServer

REQUEST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PAUSE = 0.02
_ANONYMOUS = re.compile(r"^Anonymous:\s+(\d+) kB$", re.MULTILINE)


@dataclass
class Bounds:
    """What an attack has cost the others, filled in when it is over: answers that they got, the seconds of the slowest,
    and the bytes by which a worker grew at most while it went on."""

    answers: int = 0
    slowest: float = 0.0
    grown: int = 0


@dataclass
class Bystander:
    """One that runs."""

    server: ArchiveServer
    process: subprocess.Popen[str]

    def said(self) -> tuple[int, float]:
        """Answers, and the seconds of the slowest, since this was asked last."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answers, slowest = self.process.stdout.readline().split()
        return int(answers), float(slowest)

    @contextmanager
    def watching(self) -> Iterator[Bounds]:
        """What happens within."""
        pids, bounds = self.server.worker_pids("http"), Bounds()
        before = {pid: _resident_from_now(pid) for pid in pids}
        self.said()
        yield bounds
        bounds.answers, bounds.slowest = self.said()
        assert self.server.worker_pids("http") == pids, "a worker ended"
        bounds.grown = max(_status(pid, "VmHWM") - before[pid] for pid in pids)


@contextmanager
def beside(server: ArchiveServer) -> Iterator[Bystander]:
    """Somebody beside this archive."""
    command = [sys.executable, __file__, str(server.http_port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Bystander(server, process)
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait(30)
        process.stdout.close()


def memory(server: ArchiveServer, door: str = "http") -> dict[int, int]:
    """Bytes that each worker of a door has for itself: what is mapped from files, or shared, is not counted."""
    found = {}
    for pid in server.worker_pids(door):
        [kilobytes] = _ANONYMOUS.findall(Path(f"/proc/{pid}/smaps_rollup").read_text())
        found[pid] = int(kilobytes) * 1024
    assert found, "no worker of that door"
    return found


def _resident_from_now(pid: int) -> int:
    """Bytes that are resident; the most that will be is counted anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    [line] = (each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith(name))
    return int(line.split()[1]) * 1024


def sockets(server: ArchiveServer, door: str = "http") -> int:
    """How many sockets the workers of a door have open."""
    links = (link for pid in server.worker_pids(door) for link in Path(f"/proc/{pid}/fd").iterdir())
    return sum(_target(link).startswith("socket:") for link in links)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def main(port: int) -> None:
    answers, slowest = 0, 0.0
    while True:
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(REQUEST)
            answered = connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        slowest = max(slowest, time.monotonic() - begin) if answered else 60.0
        answers += 1
        if select.select([sys.stdin], [], [], PAUSE)[0]:
            if not sys.stdin.readline():
                return
            sys.stdout.write(f"{answers} {slowest}\n")
            sys.stdout.flush()
            answers, slowest = 0, 0.0


if __name__ == "__main__":
    main(int(sys.argv[1]))
