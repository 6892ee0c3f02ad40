"""What handlers get and give: values, so that they stay plain synchronous functions.

A handler takes `(archive, asked)` and returns an `Answer`; one that takes a request body returns a `Taker`
instead, which is fed. Neither sees the event loop: `crossing` and `endpoint` do that part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol
from urllib.parse import parse_qsl

from archive.dicom.errors import InvalidQuery
from archive.security.actor import Actor
from archive.security.people import NOBODY, Principal
from archive.services.stretches import Piece
from archive.web.http import media_types
from archive.web.http.media_types import Accept, MediaType

MAXIMUM_PARAMETERS = 1000
"""Of one query string; more is refused, not cut off."""


class Decodes(Exception):
    """The request turned out to be one that decodes pixel data; it begins anew where it may."""


@dataclass(frozen=True)
class Asked:
    """A request without its body. `base_url` is where the public sees our DICOMweb root, without a slash at the end;
    header names are in lower case. `strict`: the letter of PS3.18 counts, not what clients get away with. `may_decode`:
    it is served by the threads that decode pixel data. `passing`: its answer may be passed on from files unread.
    `principal`: who asks, where that had to be asked (`admission`). `at`: the path, as we know it."""

    path: Mapping[str, str]
    query_string: str
    headers: Mapping[str, str]
    base_url: str
    peer_address: str = ""
    strict: bool = False
    method: str = "GET"
    may_decode: bool = False
    passing: bool = False
    principal: Principal = NOBODY
    at: str = ""

    @property
    def actor(self) -> Actor:
        """Who asks, for the audit trail."""
        share = self.principal.share
        recipient = share.recipient if share is not None else ""
        return Actor("HTTP", self.peer_address, user=self.principal.name, user_name=recipient)

    def decodes(self) -> None:
        """To be called before pixel data is decoded for an answer. Raises Decodes, which is for the endpoint alone."""
        if not self.may_decode:
            raise Decodes

    @cached_property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The query parameters in order, percent-decoded. Raises InvalidQuery."""
        try:
            pairs = parse_qsl(
                self.query_string,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAXIMUM_PARAMETERS,
            )
        except ValueError:
            raise InvalidQuery(
                f"the query string is not percent-encoded UTF-8, or has over {MAXIMUM_PARAMETERS} parameters"
            ) from None
        if any("\0" in name or "\0" in value for name, value in pairs):
            raise InvalidQuery("the query string holds a NUL character")
        return tuple(pairs)

    def parameter(self, name: str) -> str | None:
        """The one value of a parameter, None when it is not given. Raises InvalidQuery when it is repeated."""
        values = [value for key, value in self.parameters if key == name]
        if len(values) > 1:
            raise InvalidQuery(f"the parameter {name} is given more than once")
        return values[0] if values else None

    def listed(self, name: str) -> str | None:
        """The value of a parameter that is a list divided by commas, which may also be given in several pieces, as a
        header may; None when it is not given. Raises InvalidQuery."""
        values = [value for key, value in self.parameters if key == name]
        return ", ".join(values) if values else None

    @property
    def accept(self) -> Accept:
        """What the client takes, for `media_types.choose`. Raises InvalidQuery."""
        named = self.listed("accept")
        if named:
            # In a URL "+" means a space, but nobody who writes application/dicom+json there means one.
            named = named.replace("dicom json", "dicom+json").replace("dicom xml", "dicom+xml")
        return Accept(self.headers.get("accept"), named, self.strict)


@dataclass(frozen=True, slots=True)
class Sliced:
    """A body of `length` bytes of which any part can be sent (RFC 9110 14): `read(offset, length)` gives exactly
    these bytes in pieces, and nothing is opened before the first of them is asked for. A piece may be a stretch of a
    file, which whoever takes it closes."""

    length: int
    read: Callable[[int, int], Iterator[Piece]]

    @staticmethod
    def of(data: bytes) -> Sliced:
        """Bytes that are at hand."""
        return Sliced(len(data), lambda offset, length: iter((data[offset : offset + length],)))


@dataclass(frozen=True)
class Answer:
    """A response. A body of pieces is closed when it was sent or the client went away; `length` is its length if
    that is known beforehand.

    `etag` names the state of what is sent, without quotation marks: made of stored digests and of every choice that
    changes a byte (`conditional.tag`). Of a `Sliced` body it promises the same bytes, so it is a strong entity tag
    there, elsewhere a weak one. Give it before any expensive work begins: who has this state gets 304 instead.

    `objects`: so many whole ones are in the body."""

    status: int = 200
    media_type: str = ""
    body: bytes | Iterator[Piece] | Sliced = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    etag: str = ""
    objects: int = 0

    @property
    def kind(self) -> MediaType:
        """The media type, but for the boundary, which each answer has of its own."""
        return media_types.parse(self.media_type.partition("; boundary=")[0])

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole representation, not a range of its bytes. A search for Workitems says with 206 that
        there is more to be asked for (PS3.18 Table 11.9.3-1)."""
        return self.status == 200 or (
            self.status == 206 and all(name != "Content-Range" for name, _ in self.headers)
        )


class Taker(Protocol):
    """The receiving end of a request body; called from one thread at a time, not always the same one. Before it is fed
    it holds nothing that must be let go of."""

    def feed(self, piece: bytes) -> bool:
        """Take the next bytes; False when no further ones are wanted."""

    def finish(self) -> Answer:
        """The body has ended, or is not wanted any more."""

    def close(self) -> None:
        """Let go of everything, whether `finish` was called or not."""


def text(status: int, sentence: str, *headers: tuple[str, str]) -> Answer:
    """A short answer for a person."""
    return Answer(status, "text/plain; charset=utf-8", f"{sentence}\n".encode(), headers)
