"""Multipart bodies on their way out (PS3.18 8.6.1.2): parts in pieces, nothing held.

Header names are spelled as in the standard, as viewers search for the literal `Content-Type:`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archive.web.exchange import Answer
from archive.web.media_types import MULTIPART


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `media_type` with its parameters, `length` of the pieces together if it is known."""

    media_type: str
    pieces: Iterable[bytes]
    location: str = ""
    length: int | None = None


def related(media_type: str, parts: Iterable[Part], headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A multipart/related answer; `media_type` is that of the parts, without parameters."""
    boundary = secrets.token_hex(16)
    content_type = f'{MULTIPART}; type="{media_type}"; boundary={boundary}'
    return Answer(200, content_type, _encoded(boundary.encode("ascii"), parts), headers)


def with_syntax(media_type: str, transfer_syntax_uid: str) -> str:
    """A media type with its transfer syntax, which every part of ours names."""
    return f"{media_type}; transfer-syntax={transfer_syntax_uid}"


def _encoded(boundary: bytes, parts: Iterable[Part]) -> Iterator[bytes]:
    for part in parts:
        yield b"--" + boundary + b"\r\n" + _head(part)
        yield from part.pieces
        yield b"\r\n"
    yield b"--" + boundary + b"--\r\n"


def _head(part: Part) -> bytes:
    lines = [f"Content-Type: {part.media_type}"]
    if part.length is not None:
        lines.append(f"Content-Length: {part.length}")
    if part.location:
        lines.append(f"Content-Location: {part.location}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
