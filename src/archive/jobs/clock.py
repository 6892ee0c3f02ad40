"""Whether the clock on the wall can be believed, where something is to go because time has passed.

A machine may start with a wrong clock, and be put right in a leap, ten years at a time. What was kept for thirty days
must not go for that. So whatever goes by age waits until the clock has gone on for a day without a leap, counted over
restarts as long as it goes on from where the last job worker saw it. An archive that was off for long cannot tell that
from a leap, which costs it a day.

What is due in a while, such as the bytes of what was deleted, keeps the old pace for a minute after a leap forward.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

LEAP_SECONDS = 3600.0
"""What clocks are put right by without anybody having to wait."""
TRUST_SECONDS = 86400.0
NOTED_EVERY_SECONDS = 600.0
PACE_SECONDS = 60.0
SLACK_SECONDS = 2.0

log = structlog.get_logger()


def since_boot() -> float:
    """Seconds that nobody puts right, and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Of one job worker. `noted` is the file that says when one looked last, and how long it would not have trusted it
    still; nothing is lost with it but a day."""

    def __init__(
        self,
        noted: Path,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        self._noted = noted
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()
        self._held: float | None = None
        """Until when, by the steady clock, the old offset counts after a leap forward."""
        self._trusted_at = steady() + self._left()
        self._note_at = steady() + NOTED_EVERY_SECONDS

    def now(self) -> float:
        """The time by which work is due."""
        wall, steady = self._wall(), self._steady()
        leapt = wall - steady - self._offset
        if abs(leapt) > LEAP_SECONDS and self._held is None:
            self._trusted_at = steady + TRUST_SECONDS
            log.warning("the clock leapt: nothing goes by its age for a day", seconds=round(leapt))
        if leapt <= SLACK_SECONDS:
            self._offset, self._held = wall - steady, None
            return wall
        if self._held is None:
            self._held = steady + PACE_SECONDS
        if steady >= self._held:
            self._offset, self._held = wall - steady, None
            return wall
        return steady + self._offset

    def is_trusted(self) -> bool:
        """Whether something may go because it is old."""
        self.now()
        steady = self._steady()
        if steady >= self._note_at:
            self._note_at = steady + NOTED_EVERY_SECONDS
            self._note(max(0.0, self._trusted_at - steady))
        return steady >= self._trusted_at

    def _left(self) -> float:
        """So many seconds until it is trusted, as the worker before left it; if the clock has gone on from there."""
        try:
            last, left = map(float, self._noted.read_text("ascii").split())
        except (OSError, ValueError):
            return TRUST_SECONDS
        return left if -LEAP_SECONDS <= self._wall() - last <= TRUST_SECONDS else TRUST_SECONDS

    def _note(self, left: float) -> None:
        made = self._noted.with_name(f"{self._noted.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # then the next one waits for a day
            made.write_text(f"{self._wall():.0f} {left:.0f}", "ascii")
            made.replace(self._noted)
