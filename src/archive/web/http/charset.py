"""Character sets of answers (PS3.18 8.8): UTF-8, unless the client asks for another one.

XML and HTML are really transcoded, with character references for what the other character set lacks, so they always
can be. Plain text cannot, where it holds such a character: 406. JSON is UTF-8 by its own standard (RFC 8259 8.1); who
asks for another character set gets every character beyond ASCII escaped, which means the same in either. Stored
objects keep the one that they came with.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from archive.dicom.errors import InvalidQuery, NotAcceptable
from archive.web.http import conditional, media_types
from archive.web.http.crossing import close, in_bytes
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.media_types import Offer
from archive.web.http.weights import by_weight, weighed

_PLAIN = "text/plain"


@dataclass(frozen=True, slots=True)
class Charset:
    """One character set: the IANA name, which Python knows as well. Each is a superset of ASCII."""

    name: str

    @property
    def is_utf_8(self) -> bool:
        """Whether nothing has to be done."""
        return self == UTF_8


UTF_8 = Charset("UTF-8")

_DEFINED_TERMS = {
    "ISO_IR 100": "ISO-8859-1",
    "ISO_IR 101": "ISO-8859-2",
    "ISO_IR 109": "ISO-8859-3",
    "ISO_IR 110": "ISO-8859-4",
    "ISO_IR 144": "ISO-8859-5",
    "ISO_IR 127": "ISO-8859-6",
    "ISO_IR 126": "ISO-8859-7",
    "ISO_IR 138": "ISO-8859-8",
    "ISO_IR 148": "ISO-8859-9",
    "ISO_IR 203": "ISO-8859-15",
    "ISO_IR 166": "TIS-620",
    r"ISO 2022 IR 13\ISO 2022 IR 87": "ISO-2022-JP",
    r"ISO 2022 IR 6\ISO 2022 IR 149": "ISO-2022-KR",
    "GB18030": "GB18030",
    "GBK": "GBK",
    "ISO_IR 192": "UTF-8",
    "ISO_IR 6": "US-ASCII",
}
"""Table D-1, without ISO-2022-CN, which Python cannot write, and with the default repertoire of PS3.5 6.1.1."""

_FURTHER = (
    "Shift_JIS",
    "EUC-JP",
    "EUC-KR",
    "Big5",
    "GB2312",
    "KOI8-R",
    "windows-1250",
    "windows-1251",
    "windows-1252",
)
"""Common ones that have no Defined Term."""

SUPPORTED = tuple(dict.fromkeys([*_DEFINED_TERMS.values(), *_FURTHER]))
_BY_NAME = {name.lower(): Charset(name) for name in SUPPORTED} | {
    term.lower(): Charset(name) for term, name in _DEFINED_TERMS.items()
}
_DECLARATION = re.compile(r"""^(<\?xml[^>]*?encoding=["'])[A-Za-z0-9._-]+""")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def chosen(asked: Asked, media_type: str, *, multipart: bool = False) -> Charset:
    """The character set for an answer of this media type, without parameters (8.8.5). Raises NotAcceptable when the
    client refuses UTF-8 and names no other that we know; InvalidQuery."""
    for name in media_types.charsets(asked.accept, Offer(media_type, multipart)):
        if found := _BY_NAME.get(name.lower()):
            return found
    weights: dict[str, float] = {}
    for text in (_parameter(asked), asked.headers.get("accept-charset", "")):
        weights = dict(weighed(text)) | weights
        for name in by_weight(text):
            if found := UTF_8 if name == "*" else _BY_NAME.get(name):
                return found
    if not weights.get("utf-8", weights.get("*", 1.0)):
        raise NotAcceptable(f"no such character set is available here; available: {', '.join(SUPPORTED)}")
    return UTF_8


def encoded(text: str, charset: Charset, *, markup: bool) -> bytes:
    """Text in a character set; `markup` (XML, HTML) may use character references, and its XML declaration names the
    character set. Raises NotAcceptable."""
    if markup:
        text = _DECLARATION.sub(lambda found: found[1] + charset.name, text)
        return text.encode(charset.name, "xmlcharrefreplace")
    try:
        return text.encode(charset.name)
    except UnicodeEncodeError:
        raise NotAcceptable(
            f"the text holds characters that {charset.name} has not; available: UTF-8, GB18030"
        ) from None


def applied(answer: Answer, asked: Asked) -> Answer:
    """The answer in the character set that the client asks for, if it is JSON or text of ours, which says that it is
    UTF-8: a stored document is not rewritten. Raises as `chosen` and `encoded`. Parts of multipart answers are their
    makers' business."""
    said = answer.kind
    name, is_utf_8 = said.name, said.parameters.get("charset", "").lower() == "utf-8"
    json = name.endswith(("/json", "+json"))
    if not answer.is_whole or not (json or (is_utf_8 and name.startswith("text/"))):
        return answer
    charset = chosen(asked, name)
    if charset.is_utf_8:
        return answer
    etag = conditional.tag(answer.etag, charset.name) if answer.etag else ""
    if json:
        return replace(answer, body=_escaped(_pieces(answer)), length=None, etag=etag)
    text = b"".join(_pieces(answer)).decode("utf-8")
    body = encoded(text, charset, markup=name != _PLAIN)
    return replace(answer, media_type=f"{name}; charset={charset.name}", body=body, length=None, etag=etag)


def _parameter(asked: Asked) -> str:
    text = asked.listed("charset") or ""
    if asked.strict and any(name == "*" for name, _ in weighed(text)):
        raise InvalidQuery("the parameter charset holds a wildcard, which PS3.18 8.3.3.2 does not allow")
    return text


def _pieces(answer: Answer) -> Iterable[bytes]:
    body = answer.body
    if isinstance(body, bytes):
        return (body,)
    return in_bytes(body.read(0, body.length) if isinstance(body, Sliced) else body)


def _escaped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """JSON text in ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in pieces:
            yield _BEYOND_ASCII.sub(_escape, decoder.decode(piece)).encode("ascii")
    finally:
        close(pieces)


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
