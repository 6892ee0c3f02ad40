"""Who of several workers takes the next connection."""

from __future__ import annotations

from archive.network.spreading import Spread, alone


def test_nobody_waits_for_a_worker_that_is_not_there() -> None:
    place = Spread(2).place(0)
    place.holds(5)
    assert not place.is_fuller()
    alone().holds(5)
    assert not alone().is_fuller()


def test_who_holds_more_leaves_a_connection_to_the_other() -> None:
    spread = Spread(3)
    one, two, three = (spread.place(number) for number in range(3))
    one.holds(2)
    two.holds(1)
    three.holds(1)
    assert [each.is_fuller() for each in (one, two, three)] == [True, False, False]
    two.holds(2)
    three.leave()
    assert not one.is_fuller()
