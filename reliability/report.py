"""The figures in `docs/reliability.md`, made of the results that are there: a table of the runs, and that of the soak
with its plot. What stands between the markers is made anew; all else is somebody's text."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reliability import figures, soak_plot

DOCUMENT = Path(__file__).parents[1] / "docs" / "reliability.md"
PLOT = "soak.svg"
_END = "<!-- end -->"
_TITLES = {
    "kills": "kill -9 of the whole server under load",
    "power-cuts": "power cut at a random moment under load",
    "power-cuts-at-points": "power cut at each step of storing and deleting",
}
_COLUMNS = ("acknowledged", "lost_or_altered", "partial_objects_visible")
_MIB = 1 << 20

Figures = Mapping[str, Any]


def write() -> int:
    """Put the figures into the document, and the plot beside it; the exit status."""
    DOCUMENT.write_text(filled(DOCUMENT.read_text(), figures.read()))
    for soak in figures.read("soak"):
        try:
            soak_plot.draw(soak, DOCUMENT.with_name(PLOT))
        except ImportError:
            sys.stderr.write("no plot: that needs matplotlib (pip install '.[bench]')\n")
    return 0


def filled(text: str, results: Sequence[Figures]) -> str:
    """The document with these figures in it. Raises ValueError where it has no place for them."""
    for name, made in _BLOCKS.items():
        begin = f"<!-- figures: {name} -->"
        pattern = re.compile(re.escape(begin) + r".*?" + re.escape(_END), re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"no {begin} in {DOCUMENT.name}")
        block = f"{begin}\n\n{made(results)}\n\n{_END}"
        text = pattern.sub(lambda _, block=block: block, text)  # type: ignore[misc]
    return text


def runs(results: Sequence[Figures]) -> str:
    """A line for each run on each server."""
    lines = [
        "| what | server | times | acknowledged | lost or altered | partial objects visible | date |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, title in _TITLES.items():
        for one in sorted(results, key=lambda one: one["server"].lower()):
            if one["run"] == name:
                numbers = " | ".join(_number(one, column) for column in _COLUMNS)
                server = f"{one['server']} {_short(one['version'])}"
                lines.append(f"| {title} | {server} | {one['rounds']:,} | {numbers} | {one['date']} |")
    return "\n".join(lines)


def soaked(results: Sequence[Figures]) -> str:
    """What was compared at both ends of the soak."""
    lines = []
    for soak in results:
        if soak["run"] == "soak":
            verdict = "flat" if soak["ok"] else "not flat"
            wrong = len(soak["faults"])
            lines += [
                f"{soak['seconds'] / 60:.0f} minutes on {soak['date']}, {soak['done']:,} operations, {wrong} of them"
                f" wrong: {verdict}.",
                "",
                "| what | at the beginning | at the end | flat |",
                "|---|---|---|---|",
                *(_line(line) for line in soak["lines"]),
                "",
                f"![What the processes hold, and how long the operations take]({PLOT})",
            ]
    return "\n".join(lines)


def _line(line: Figures) -> str:
    early, late = (_said(line["what"], line[end]) for end in ("early", "late"))
    return f"| {line['what']} | {early} | {late} | {'yes' if line['flat'] else '**no**'} |"


def _said(what: str, value: float) -> str:
    if what.startswith("memory"):
        return f"{value / _MIB:.1f} MiB"
    if what.startswith("p99"):
        return f"{value * 1000:.0f} ms"
    return f"{value:g}"


def _number(one: Figures, column: str) -> str:
    if column == "partial_objects_visible" and column not in one:
        return str(len(one["violations"].get("I2", [])))
    return f"{one[column]:,}"


def _short(version: str) -> str:
    """Without what the packages beside it are."""
    return version.split(",")[0]


_BLOCKS: Mapping[str, Callable[[Sequence[Figures]], str]] = {"runs": runs, "soak": soaked}
