"""Throughput as a plot: lines of an SVG, and the same in a table for who does not see them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from archive.services.throughput import History, Sums

WIDTH, HEIGHT = 720, 150
"""Of the part with the lines, in units of the SVG."""
ROWS = 6
MEGABYTE = 1_000_000

_FIELDS = tuple(one.name for one in fields(Sums))


@dataclass(frozen=True, slots=True)
class Line:
    """`points`: for each unbroken stretch those of an SVG polyline. `now` is the rate of the last record."""

    name: str
    now: float
    most: float
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Received and sent, in one unit. `top` is the rate at the upper edge."""

    name: str
    unit: str
    top: float
    lines: tuple[Line, Line]


@dataclass(frozen=True, slots=True)
class Row:
    """A sixth of the time: its moments in UTC, and objects and bytes; None where nobody counted."""

    begins: str
    ends: str
    sums: Sums | None


def plots(history: History) -> tuple[Plot, Plot]:
    """Objects and megabytes a second."""
    return (
        _plot("objects", "objects/s", history, 1),
        _plot("bytes", "MB/s", history, MEGABYTE),
    )


def rows(history: History) -> list[Row]:
    """The same in few numbers, oldest first."""
    each = len(history.records) // ROWS
    seconds = each * history.span.seconds
    return [
        Row(
            _clock(history.ended_at - (ROWS - row) * seconds),
            _clock(history.ended_at - (ROWS - row - 1) * seconds),
            total(history.records[row * each : (row + 1) * each]),
        )
        for row in range(ROWS)
    ]


def total(records: Sequence[Sums | None]) -> Sums | None:
    """Their sum; None where none was counted."""
    counted = [one for one in records if one is not None]
    if not counted:
        return None
    return Sums(*(sum(getattr(one, name) for one in counted) for name in _FIELDS))


def _plot(name: str, unit: str, history: History, per: int) -> Plot:
    rates = [
        _rates(history, f"received_{name}", per),
        _rates(history, f"sent_{name}", per),
    ]
    top = _round(max((rate for line in rates for rate in line if rate is not None), default=0))
    received, sent = (_line(word, line, top) for word, line in zip(("received", "sent"), rates, strict=True))
    return Plot(name, unit, top, (received, sent))


def _rates(history: History, field: str, per: int) -> list[float | None]:
    seconds = history.span.seconds * per
    return [None if one is None else getattr(one, field) / seconds for one in history.records]


def _line(name: str, rates: Sequence[float | None], top: float) -> Line:
    known = [rate for rate in rates if rate is not None]
    return Line(name, known[-1] if known else 0.0, max(known, default=0.0), tuple(_stretches(rates, top)))


def _stretches(rates: Sequence[float | None], top: float) -> Iterator[str]:
    points: list[str] = []
    step = WIDTH / len(rates)
    for place, rate in enumerate([*rates, None]):
        if rate is not None:
            height = HEIGHT * (1 - rate / top)
            # The rate is that of a whole record, so it is drawn as long as that is.
            points += [f"{place * step:.1f},{height:.1f}", f"{(place + 1) * step:.1f},{height:.1f}"]
        elif points:
            yield " ".join(points)
            points = []


def _round(most: float) -> float:
    """The next number from 1, 2, 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(most))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= most * (1 - 1e-9))


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")
