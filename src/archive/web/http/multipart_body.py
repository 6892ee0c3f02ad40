"""Multipart bodies on their way out (PS3.18 8.6.1.2): parts in pieces, nothing held.

Header names are spelled as in the standard, as viewers search for the literal `Content-Type:`.

Where every part can be sliced, the whole body can be: its boundary is then made of the entity tag, so that two
ranges of two requests fit together (8.6.1.2). An entity tag made of digests of what the parts hold cannot be written
into one of the parts by who made them.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from archive.services.stretches import Piece
from archive.web.http.conditional import tag
from archive.web.http.exchange import Answer, Sliced
from archive.web.http.media_types import MULTIPART


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `media_type` with its parameters, `length` of the pieces together if it is known."""

    media_type: str
    pieces: Iterable[bytes]
    location: str = ""
    length: int | None = None


@dataclass(frozen=True, slots=True)
class SlicedPart:
    """One part of which any bytes can be had."""

    media_type: str
    body: Sliced
    location: str = ""


def related(
    media_type: str, parts: Iterable[Part], headers: tuple[tuple[str, str], ...] = (), etag: str = ""
) -> Answer:
    """A multipart/related answer; `media_type` is that of the parts, without parameters, `etag` as in Answer."""
    boundary = tag("boundary", etag, media_type) if etag else secrets.token_hex(16)
    content_type = f'{MULTIPART}; type="{media_type}"; boundary={boundary}'
    return Answer(200, content_type, _encoded(boundary.encode("ascii"), parts), headers, etag=etag)


def related_sliced(
    media_type: str, parts: Sequence[SlicedPart], etag: str, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """The same with a known length, for Range requests; `etag` as in Answer."""
    boundary = tag("boundary", etag, media_type)
    content_type = f'{MULTIPART}; type="{media_type}"; boundary={boundary}'
    return Answer(200, content_type, _joined(boundary.encode("ascii"), parts), headers, etag=etag)


def with_syntax(media_type: str, transfer_syntax_uid: str) -> str:
    """A media type with its transfer syntax, which every part of ours names."""
    return f"{media_type}; transfer-syntax={transfer_syntax_uid}"


def _encoded(boundary: bytes, parts: Iterable[Part]) -> Iterator[bytes]:
    for part in parts:
        yield b"--" + boundary + b"\r\n" + _head(part.media_type, part.length, part.location)
        yield from part.pieces
        yield b"\r\n"
    yield b"--" + boundary + b"--\r\n"


def _joined(boundary: bytes, parts: Sequence[SlicedPart]) -> Sliced:
    segments: list[Sliced] = []
    for number, part in enumerate(parts):
        before = b"\r\n" if number else b""
        head = _head(part.media_type, part.body.length, part.location)
        segments += (Sliced.of(before + b"--" + boundary + b"\r\n" + head), part.body)
    segments.append(Sliced.of((b"\r\n" if parts else b"") + b"--" + boundary + b"--\r\n"))
    starts = [0, *accumulate(segment.length for segment in segments)]

    def read(offset: int, length: int) -> Iterator[Piece]:
        end = offset + length
        for place in range(bisect_right(starts, offset) - 1, len(segments)):
            first, last = max(offset - starts[place], 0), min(end - starts[place], segments[place].length)
            if last > first:
                yield from segments[place].read(first, last - first)
            elif starts[place] >= end:
                return

    return Sliced(starts[-1], read)


def _head(media_type: str, length: int | None, location: str) -> bytes:
    lines = [f"Content-Type: {media_type}"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if location:
        lines.append(f"Content-Location: {location}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
