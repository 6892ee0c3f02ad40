"""`archive import`: files and folders through the same ingest as every door, several at a time.

Several threads, because an object waits for the disk most of the time and commits that wait together are
grouped. It may be interrupted and run again: what is there already is only compared.
"""

from __future__ import annotations

import enum
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
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

from archive.dicom.errors import ArchiveError, ConfigurationError, NotDicom
from archive.dicom.instance import Source
from archive.services.ingest import Ingest

PIECE = 1 << 20
THREADS = 4
NAMES = 20
"""Files named for each reason, unless all are asked for."""

KEPT_ASIDE = "its identifiers are taken; see `archive conflicts list --all`"
DICOMDIR = "the index of a medium (DICOMDIR), not an object"

T = TypeVar("T")
R = TypeVar("R")


class Fate(enum.Enum):
    """What became of a file."""

    STORED = "Stored"
    ALREADY_THERE = "Already there"
    KEPT_ASIDE = "Kept aside"
    REFUSED = "Refused"
    NOT_DICOM = "Not DICOM"


@dataclass(frozen=True, slots=True)
class Result:
    """One file, and why it was not stored."""

    path: Path
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the files; `interrupted` when some were not reached."""

    results: Sequence[Result]
    interrupted: bool = False


def gather(paths: Iterable[Path]) -> list[Path]:
    """The files meant: each path, or all regular files below it. Raises ConfigurationError."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files.extend(sorted(_below(path)))
        elif path.exists():
            files.append(path)
        else:
            raise ConfigurationError(f"{path}: no such file or folder")
    return files


def _below(folder: Path) -> Iterator[Path]:
    """Every file; and each folder that cannot be read, which `store` then names in the summary."""
    unreadable: list[Path] = []
    for parent, _, names in os.walk(folder, onerror=lambda error: unreadable.append(Path(error.filename))):
        yield from (path for name in names if (path := Path(parent, name)).is_file())
    yield from unreadable


def run(ingest: Ingest, files: Sequence[Path]) -> Report:
    """Store the files, with a progress bar on stderr. Ctrl-C ends it after the files at hand."""
    results: list[Result] = []
    with _progress() as progress, ThreadPoolExecutor(THREADS) as executor:
        task = progress.add_task("Importing", total=len(files))
        try:
            for result in _as_done(executor, lambda path: store(ingest, path), files):
                results.append(result)
                progress.advance(task)
        except KeyboardInterrupt:
            return Report(results, interrupted=True)
    return Report(results)


def store(ingest: Ingest, path: Path) -> Result:
    """Store one file."""
    try:
        with path.open("rb") as file, ingest.part10(Source("IMPORT")) as reception:
            while piece := file.read(PIECE):
                reception.write(piece)
            receipt = reception.finish()
    except NotDicom as error:
        return Result(path, Fate.NOT_DICOM, error.reason)
    except ArchiveError as error:
        if path.name.upper() == "DICOMDIR":
            return Result(path, Fate.NOT_DICOM, DICOMDIR)
        return Result(path, Fate.REFUSED, error.reason)
    except OSError as error:
        return Result(path, Fate.REFUSED, f"cannot be read: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - a fault of ours with one file must not cost the thousands after it
        return Result(
            path, Fate.REFUSED, f"a fault of the archive ({type(error).__name__}): please report it"
        )
    if receipt.kept_aside:
        return Result(path, Fate.KEPT_ASIDE, KEPT_ASIDE)
    return Result(path, Fate.ALREADY_THERE if receipt.already_there else Fate.STORED)


def _as_done(executor: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results as they come, with a bounded number of items under way; what waits is dropped when left early."""
    left = iter(items)
    under_way: set[Future[R]] = {executor.submit(work, item) for item in islice(left, 2 * THREADS)}
    try:
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way |= {executor.submit(work, item) for item in islice(left, len(done))}
            yield from (future.result() for future in done)
    finally:
        for future in under_way:
            future.cancel()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} files/s")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def summary(report: Report, names: int | None = NAMES) -> str:
    """How many of each, then each reason with its files; at most `names` files for a reason."""
    counts = Counter(result.fate for result in report.results)
    lines = [f"{fate.value:<14}{counts[fate]:>8}" for fate in Fate]
    for fate in (Fate.REFUSED, Fate.KEPT_ASIDE, Fate.NOT_DICOM):
        for reason, paths in _by_reason(report.results, fate).items():
            lines += ["", f"{fate.value}: {reason} ({len(paths)})", *_named(sorted(paths), names)]
    if report.interrupted:
        lines += ["", "Interrupted. What was stored stays; run it again for the rest."]
    return "\n".join(lines)


def _by_reason(results: Iterable[Result], fate: Fate) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for result in results:
        if result.fate is fate:
            groups.setdefault(result.reason, []).append(result.path)
    return groups


def _named(paths: Sequence[Path], names: int | None) -> list[str]:
    shown = [f"  {path}" for path in paths[:names]]
    more = len(paths) - len(shown)
    return [*shown, f"  … and {more} more (--verbose names them)"] if more else shown


def exit_code(report: Report) -> int:
    """1 when an object was refused or some were not reached. No fault: a file that is no DICOM, as folders
    hold all sorts of things."""
    return int(report.interrupted or any(result.fate is Fate.REFUSED for result in report.results))
