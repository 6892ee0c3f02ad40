"""Who of several workers takes the next connection."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import closing

import pytest

from archive.network import acceptor
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


def test_who_did_not_take_what_was_left_to_it_is_left_out_until_its_number_changes() -> None:
    spread = Spread(3)
    one, two, three = (spread.place(number) for number in range(3))
    one.holds(2)
    two.holds(1)
    three.leave()
    one.waited_in_vain()
    assert not one.is_fuller()
    three.holds(1)
    assert one.is_fuller()
    one.waited_in_vain()
    two.holds(0)
    assert one.is_fuller()


def test_two_that_would_both_wait_wait_no_longer_than_the_first_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one seems to hold less, and is done with that: its number changes while this one gives way."""
    monkeypatch.setattr(acceptor, "PATIENCE", 60.0)
    spread = Spread(2)
    mine, other = spread.place(0), spread.place(1)
    mine.holds(1)
    other.holds(0)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        with closing(socket.create_connection(listener.getsockname())):
            giving = threading.Thread(target=acceptor._give_way, args=(mine, poll), daemon=True)
            giving.start()
            giving.join(0.1)
            assert giving.is_alive()
            other.holds(1)
            giving.join(30)
            assert not giving.is_alive()
            other.holds(0)
            listener.accept()[0].close()  # somebody has taken it
            acceptor._give_way(mine, poll)


def test_a_connection_that_nobody_takes_is_taken_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PATIENCE", 0.01)
    spread = Spread(2)
    mine, other = spread.place(0), spread.place(1)
    mine.holds(1)
    other.holds(0)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        with closing(socket.create_connection(listener.getsockname())):
            acceptor._give_way(mine, poll)
            assert not mine.is_fuller()
