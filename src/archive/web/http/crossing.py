"""The one place where the asynchronous world calls the synchronous services: threads, a bounded number of them.

A call costs one hop to a thread. Bodies therefore cross in batches of about a megabyte, so that a large object
costs little more than its bytes and a slow client holds no thread while it is slow. The first batch of an answer
is made together with the answer, so that an error in it can still become a status.

Work for a client that has gone ends where it can: waiting for a thread, or between two pieces. Pictures have few
threads of their own, as each takes a core and several times its size in memory; more at a time would be no faster.
So have answers whose pixel data is decoded, lest all threads wait for a decoder while there are bytes to pass on.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import anyio

from archive.services.stretches import Piece, read
from archive.web.http.exchange import Answer, Sliced
from archive.web.http.threads import Threads, check_cancelled

T = TypeVar("T")

BATCH_BYTES = 1 << 20
THREADS = 32
RENDERINGS = 2
"""Pictures made at a time."""
DECODINGS = 4
"""Batches of decoded pixel data made at a time; some of them are reading meanwhile."""
PROBES = 2
"""Probes answered at a time: also when all other threads wait for a disk that hangs."""


class Lane(enum.Enum):
    """Which threads a request has."""

    COMMON = enum.auto()
    PICTURES = enum.auto()
    DECODING = enum.auto()
    HEALTH = enum.auto()


@dataclass(slots=True)
class Prepared:
    """An answer with the first batch of its body; `rest` is None when that is all of it. `ahead`: pieces of the first
    batch that follow `first`, some of them stretches of files, fetched, to be passed on."""

    answer: Answer
    first: bytes
    rest: Iterator[Piece] | None
    ahead: tuple[Piece, ...] = ()

    def taken(self) -> bytes:
        """The first batch, which is not kept: the rest may take a slow client an hour."""
        first, self.first = self.first, b""
        return first


class Crossing:
    """The threads of one process."""

    def __init__(self, threads: int = THREADS, renderings: int = RENDERINGS) -> None:
        places = {
            Lane.COMMON: threads,
            Lane.PICTURES: renderings,
            Lane.DECODING: DECODINGS,
            Lane.HEALTH: PROBES,
        }
        self._threads = {lane: Threads(number) for lane, number in places.items()}

    async def call(self, function: Callable[[], T], lane: Lane = Lane.COMMON) -> T:
        """Run a synchronous function in a thread. Cancelled before it has one, it never runs; after that, whoever is
        cancelled waits for its end, which `next_batch` brings near."""
        return await self._threads[lane].call(function)

    @asynccontextmanager
    async def closing(self, close: Callable[[], None]) -> AsyncIterator[None]:
        """Call `close` in a thread at the end, come what may."""
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.call(close)

    async def batches(self, pieces: Iterator[Piece], lane: Lane = Lane.COMMON) -> AsyncGenerator[bytes]:
        """The pieces in batches; the next one is made while one is sent. The caller closes this before `pieces`."""
        make = partial(next_batch, pieces)
        ahead = asyncio.ensure_future(self.call(make, lane))
        try:
            ended = False
            while not ended:
                batch, ended = await ahead
                if not ended:
                    ahead = asyncio.ensure_future(self.call(make, lane))
                if batch:
                    yield batch
        finally:
            ahead.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(ahead, return_exceptions=True)


def prepared(make: Callable[[], Answer], *, passing: bool = False) -> Prepared:
    """Make an answer and the first batch of its body; with `passing` it may hold stretches of files."""
    answer = make()
    assert not isinstance(answer.body, Sliced), "ranges.applied comes before"
    if isinstance(answer.body, bytes):
        return Prepared(answer, answer.body, None)
    try:
        batch, ended = _next(answer.body, passing)
    except BaseException:
        close(answer.body)
        raise
    if ended:
        close(answer.body)
    rest = None if ended else answer.body
    if any(not isinstance(piece, bytes) for piece in batch):
        return Prepared(answer, b"", rest, tuple(batch))
    return Prepared(answer, read_all(batch), rest)


def next_batch(pieces: Iterator[Piece]) -> tuple[bytes, bool]:
    """About a megabyte of the pieces, and whether they have ended. To be run by `Crossing.call`, with which it is
    cancelled."""
    batch, ended = _next(pieces, passing=False)
    return read_all(batch), ended


def in_bytes(pieces: Iterator[Piece]) -> Iterator[bytes]:
    """The pieces, all of them read."""
    try:
        for piece in pieces:
            yield read(piece)
    finally:
        close(pieces)


def _next(pieces: Iterator[Piece], passing: bool) -> tuple[list[Piece], bool]:
    batch: list[Piece] = []
    length = 0
    for piece in pieces:
        check_cancelled()
        passed = passing and not isinstance(piece, bytes) and piece.fetch()
        batch.append(piece if passed else read(piece))
        length += len(piece) if isinstance(piece, bytes) else piece.length
        if length >= BATCH_BYTES:
            return batch, False
    return batch, True


def read_all(batch: Iterable[Piece]) -> bytes:
    """The pieces as one."""
    pieces = [read(piece) for piece in batch]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def close(pieces: object) -> None:
    """Let a generator run its clean-up now; anything else has none."""
    closer = getattr(pieces, "close", None)
    if closer is not None:
        closer()
