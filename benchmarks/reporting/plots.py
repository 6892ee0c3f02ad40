"""The plots: how many times better each row is, and memory over the minutes of the mixed load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reporting.results import Measured
from benchmarks.reporting.table import times
from benchmarks.rows.mixed import MEMORY, TIMES
from benchmarks.rows.row import Metric, Row

OURS, MUST, AIM = "#1f6f8b", "#c44536", "#888888"


def draw(folder: Path, rows: Sequence[Row], measured: Mapping[str, Measured]) -> list[Path]:
    """Write the plots that there are numbers for. Raises ImportError without matplotlib."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    made = []
    lines = [
        (metric, ratio, measured[row.id].ratios(metric))
        for row in rows
        if row.id in measured
        for metric in row.metrics
        if metric.must is not None and (ratio := measured[row.id].ratio(metric)) is not None
    ]
    if lines:
        made.append(_ratios(folder / "ratios.svg", lines))
    if "mixed" in measured and measured["mixed"].sides:
        made.append(_memory(folder / "memory.svg", measured["mixed"]))
    return made


def _ratios(path: Path, lines: Sequence[tuple[Metric, float, list[float]]]) -> Path:
    """A bar for each row on a logarithmic axis, with what it must come to and what is aimed at."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 1 + 0.32 * len(lines)))
    for position, (metric, ratio, each) in enumerate(reversed(lines)):
        axes.barh(position, ratio, color=OURS, height=0.6)
        if len(each) > 1:
            axes.plot([min(each), max(each)], [position, position], color="black", linewidth=1)
        must = metric.must or 1
        axes.plot([must, must], [position - 0.4, position + 0.4], color=MUST, linewidth=2)
        if metric.aim is not None:
            axes.plot([metric.aim, metric.aim], [position - 0.4, position + 0.4], color=AIM, linewidth=2)
        end = max(ratio, must, metric.aim or 0, *each)  # past the marks, so that none crosses the number
        axes.annotate(times(ratio), (end, position), (5, -3), textcoords="offset points", fontsize=8)
    axes.set_yticks(range(len(lines)), [metric.title for metric, _, _ in reversed(lines)], fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times better than the other (red: must, grey: aim, line: rounds)")
    axes.margins(x=0.15)
    return _saved(figure, path)


def _memory(path: Path, mixed: Measured) -> Path:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 3))
    for name, rounds in mixed.sides.items():
        for samples in rounds:
            minutes = [seconds / 60 for seconds in samples[TIMES]]
            axes.plot(minutes, [each / 1e6 for each in samples[MEMORY]], label=name, linewidth=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes of mixed load")
    axes.set_ylabel("resident, all processes, MB")
    axes.legend()
    return _saved(figure, path)


def _saved(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return path
