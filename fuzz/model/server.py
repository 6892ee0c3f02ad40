"""The real server of the state machine: `archive serve` in processes of its own, killed and started again."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reliability.servers import Archive, Running, await_ends
from reliability.target import Target


@dataclass(slots=True)
class Server:
    """An archive on a folder, with one worker of each kind; it is started when it is asked for."""

    folder: Path
    policy: str = "reject"
    _running: Running | None = None

    @property
    def running(self) -> Running:
        """Its processes."""
        if self._running is None:
            environment = {
                "ARCHIVE_DIMSE_DUPLICATES": self.policy,
                "ARCHIVE_STORAGE_MINIMUM_FREE_BYTES": "0",
                "ARCHIVE_DRAIN_SECONDS": "5",
            }
            self._running = Archive(self.folder, ("--workers", "1"), environment).start()
        return self._running

    @property
    def target(self) -> Target:
        """Where it is now."""
        return self.running.target

    @property
    def log(self) -> str:
        """What it has said since the first start."""
        return (self.folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        running, self._running = self._running, None
        if running is not None:
            running.kill()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        code, self._running = self.running.stop(), None
        return code

    def kill_worker(self, number: int) -> None:
        """SIGKILL to one of its workers, which the supervisor then replaces."""
        workers = self.running.workers()
        if workers:
            chosen = workers[number % len(workers)]
            with suppress(ProcessLookupError):
                os.kill(chosen, signal.SIGKILL)
            await_ends([chosen])
