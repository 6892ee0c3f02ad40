"""Synchronous calls in a bounded number of threads, from one event loop.

anyio has the same, and more that is not needed here, for three times the work of each call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import anyio

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
        place = self._pool.submit(work.run)
        try:
            return await work.outcome
        except asyncio.CancelledError:
            if not place.cancel():
                work.cancelled = True
                await _ended(place)
            raise


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
        self.outcome: asyncio.Future[T] = loop.create_future()
        self.cancelled = False

    def run(self) -> None:
        """In the thread."""
        _here.work = self
        try:
            result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._loop.call_soon_threadsafe(self._fail, error)
        else:
            self._loop.call_soon_threadsafe(self._finish, result)
        finally:
            _here.work = None

    def _finish(self, result: T) -> None:
        if not self.outcome.done():
            self.outcome.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


async def _ended(place: Future[None]) -> None:
    with anyio.CancelScope(shield=True):
        await asyncio.wait([asyncio.wrap_future(place)])
