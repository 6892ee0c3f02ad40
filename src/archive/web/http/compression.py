"""Content codings of answers (RFC 9110 8.4, 12.5.3): JSON, XML and text as gzip or zstd for who takes it.

Metadata shrinks to a tenth, so a viewer far away waits less. Pixels and stored objects go out as they are: they are
compressed already or too much work for too little; only to who refuses the identity coding is everything encoded. A
fast level is used throughout: what is saved by the next one takes longer than sending it.

An encoded representation has a weak entity tag, as another version of a library may write other bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

import zstandard

from archive.dicom.errors import NotAcceptable
from archive.services.stretches import Piece, read
from archive.web.http import media_types
from archive.web.http.crossing import Prepared, close
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_XML, MULTIPART
from archive.web.http.weights import weighed

GZIP, ZSTD, IDENTITY = "gzip", "zstd", "identity"
SMALLEST_BYTES = 512
"""What is smaller fits into a packet or two either way."""

_GZIP_WINDOW = 31
"""zlib's word for a gzip header around the largest window."""
_TEXTS = ("text/", "application/json", "application/xml", "application/vnd.sun.wadl+xml")


class Encoder(Protocol):
    """Takes pieces and gives them encoded, a part of them later."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


_ENCODERS: Mapping[str, Callable[[], Encoder]] = {
    ZSTD: lambda: zstandard.ZstdCompressor(level=1).compressobj(),
    GZIP: lambda: zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW),
}
"""Among equals the first is preferred."""
CODINGS = tuple(_ENCODERS)


def coding(asked: Asked) -> str:
    """The content coding that the client likes best. Raises NotAcceptable when it takes none of ours."""
    field = asked.headers.get("accept-encoding")
    if field is None:
        return IDENTITY
    weights = {GZIP if name == "x-gzip" else name: weight for name, weight in reversed(weighed(field))}
    other = weights.get("*", 0.0)
    liked = {name: weights.get(name, other) for name in CODINGS}
    # Identity that is not named is acceptable, but who names something else likes that better.
    liked[IDENTITY] = weights.get(IDENTITY, 0.0001 if weights.get("*", 1.0) else 0.0)
    best = max(liked, key=lambda name: liked[name])
    if not liked[best]:
        raise NotAcceptable(f"no acceptable content coding; available: {', '.join((*CODINGS, IDENTITY))}")
    return best


def refuses_identity(asked: Asked) -> bool:
    """Whether even pixels have to be encoded."""
    weights = dict(reversed(weighed(asked.headers.get("accept-encoding", ""))))
    return not weights.get(IDENTITY, weights.get("*", 1.0))


def applied(ready: Prepared, asked: Asked) -> Prepared:
    """The answer in the coding that the client likes. Raises NotAcceptable, if `coding` does, for one that has a
    body."""
    if not _is_encodable(ready, asked) or (chosen := coding(asked)) == IDENTITY:
        return ready
    made = encoder(chosen)
    first = made.compress(ready.first)
    if ready.rest is None:
        first += made.flush()
    answer = labelled(ready.answer, chosen)
    return Prepared(answer, first, None if ready.rest is None else _begun(_encoded(ready.rest, made)))


def encoder(chosen: str) -> Encoder:
    """For one body in this content coding, which is not the identity."""
    return _ENCODERS[chosen]()


def labelled(answer: Answer, chosen: str) -> Answer:
    """An answer whose body is in this content coding: its headers say so."""
    kept = tuple((name, value) for name, value in answer.headers if name != "Accept-Ranges")
    headers = tuple((name, _weak(value) if name == "ETag" else value) for name, value in kept)
    return replace(answer, headers=(*headers, ("Content-Encoding", chosen)), length=None)


def is_text(media_type: str) -> bool:
    """Whether it is worth the work."""
    parsed = media_types.parse(media_type.partition("; boundary=")[0])
    name = parsed.parameters.get("type", "") if parsed.name == MULTIPART else parsed.name
    return name == DICOM_XML or name.startswith(_TEXTS) or name.endswith(("+json", "+xml"))


def _is_encodable(ready: Prepared, asked: Asked) -> bool:
    answer = ready.answer
    if ready.ahead or not answer.is_whole or any(name == "Content-Encoding" for name, _ in answer.headers):
        return False
    if asked.method == "HEAD" and answer.length is not None:
        return False  # nothing was made of which the encoded length would follow
    if refuses_identity(asked):
        return True
    return is_text(answer.media_type) and (ready.rest is not None or len(ready.first) >= SMALLEST_BYTES)


def _weak(etag: str) -> str:
    return etag if etag.startswith("W/") else f"W/{etag}"


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Past its first, empty piece: of a generator that has not begun, closing closes nothing."""
    next(pieces)
    return pieces


def _encoded(rest: Iterator[Piece], made: Encoder) -> Iterator[bytes]:
    try:
        yield b""
        for piece in rest:
            yield made.compress(read(piece))
        yield made.flush()
    finally:
        close(rest)
