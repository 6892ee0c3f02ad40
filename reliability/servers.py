"""Servers that are killed and started again on what they left: ours and the peer, by the same few verbs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.servers import orthanc, processes, server
from reliability.target import HOST, Target

SOURCE = Path(__file__).parents[1]
_LAST_GREETING_LINE = "archive import "
_UNUSED_PORT = 1


@dataclass
class Running:
    """A server with all its processes."""

    process: subprocess.Popen[bytes]
    target: Target
    log: Path

    def kill(self) -> None:
        """kill -9 of all its processes, the one that would start others first."""
        if self.process.poll() is not None:
            return
        pids = processes.tree(self.process.pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        await_ends(pids)

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(server.STOP_SECONDS)

    def workers(self, door: str = "") -> list[int]:
        """The worker processes of our archive, of one door or of all."""
        found = []
        for pid in processes.tree(self.process.pid)[1:]:
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().startswith(f"archive-{door}"):
                    found.append(pid)
        return found


Start = Callable[[], Running]


@dataclass(frozen=True)
class Archive:
    """Ours, on a folder. `before`: what runs it, for example under faketime; `program`: what is run, for example the
    launcher with its point."""

    folder: Path
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    name = "archive"

    @property
    def version(self) -> str:
        """As installed."""
        return version("dicom-archive")

    def start(self, before: Sequence[str] = (), program: Sequence[str] = ("-m", "archive.cli")) -> Running:
        """Start it; it has greeted when this returns. Raises ServerFault."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data, log = self.folder / "data", self.folder / "log"
        greeting = self.folder / f"greeting-{time.monotonic_ns()}"
        where = ["--http", f"{HOST}:0", "--dimse", f"{HOST}:0", "--data", str(data)]
        command = [*before, sys.executable, *program, "serve", *where, *self.options]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_")}
        path = os.pathsep.join((str(SOURCE / "src"), str(SOURCE)))
        with greeting.open("wb") as out, log.open("ab") as errors:
            process = subprocess.Popen(
                command, stdout=out, stderr=errors, env=kept | {"PYTHONPATH": path} | dict(self.environment)
            )
        server.await_ready(process, lambda: _LAST_GREETING_LINE in greeting.read_text(), log)
        text = greeting.read_text()
        greeting.unlink()
        http, dimse = _port(r"HTTP +http://[^ ]*:(\d+)", text), _port(r"DIMSE +\S*:(\d+)", text)
        index = dict(self.environment).get("ARCHIVE_INDEX_URL", "")
        return Running(process, Target(http, dimse, data=data, index_url=index), log)


@dataclass(frozen=True)
class Peer:
    """Orthanc as it comes, on a folder."""

    folder: Path
    root: Path
    name = "Orthanc"

    @property
    def version(self) -> str:
        """As the package manager knows it."""
        return orthanc.installed_version(self.root)

    def start(self) -> Running:
        """Start it; it answers when this returns. Raises ServerFault."""
        begun = orthanc.start(self.folder, _UNUSED_PORT, self.root)
        target = Target(begun.http_port, begun.dimse_port, begun.ae_title, begun.prefix)
        return Running(begun.process, target, begun.log)


def await_ends(pids: Sequence[int], seconds: float = server.STOP_SECONDS) -> None:
    """Wait until processes that need not be our children have ended: until then they hold locks and ports."""
    deadline = time.monotonic() + seconds
    while any(_is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise server.ServerFault("a process that was killed does not end")
        time.sleep(0.005)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _port(pattern: str, greeting: str) -> int:
    found = re.search(pattern, greeting)
    if found is None:
        raise server.ServerFault(f"no {pattern!r} in what the archive says: {greeting}")
    return int(found[1])
