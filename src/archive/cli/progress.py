"""Long work of the command line: several things at a time, and how far it has come, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")
R = TypeVar("R")


def as_done(
    executor: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], at_once: int
) -> Iterator[R]:
    """Results as they come, with so many items under way; what waits is dropped when left early."""
    left = iter(items)
    under_way: set[Future[R]] = {executor.submit(work, item) for item in islice(left, at_once)}
    try:
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way |= {executor.submit(work, item) for item in islice(left, len(done))}
            yield from (future.result() for future in done)
    finally:
        for future in under_way:
            future.cancel()


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} {self._unit}/s")


def bar(unit: str = "files") -> Progress:
    """Counts files, or something else."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
