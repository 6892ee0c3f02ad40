"""Calls that one request makes beside the thread it has.

The threads are those of the process and stay: to start one takes as long as a third of what a small object takes. What
was begun last is held back for the caller, who has to wait for the outcomes anyway; a request of one object has no
other thread at all.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

T = TypeVar("T")

THREADS = 32
"""Of one process. They wait for the disk and for each other, never for a client."""

_threads = ThreadPoolExecutor(THREADS, "beside")


class Beside(Generic[T]):
    """The calls of one request, from one thread at a time. How many there are at a time is up to who collects the
    outcomes."""

    def __init__(self) -> None:
        self._begun: deque[Future[T]] = deque()
        self._held: Callable[[], T] | None = None

    def begin(self, function: Callable[[], T]) -> None:
        """Run it as soon as a thread is free, but not before there is more to run, or `go_on` is called."""
        self.go_on()
        self._held = function

    def go_on(self) -> None:
        """Hold nothing back: the caller has to wait for something else now."""
        function, self._held = self._held, None
        if function is None:
            return
        call = _Call(function)
        self._begun.append(call.outcome)
        try:
            _threads.submit(call.run)
        except (
            RuntimeError
        ):  # the system gives no thread; what is in the pool's queue all the same may come to run
            call.run()

    @property
    def is_idle(self) -> bool:
        """Whether all that was begun has ended."""
        return self._held is None and all(future.done() for future in self._begun)

    def outcomes(self, leave: int = 0) -> Iterator[T]:
        """What came of the calls, in their order, waiting until no more than `leave` are left. Raises what they
        raised."""
        if not leave:
            self._run_held()
        while len(self._begun) > leave:
            yield self._begun.popleft().result()

    def close(self) -> None:
        """Wait for what was begun."""
        self._run_held()
        wait(self._begun)
        self._begun.clear()

    def _run_held(self) -> None:
        function, self._held = self._held, None
        if function is not None:
            call = _Call(function)
            call.run()
            self._begun.append(call.outcome)


class _Call(Generic[T]):
    """One call, which is made once however often it is run."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._claimed = threading.Lock()
        self.outcome: Future[T] = Future()

    def run(self) -> None:
        """Make it, whatever comes of it, unless somebody has begun it."""
        if not self._claimed.acquire(blocking=False):
            return
        try:
            self.outcome.set_result(self._function())
        except BaseException as error:  # noqa: BLE001 - raised where the outcome is asked for
            self.outcome.set_exception(error)
