"""An answer that goes astray in pynetdicom: its association's own thread takes what another waits for.

Who sends a request pauses that thread, and takes it for paused while it is just going on (`_is_paused` is set before
the checkpoint is passed, and taken back after). On a busy machine it then finds the response, and drops it. Here the
pause is one state under one lock: who clears the checkpoint waits until the thread rests at it.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from pynetdicom.association import Association

PATIENCE = 5.0
"""Seconds. A thread that never comes has ended, or is busy for somebody: then it is as it was without this."""


class Checkpoint(threading.Event):
    """The event at which the thread of an association rests."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._is_open = False
        self._resting: int | None = None
        self._thread: int | None = None

    def is_set(self) -> bool:
        """Whether it may be passed."""
        return self._is_open

    def set(self) -> None:
        """Let the thread go on."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Have the thread rest, and wait until it does; not for oneself."""
        with self._changed:
            self._is_open = False
            if self._thread not in (None, threading.get_ident()):
                self._changed.wait_for(lambda: self._resting is not None, PATIENCE)

    def wait(self, timeout: float | None = None) -> bool:
        """Rest until it is set."""
        with self._changed:
            self._thread = self._resting = threading.get_ident()
            self._changed.notify_all()
            passed = self._changed.wait_for(lambda: self._is_open, timeout)
            self._resting = None
            return passed


@functools.cache
def mend() -> None:
    """From now on each association of this process has such a checkpoint."""
    begin = Association.__init__

    @functools.wraps(begin)
    def begin_with_checkpoint(self: Association, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self._reactor_checkpoint = Checkpoint()
        self._reactor_checkpoint.set()

    Association.__init__ = begin_with_checkpoint
