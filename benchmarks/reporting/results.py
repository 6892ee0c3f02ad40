"""The results: every sample of every round as it was, in one JSON file that runs of single rows add to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.rows.row import Metric, Samples
from benchmarks.servers.archive import NAME as OURS

FILE = "results.json"


@dataclass
class Measured:
    """A row as it was measured. For each side and floor the samples of each round; `busy` is the share of the
    processors' time that somebody else used before it began."""

    id: str
    moment: str
    busy: float
    run: dict[str, Any]
    sides: dict[str, list[Samples]] = field(default_factory=dict)
    floors: dict[str, list[Samples]] = field(default_factory=dict)
    fault: str = ""

    @property
    def ours(self) -> str:
        """The side whose numbers are to be good."""
        return next(iter(self.sides), OURS)

    @property
    def other(self) -> str:
        """The side that it is compared with, if there is one."""
        return ([*self.sides, "", ""])[1]

    def value(self, metric: Metric, name: str) -> float | None:
        """One number for a side or floor, in the unit of the metric; None where it was not measured."""
        rounds = {**self.sides, **self.floors}.get(name, [])
        samples = [sample for one in rounds for sample in one.get(metric.key, [])]
        return metric.of(samples) * metric.unit.scale if samples else None

    def ratio(self, metric: Metric) -> float | None:
        """How many times better ours is than the other."""
        return _ratio(metric, self.value(metric, self.ours), self.value(metric, self.other))

    def ratios(self, metric: Metric) -> list[float]:
        """The same for each round, to show how far they lie apart."""
        pairs = zip(self.sides.get(self.ours, []), self.sides.get(self.other, []), strict=False)
        made = [
            _ratio(metric, metric.of(ours[metric.key]), metric.of(other[metric.key]))
            for ours, other in pairs
            if ours.get(metric.key) and other.get(metric.key)
        ]
        return [each for each in made if each is not None]


def _ratio(metric: Metric, ours: float | None, other: float | None) -> float | None:
    if not ours or not other:
        return None
    return ours / other if metric.unit.more_is_better else other / ours


def read(folder: Path) -> dict[str, Measured]:
    """What is there, by the id of the row."""
    path = folder / FILE
    rows = json.loads(path.read_text()) if path.exists() else []
    return {row["id"]: Measured(**row) for row in rows}


def write(folder: Path, rows: dict[str, Measured]) -> None:
    """Keep them."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(row) for row in rows.values()], indent=1)
    (folder / FILE).write_text(text + "\n")
