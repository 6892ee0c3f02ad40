"""What becomes of a handler's answer before it goes out: character set, conditions, ranges, content coding.

In this order: a client holds a representation, so what it is comes before whether it is held; a range is one of the
representation as it is; and content codings are for whole representations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from archive.web.http import charset, compression, conditional, crossing, ranges
from archive.web.http.crossing import Prepared
from archive.web.http.exchange import Answer, Asked

_VARY = ("Vary", "Accept, Accept-Charset, Accept-Encoding")


def prepared(make: Callable[[], Answer], asked: Asked) -> Prepared:
    """The answer that `make` makes, as far as the client wants it, with the first batch of its body. Raises what
    `make` raises, and NotAcceptable."""
    if asked.method in ("GET", "HEAD"):
        compression.coding(asked)
    passing = asked.passing and not compression.refuses_identity(asked)
    ready = crossing.prepared(lambda: _negotiated(make(), asked), passing=passing)
    ready = _named_by_content(ready, asked)
    return compression.applied(ready, asked)


def _negotiated(answer: Answer, asked: Asked) -> Answer:
    if answer.status < 300:
        answer = replace(answer, headers=(*answer.headers, _VARY))
    return ranges.applied(conditional.applied(charset.applied(answer, asked), asked), asked)


def _named_by_content(ready: Prepared, asked: Asked) -> Prepared:
    """A short JSON answer that has no entity tag, such as that of a search, gets one of its bytes."""
    answer = ready.answer
    if (
        ready.rest is not None
        or ready.ahead
        or answer.status != 200
        or not answer.kind.name.endswith("json")
        or any(name in ("ETag", "Cache-Control") for name, _ in answer.headers)
    ):
        return ready
    named = replace(answer, body=ready.first, etag=conditional.tag(ready.first.decode("utf-8", "replace")))
    answer = conditional.applied(named, asked)
    return Prepared(answer, ready.first if answer.status == 200 else b"", None)
