"""Bytes on their way out, of which any part can be had: what doors are given, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


def _nothing_to_check() -> None: ...


@dataclass(frozen=True, slots=True)
class Readable:
    """`length` bytes, of which `read(offset, length)` gives any; nothing is open in between. `make_sure` raises
    CannotRender where reading all of it would, as far as that can be told beforehand."""

    length: int
    read: Callable[[int, int], Iterator[bytes]]
    make_sure: Callable[[], None] = _nothing_to_check


def part(pieces: Iterator[bytes], offset: int, length: int) -> Iterator[bytes]:
    """`length` bytes from `offset` of what the pieces hold together."""
    for piece in pieces:
        wanted = piece[offset : offset + length] if offset < len(piece) else b""
        offset = max(0, offset - len(piece))
        length -= len(wanted)
        if wanted:
            yield wanted
        if length <= 0:
            return
