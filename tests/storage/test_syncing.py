"""Several files are waited for at once: in any order, answered in theirs, and none is forgotten."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from archive.storage import syncing


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 50])
def test_what_comes_of_each_is_told_in_their_order(count: int) -> None:
    assert syncing.each(str, range(count)) == [str(number) for number in range(count)]


def test_a_few_are_waited_for_at_once() -> None:
    together = threading.Barrier(syncing.LANES)
    assert len(set(syncing.each(lambda _: together.wait(30), range(syncing.LANES)))) == syncing.LANES


@pytest.mark.parametrize("faulty", range(syncing.LANES))
def test_a_fault_is_raised_when_all_have_ended(faulty: int) -> None:
    """Then the files are closed, and a descriptor may be another file's."""
    ended: list[int] = []
    may_end = threading.Event()

    def sync(number: int) -> None:
        if number == faulty:
            may_end.set()
            raise KeyError(number)
        assert may_end.wait(30)
        ended.append(number)

    with pytest.raises(KeyError):
        syncing.each(sync, range(syncing.LANES))
    assert sorted(ended) == [number for number in range(syncing.LANES) if number != faulty]


@pytest.mark.parametrize("started", [0, 1, 3])
def test_each_file_is_waited_for_once_though_the_system_gives_few_threads(
    started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool has put a lane into its queue before it asks for a thread; those that it has take it from there."""
    ask, refused, synced = ThreadPoolExecutor._adjust_thread_count, threading.Event(), []

    def few_threads(pool: ThreadPoolExecutor) -> None:
        if len(pool._threads) >= started:
            refused.set()
            raise RuntimeError("can't start new thread")
        ask(pool)

    def sync(number: int) -> int:
        time.sleep(0.001)
        synced.append(number)
        return 10 * number

    monkeypatch.setattr(syncing, "_threads", ThreadPoolExecutor(8))
    monkeypatch.setattr(ThreadPoolExecutor, "_adjust_thread_count", few_threads)
    assert syncing.each(sync, range(40)) == list(range(0, 400, 10))
    assert refused.is_set()
    syncing._threads.shutdown()
    assert sorted(synced) == list(range(40))
