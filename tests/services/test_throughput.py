"""What passes is added to the record of the moment, by all workers, and the record is that of the moment alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from archive.dicom.instance import Source
from archive.services.throughput import FILE_BYTES, PREFIX, SPANS, Span, Sums, Throughput
from archive.services.throughput_metrics import MOST_TITLES, OTHERS, Meters
from archive.supervisor import room

HOUR, DAY = SPANS
CT = Source("DIMSE", calling_ae_title="CT1")


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def ends(throughput: Throughput, number: int) -> tuple[Sums | None, ...]:
    return throughput.history(HOUR).records[-number:]


def test_a_record_is_seen_when_it_is_over() -> None:
    clock = Clock()
    throughput = Throughput(clock=clock)
    throughput.received(CT, 100)
    throughput.answered(2, 30)
    throughput.answered(0, 4)
    assert ends(throughput, 1) == (None,)
    clock.now += 10
    assert ends(throughput, 2) == (None, Sums(1, 100, 2, 34))
    clock.now += 25
    assert ends(throughput, 4) == (None, Sums(1, 100, 2, 34), Sums(), Sums())


@pytest.mark.parametrize("chosen", SPANS, ids=lambda span: span.name)
@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_an_old_record_gives_way(chosen: Span, rounds: int) -> None:
    """After a silence of any length, of which nothing was written."""
    clock = Clock()
    throughput = Throughput(clock=clock)
    throughput.received(CT, 100)
    clock.now += rounds * (chosen.records + 1) * chosen.seconds
    assert set(throughput.history(chosen).records) == {Sums()}
    throughput.received(CT, 7)
    clock.now += chosen.seconds
    assert throughput.history(chosen).records[-1] == Sums(1, 7, 0, 0)


def test_the_spans_agree() -> None:
    clock = Clock()
    throughput = Throughput(clock=clock)
    for _ in range(600):
        throughput.received(CT, 100)
        clock.now += 5
    clock.now += 300
    for span in SPANS:
        assert sum(one.received_objects for one in throughput.history(span).records if one) == 600


def test_nothing_of_files_that_are_read() -> None:
    clock = Clock()
    throughput = Throughput(clock=clock)
    throughput.received(Source("IMPORT"), 100)
    throughput.received(Source("STOW-RS"), 1)
    clock.now += 10
    assert ends(throughput, 1) == (Sums(1, 1, 0, 0),)


def test_workers_are_added_up_and_replaced(tmp_path: Path) -> None:
    clock = Clock()
    files = [room.shared_counts(tmp_path, post) for post in ("dimse-1", "http-1")]
    first, other = (Throughput(file, clock=clock) for file in files)
    first.received(CT, 100)
    other.answered(1, 50)
    clock.now += 10
    again = Throughput(room.shared_counts(tmp_path, "dimse-1"), clock=clock)
    again.received(CT, 1)
    clock.now += 10
    for each in (first, other, again):
        assert ends(each, 3) == (None, Sums(1, 100, 1, 50), Sums(1, 1, 0, 0))
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [FILE_BYTES] * 2


def test_a_file_of_another_length_is_no_count(tmp_path: Path) -> None:
    path = tmp_path / f"{PREFIX}http-1"
    path.write_bytes(b"short")
    clock = Clock()
    with pytest.raises(OSError, match="shorter"):
        Throughput(path, clock=clock)
    made = room.shared_counts(tmp_path, "http-1")
    assert made == path
    assert path.stat().st_size == FILE_BYTES


def test_no_room_is_no_reason_not_to_start(tmp_path: Path) -> None:
    assert room.shared_counts(tmp_path / "gone", "http-1") is None


def test_threads_lose_nothing() -> None:
    clock = Clock()
    told: list[tuple[object, ...]] = []
    throughput = Throughput(tell=lambda *one: told.append(one), clock=clock)

    def count() -> None:
        for _ in range(2000):
            throughput.received(CT, 3)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    clock.now += 10
    assert ends(throughput, 1) == (Sums(16000, 48000, 0, 0),)
    assert len(told) == 16000


def test_few_titles_are_told_apart() -> None:
    """Whoever calls chooses the title; the metrics are not to grow by that."""
    meters = Meters()
    made = [meters._counters("sent", "DIMSE", f"TITLE{number}") for number in range(MOST_TITLES + 9)]
    assert len({id(pair[0]) for pair in made}) == MOST_TITLES + 1
    assert made[-1][0] is meters._made("sent", "DIMSE", OTHERS)[0]
