"""The real archive in processes of its own: started, read by its greeting, observed, stopped.

Nothing here sleeps: the greeting is read from the pipe as it comes, ends of processes are waited for.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 240
STOP_SECONDS = 60
LAST_GREETING_LINE = "archive import "


@dataclass(frozen=True)
class ArchiveServer:
    """A running `archive serve`."""

    process: subprocess.Popen[bytes]
    greeting: str
    data: Path
    log_path: Path

    @property
    def http_url(self) -> str:
        """http://127.0.0.1:PORT"""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Where DICOMweb begins."""
        return f"{self.http_url}/dicom-web"

    @property
    def http_port(self) -> int:
        """As the greeting shows it."""
        return int(self._find(r"^ +curl http://[^/]*:(\d+)/"))

    @property
    def dimse_port(self) -> int:
        """As the greeting shows it."""
        return int(self._find(r"^ +DIMSE +\S*:(\d+)"))

    @property
    def tls_port(self) -> int:
        """That of DIMSE over TLS, as the greeting shows it."""
        return int(self._find(r"^ +over TLS +\S*:(\d+)"))

    @property
    def ae_title(self) -> str:
        """As the greeting shows it."""
        return self._find(r"AE title (\S+)$")

    @property
    def log(self) -> str:
        """All that was written to stderr."""
        return self.log_path.read_text(errors="replace")

    def worker_pids(self, door: str = "") -> list[int]:
        """The worker processes that run now, of one door or of all."""
        return [pid for pid in children(self.process.pid) if name(pid).startswith(f"archive-{door}")]

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Ask it to end, wait, and give its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(STOP_SECONDS)

    def _find(self, pattern: str) -> str:
        match = re.search(pattern, self.greeting, re.MULTILINE)
        assert match, self.greeting
        return match[1]


StartArchive = Callable[..., ArchiveServer]
"""Starts a real server: `start_archive("--workers", "1", data=…, environment=…)`."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of an archive, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_")}
    return kept | dict(extra or {})


def archive(
    *arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Finished:
    """Run an `archive` command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "archive.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        env=clean_environment(environment),
        cwd=cwd,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str


def start(
    *options: str, data: Path, log_path: Path, environment: Mapping[str, str] | None = None
) -> ArchiveServer:
    """Start `archive serve` on ports that the system chooses, and return once it has greeted."""
    local = ["--http", "127.0.0.1:0", "--dimse", "127.0.0.1:0", "--data", str(data)]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "archive.cli", "serve", *local, *options],
            stdout=subprocess.PIPE,
            stderr=log,
            env=clean_environment(environment),
        )
    try:
        return ArchiveServer(process, _greeting(process, log_path), data, log_path)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _greeting(process: subprocess.Popen[bytes], log_path: Path) -> str:
    assert process.stdout is not None
    text, deadline = b"", time.monotonic() + START_SECONDS
    while LAST_GREETING_LINE.encode() not in text or not text.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 65536) if readable else b""
        if not piece:
            raise AssertionError(f"no greeting; it said {text!r} and logged:\n{log_path.read_text()}")
        text += piece
    return text.decode()


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`, in order of their age."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
        except OSError:
            continue
        state, parent = status.rpartition(")")[2].split()[:2]
        if int(parent) == pid and state != "Z":
            found.append(int(folder.name))
    return sorted(found)


def name(pid: int) -> str:
    """What a process is called; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def await_end(pid: int, seconds: float = STOP_SECONDS) -> None:
    """Wait until a process that need not be our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        readable, _, _ = select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    assert readable, f"process {pid} did not end"
