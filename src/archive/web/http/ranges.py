"""Range requests (RFC 9110 14): one range of bytes of a body that can be sliced.

Viewers ask so for the first part of a progressive frame, players for a piece of a video. Several ranges in one
request get the whole body, which RFC 9110 14.2 leaves to us: no client of this archive asks so, and who does has to
be ready for it. A header that cannot be read, or asks for hundreds of ranges, is 416 (15.5.17).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from archive.services.stretches import Piece
from archive.web.http import compression, conditional
from archive.web.http.exchange import Answer, Asked, Sliced, text

MAXIMUM_RANGES = 100
"""Of one request."""

_UNIT = re.compile(r"\s*bytes\s*=", re.IGNORECASE)
_RANGE = re.compile(r"[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.ASCII)
_DIGITS = 18
"""More mean a position behind every end."""


class _Unreadable(Exception):
    """The header is no list of ranges of bytes."""


def applied(answer: Answer, asked: Asked) -> Answer:
    """The answer with a body that is read when it is sent: whole, or the range that was asked for."""
    body = answer.body
    if not isinstance(body, Sliced):
        return answer
    answer = replace(answer, headers=(*answer.headers, ("Accept-Ranges", "bytes")))
    if asked.method == "HEAD":
        return replace(answer, body=b"", length=body.length)
    if answer.status != 200 or not _counts(answer, asked):
        return _part(answer, body, 0, body.length)
    try:
        ranges = parse(asked.headers["range"], body.length)
    except _Unreadable:
        return _refused(body.length, "the Range header cannot be read: one range is bytes=FIRST-LAST")
    if len(ranges) > MAXIMUM_RANGES:
        return _refused(body.length, f"more than {MAXIMUM_RANGES} ranges in one request")
    if len(ranges) > 1:
        return _part(answer, body, 0, body.length)
    offset, length = ranges[0]
    if not length:
        return _refused(body.length, f"the range begins behind the end: there are {body.length} bytes")
    partial = replace(
        answer, status=206, headers=(*answer.headers, _content_range(offset, length, body.length))
    )
    return _part(partial, body, offset, length)


def parse(field: str, total: int) -> list[tuple[int, int]]:
    """Offset and length of each range in a body of `total` bytes, length 0 for one that lies outside. Raises when it
    is no list of ranges (RFC 9110 14.1.1, 14.1.2)."""
    unit = _UNIT.match(field)
    if unit is None:
        raise _Unreadable
    found = [_one(text, total) for text in field[unit.end() :].split(",") if text.strip()]
    if not found:
        raise _Unreadable
    return found


def _counts(answer: Answer, asked: Asked) -> bool:
    """Whether the Range header means this representation (RFC 9110 13.1.5, 14.2)."""
    if not _UNIT.match(asked.headers.get("range", "")) or compression.refuses_identity(asked):
        return False
    condition = asked.headers.get("if-range")
    return condition is None or conditional.is_strongly(condition, answer.etag)


def _one(field: str, total: int) -> tuple[int, int]:
    match = _RANGE.fullmatch(field)
    if match is None:
        raise _Unreadable
    first, last, suffix = match.groups()
    if suffix:
        length = min(_position(suffix), total)
        return total - length, length
    start, end = _position(first), _position(last) if last else total
    if end < start and last:
        raise _Unreadable
    return start, max(min(end, total - 1) - start + 1, 0)


def _position(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _DIGITS else 10**_DIGITS


def _part(answer: Answer, body: Sliced, offset: int, length: int) -> Answer:
    return replace(answer, body=_pieces(body, offset, length), length=length)


def _pieces(body: Sliced, offset: int, length: int) -> Iterator[Piece]:
    yield from body.read(offset, length)


def _content_range(offset: int, length: int, total: int) -> tuple[str, str]:
    return ("Content-Range", f"bytes {offset}-{offset + length - 1}/{total}")


def _refused(total: int, sentence: str) -> Answer:
    return text(416, sentence, ("Content-Range", f"bytes */{total}"), ("Accept-Ranges", "bytes"))
