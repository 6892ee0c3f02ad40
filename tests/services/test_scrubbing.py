"""The scrubber reads everything in the end, keeps its rate, and goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import OutOfResources
from archive.index import verification
from archive.index.verification import Fault, Pass
from archive.services.scrubbing import DAY, Scrubbing, State
from held import store
from objects import secondary_capture
from verified import TABLES, all_held, empty, filled_archive, flip, path_of

FAST = 1 << 30


@pytest.fixture
def filled(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with filled_archive(tmp_path, index_url) as archive:
        yield archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with filled_archive(tmp_path) as opened:
        yield opened


class Clock:
    """Each look at it takes a millisecond; `ahead` is what passes otherwise."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        self.ahead += 0.001
        return self.ahead


def scrubber(archive: Archive, clock: Clock, rate: int = FAST, young_seconds: float = -1e9) -> Scrubbing:
    made = Scrubbing(
        archive.store,
        archive.database,
        rate,
        young_seconds=young_seconds,
        now=clock.now,
        clock=clock.monotonic,
    )
    clock.ahead += 1
    return made


def steps(one: Scrubbing, clock: Clock, number: int, seconds: float = 1.0) -> list[int]:
    """How many objects each step has read."""
    found = []
    for _ in range(number):
        found.append(one.step())
        clock.ahead += seconds
    return found


def noted(archive: Archive) -> Pass:
    with archive.database.read() as connection:
        return verification.scrubbed(connection)


def test_a_pass_reads_everything_once_and_finds_what_is_damaged(filled: Archive) -> None:
    clock = Clock()
    held = all_held(filled)
    victims = {one.holder: one for one in held}
    assert set(victims) == TABLES
    for one in victims.values():
        flip(path_of(filled, one), one.blob_length - 1)
    scrubbing = scrubber(filled, clock)
    assert scrubbing.state() == State(0, 0, 0.0)
    assert sum(steps(scrubbing, clock, 20)) == len(held)
    found = {one.blob_key: one.fault for one in filled.verification.found(100)}
    assert found == {one.blob_key: Fault.ALTERED for one in victims.values()}
    state = scrubbing.state()
    assert (state.missing, state.corrupt) == (0, len(victims))
    assert abs(state.since - clock.now()) < 60
    empty(path_of(filled, held[0]))
    assert sum(steps(scrubbing, clock, 5)) == 0  # not before tomorrow
    clock.ahead += DAY
    assert sum(steps(scrubbing, clock, 20)) == len(held)
    assert scrubbing.state().since > state.since


def test_it_keeps_its_rate(archive: Archive) -> None:
    clock, held = Clock(), all_held(archive)
    size = sum(one.blob_length for one in held)
    scrubbing = scrubber(archive, clock, rate=size // 10)
    read = steps(scrubbing, clock, 5)
    assert 0 < sum(read) < len(held)
    assert sum(steps(scrubbing, clock, 20)) == len(held) - sum(read)


def test_it_does_not_make_up_for_a_time_in_which_it_stood_still(archive: Archive) -> None:
    clock, held = Clock(), all_held(archive)
    scrubbing = scrubber(archive, clock, rate=sum(one.blob_length for one in held) // 20)
    clock.ahead += 3600
    assert scrubbing.step() < len(held) / 2


def test_one_step_is_short(archive: Archive) -> None:
    """Other jobs wait meanwhile."""
    clock = Clock()
    original = clock.monotonic

    def slow() -> float:
        clock.ahead += 0.1
        return original()

    clock.monotonic = slow  # type: ignore[method-assign]
    scrubbing = scrubber(archive, clock)
    assert all(number <= 3 for number in steps(scrubbing, clock, 4))


def test_it_can_be_switched_off(archive: Archive) -> None:
    clock = Clock()
    assert sum(steps(scrubber(archive, clock, rate=0), clock, 10)) == 0
    assert noted(archive) == Pass()


def test_after_a_restart_it_goes_on_where_it_was(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("archive.services.verification.AT_ONCE", 2)
    monkeypatch.setattr("archive.services.scrubbing.NOTE_SECONDS", 0.0)
    held = all_held(archive)
    rate = sum(one.blob_length for one in held) // 6
    first = sum(steps(scrubber(archive, clock, rate), clock, 4))
    assert 2 <= first < len(held)
    place = noted(archive).place
    assert place in [one.place for one in held]
    second = sum(steps(scrubber(archive, clock, FAST), clock, 10))
    assert second == len(held) - 1 - [one.place for one in held].index(place)
    assert noted(archive).verified == len(held)
    assert not noted(archive).is_going_on


def test_what_came_today_is_looked_at_and_not_read(archive: Archive) -> None:
    clock, held = Clock(), all_held(archive)
    flip(path_of(archive, held[0]), held[0].blob_length - 1)
    empty(path_of(archive, held[1]))
    scrubbing = scrubber(archive, clock, young_seconds=DAY)
    assert sum(steps(scrubbing, clock, 20)) == 0
    assert [(one.blob_key, one.fault) for one in archive.verification.found(9)] == [(held[1].blob_key, "cut")]


def test_what_was_only_looked_at_is_not_called_sound(archive: Archive) -> None:
    clock, held = Clock(), all_held(archive)
    flip(path_of(archive, held[0]), held[0].blob_length - 1)
    steps(scrubber(archive, clock), clock, 20)
    assert archive.verification.counts() == {Fault.ALTERED: 1}
    clock.ahead += DAY
    steps(scrubber(archive, clock, young_seconds=10 * DAY), clock, 20)
    assert archive.verification.counts() == {Fault.ALTERED: 1}


def test_what_is_missing_comes_back_from_the_quarantine(archive: Archive) -> None:
    clock, held = Clock(), all_held(archive)
    archive.store.set_aside(held[0].blob_key, "by mistake")
    path_of(archive, held[1]).unlink()
    scrubbing = scrubber(archive, clock)
    steps(scrubbing, clock, 20)
    assert [one.blob_key for one in archive.verification.found(9)] == [held[1].blob_key]
    assert scrubbing.state().missing == 1
    assert held[0].blob_key in set(archive.store.keys())


def test_at_the_end_of_a_pass_files_without_a_row_are_set_aside(archive: Archive) -> None:
    clock = Clock()
    writer = archive.store.create()
    writer.write(b"nobody's")
    writer.publish()
    scrubbing = scrubber(archive, clock)
    for _ in range(2):
        clock.ahead += DAY + 1
        steps(scrubbing, clock, 20)
    clock.ahead += DAY
    steps(scrubbing, clock, 20)
    assert [one.key for one in archive.store.aside()] == [writer.key]


def test_an_index_that_is_away_costs_no_pass(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    scrubbing = scrubber(archive, clock)

    def fails(*_: object) -> None:
        raise OutOfResources("the index cannot be used now")

    with monkeypatch.context() as patched:
        patched.setattr(verification, "held", fails)
        for _ in range(3):
            with pytest.raises(OutOfResources):
                steps(scrubbing, clock, 1)
            clock.ahead += 1
    store(archive, secondary_capture())
    assert sum(steps(scrubbing, clock, 20)) == len(all_held(archive))
