"""Long texts that have been sent, kept encoded in memory for who asks for them again, as the viewers of one study do.

The metadata of a series are put together from hundreds of rows, which takes milliseconds. Its instances say nearly the
same, so that all of it shrinks to some kilobytes: a thousand series have room, and to send one again costs little.

A text is found by its entity tag alone, which each request makes anew from the digests of all that the text is made of,
as the index has them at that moment. What a store or a deletion has changed has another tag, so nothing here is stale.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

import zstandard

from archive.web.http import compression
from archive.web.http.compression import IDENTITY, ZSTD
from archive.web.http.crossing import BATCH_BYTES, close, in_bytes
from archive.web.http.exchange import Answer, Asked, Sliced

MAXIMUM_BYTES = 4 << 20
"""Of all texts of a worker. More would hold what nobody looks at any more: it filled for the better part of an hour."""

LONGEST = 1 << 20
"""Of one text, encoded. A study of ten thousand instances has about as much."""

_Key = tuple[str, str]
"""An entity tag, and a content coding."""


class Texts:
    """Those that were asked for last, as far as there is room. Safe for threads."""

    def __init__(self, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._maximum_bytes = maximum_bytes
        self._held: OrderedDict[_Key, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, etag: str, coding: str) -> bytes | None:
        """The text in this coding, if it is held."""
        with self._lock:
            found = self._held.get((etag, coding))
            if found is not None:
                self._held.move_to_end((etag, coding))
            return found

    def put(self, etag: str, coding: str, text: bytes) -> None:
        """Hold a text; those that nobody has asked for longest go."""
        with self._lock:
            self._bytes += len(text) - len(self._held.pop((etag, coding), b""))
            self._held[etag, coding] = text
            while self._bytes > self._maximum_bytes:
                self._bytes -= len(self._held.popitem(last=False)[1])


_TEXTS = Texts()


def applied(answer: Answer, asked: Asked, texts: Texts = _TEXTS) -> Answer:
    """The answer, with a body of pieces whose every byte follows from its entity tag; out of memory if it is there,
    and as the client likes it best. Raises NotAcceptable when the client takes no content coding of ours."""
    assert not isinstance(answer.body, bytes | Sliced), "what can be had at once need not be remembered"
    coding = compression.coding(asked)
    held = texts.get(answer.etag, coding)
    if held is not None:
        return compression.labelled(replace(answer, body=held), coding)
    whole = texts.get(answer.etag, ZSTD)
    made = _kept(in_bytes(answer.body), answer.etag, ZSTD, texts, plain=True)
    pieces = made if whole is None else _decoded(whole)
    if coding in (IDENTITY, ZSTD):
        return replace(answer, body=pieces)
    encoded = _kept(pieces, answer.etag, coding, texts, plain=False)
    return compression.labelled(replace(answer, body=encoded), coding)


def _decoded(whole: bytes) -> Iterator[bytes]:
    return zstandard.ZstdDecompressor().read_to_iter(whole, write_size=BATCH_BYTES)


def _kept(pieces: Iterator[bytes], etag: str, coding: str, texts: Texts, *, plain: bool) -> Iterator[bytes]:
    """The pieces, `plain` or encoded. When all of them have gone by, the text is held."""
    encoder = compression.encoder(coding)
    made: list[bytes] = []
    length = 0
    try:
        for piece in pieces:
            encoded = encoder.compress(piece)
            length += len(encoded)
            if length <= LONGEST:
                made.append(encoded)
            yield piece if plain else encoded
        made.append(encoder.flush())
        if not plain:
            yield made[-1]
        if length <= LONGEST:
            texts.put(etag, coding, b"".join(made))
    finally:
        close(pieces)
