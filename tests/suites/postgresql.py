"""A private PostgreSQL server for tests: made in a temporary folder, reached by its own port, gone afterwards.

It does not fsync: tests of our SQL need its speed, and its durability is PostgreSQL's own affair.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from archive_process import await_end, children
from ports import free_port

OPTIONS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
INITDB = ("--locale=C", "-A", "trust", "--no-sync")


SAFE_FROM_KILLS = "-c fsync=off -c max_connections=200"
"""What the system was given outlives a server that is killed, but not what the server still had in its memory."""


@dataclass(frozen=True)
class Server:
    """A running server. `url` leads to one of its databases."""

    port: int
    data: Path
    control: tuple[str | Path, ...]
    """The command that starts it."""

    def kill(self) -> None:
        """kill -9 of all its processes, the first of them first."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGSTOP)  # it begins no further ones
        pids = [first, *children(first)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            await_end(pid)
        # Where nobody asks for its exit code the first one still has its number, and would be taken for alive.
        for lock in (self.data / "postmaster.pid", *self.data.parent.glob(".s.PGSQL.*")):
            lock.unlink()

    def start(self) -> None:
        """Once more, as it was."""
        _run(*self.control)

    def url(self, database: str) -> str:
        return f"postgresql://archive@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    @contextlib.contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """A database of one's own; its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl, which Debian keeps out of the PATH."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@contextlib.contextmanager
def running_server(options: str = OPTIONS) -> Iterator[Server]:
    """A server for as long as the block lasts; skips the test where PostgreSQL is not installed."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    as_user = _as_ordinary_user()
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        data, port = Path(folder, "data"), free_port()
        if as_user:
            shutil.chown(folder, "postgres")
        _run(*as_user, programs / "initdb", "-D", data, "-U", "archive", "-E", "UTF8", *INITDB)
        options += f" -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        control = (*as_user, programs / "pg_ctl", "-D", data, "-w", "-s")
        server = Server(port, data, (*control, "-l", Path(folder, "log"), "-o", options, "start"))
        server.start()
        try:
            yield server
        finally:
            _run(*control, "-m", "immediate", "stop")


def _as_ordinary_user() -> list[str]:
    """PostgreSQL refuses to run as root: then as the user that its package made."""
    if os.geteuid() != 0:
        return []
    with contextlib.suppress(KeyError):
        return ["runuser", "-u", pwd.getpwnam("postgres").pw_name, "--"]
    return pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


def _run(*command: str | Path) -> None:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run([str(part) for part in command], check=True, cwd="/", **quiet)
