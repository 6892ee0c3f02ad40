"""The one place where the asynchronous world calls the synchronous services: threads, a bounded number of them.

A call costs one hop to a thread. Bodies therefore cross in batches of about a megabyte, so that a large object
costs little more than its bytes and a slow client holds no thread while it is slow. The first batch of an answer
is made together with the answer, so that an error in it can still become a status.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from archive.web.exchange import Answer

T = TypeVar("T")

BATCH_BYTES = 1 << 20
THREADS = 32


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer with the first batch of its body; `rest` is None when that is all of it."""

    answer: Answer
    first: bytes
    rest: Iterator[bytes] | None


class Crossing:
    """The threads of one process."""

    def __init__(self, threads: int = THREADS) -> None:
        self._limiter = anyio.CapacityLimiter(threads)

    async def call(self, function: Callable[[], T]) -> T:
        """Run a synchronous function in a thread. Whoever is cancelled meanwhile waits for its end."""
        return await run_sync(function, limiter=self._limiter)

    @asynccontextmanager
    async def closing(self, close: Callable[[], None]) -> AsyncIterator[None]:
        """Call `close` in a thread at the end, come what may."""
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.call(close)

    async def batches(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces in batches. The caller closes `pieces`."""
        ended = False
        while not ended:
            batch, ended = await self.call(lambda: next_batch(pieces))
            if batch:
                yield batch


def prepared(make: Callable[[], Answer]) -> Prepared:
    """Make an answer and the first batch of its body."""
    answer = make()
    if isinstance(answer.body, bytes):
        return Prepared(answer, answer.body, None)
    try:
        first, ended = next_batch(answer.body)
    except BaseException:
        close(answer.body)
        raise
    if ended:
        close(answer.body)
    return Prepared(answer, first, None if ended else answer.body)


def next_batch(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """About a megabyte of the pieces, and whether they have ended."""
    batch: list[bytes] = []
    length = 0
    for piece in pieces:
        batch.append(piece)
        length += len(piece)
        if length >= BATCH_BYTES:
            return (batch[0] if len(batch) == 1 else b"".join(batch)), False
    return b"".join(batch), True


def close(pieces: Iterator[bytes]) -> None:
    """Let a generator run its clean-up now."""
    closer = getattr(pieces, "close", None)
    if closer is not None:
        closer()
