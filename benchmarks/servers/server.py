"""A server that runs: where it is and which processes it has. The rows know nothing else of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 120.0
STOP_SECONDS = 60.0
HOST = "127.0.0.1"
SINK_AE_TITLE = "SINK"
"""Whom C-MOVE sends to. Each server is told of it before it starts."""


class ServerFault(Exception):
    """A server did not start, or did not stay."""


@dataclass(frozen=True)
class Server:
    """A running server. `prefix` is the path of DICOMweb; `folder` holds all that it stores."""

    name: str
    version: str
    durability: str
    process: subprocess.Popen[bytes]
    folder: Path
    http_port: int
    dimse_port: int
    ae_title: str
    prefix: str = "/dicom-web"
    log: Path = field(default_factory=Path)

    def stop(self) -> None:
        """End it and wait."""
        end(self.process)

    def must_run(self) -> None:
        """Raises ServerFault when it has ended by itself."""
        if self.process.poll() is not None:
            raise ServerFault(f"{self.name} ended with {self.process.returncode}: {tail(self.log)}")


def free_port() -> int:
    """A port at which nobody listens now, below those that the system gives to clients."""
    while True:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def listens(port: int) -> bool:
    """Whether somebody takes a connection there."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


def start(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; what it says goes to the log."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdout=out, stderr=out, env=environment or dict(os.environ), start_new_session=True
        )


def await_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    """Wait until it is ready. Raises ServerFault, with the end of its log, when it ends or takes too long. It is ended
    then, and whenever the wait is broken off."""
    deadline = time.monotonic() + START_SECONDS
    try:
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerFault(f"{process.args!r} did not get ready: {tail(log)}")
            time.sleep(0.05)
    except BaseException:
        end(process)
        raise


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and, if it takes too long, its whole group."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-2000:] if log.is_file() else ""
