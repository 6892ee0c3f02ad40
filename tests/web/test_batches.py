"""Bodies on their way out: the next batch is made while one is sent, one at a time, and nothing is left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import aclosing

import anyio
import pytest

from archive.web.http.crossing import BATCH_BYTES, Crossing, close
from archive.web.http.threads import check_cancelled


class Pieces:
    """Four batches; `made` says how many were asked for, each shows in a semaphore."""

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at = fails_at
        self.made = 0
        self.shown = threading.Semaphore(0)
        self.closed = False

    def __call__(self) -> Iterator[bytes]:
        """The pieces, each as large as a batch."""
        try:
            for number in range(4):
                self.made += 1
                self.shown.release()
                if number == self.fails_at:
                    raise ConnectionError
                yield bytes([number]) * BATCH_BYTES
        finally:
            self.closed = True


def test_the_next_batch_is_made_meanwhile() -> None:
    pieces = Pieces()

    async def main() -> bytes:
        lane, heads = Crossing(), b""
        async with aclosing(lane.batches(pieces())) as batches:
            async for batch in batches:
                heads += batch[:1]
                for _ in range({1: 2, 2: 1, 3: 1}.get(len(heads), 0)):
                    assert await lane.call(lambda: pieces.shown.acquire(timeout=30))
                assert pieces.made == min(len(heads) + 1, 4)
        return heads

    assert anyio.run(main) == bytes(range(4))
    assert pieces.closed


def test_what_is_made_ahead_has_ended_before_the_pieces_are_closed() -> None:
    begun, over = threading.Event(), threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            yield bytes(BATCH_BYTES)
            begun.set()
            while True:
                check_cancelled()
                yield b""
        finally:
            over.set()

    async def main() -> None:
        lane, pieces = Crossing(), endless()
        async with aclosing(lane.batches(pieces)) as batches:
            async for batch in batches:
                assert len(batch) == BATCH_BYTES
                assert await lane.call(lambda: begun.wait(30))
                break
        close(pieces)  # "generator already executing" if anybody were in it
        assert over.is_set()

    anyio.run(main)


@pytest.mark.parametrize("read", [1, 2, 4])
def test_a_fault_ahead_is_raised_in_its_turn(read: int) -> None:
    pieces = Pieces(fails_at=2)

    async def main() -> int:
        count = 0
        async with aclosing(Crossing().batches(pieces())) as batches:
            async for _ in batches:
                count += 1
                if count == read:
                    break
        return count

    if read > 2:
        with pytest.raises(ConnectionError):
            anyio.run(main)
    else:
        assert anyio.run(main) == read
