"""What is made of the samples: medians, percentiles, stalls told apart, ratios above 1 where ours is better."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reporting import plots, results, table
from benchmarks.reporting.results import Measured
from benchmarks.rows.mixed import MEMORY, TIMES, growth
from benchmarks.rows.row import Floor, Ground, Metric, Of, Row, Samples, Unit
from benchmarks.rows.table import ROWS, chosen

RUN = {
    "quick": False,
    "machine": {
        "processor": "a processor",
        "cores": 2,
        "memory_gigabytes": 8.0,
        "kernel": "6",
        "filesystem": "ext4",
        "python": "3.11",
        "dcmtk": "3.6",
        "commit": "abcdef0",
    },
    "sides": {
        "archive": {"version": "1", "durability": "strict"},
        "other": {"version": "2", "durability": "as is"},
    },
}


def unused(*_: object) -> Samples:
    raise AssertionError


def row(*metrics: Metric) -> Row:
    return Row("row", Ground.EMPTY, metrics, unused, (Floor("the disk", unused),))


def measured(ours: list[Samples], other: list[Samples], **more: object) -> dict[str, Measured]:
    sides = {"archive": ours, "other": other} if other else {"archive": ours}
    return {"row": Measured("row", "2024-03-11T10:00:00+0000", 0.0, RUN, sides, **more)}  # type: ignore[arg-type]


def test_what_is_made_of_samples() -> None:
    assert Of.MEDIAN([3, 1, 2]) == 2
    assert Of.MOST([1, 3, 2]) == 3
    assert Of.P95([float(each) for each in range(1, 101)]) == 95
    assert Of.P95([1.0]) == 1
    assert Of.MEDIAN_WITHOUT_STALLS([0.3, 5.1, 0.5, 5.2, 5.3]) == 0.4
    assert Of.MEDIAN_WITHOUT_STALLS([5.0, 5.5]) == 5.25, "a server that does nothing but stall is not let off"
    assert Of.MEAN([1, 5]) == 3


@pytest.mark.parametrize(
    ("unit", "ratio"), [(Unit.PER_SECOND, 0.5), (Unit.SECONDS, 2.0), (Unit.MILLISECONDS, 2.0)]
)
def test_a_ratio_is_above_one_where_ours_is_better(unit: Unit, ratio: float) -> None:
    metric = Metric("x", "title", unit, must=1.5)
    one = measured([{"x": [1.0]}, {"x": [2.0]}], [{"x": [2.0]}, {"x": [4.0]}])["row"]
    assert one.ratio(metric) == ratio
    assert one.ratios(metric) == [ratio, ratio]


def test_the_table_says_what_is_reached_and_what_is_not() -> None:
    metric = Metric("x", "title", Unit.PER_SECOND, must=2, aim=4)
    found = measured([{"x": [300.0]}], [{"x": [100.0]}], floors={"the disk": [{"x": [900.0]}]})
    text = table.markdown([row(metric)], found)
    assert "| title | 300 per s | 100 per s | 3.0x | 2.0x ✔ | 4.0x ✘ | the disk: 900 per s |" in text
    assert "archive 1: strict.\nother 2: as is." in text
    assert "2 cores of a processor" in text
    assert table.verdict([row(metric)], found) == []


def test_a_bound_is_held_against_the_slowest_answer() -> None:
    metric = Metric("x", "title", Unit.MILLISECONDS, at_most=30)
    found = measured([{"x": [0.001, 0.002, 0.031]}], [])
    assert "| ≤ 30 ms ✘ |" in table.markdown([row(metric)], found)
    assert table.verdict([row(metric)], found) == ["title"]
    percentile = Metric("x", "title", Unit.MILLISECONDS, of=Of.P95, at_most=30)
    many = measured([{"x": [0.001] * 99 + [0.5]}], [])
    assert table.verdict([row(percentile)], many) == []


def test_numbers_of_a_busy_machine_and_faults_are_told() -> None:
    found = measured([{"x": [1.0]}], [], fault="Mismatch: 3 of 4 objects")
    found["row"].busy = 0.5
    text = table.markdown([row(Metric("x", "title", Unit.PER_SECOND))], found)
    assert "do not trust them: row" in text
    assert "row (Mismatch: 3 of 4 objects)" in text


def test_results_are_kept_as_they_were(tmp_path: Path) -> None:
    found = measured([{"x": [1.0, 2.5]}], [{"x": [3.0]}], floors={"the disk": [{"x": [0.1]}]}, fault="none")
    results.write(tmp_path, found)
    assert results.read(tmp_path) == found
    assert results.read(tmp_path / "elsewhere") == {}


def test_memory_that_grows_shows() -> None:
    assert growth([100.0] * 100) == 0
    assert growth([500.0] * 10 + [100.0] * 90) == 0, "what it needs to begin with does not count"
    assert 0.2 < growth([100.0 + each for each in range(100)]) < 1


def test_plots_are_drawn(tmp_path: Path) -> None:
    metric = Metric("x", "title", Unit.PER_SECOND, must=2, aim=4)
    found = measured([{"x": [3.0]}, {"x": [3.5]}], [{"x": [1.0]}, {"x": [1.1]}])
    mixed: list[Samples] = [{TIMES: [0.0, 60.0], MEMORY: [1e8, 1.1e8]}]
    found["mixed"] = Measured("mixed", "2024", 0.0, RUN, {"archive": mixed})
    made = plots.draw(tmp_path, [row(metric)], found)
    assert [path.name for path in made] == ["ratios.svg", "memory.svg"]
    assert all(path.read_text().rstrip().endswith("</svg>") for path in made)


def test_rows_are_chosen_by_how_their_id_begins() -> None:
    ids = [each.id for each in ROWS]
    assert len(set(ids)) == len(ids)
    assert [each.id for each in chosen(["c-store-mr", "frames"])] == [
        "c-store-mr-1",
        "c-store-mr-4",
        "c-store-mr-stock",
        "frames",
    ]
    assert chosen([]) == list(ROWS)
    with pytest.raises(KeyError):
        chosen(["no-such-row"])
