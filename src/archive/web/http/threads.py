"""Synchronous calls in a bounded number of threads, from one event loop.

anyio has the same, and more that is not needed here, for three times the work of each call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

import anyio

from archive.dicom.errors import OutOfResources

T = TypeVar("T")

_here = threading.local()


class Cancelled(Exception):
    """Nobody waits any more for what this thread does."""


class Threads:
    """At most so many; they are made when they are needed."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, "http")

    async def call(self, function: Callable[[], T]) -> T:
        """Run a function. Cancelled before it has a thread, it never runs; after that, whoever is cancelled waits for
        its end, which `check_cancelled` brings near."""
        work = _Work(function, asyncio.get_running_loop())
        self._begin(work)
        try:
            return await work.outcome
        except asyncio.CancelledError:
            if not work.claim():
                work.cancelled = True
                await _end_of(work)
            raise

    def _begin(self, work: _Work[T]) -> None:
        """Raises OutOfResources where the system gives no thread. The pool has queued the call even so, and might run
        it later."""
        try:
            self._pool.submit(work.run)
        except RuntimeError:
            if work.claim():
                raise OutOfResources("no thread can be started now") from None


def check_cancelled() -> None:
    """Within a call. Raises Cancelled."""
    work: _Work[object] | None = getattr(_here, "work", None)
    if work is not None and work.cancelled:
        raise Cancelled


class _Work(Generic[T]):
    """One call, and what comes of it."""

    def __init__(self, function: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self._function = function
        self._loop = loop
        self._claimed = threading.Lock()
        self.outcome: asyncio.Future[T] = loop.create_future()
        self.ended: Future[None] = Future()
        self.cancelled = False

    def claim(self) -> bool:
        """True for the first who asks: then the call is theirs, to run it or never to run it."""
        return self._claimed.acquire(blocking=False)

    def run(self) -> None:
        """In the thread."""
        if not self.claim():
            return
        _here.work = self
        try:
            result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._loop.call_soon_threadsafe(self._fail, error)
        else:
            self._loop.call_soon_threadsafe(self._finish, result)
        finally:
            _here.work = None
            self.ended.set_result(None)

    def _finish(self, result: T) -> None:
        if not self.outcome.done():
            self.outcome.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


async def _end_of(work: _Work[T]) -> None:
    """However often whoever waits is cancelled: what comes after this must not run beside it."""
    ended = asyncio.wrap_future(work.ended)
    while not ended.done():
        with suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
            await asyncio.wait([ended])
