"""Seats over several processes: a limit that nobody counts cannot be lost count of."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from archive.dicom.errors import CallerRefused
from archive.security.ae_titles import AETitle
from archive.security.rules import Rules
from archive.services.seats import Seats

HOLDER = """
import sys
from pathlib import Path
from archive.security.ae_titles import AETitle
from archive.security.rules import Rules
from archive.services.seats import Seats
seat = Seats(Path(sys.argv[1])).take(AETitle("CT/1", "192.0.2.1", 104, Rules(maximum_associations=2)))
print("seated", flush=True)
sys.stdin.read()
"""


def entry(limit: int) -> AETitle:
    return AETitle("CT/1", "192.0.2.1", 104, Rules(maximum_associations=limit))


def is_full(seats: Seats, limit: int) -> bool:
    try:
        seats.take(entry(limit)).leave()
    except CallerRefused:
        return True
    return False


def test_a_worker_that_dies_leaves_its_seats(tmp_path: Path) -> None:
    """Killed, not asked to end: nothing of it could clean up."""
    seats = Seats(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"seated\n"
        ours = seats.take(entry(2))
        assert is_full(seats, 2)
        other.kill()
        other.wait()
    seats.take(entry(2)).leave()
    ours.leave()


def test_a_limit_that_was_lowered_counts_who_is_there(tmp_path: Path) -> None:
    seats = Seats(tmp_path)
    held = [seats.take(entry(4)) for _ in range(4)]
    held[0].leave()
    assert is_full(seats, 3)
    held[1].leave()
    assert is_full(seats, 2)
    assert not is_full(seats, 3)
    for seat in held:
        seat.leave()
        seat.leave()
    assert not is_full(seats, 1)


def test_without_a_limit_there_are_no_seats(tmp_path: Path) -> None:
    seats = Seats(tmp_path / "seats")
    for _ in range(100):
        seats.take(entry(0))
    assert not (tmp_path / "seats").exists()


def test_many_at_once_get_no_more_than_there_are(tmp_path: Path) -> None:
    seats, taken, full = Seats(tmp_path), [], []
    start = threading.Barrier(20)

    def take() -> None:
        start.wait()
        try:
            taken.append(seats.take(entry(7)))
        except CallerRefused:
            full.append(1)

    threads = [threading.Thread(target=take) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(full)) == (7, 13)
    for seat in taken:
        seat.leave()


def test_two_titles_do_not_share(tmp_path: Path) -> None:
    seats = Seats(tmp_path)
    held = seats.take(entry(1))
    other = AETitle("CT", "192.0.2.1", 104, Rules(maximum_associations=1))
    seats.take(other).leave()
    with pytest.raises(CallerRefused):
        seats.take(entry(1))
    held.leave()


def test_a_seat_that_is_held_for_a_moment_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the limit was lowered, whoever counts the seats holds each for a moment; who comes then looks again."""
    seats = Seats(tmp_path)
    for seat in [seats.take(entry(3)) for _ in range(3)]:
        seat.leave()
    held = [seats.take(entry(2)) for _ in range(2)]
    looked: list[float] = []

    def pause(seconds: float) -> None:
        looked.append(seconds)
        held[0].leave()

    monkeypatch.setattr(time, "sleep", pause)
    seats.take(entry(2)).leave()
    assert len(looked) == 1
    held[1].leave()


def test_a_seat_that_stays_taken_is(tmp_path: Path) -> None:
    seats = Seats(tmp_path)
    for seat in [seats.take(entry(3)) for _ in range(3)]:
        seat.leave()
    held = [seats.take(entry(2)) for _ in range(2)]
    assert is_full(seats, 2)
    for seat in held:
        seat.leave()
