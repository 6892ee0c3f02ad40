"""Conditional requests (RFC 9110 13): who already has what would be sent is told so in few bytes.

Entity tags come from digests that the index has anyway, so that a 304 reads no object. There is no Last-Modified, as
an object has no such time, so the two conditions on dates do not count (RFC 9110 13.1.3, 13.1.4).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from archive.web.http.crossing import close
from archive.web.http.exchange import Answer, Asked, Sliced, text

REVALIDATED = ("Cache-Control", "private, no-cache")
"""An answer with an entity tag may be kept by the client itself, who asks each time whether it still holds."""

_TAG = re.compile(r'[\s,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


def tag(*facts: str) -> str:
    """An entity tag of everything that decides what is sent: digests, media type, parameters."""
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def applied(answer: Answer, asked: Asked) -> Answer:
    """The answer itself, 304 to who has it, or 412 where it is not what the client counts on."""
    if answer.status != 200 or not answer.etag or asked.method not in ("GET", "HEAD"):
        return answer
    opaque = _selected(answer)
    field = quoted(opaque, weak=not isinstance(answer.body, Sliced))
    headers = (*answer.headers, ("ETag", field), REVALIDATED)
    wanted = asked.headers.get("if-match")
    if wanted is not None and not _named(wanted, opaque, strongly=True):
        return _instead(answer, text(412, "what is stored here is not what If-Match names", ("ETag", field)))
    held = asked.headers.get("if-none-match")
    if held is not None and _named(held, opaque, strongly=False):
        return _instead(answer, Answer(304, headers=headers))
    return replace(answer, headers=headers, etag=field)


def quoted(opaque: str, *, weak: bool) -> str:
    """The header field's form."""
    return f'W/"{opaque}"' if weak else f'"{opaque}"'


def is_strongly(field: str, etag: str) -> bool:
    """Whether a header field holds just this entity tag, and both are strong (RFC 9110 8.8.3.2)."""
    return field.strip() == etag and not etag.startswith("W/")


def _selected(answer: Answer) -> str:
    """Representations of one resource differ in media type at least, so their entity tags do. A boundary changes
    nothing but bytes, and where bytes count it is made of the entity tag."""
    return tag(answer.etag, answer.media_type.partition("; boundary=")[0])


def _named(field: str, opaque: str, *, strongly: bool) -> bool:
    """Whether a list of entity tags has this one; linear in its length."""
    if field.strip() == "*":
        return True
    position = 0
    while (found := _TAG.match(field, position)) is not None and found.end() > position:
        if found[2] == opaque and not (strongly and found[1]):
            return True
        position = found.end()
    return False


def _instead(answer: Answer, other: Answer) -> Answer:
    close(answer.body)
    return other
