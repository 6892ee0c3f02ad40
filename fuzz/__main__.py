"""The command, `python -m fuzz [TARGET…]`: 0 when nothing was found, 1 otherwise.

The targets are searched one after the other, or `--jobs` at a time. What reached something new is kept in the corpus
folder, so that the next run goes on where this one ended.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fuzz import searching
from fuzz.searching import Searched
from fuzz.table import TABLE, TARGETS, Target

CORPUS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dicom-archive-fuzz"
MODEL = "model"
_MODEL_ABOUT = "the whole server against a model of it: stored, deleted, asked, killed, started again"


def parser() -> argparse.ArgumentParser:
    """The options."""
    out = argparse.ArgumentParser("fuzz", description="Bent inputs against what must hold of them.")
    out.add_argument("targets", nargs="*", metavar="TARGET", help="those named; all without")
    out.add_argument("--list", action="store_true", help="show the targets and end")
    out.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    out.add_argument("--jobs", type=int, default=1, help="targets at a time (1)")
    out.add_argument("--corpus", type=Path, default=CORPUS, help=f"kept from run to run ({CORPUS})")
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parser().parse_args(arguments)
    unknown = [name for name in options.targets if name not in (*TABLE, MODEL)]
    if unknown:
        parser().error(f"no target {', '.join(unknown)}; --list shows them")
    if options.list:
        about = {target.name: target.about for target in TARGETS} | {MODEL: _MODEL_ABOUT}
        sys.stdout.write("".join(f"{name:12} {text}\n" for name, text in about.items()))
        return 0
    if not searching.is_possible():
        parser().error("atheris is not installed (pip install '.[fuzz]'); it has no wheel for every machine")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    return _search_all(
        options, [name for name in (*TABLE, MODEL) if name in options.targets or not options.targets]
    )


def _search_all(options: argparse.Namespace, names: Sequence[str]) -> int:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars, ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(partial(_searched, options, bars), names))
    for name, found in zip(names, results, strict=True):
        _report(name, found)
    return int(any(found.finds or found.said for found in results))


def _searched(options: argparse.Namespace, bars: Progress, name: str) -> Searched:
    bar = bars.add_task(f"{name:12}", total=None, said="")

    def progress(inputs: int, branches: int) -> None:
        bars.update(bar, said=f"{inputs:,} inputs, {branches:,} branches")

    found = _search_one(options, name, progress)
    bars.update(bar, total=1, completed=1, said=_summary(found))
    return found


def _search_one(options: argparse.Namespace, name: str, progress: Callable[[int, int], None]) -> Searched:
    if name == MODEL:
        from fuzz.model import running

        return running.search(options.seconds, progress)
    corpus = options.corpus / name
    corpus.mkdir(parents=True, exist_ok=True)
    target: Target = TABLE[name]
    return searching.search(target, options.seconds, corpus=corpus, progress=progress)


def _summary(found: Searched) -> str:
    what = f"{len(found.finds)} found" if found.finds else "failed" if found.said else "nothing found"
    return f"{found.inputs:,} inputs, {found.branches:,} branches: {what}"


def _report(name: str, found: Searched) -> None:
    sys.stdout.write(f"{name}: {_summary(found)}\n")
    for path in found.finds:
        sys.stdout.write(f"  {path}\n")
    if found.said:
        sys.stdout.write(found.said + "\n")


if __name__ == "__main__":
    sys.exit(main())
