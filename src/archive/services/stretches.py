"""What lies in a file in the very bytes that go out: passed on by the system, which spares the archive to touch them.

A few kilobytes are read sooner than passed on.
"""

from __future__ import annotations

from collections.abc import Iterator

from archive.storage.base import Blob, Stretch

__all__ = ["Piece", "Stretch", "pieces", "read"]

SMALLEST = 64 << 10
LARGEST = 1 << 20

Piece = bytes | Stretch


def pieces(blob: Blob, offset: int, length: int) -> Iterator[Piece]:
    """Part of a blob. Whoever takes a stretch closes it. Raises NotFound when the blob is shorter."""
    end = offset + length
    for start in range(offset, end, LARGEST):
        size = min(LARGEST, end - start)
        stretch = blob.stretch(start, size) if size >= SMALLEST else None
        yield blob.read(start, size) if stretch is None else stretch


def read(piece: Piece) -> bytes:
    """The bytes of a piece, which is closed. Raises NotFound, OutOfResources."""
    if isinstance(piece, bytes):
        return piece
    try:
        return piece.read()
    finally:
        piece.close()
