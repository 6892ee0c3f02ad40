"""The plot of a soak: what the processes hold and how long the operations take, over the minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_MIB = 1 << 20


def draw(soak: Mapping[str, Any], path: Path) -> Path:
    """Write the plot of a soak as it was kept. Raises ImportError without matplotlib."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "reliability"
    from matplotlib import pyplot

    moments: Sequence[Mapping[str, Any]] = soak["moments"]
    minutes = [one["at"] / 60 for one in moments]
    panels: list[tuple[str, str, Callable[[float], float]]] = [
        ("memory", "memory, MiB", lambda value: value / _MIB),
        ("descriptors", "open files", float),
        ("threads", "threads", float),
        ("p99", "p99, ms", lambda value: value * 1000),
    ]
    figure, every = pyplot.subplots(len(panels), 1, figsize=(10, 2.6 * len(panels)), sharex=True)
    for axes, (what, label, scaled) in zip(every, panels, strict=True):
        for name in sorted({name for one in moments for name in one[what]}):
            values = [scaled(one[what][name]) if name in one[what] else float("nan") for one in moments]
            axes.plot(minutes, values, label=name, linewidth=1)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    every[-1].set_xlabel("minutes of mixed load")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return path
