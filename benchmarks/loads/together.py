"""Several clients at one time, each a process: they begin when all are ready, and the time ends with the last."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from typing import Any

_FORK = multiprocessing.get_context("fork")
READY_SECONDS = 300.0
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

Task = Callable[[Callable[[], None]], Any]
"""What a client does: prepares, calls what it is given, which returns when all are ready, and works."""


class ClientFault(Exception):
    """A client did not come to its end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`seconds` from the first beginning to the last end; what each client gave back."""

    seconds: float
    results: list[Any]


def run(tasks: Sequence[Task]) -> Outcome:
    """Run the tasks together. Raises ClientFault."""
    barrier = _FORK.Barrier(len(tasks))
    pipes = [_FORK.Pipe(duplex=False) for _ in tasks]
    processes = [
        _FORK.Process(target=_client, args=(task, barrier.wait, pipe[1]), daemon=True)
        for task, pipe in zip(tasks, pipes, strict=True)
    ]
    _start(processes)
    for _, theirs in pipes:
        theirs.close()
    try:
        answers = [_answer(ours) for ours, _ in pipes]
    finally:
        for process in processes:
            process.join(5) if process.exitcode is not None else process.terminate()
    begin, end = min(answer[0] for answer in answers), max(answer[1] for answer in answers)
    return Outcome(end - begin, [answer[2] for answer in answers])


def _start(processes: Iterable[BaseProcess]) -> None:
    """Signals wait meanwhile: what a handler raises within a fork is lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        for process in processes:
            process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(pipe: Pipe) -> tuple[float, float, Any]:
    try:
        answer = pipe.recv()
    except EOFError:
        raise ClientFault("a client ended without a word") from None
    if isinstance(answer, str):
        raise ClientFault(answer)
    begin, end, result = answer
    return begin, end, result


def _client(task: Task, wait: Callable[..., object], pipe: Pipe) -> None:
    begun: list[float] = []
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    def ready() -> None:
        wait(READY_SECONDS)
        begun.append(time.monotonic())

    try:
        result = task(ready)
        pipe.send((begun[0], time.monotonic(), result))
    except BaseException as fault:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        pipe.send(f"{type(fault).__name__}: {fault}")
