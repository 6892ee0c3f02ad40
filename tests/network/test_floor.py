"""The rest after strangers (reliability.md D1, D14)."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from archive.network.floor import _GUEST, _LONGEST_REST, _REST, _SHORT_REST, AcceptorSettings, Floor, Visitor
from archive.network.spreading import Spread, alone


def rested(*spent: float, guest: bool = True) -> float:
    """Seconds that a worker rests that has spent so much, while the other one has a guest."""
    spread = Spread(2)
    spread.place(1).hosts(time.monotonic() - _GUEST if guest else math.inf)
    floor = Floor(AcceptorSettings(), spread.place(0))
    for seconds in spent:
        floor.spent(seconds)
    began = time.monotonic()
    floor.rest(threading.Event())
    return time.monotonic() - began


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """Somebody at the door."""
    with closing(socket.socket()) as connection:
        yield Visitor(connection, "192.0.2.1")


def test_nobody_rests_who_has_spent_nothing() -> None:
    assert min(rested() for _ in range(5)) < 0.01


def test_the_rest_is_a_multiple_of_what_was_spent_however_it_came_together() -> None:
    assert rested(0.01) > 0.01 * _REST * 0.9
    assert rested(0.005, 0.005, 0.005) > 0.015 * _REST * 0.9


def test_no_rest_keeps_the_next_caller_waiting_for_long() -> None:
    assert _LONGEST_REST * 0.9 < min(rested(60.0) for _ in range(3)) < 5 * _LONGEST_REST


def test_where_there_is_no_guest_the_rest_is_short() -> None:
    """Who opens an association for each object would wait for most of the time."""
    assert 0.02 * _SHORT_REST * 0.9 < min(rested(0.02, guest=False) for _ in range(3)) < 0.02 * _REST


def test_who_is_associated_is_a_guest_to_all_workers_until_it_leaves(visitor: Visitor) -> None:
    spread = Spread(2)
    here, there = spread.place(0), spread.place(1)
    floor = Floor(AcceptorSettings(), here)
    assert floor.enter(visitor)
    assert there.hosted_since() == math.inf
    before = time.monotonic()
    floor.seat(visitor)
    assert before <= there.hosted_since() <= time.monotonic()
    floor.leave(visitor)
    assert there.hosted_since() == math.inf


def test_a_worker_that_ends_has_no_guests() -> None:
    place = Spread(2).place(0)
    place.hosts(1.0)
    place.leave()
    assert place.hosted_since() == math.inf
    assert alone().hosted_since() == math.inf
