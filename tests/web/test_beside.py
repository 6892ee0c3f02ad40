"""What a request has done beside its own thread, whatever comes of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from archive.web.http import beside as beside_module
from archive.web.http.beside import Beside


def test_outcomes_come_in_their_order() -> None:
    beside: Beside[int] = Beside()
    first_may_end = threading.Event()

    def first() -> int:
        assert first_may_end.wait(10)
        return 1

    def second() -> int:
        first_may_end.set()
        return 2

    beside.begin(first)
    beside.begin(second)
    assert list(beside.outcomes()) == [1, 2]


def test_one_call_alone_needs_no_other_thread() -> None:
    beside: Beside[threading.Thread] = Beside()
    beside.begin(threading.current_thread)
    assert list(beside.outcomes()) == [threading.current_thread()]


def test_nothing_is_held_back_from_a_caller_who_goes_on() -> None:
    beside: Beside[None] = Beside()
    done = threading.Event()
    beside.begin(done.set)
    assert not done.is_set()
    beside.go_on()
    assert done.wait(10)
    assert list(beside.outcomes()) == [None]


def test_some_may_be_left_for_later() -> None:
    beside: Beside[int] = Beside()
    for number in range(4):
        beside.begin(partial(int, number))
    assert list(beside.outcomes(leave=2)) == [0]
    assert list(beside.outcomes()) == [1, 2, 3]


@pytest.mark.parametrize("together", [1, 2])
def test_what_was_raised_is_raised_where_the_outcome_is_asked_for(together: int) -> None:
    def fails() -> None:
        raise ValueError("no")

    beside: Beside[None] = Beside()
    for _ in range(together):
        beside.begin(fails)
    with pytest.raises(ValueError, match="no"):
        next(beside.outcomes())


@pytest.mark.parametrize("together", [1, 2])
def test_to_close_is_to_wait_for_what_was_begun(together: int) -> None:
    done: list[int] = []
    beside: Beside[None] = Beside()
    for number in range(together):
        beside.begin(partial(done.append, number))
    beside.close()
    assert sorted(done) == list(range(together))
    assert not list(beside.outcomes())


def test_it_is_idle_when_all_has_ended() -> None:
    beside: Beside[bool] = Beside()
    may_end = threading.Event()
    assert beside.is_idle
    beside.begin(partial(may_end.wait, 10))
    assert not beside.is_idle
    beside.go_on()
    assert not beside.is_idle
    may_end.set()
    assert list(beside.outcomes()) == [True]
    assert beside.is_idle


def test_without_a_thread_it_is_made_here_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool has put a call into its queue before it asks the system for a thread."""
    threads = ThreadPoolExecutor(1)
    monkeypatch.setattr(beside_module, "_threads", threads)
    made: list[threading.Thread] = []

    def no_thread(_pool: ThreadPoolExecutor) -> None:
        raise RuntimeError("can't start new thread")

    beside: Beside[None] = Beside()
    beside.begin(lambda: made.append(threading.current_thread()))
    with monkeypatch.context() as patched:
        patched.setattr(ThreadPoolExecutor, "_adjust_thread_count", no_thread)
        beside.go_on()
    threads.submit(int).result()  # whatever is in the queue has had its turn
    beside.close()
    assert made == [threading.current_thread()]
    threads.shutdown()
