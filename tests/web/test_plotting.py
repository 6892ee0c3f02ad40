"""Lines of the plot: where they are, where they break, and what the table says."""

from __future__ import annotations

import pytest

from archive.services.throughput import SPANS, History, Span, Sums
from archive.web.console import plotting

SIX = Span("minute", 10, 6)


def history(*records: Sums | None) -> History:
    return History(SIX, 1_700_000_000.0, records)


def test_a_gap_breaks_the_line() -> None:
    shown = history(Sums(10), None, Sums(), Sums(20), None, None)
    received, sent = plotting.plots(shown)[0].lines
    assert received.points == ("0.0,75.0 120.0,75.0", "240.0,150.0 360.0,150.0 360.0,0.0 480.0,0.0")
    assert sent.points == ("0.0,150.0 120.0,150.0", "240.0,150.0 360.0,150.0 360.0,150.0 480.0,150.0")
    assert (received.now, received.most, sent.most) == (2.0, 2.0, 0.0)


def test_nothing_is_a_plot_too() -> None:
    for plot in plotting.plots(history(*[None] * 6)):
        assert plot.top == 1
        assert all(line.points == () for line in plot.lines)
    assert all(row.sums is None for row in plotting.rows(history(*[None] * 6)))


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (10, 1), (11, 2), (30, 5), (51, 10), (1000, 100), (1001, 200), (1, 0.1)]
)
def test_the_scale_is_a_round_number(most: int, top: float) -> None:
    shown = history(*[Sums(most)] * 6)
    assert plotting.plots(shown)[0].top == pytest.approx(top)


def test_the_table_adds_up() -> None:
    span = SPANS[0]
    records = (None, *(Sums(1, 2, 3, 4) for _ in range(span.records - 1)))
    rows = plotting.rows(History(span, 1_700_000_000.0, records))
    assert [row.sums for row in rows][:2] == [Sums(59, 118, 177, 236), Sums(60, 120, 180, 240)]
    assert (rows[0].begins, rows[0].ends, rows[-1].ends) == ("21:13", "21:23", "22:13")
    assert plotting.total(records) == Sums(359, 718, 1077, 1436)
