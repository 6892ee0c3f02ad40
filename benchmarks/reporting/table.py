"""The table in Markdown: each row with both sides, the ratio, what it must come to, and whether it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.reporting.machine import BUSY
from benchmarks.reporting.results import Measured
from benchmarks.rows.row import Metric, Row, Unit

HEAD = "| Workload | ours | other | ratio (rounds) | must | aim | floor |\n|---|---:|---:|---:|---:|---:|---|"


def markdown(rows: Sequence[Row], measured: Mapping[str, Measured]) -> str:
    """The whole table with what it was measured on."""
    lines = [
        _line(row, metric, measured[row.id]) for row in rows if row.id in measured for metric in row.metrics
    ]
    if not lines:
        return "Nothing was measured.\n"
    return "\n".join([*_preamble(rows, measured), "", HEAD, *lines, ""])


def _preamble(rows: Sequence[Row], measured: Mapping[str, Measured]) -> list[str]:
    shown = [measured[row.id] for row in rows if row.id in measured]
    busy = [each.id for each in shown if each.busy > BUSY]
    faults = [f"{each.id} ({each.fault})" for each in shown if each.fault]
    out = _runs([each for each in shown if each.sides])
    out += (
        [f"\nOthers used the machine before these rows, so do not trust them: {', '.join(busy)}."]
        if busy
        else []
    )
    out += [f"\nNot measured to the end: {'; '.join(faults)}."] if faults else []
    return out


def _runs(shown: Sequence[Measured]) -> list[str]:
    """A line for each machine, with the commits that ran there, and one for each side."""
    commits: dict[str, list[str]] = {}
    for each in shown:
        listed = commits.setdefault(f"Measured {each.moment[:10]} on {_machine(each)}", [])
        if (commit := each.run["machine"]["commit"]) not in listed:
            listed.append(commit)
    sides = {
        f"{name} {side['version']}: {side['durability']}."
        for each in shown
        for name, side in each.run["sides"].items()
    }
    return [*(f"{text}, commit {', '.join(each)}." for text, each in commits.items()), *sorted(sides)]


def _machine(one: Measured) -> str:
    machine = one.run["machine"]
    quick = ", QUICK: counts too small to mean anything" if one.run["quick"] else ""
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gigabytes']:.0f} GB, Linux "
        f"{machine['kernel']}, {machine['filesystem']}, Python {machine['python']}, DCMTK {machine['dcmtk']}{quick}"
    )


def _line(row: Row, metric: Metric, one: Measured) -> str:
    floors = [
        f"{floor.title}: {shown(metric, value)}"
        for floor in row.floors
        if (value := one.value(metric, floor.title)) is not None
    ]
    cells = [
        metric.title,
        shown(metric, one.value(metric, one.ours)),
        shown(metric, one.value(metric, one.other)),
        _ratio(metric, one),
        _bounds(metric, metric.must, metric.at_most, one),
        _bounds(metric, metric.aim, metric.aim_at_most, one),
        "; ".join(floors),
    ]
    return f"| {' | '.join(cells)} |"


def shown(metric: Metric, value: float | None) -> str:
    """A value as people read it: three digits that count."""
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {metric.unit.value}"


def _ratio(metric: Metric, one: Measured) -> str:
    ratio, each = one.ratio(metric), one.ratios(metric)
    if ratio is None:
        return "–"
    return f"{times(ratio)} ({times(min(each))}–{times(max(each))})" if len(each) > 1 else times(ratio)


def times(ratio: float) -> str:
    """A ratio as people read it."""
    return f"{ratio:.0f}x" if ratio >= 20 else f"{ratio:.1f}x" if ratio >= 2 else f"{ratio:.2f}x"


def _bounds(metric: Metric, ratio: float | None, at_most: float | None, one: Measured) -> str:
    parts = []
    if ratio is not None:
        parts.append(f"{times(ratio)} {_mark((reached := one.ratio(metric)) and reached >= ratio)}")
    if at_most is not None:
        value = worst(metric, one)
        parts.append(
            f"≤ {at_most:g} {metric.unit.value} {_mark(None if value is None else value <= at_most)}"
        )
    return ", ".join(parts)


def worst(metric: Metric, one: Measured) -> float | None:
    """What is held against a bound: the slowest of single answers in milliseconds, but for percentiles."""
    rounds = one.sides.get(one.ours, [])
    samples = [sample for each in rounds for sample in each.get(metric.key, [])]
    if metric.unit is Unit.MILLISECONDS and metric.of.name != "P95" and samples:
        return max(samples) * metric.unit.scale
    return one.value(metric, one.ours)


def _mark(reached: bool | float | None) -> str:
    return "" if reached is None else "✔" if reached else "✘"


def verdict(rows: Sequence[Row], measured: Mapping[str, Measured]) -> list[str]:
    """The titles of what does not come to what it must."""
    return [
        metric.title
        for row in rows
        if row.id in measured
        for metric in row.metrics
        if "✘" in _bounds(metric, metric.must, metric.at_most, measured[row.id])
    ]
