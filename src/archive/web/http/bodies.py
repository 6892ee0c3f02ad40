"""A request body on its way in: batches of about a megabyte, with a limit on size and on patience.

uvicorn has no deadline for bodies. Here a body may not stand still for `idle_deadline` seconds, and while we wait
for it, it has to make some progress; otherwise the answer is 408 (RFC 9110 15.5.9). What has come of a slow one goes on
its way to the disk: many of them would else hold a megabyte of memory each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

from starlette.types import Receive

from archive.web.http.crossing import BATCH_BYTES
from archive.web.http.errors import RequestRefused

SLOWEST_BYTES_PER_SECOND = 1000
HELD_SECONDS = 1.0
"""So long a part of a batch waits for the rest of it."""


class ClientGone(Exception):
    """The connection ended before the body did."""


def check_declared_length(declared: str, maximum: int) -> None:
    """Refuse by Content-Length, before a byte was read. Raises RequestRefused (413, 400)."""
    if not declared:
        return
    if not (declared.isascii() and declared.isdecimal()):
        raise RequestRefused("Content-Length is no number")
    if len(declared) > 18 or int(declared) > maximum:
        raise _too_large(maximum)


async def batches(receive: Receive, maximum: int, idle_deadline: float) -> AsyncIterator[tuple[bytes, bool]]:
    """The body in batches, and with each whether it is the last. Raises RequestRefused (413, 408), ClientGone."""
    pieces: list[bytes] = []
    held = total = 0
    patience = _Patience(idle_deadline)
    more = True
    while more:
        found = await _next(receive, patience, HELD_SECONDS if held else idle_deadline)
        if found is None:
            yield b"".join(pieces), False
            pieces, held = [], 0
            continue
        piece, more = found
        held += len(piece)
        total += len(piece)
        if total > maximum:
            raise _too_large(maximum)
        pieces.append(piece)
        if held >= BATCH_BYTES or not more:
            yield b"".join(pieces), not more
            pieces, held = [], 0


class _Patience:
    """How long we have waited for a body altogether, and what came of it."""

    def __init__(self, idle_deadline: float) -> None:
        self.idle_deadline = idle_deadline
        self._waited = 0.0
        self._received = 0

    def spend(self, seconds: float, received: int) -> None:
        """Count one wait. Raises RequestRefused when a whole deadline brought next to nothing."""
        self._waited += seconds
        self._received += received
        if self._waited >= self.idle_deadline:
            if self._received < self._waited * SLOWEST_BYTES_PER_SECOND:
                raise _too_slow()
            self._waited, self._received = 0.0, 0


async def _next(receive: Receive, patience: _Patience, seconds: float) -> tuple[bytes, bool] | None:
    """The next piece, and whether there are more; None when it does not come within so many seconds."""
    begun = monotonic()
    try:
        async with asyncio.timeout(
            min(seconds, patience.idle_deadline)
        ):  # anyio's looks for its loop each time
            message = await receive()
    except TimeoutError:
        if seconds >= patience.idle_deadline:
            raise _too_slow() from None
        patience.spend(monotonic() - begun, 0)
        return None
    if message["type"] == "http.disconnect":
        raise ClientGone
    piece: bytes = message.get("body", b"")
    more: bool = message.get("more_body", False)
    if more:
        patience.spend(monotonic() - begun, len(piece))
    return piece, more


def _too_large(maximum: int) -> RequestRefused:
    return RequestRefused(
        f"the body is larger than http.maximum_body_bytes ({maximum}): send fewer objects", 413
    )


def _too_slow() -> RequestRefused:
    return RequestRefused(
        "the body came too slowly; PS3.10 objects that were complete in it have been stored", 408
    )
