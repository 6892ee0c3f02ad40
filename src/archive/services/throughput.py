"""How much comes in and goes out: the last hour and the last day of all workers, for a plot.

Each worker adds what passes to the record of the moment, in a file of a fixed number of records that is mapped into
memory and has the name of its post: who takes a dead worker's place goes on with its file. There is one writer to a
file, so no lock is between processes, and whoever reads adds the files up. They lie where the metrics do, in memory
where there is such a thing, and end with the run.

Moments are those of the monotonic clock, which all processes of a machine share: nobody sets it.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from archive.dicom.instance import Source, StoredInstance

PREFIX = "throughput-"
DIMSE, HTTP = "DIMSE", "HTTP"
RECEIVED, SENT = "received", "sent"
DIRECTIONS = (RECEIVED, SENT)

Tell = Callable[[str, str, str, int, int], None]
"""Told of each: direction, door, AE title, objects, bytes."""

_DOORS = {"DIMSE": DIMSE, "STOW-RS": HTTP}
_WORD = 8
_FIELDS = 5
"""Of a record: its number since the clock began, objects and bytes received, objects and bytes sent."""


@dataclass(frozen=True, slots=True)
class Span:
    """So many records of so many seconds. One more is kept: that of now, which is not over."""

    name: str
    seconds: int
    records: int


SPANS = (Span("hour", 10, 360), Span("day", 300, 288))
_RECORDS = sum(span.records + 1 for span in SPANS)
FILE_BYTES = _WORD * (1 + _RECORDS * _FIELDS)
"""When the first record was begun, in milliseconds, and the records of all spans."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one record."""

    received_objects: int = 0
    received_bytes: int = 0
    sent_objects: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """Records of a span, oldest first, up to the last one that is over; `ended_at` is its end in seconds since 1970.
    None is for when nobody counted yet."""

    span: Span
    ended_at: float
    records: tuple[Sums | None, ...]


class Throughput:
    """What passes this process, and what passed all. Safe for threads.

    `file`: that of this post, `FILE_BYTES` long, beside those of the others; without one this process counts for
    itself. Raises OSError where that cannot be opened."""

    def __init__(
        self,
        file: Path | None = None,
        tell: Tell = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = file.parent if file is not None else None
        self._mapped = _mapped(file)
        self._words = memoryview(self._mapped).cast("Q")
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._words[0] = self._words[0] or max(int(clock() * 1000), 1)

    def received(self, source: Source, length: int) -> None:
        """An object of so many bytes is safe. What is read from files passes no door, and is not counted."""
        door = _DOORS.get(source.door)
        if door is not None:
            self._add(0, 1, length)
            self._tell(RECEIVED, door, source.calling_ae_title, 1, length)

    def stored_at(self, title: str, instance: StoredInstance) -> None:
        """An instance was sent to an AE, which has taken it."""
        self._add(2, 1, instance.data_set_length)
        self._tell(SENT, DIMSE, title, 1, instance.data_set_length)

    def answered(self, objects: int, length: int) -> None:
        """So many bytes of an HTTP answer have gone out; `objects`: so many whole ones have begun to."""
        self._add(2, objects, length)
        self._tell(SENT, HTTP, "", objects, length)

    def _add(self, at: int, objects: int, length: int) -> None:
        words, first = self._words, 1
        with self._lock:
            now = int(self._clock())
            for span in SPANS:
                number = now // span.seconds
                place = first + number % (span.records + 1) * _FIELDS
                if words[place] != number:
                    # Emptied before it is named: who reads meanwhile, or after this process was killed, sees nothing.
                    for field in range(place + 1, place + _FIELDS):
                        words[field] = 0
                    words[place] = number
                words[place + 1 + at] += objects
                words[place + 2 + at] += length
                first += (span.records + 1) * _FIELDS

    def history(self, span: Span) -> History:
        """Of all workers of this run."""
        now = self._clock()
        last = int(now) // span.seconds
        files = list(self._files())
        begun = min((words[0] / 1000 for words in files if words[0]), default=now) // span.seconds
        sums = {number: [0, 0, 0, 0] for number in range(last - span.records, last)}
        for words in files:
            for number, *counts in _records(words, span):
                if number in sums:
                    sums[number] = [one + other for one, other in zip(sums[number], counts, strict=True)]
        records = tuple(Sums(*counts) if number >= begun else None for number, counts in sums.items())
        return History(span, time.time() - (now - last * span.seconds), records)

    def _files(self) -> Iterator[memoryview]:
        if self._folder is None:
            yield self._words
            return
        for path in sorted(self._folder.glob(f"{PREFIX}*")):
            content = path.read_bytes()
            if len(content) == FILE_BYTES:
                yield memoryview(content).cast("Q")


def _mapped(file: Path | None) -> mmap.mmap:
    if file is None:
        return mmap.mmap(-1, FILE_BYTES)
    with file.open("r+b") as opened:
        try:
            return mmap.mmap(opened.fileno(), FILE_BYTES)
        except ValueError:
            raise OSError(f"{file} is shorter than it should be") from None


def _records(words: memoryview, span: Span) -> Iterator[tuple[int, ...]]:
    first = 1
    for other in SPANS:
        length = (other.records + 1) * _FIELDS
        if other == span:
            part = words[first : first + length].tolist()
            yield from zip(*(part[field::_FIELDS] for field in range(_FIELDS)), strict=True)
        first += length
