"""How far a run is: a bar with the time that is left and what was found so far, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Done = Callable[[float, str], None]
"""Told how much is done, and what was found."""


@contextmanager
def progress(title: str, total: float) -> Iterator[Done]:
    """A bar as long as the block lasts."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[found]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=total, found="")
        yield lambda done, found: shown.update(task, completed=done, found=found)
