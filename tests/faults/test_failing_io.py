"""The running archive while its disk fails it call by call, by libfiu (reliability.md 4.3): what fails is refused,
nothing half-written is ever seen, what was acknowledged is there, and the next object after the fault is taken."""

from __future__ import annotations

import errno
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from archive_process import LAST_GREETING_LINE, ArchiveServer, clean_environment
from fiu_preloaded import libfiu
from reliability import dimse, objects, senders
from reliability.checker import check
from reliability.ledger import Ledger
from reliability.objects import SOP_CLASSES
from reliability.target import Target

LAUNCHER = Path(__file__).with_name("fiu_launcher.py")
SECONDS = 60
OUT_OF_RESOURCES = 0xA700
OBJECTS = 12

FAULTS = [
    ("posix/io/sync/*", errno.EIO, 1.0),
    ("posix/io/sync/*", errno.EIO, 0.2),
    ("posix/io/rw/write", errno.ENOSPC, 1.0),
    ("posix/io/rw/pwrite*", errno.ENOSPC, 1.0),
    ("posix/io/rw/pwrite*", errno.EIO, 0.2),
    ("posix/io/dir/unlink*", errno.EROFS, 1.0),
    ("posix/io/dir/mkdir*", errno.ENOSPC, 1.0),
    ("posix/io/oc/open*", errno.EMFILE, 0.3),
    ("posix/io/rw/pread*", errno.EIO, 0.2),
]
MAY_SUCCEED = {"posix/io/dir/unlink*", "posix/io/dir/mkdir*", "posix/io/rw/pread*"}
"""Of these a store may have no need."""


@dataclass
class Faulty:
    """A server, and the file by which its disk is told to fail."""

    server: ArchiveServer
    control: Path
    ledger: Ledger
    orphans: int = 1
    """Files that earlier faults have left: where a commit was not confirmed the bytes stay, and are swept later. One
    may be that of an object that was sent again."""

    @contextmanager
    def failing(self, name: str, number: int, probability: float) -> Iterator[None]:
        """Calls of this name fail as often as that."""
        written = self.control.with_suffix(".new")
        written.write_text(f"{name} {number} {probability}\n")
        written.rename(self.control)
        try:
            _await(self.control.with_suffix(".seen").exists)
            yield
        finally:
            self.control.unlink()
            _await(lambda: not self.control.with_suffix(".seen").exists())

    @property
    def target(self) -> Target:
        return Target(self.server.http_port, self.server.dimse_port, data=self.server.data)


def _await(is_so: object) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    folder = tmp_path_factory.mktemp("faulty")
    control, log = folder / "control", folder / "log"
    options = (
        "--http",
        "127.0.0.1:0",
        "--dimse",
        "127.0.0.1:0",
        "--data",
        str(folder / "data"),
        "--workers",
        "1",
    )
    environment = {"LD_PRELOAD": libfiu(), "ARCHIVE_STORAGE_MINIMUM_FREE_BYTES": "0"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(LAUNCHER), str(control), "serve", *options],
            stdout=subprocess.PIPE,
            stderr=file,
            env=clean_environment(environment),
        )
    try:
        server = ArchiveServer(process, _greeting(process), folder / "data", log)
        yield Faulty(server, control, Ledger())
        assert server.stop() == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _greeting(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    text = b""
    while LAST_GREETING_LINE.encode() not in text or not text.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], SECONDS)
        piece = os.read(process.stdout.fileno(), 65536) if readable else b""
        assert piece, text
        text += piece
    return text.decode()


def store(faulty: Faulty, name: str, count: int) -> list[int | None]:
    """The status of each C-STORE, None where the association broke; each on an association of its own."""
    statuses: list[int | None] = []
    for number in range(count):
        try:
            with dimse.storing(faulty.target, SOP_CLASSES, seconds=SECONDS) as association:
                statuses.append(senders.store(faulty.ledger, association, objects.made(name, number)))
        except OSError:
            statuses.append(None)
    return statuses


@pytest.mark.parametrize(("name", "number", "probability"), FAULTS)
def test_a_call_that_fails(faulty: Faulty, name: str, number: int, probability: float) -> None:
    label = f"{name} {number} {probability}"
    with faulty.failing(name, number, probability):
        answers = store(faulty, label, OBJECTS)
    assert set(answers) <= {0, OUT_OF_RESOURCES, None}
    if name not in MAY_SUCCEED:
        assert set(answers) & {OUT_OF_RESOURCES, None}, "nothing has failed"
        if probability == 1.0:
            assert 0 not in answers
    assert store(faulty, f"{label} after", 3) == [0] * 3
    report = check(faulty.ledger, faulty.target, orphans_before=faulty.orphans)
    assert report.ok, report
    faulty.orphans = report.orphans
