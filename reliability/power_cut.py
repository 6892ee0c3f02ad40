"""A machine whose power fails: a server on a disk of its own, stopped between two instructions, and begun again on what
was on the disk at that moment (`disks`).

The server is stopped first, all its threads; answers that it has sent are still read; then the disk is copied, and only
then the server is killed. So no answer comes from after the cut, and each one that came is held to.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.servers import processes
from reliability import disks
from reliability.disks import MIB, Disk
from reliability.ledger import Ledger
from reliability.servers import Archive, Peer, Running
from reliability.target import Target

SIZE = 2048 * MIB
"""More than the archive wants to be free before it takes anything; only what is written takes room."""
_STILL, _STILL_AT_MOST = 0.1, 3.0

Subject = Callable[[Path], Archive | Peer]
"""The server that is tried, in a folder of which `data` is on the disk."""

WITHOUT_FSYNC = (
    "-c",
    "import os\nos.fsync = os.fdatasync = lambda _: None\nfrom archive.cli import commands\ncommands.main()",
)
"""The archive on a system whose fsync does nothing: the control. Its index is safe all the same, as SQLite calls the
system by itself."""


class Machine:
    """A disk and, while it is on, a server that runs on it. Use it in a `with`; `folder` goes with it."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.server = subject(folder / "server")
        self.copies = 0
        self.folder = folder
        self._image = folder / "disk.img"
        self._on = ExitStack()
        self._disk: Disk | None = None
        self._running: Running | None = None

    def __enter__(self) -> Machine:
        self.folder.mkdir(parents=True)
        disks.make(self._image, SIZE)
        return self

    def __exit__(self, *_: object) -> None:
        self._on.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def running(self) -> Running:
        """The server."""
        assert self._running is not None, "off"
        return self._running

    @property
    def target(self) -> Target:
        """Where the server is."""
        return self.running.target

    def switch_on(self, program: Sequence[str] = ()) -> Running:
        """Mount the disk and start the server, or this program in its place. Raises ServerFault when it does not
        start."""
        self._disk = self._on.enter_context(disks.mounted(self._image, self.folder / "server" / "data"))
        if program and isinstance(self.server, Archive):
            self._running = self.server.start(program=program)
        else:
            self._running = self.server.start()
        self._on.callback(self._running.kill)
        return self._running

    def switch_off(self) -> None:
        """End the server as it would like to be ended, and unmount the disk."""
        self.running.stop()
        self._off()

    def cut(self, ledger: Ledger) -> None:
        """The power fails: off, and on the disk is what was there at this moment."""
        assert self._disk is not None, "off"
        freeze(self.running.process.pid)
        await_answers(ledger)
        copy = self._image.with_suffix(".copy")
        self.copies += self._disk.copy_to(copy)
        self._off()
        copy.replace(self._image)

    def _off(self) -> None:
        self._on.close()  # whoever still runs is killed
        self._running = self._disk = None

    def disk_faults(self) -> str:
        """What is wrong with the file system itself, when it is off: nothing, or this simulates no disk."""
        return disks.check(self._image)


def freeze(pid: int) -> list[int]:
    """Stop a process and all that descend from it, with every thread; returns when none runs any more."""
    while True:
        found = processes.tree(pid)
        for each in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGSTOP)
        if all(map(is_still, found)) and processes.tree(pid) == found:
            return found
        time.sleep(0.001)


def is_still(pid: int) -> bool:
    """Whether no thread runs, or waits for the disk and would run on: what fsync has been asked for is then done."""
    return all(state in "TtZX" for state in _states(pid))


def _states(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                yield Path(f"/proc/{pid}/task/{task}/stat").read_text().rpartition(")")[2].split()[0]


def await_answers(ledger: Ledger) -> None:
    """What the server has said is read by now, if there is no news for a while."""
    deadline, known, since = time.monotonic() + _STILL_AT_MOST, -1, 0.0
    while (now := time.monotonic()) < deadline:
        if ledger.acknowledged != known:
            known, since = ledger.acknowledged, now
        elif now - since > _STILL:
            return
        time.sleep(0.01)
