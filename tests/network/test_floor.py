"""The rest after strangers (reliability.md D1, D14)."""

from __future__ import annotations

import threading
import time

from archive.network.floor import _LONGEST_REST, _REST, AcceptorSettings, Floor
from archive.network.spreading import alone


def rested(*spent: float) -> float:
    """Seconds that a worker rests that has spent so much."""
    floor = Floor(AcceptorSettings(), alone())
    for seconds in spent:
        floor.spent(seconds)
    began = time.monotonic()
    floor.rest(threading.Event())
    return time.monotonic() - began


def test_nobody_rests_who_has_spent_nothing() -> None:
    assert min(rested() for _ in range(5)) < 0.01


def test_the_rest_is_a_multiple_of_what_was_spent_however_it_came_together() -> None:
    assert rested(0.01) > 0.01 * _REST * 0.9
    assert rested(0.005, 0.005, 0.005) > 0.015 * _REST * 0.9


def test_no_rest_keeps_the_next_caller_waiting_for_long() -> None:
    assert _LONGEST_REST * 0.9 < min(rested(60.0) for _ in range(3)) < 5 * _LONGEST_REST
