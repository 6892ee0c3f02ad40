"""Multipart bodies taken apart as they come (RFC 2046 5.1, PS3.18 8.6.1.2).

`Parser` is fed bytes in any pieces and answers with events; it reads no socket and holds back no more than an
unfinished header block. Where RFC 2046 leaves room we are strict: lines end with CRLF (a body with bare LF shows no
delimiter and is refused), and a body without its closing delimiter is truncated, so its last part never ends. A part
whose headers cannot be read is a part nevertheless: it says so, and the next one is read.

Data is scanned with `bytes.find`, in linear time whatever the bytes.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

MAXIMUM_HEADER_BYTES = 16 << 10
"""Of one part: real ones need a few hundred."""

MAXIMUM_OUTSIDE_BYTES = 64 << 10
"""Of preamble and of epilogue, which carry nothing."""

MAXIMUM_PADDING_BYTES = 256
"""White space between a boundary and the end of its line."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_CRLF = b"\r\n"


class MultipartError(ValueError):
    """The body breaks the rules; nothing after this place can be read. The text says how."""


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts. Header names are in lower case. With a `fault`, which says what is wrong with the headers, there
    are none, and their bytes come as data."""

    headers: Mapping[str, str]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part's body."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The delimiter after the part was seen: the part is whole."""


Event = PartBegin | PartData | PartEnd

Steps = Generator[Event, None, int]
"""Events, and in the end the position to go on from."""


class _State(enum.Enum):
    PREAMBLE = enum.auto()
    HEADERS = enum.auto()
    DATA = enum.auto()
    EPILOGUE = enum.auto()


class Parser:
    """Push parser for one multipart body. Raises MultipartError at construction for a bad boundary."""

    def __init__(self, boundary: str) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise MultipartError("the boundary parameter must have 1 to 70 characters of RFC 2046 5.1.1")
        self._delimiter = _CRLF + b"--" + boundary.encode("ascii")
        self._state = _State.PREAMBLE
        # A delimiter at the very start, or right after an empty line, lacks a CRLF of its own: it is lent one
        # that is not content.
        self._held = _CRLF
        self._lent = len(_CRLF)
        self._outside = 0

    @property
    def complete(self) -> bool:
        """True once the closing delimiter was seen."""
        return self._state is _State.EPILOGUE

    def feed(self, piece: bytes) -> Iterator[Event]:
        """What the next bytes mean. Exhaust it before the next call. Raises MultipartError."""
        data = self._held + piece if self._held else piece
        self._held = b""
        position = 0
        while position < len(data) and not self.complete:
            before = self._state
            if before is _State.HEADERS:
                position = yield from self._headers(data, position)
            else:
                position = yield from self._content(data, position)
            if self._state is before:
                self._held = data[position:]
                return
        if self.complete:
            self._count_outside(len(data) - position)

    def finish(self) -> None:
        """The body has ended. Raises MultipartError unless it ended with the closing delimiter."""
        if not self.complete:
            what = "boundary" if self._state is _State.PREAMBLE else "closing boundary"
            raise MultipartError(
                f"no {what} in the multipart body: truncated, or its lines do not end with CRLF"
            )

    def _content(self, data: bytes, position: int) -> Steps:
        """Bytes up to the next delimiter; returns where to go on, with the state unchanged if it is not here yet."""
        found, line = self._find_delimiter(data, position)
        start = min(position + self._lent, found)
        self._lent -= start - position
        if self._state is _State.PREAMBLE:
            self._count_outside(found - start)
        elif found > start:
            yield PartData(memoryview(data)[start:found])
        if line is None:
            return found
        if self._state is _State.DATA:
            yield PartEnd()
        self._outside = 0
        self._state = _State.EPILOGUE if line.closing else _State.HEADERS
        return line.end

    def _find_delimiter(self, data: bytes, position: int) -> tuple[int, _Line | None]:
        """Where the next delimiter begins and its line; without a line, where bytes begin that may become one."""
        while (found := data.find(self._delimiter, position)) >= 0:
            line = _rest_of_line(data, found + len(self._delimiter))
            if line is not _NOT_A_DELIMITER:
                return found, line
            position = found + 1
        return len(data) - _overlap(data, position, self._delimiter), None

    def _headers(self, data: bytes, position: int) -> Steps:
        """The header block starts after the CRLF at `position`, and ends with an empty line."""
        end = data.find(_CRLF + _CRLF, position, position + MAXIMUM_HEADER_BYTES)
        if end < 0 and len(data) - position <= MAXIMUM_HEADER_BYTES:
            return position
        self._state = _State.DATA
        self._lent = len(_CRLF)
        try:
            begin = PartBegin(self._read_headers(data, position, end))
        except ValueError as fault:
            begin, end = PartBegin({}, str(fault)), position - len(_CRLF)
        yield begin
        return end + len(_CRLF)

    def _read_headers(self, data: bytes, position: int, end: int) -> Mapping[str, str]:
        """Raises ValueError."""
        if end < 0:
            raise ValueError(f"the headers of a part exceed {MAXIMUM_HEADER_BYTES} bytes")
        if data.find(self._delimiter, position, end + len(_CRLF)) >= 0:
            raise ValueError("a part ends among its headers")
        return _parse_headers(data[position + len(_CRLF) : end])

    def _count_outside(self, length: int) -> None:
        self._outside += length
        if self._outside > MAXIMUM_OUTSIDE_BYTES:
            where = "after the last" if self.complete else "before the first"
            raise MultipartError(f"more than {MAXIMUM_OUTSIDE_BYTES} bytes {where} boundary")


@dataclass(frozen=True, slots=True)
class _Line:
    """What follows the boundary on its line. `end` is its CRLF, or for a closing one the byte after `--`."""

    closing: bool
    end: int


_NOT_A_DELIMITER = _Line(closing=False, end=-1)


def _rest_of_line(data: bytes, position: int) -> _Line | None:
    """None when more bytes are needed to tell."""
    if data.startswith(b"--", position):
        return _Line(closing=True, end=position + 2)
    head = data[position : position + MAXIMUM_PADDING_BYTES + 2]
    rest = head.lstrip(b" \t")
    if rest.startswith(_CRLF):
        return _Line(closing=False, end=position + len(head) - len(rest))
    undecided = rest == b"\r" or head == b"-" or (not rest and len(head) <= MAXIMUM_PADDING_BYTES)
    return None if undecided else _NOT_A_DELIMITER


def _overlap(data: bytes, position: int, delimiter: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of a delimiter."""
    start = data.find(b"\r", max(position, len(data) - len(delimiter) + 1))
    while start >= 0:
        if delimiter.startswith(data[start:]):
            return len(data) - start
        start = data.find(b"\r", start + 1)
    return 0


def _parse_headers(block: bytes) -> Mapping[str, str]:
    """Raises ValueError."""
    headers: dict[str, str] = {}
    name = ""
    for line in block.decode("latin-1").split("\r\n") if block else ():
        if line[:1] in (" ", "\t") and name:
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise ValueError("a line among the headers of a part is no header")
        headers[name] = value.strip()
    return headers
