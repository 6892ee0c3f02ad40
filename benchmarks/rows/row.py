"""What a row of the table is: what it measures on which ground, and what the measure must come to."""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.servers.server import Server
    from benchmarks.stage import Stage

STALL_SECONDS = 4.5
"""The peer stalls for 5.0 s on some answers, whatever they cost otherwise. What takes longer than this is told apart;
questions here take the peer 0.2 to 3 s."""

Samples = dict[str, list[float]]
"""What one round brought, by the key of the metric: seconds, rates or bytes, as many as there were."""

Measure = Callable[["Stage", "Server", int], Samples]
"""Measures one server; the number is that of the round."""


def median_without_stalls(samples: Sequence[float]) -> float:
    """The median of those below the length of a stall; of all, when there are no others."""
    calm = [sample for sample in samples if sample < STALL_SECONDS]
    return statistics.median(calm or samples)


def p95(samples: Sequence[float]) -> float:
    """The smallest sample that 95 in a hundred do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[math.ceil(0.95 * len(ordered)) - 1]


class Of(enum.Enum):
    """What is made of all samples of a metric."""

    MEDIAN = "median"
    MEDIAN_WITHOUT_STALLS = "median without stalls"
    MEAN = "mean, stalls included"
    P95 = "95th percentile"
    MOST = "most"

    def __call__(self, samples: Sequence[float]) -> float:
        """One number for many."""
        makers: dict[Of, Callable[[Sequence[float]], float]] = {
            Of.MEDIAN: statistics.median,
            Of.MEDIAN_WITHOUT_STALLS: median_without_stalls,
            Of.MEAN: statistics.fmean,
            Of.P95: p95,
            Of.MOST: max,
        }
        return makers[self](samples)


class Unit(enum.Enum):
    """How a metric is shown, and which way is better."""

    PER_SECOND = "per s"
    SECONDS = "s"
    MILLISECONDS = "ms"
    MEGABYTES = "MB"
    PERCENT = "%"

    @property
    def more_is_better(self) -> bool:
        """A rate should be high, everything else low."""
        return self is Unit.PER_SECOND

    @property
    def scale(self) -> float:
        """What a sample is multiplied with to be shown: samples are in seconds and bytes."""
        return {Unit.MILLISECONDS: 1e3, Unit.MEGABYTES: 1e-6, Unit.PERCENT: 100}.get(self, 1.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table. `must` and `aim` are ratios to the other side, above 1 where we are better; `at_most`
    and `aim_at_most` bound our own value, as shown."""

    key: str
    title: str
    unit: Unit
    must: float | None = None
    aim: float | None = None
    of: Of = Of.MEDIAN
    at_most: float | None = None
    aim_at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Floor:
    """What the machine could do if nobody had to be an archive; in the units of the row's metrics."""

    title: str
    measure: Callable[[Stage, int], Samples]


class Ground(enum.Enum):
    """What the servers hold before a row begins."""

    EMPTY = "nothing; new servers for each row"
    EMPTY_EACH_ROUND = "nothing; new servers for each round"
    SERIES = "one series of CT slices"
    STUDIES = "50,000 studies of one instance"
    LARGE = "one object of gigabytes"
    MILLION = "1,000,000 studies of one instance, against an empty archive of the same kind"


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured together. `check`, outside the time, raises Mismatch when a side does not do what was asked.
    `slow`: one measurement takes up to a minute, so there are fewer rounds; `once`: one round. `alone`: only the first
    side is measured."""

    id: str
    ground: Ground
    metrics: tuple[Metric, ...]
    measure: Measure
    floors: tuple[Floor, ...] = ()
    check: Callable[[Stage, Sequence[Server]], None] | None = None
    warm: bool = True
    slow: bool = False
    once: bool = False
    alone: bool = False


class Mismatch(Exception):
    """A server did not do what it was measured at."""
