"""Media types as headers write them, and multipart bodies: read and written by the suite's own hand.

The reader is stricter than most: it exists to find what a lenient one would overlook (a part without a Content-Type, a
body without its closing delimiter). Both follow RFC 2046 and RFC 2387, to which PS3.18 8.6.1.2 and 8.7.1 refer.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from conformance.verdicts import Failed

_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~\w-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)\s*')
MOST_PARTS = 10_000


@dataclass(frozen=True)
class MediaType:
    """A type and its parameters; names in lower case, values as they came, without quotes."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> MediaType:
        """Read a Content-Type."""
        name, semicolon, rest = text.partition(";")
        found = _PARAMETER.findall(semicolon + rest)
        return MediaType(name.strip().lower(), {key.lower(): value.strip('"') for key, value in found})

    @property
    def transfer_syntax(self) -> str:
        """The transfer-syntax parameter, or nothing."""
        return self.parameters.get("transfer-syntax", "")


@dataclass(frozen=True)
class Part:
    """One part of a multipart body, or a whole single part body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> MediaType:
        """What its Content-Type says."""
        return MediaType.parse(self.headers.get("content-type", ""))

    @property
    def location(self) -> str:
        """Its Content-Location, or nothing."""
        return self.headers.get("content-location", "")


def read_multipart(body: bytes, media_type: MediaType) -> list[Part]:
    """The parts of a body. Raises `Failed` where it is not what RFC 2046 describes."""
    if not media_type.name.startswith("multipart/"):
        raise Failed(f"Content-Type is {media_type.name or 'absent'}, not multipart/related")
    boundary = media_type.parameters.get("boundary")
    if not boundary:
        raise Failed("Content-Type multipart/related has no boundary parameter")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"), MOST_PARTS)[1:]
    if not pieces:
        raise Failed("the boundary that Content-Type names does not occur in the body")
    if not any(piece.startswith(b"--") for piece in pieces):
        raise Failed("the multipart body has no closing delimiter")
    return [_part(piece) for piece in pieces if not piece.startswith(b"--")]


def _part(piece: bytes) -> Part:
    padding, line_end, rest = piece.partition(b"\r\n")
    if padding.strip(b" \t") or not line_end:
        raise Failed("a delimiter line of the multipart body does not end in CRLF")
    head, blank, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if not blank:
        raise Failed("a part's header fields are not followed by an empty line")
    return Part(_headers(head), content)


def _headers(head: bytes) -> dict[str, str]:
    lines = [line for line in head.decode("latin-1").split("\r\n") if line]
    pairs = [line.partition(":") for line in lines]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def write_multipart(
    parts: Iterable[tuple[str, bytes, str]], root: str, quoted: bool = True
) -> tuple[str, bytes]:
    """Content-Type and body for parts of (Content-Type, content, Content-Location or nothing)."""
    boundary = f"suite-{uuid.uuid4().hex}"
    body = bytearray()
    for content_type, content, location in parts:
        head = f"--{boundary}\r\nContent-Type: {content_type}\r\n"
        head += f"Content-Location: {location}\r\n" if location else ""
        body += head.encode() + b"\r\n" + content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    kind = f'"{root}"' if quoted else root
    return f"multipart/related; type={kind}; boundary={boundary}", bytes(body)
