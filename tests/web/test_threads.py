"""Calls of one event loop in threads: what is cancelled, how often, and what runs when there are no threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from archive.dicom.errors import OutOfResources
from archive.web.http.threads import Threads


def test_whoever_is_cancelled_twice_waits_for_the_end_all_the_same() -> None:
    go, ends = threading.Event(), []

    def work() -> None:
        go.wait(30)
        ends.append("work")

    async def request() -> None:
        try:
            await Threads(1).call(work)
        finally:
            ends.append("request")

    async def cancelled() -> None:
        task = asyncio.ensure_future(request())
        for _ in range(3):
            await asyncio.sleep(0.05)
            task.cancel()
        await asyncio.sleep(0.05)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert ends == ["work", "request"]


def test_what_is_cancelled_before_it_has_a_thread_never_runs() -> None:
    go, ran = threading.Event(), []

    async def cancelled() -> None:
        threads = Threads(1)
        first = asyncio.ensure_future(threads.call(lambda: go.wait(30)))
        second = asyncio.ensure_future(threads.call(lambda: ran.append("second")))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go.set()
        await first
        await threads.call(lambda: ran.append("third"))

    asyncio.run(cancelled())
    assert ran == ["third"]


def test_what_was_refused_for_want_of_threads_does_not_run_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool has put it into its queue before it asks the system for a thread."""
    ran: list[str] = []

    def no_thread(_pool: ThreadPoolExecutor) -> None:
        raise RuntimeError("can't start new thread")

    async def refused() -> None:
        threads = Threads(1)
        with monkeypatch.context() as patched:
            patched.setattr(ThreadPoolExecutor, "_adjust_thread_count", no_thread)
            with pytest.raises(OutOfResources):
                await threads.call(lambda: ran.append("refused"))
        await threads.call(lambda: ran.append("next"))

    asyncio.run(refused())
    assert ran == ["next"]
