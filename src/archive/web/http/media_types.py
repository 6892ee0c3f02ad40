"""Media types, and the choice among those that we can send (RFC 9110 12.5.1, PS3.18 8.7).

Read leniently, as real viewers write them: quoted and unquoted parameters, any order, several types in one header,
DICOM and rendered ones mixed; what cannot be read is ignored (8.7.7). A missing Accept header counts as `*/*`,
where the standard asks for 406 and no client expects it. In strict mode it is 406, and a mix is 400.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from archive.dicom.errors import InvalidQuery, NotAcceptable

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
ZIP = "application/zip"
MULTIPART = "multipart/related"
ANY = "*/*"
ANY_SYNTAX = "*"

MAXIMUM_RANGES = 200
"""Of one Accept header; the rest is not read. No client writes a dozen."""

LONGEST_REMEMBERED = 256
_REMEMBERED = 512
"""So many texts of at most that length are read once."""

_RENDERED = frozenset(
    [
        "image/png",
        "image/gif",
        "image/jph",
        "text/html",
        "text/plain",
        "text/xml",
        "text/rtf",
        "application/pdf",
    ]
)
"""Only ever Rendered Media Types (PS3.18 8.7.4)."""
_DICOM = frozenset(
    f"{DICOM} {DICOM_JSON} {DICOM_XML} {JSON} {OCTET_STREAM}"
    " image/dicom-rle image/jls image/jpx image/jphc".split()
)
"""Only ever DICOM Media Types (8.7.3)."""
_EITHER = frozenset(["image/jpeg", "image/jp2", "image/jxl", "video/mpeg", "video/mp4", "video/h265"])
"""Bulk data at one resource, a rendering at another."""

_SYNONYMS = {"image/x-dicom-rle": "image/dicom-rle", "image/x-jls": "image/jls", "image/jpg": "image/jpeg"}
_WEIGHT = re.compile(r"0?\.[0-9]{1,9}|0\.?|1(\.0{0,9})?", re.ASCII)
_NAME = re.compile(r'\s*([^\s;,="]+)\s*')
_PARAMETER = re.compile(r';\s*(?:([^\s;,="]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*)?)?')


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range: `name` in lower case, without parameters; names of parameters in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_weighed(self) -> bool:
        """False when its weight is none (RFC 9110 12.4.2), so that it counts as nothing (8.7.7)."""
        return _WEIGHT.fullmatch(self.parameters.get("q", "1")) is not None

    @property
    def quality(self) -> float:
        """The weight; 1 when there is none, 0 for one that is none."""
        return float(self.parameters.get("q", "1")) if self.is_weighed else 0.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that we can send. `transfer_syntax_uids` are those that its parts have (none for a rendered
    one and for metadata); a part is `multipart` or alone. `by_name_only`: not what this type means without a transfer
    syntax, so only an explicit one or `*` selects it. `as_stored`: what `transfer-syntax=*` gets before others that
    are as welcome."""

    media_type: str
    multipart: bool = False
    transfer_syntax_uids: frozenset[str] = frozenset()
    by_name_only: bool = False
    as_stored: bool = False

    @property
    def rendered(self) -> bool:
        """Whether it is a Rendered Media Type here."""
        return not self.transfer_syntax_uids and self.media_type.lower() in _RENDERED | _EITHER

    def __str__(self) -> str:
        syntaxes = "".join(f"; transfer-syntax={uid}" for uid in sorted(self.transfer_syntax_uids))
        return (f'{MULTIPART}; type="{self.media_type}"' if self.multipart else self.media_type) + syntaxes


@dataclass(frozen=True, slots=True)
class Accept:
    """The Acceptable Media Types of a request (PS3.18 8.7.5): the Accept header and the query parameter of that name,
    None where there is none. In `strict` mode the letter of the standard counts."""

    header: str | None = None
    parameter: str | None = None
    strict: bool = False


def parse_list(text: str) -> list[MediaType]:
    """The media types of a header, at most `MAXIMUM_RANGES`; what is none is left out. Linear time."""
    found: list[MediaType] = []
    position = 0
    while position < len(text) and len(found) < MAXIMUM_RANGES:
        media_type, position = _parse_one(text, position)
        if media_type is not None:
            found.append(media_type)
    return found


def parse(text: str) -> MediaType:
    """One media type, as in Content-Type; an empty name for none."""
    return _remembered(text) if len(text) <= LONGEST_REMEMBERED else _parsed(text)


def synonym(name: str) -> str:
    """The name in the standard of a media type that used to have another."""
    return _SYNONYMS.get(name, name)


def choose(accept: Accept | str | None, offers: Sequence[Offer]) -> Offer:
    """The offer that the client likes best; among equals the one it names first, and for `*/*` the first offer. What
    the query parameter names comes before all of the header (8.7.8.1).

    Raises NotAcceptable, which says what there is, and in strict mode InvalidQuery."""
    accept = accept if isinstance(accept, Accept) else Accept(accept)
    for ranges in _by_priority(accept, offers):
        ranked = [(_preference(offer, ranges), -index) for index, offer in enumerate(offers)]
        (quality, *_), index = max(ranked, default=((0.0, False, 0), 0))
        if quality > 0:
            return offers[-index]
    raise _not_acceptable("nothing in the Accept header is available here", offers)


def charsets(accept: Accept | str | None, offer: Offer) -> list[str]:
    """The charset parameters of the media types by which a client takes this offer, the closest first."""
    accept = accept if isinstance(accept, Accept) else Accept(accept)
    for text in (accept.parameter, accept.header):
        ranges = [_Range.of(media_type, accept.strict) for media_type in parse_list(text or "")]
        fitting = [one for one in ranges if one.charset and one.quality and one.specificity(offer)]
        if fitting:
            return [one.charset for one in sorted(fitting, key=lambda one: -one.quality)]
    return []


@dataclass(frozen=True, slots=True)
class _Range:
    """One acceptable type. For multipart/related `name` is that of the parts; it is empty for what counts as
    nothing."""

    name: str
    multipart: bool | None
    transfer_syntax_uid: str
    quality: float
    strict: bool
    charset: str = ""

    @staticmethod
    def of(media_type: MediaType, strict: bool) -> _Range:
        name, parameters = media_type.name, media_type.parameters
        multipart = None if name.endswith("*") else False
        if name in (MULTIPART, "multipart/*"):
            multipart = True
            # Without the type that 8.7.1 asks for, any part is meant.
            root = parse(parameters.get("type", "" if strict else ANY).strip(" '"))
            name, parameters = root.name, {**root.parameters, **parameters}
        return _Range(
            name=_SYNONYMS.get(name, name) if media_type.is_weighed else "",
            multipart=multipart,
            transfer_syntax_uid=parameters.get("transfer-syntax", "").strip(),
            quality=media_type.quality,
            strict=strict,
            charset=parameters.get("charset", "").strip(),
        )

    def specificity(self, offer: Offer) -> int:
        """How closely it names the offer; 0 when it does not."""
        if self.multipart not in (None, offer.multipart) or not self._syntax_fits(offer):
            return 0
        offered = offer.media_type.lower()
        if self.name == offered:
            return 3 + (self.transfer_syntax_uid != "") + (self.transfer_syntax_uid not in ("", ANY_SYNTAX))
        if self.name.endswith("/*") and offered.startswith(self.name[:-1]):
            return 2
        return 1 if self.name == ANY else 0

    def _syntax_fits(self, offer: Offer) -> bool:
        if self.transfer_syntax_uid and offer.rendered:
            return not self.strict  # 8.7.4: not permitted there, and 8.7.7: what is not valid is ignored
        if not offer.transfer_syntax_uids or self.transfer_syntax_uid == ANY_SYNTAX:
            return True
        if not self.transfer_syntax_uid:
            return not offer.by_name_only
        return offer.transfer_syntax_uids == {self.transfer_syntax_uid}


def _by_priority(accept: Accept, offers: Sequence[Offer]) -> list[Sequence[_Range]]:
    """The ranges of the query parameter, then those of the header."""
    header = accept.header or ""
    if accept.strict:
        _check(accept, offers)
    elif not header.strip():
        header = ANY
    sets = (accept.parameter or "", header)
    return [_ranges(text, accept.strict) for text in sets if text.strip()]


def _ranges(text: str, strict: bool) -> Sequence[_Range]:
    """Clients say the same again and again."""
    if len(text) <= LONGEST_REMEMBERED:
        return _remembered_ranges(text, strict)
    return [_Range.of(one, strict) for one in parse_list(text)]


@lru_cache(_REMEMBERED)
def _remembered_ranges(text: str, strict: bool) -> Sequence[_Range]:
    return [_Range.of(one, strict) for one in parse_list(text)]


def _check(accept: Accept, offers: Sequence[Offer]) -> None:
    """What the standard refuses and clients do. Raises NotAcceptable, InvalidQuery."""
    if not (accept.header or "").strip():
        raise _not_acceptable("the request has no Accept header, which PS3.18 8.7.5 asks for", offers)
    listed = parse_list(accept.parameter or "")
    named = [one for one in (_Range.of(one, True) for one in listed) if one.name]
    ranges = [_Range.of(one, True) for one in parse_list(accept.header or "")]
    if any(one.name.endswith("*") for one in listed):
        raise InvalidQuery("the parameter accept holds a wildcard, which PS3.18 8.3.3.1 does not allow")
    if not all(any(_compatible(one, range_) for range_ in ranges) for one in named):
        raise InvalidQuery("the parameter accept names what the Accept header does not (PS3.18 8.3.3.1)")
    rendered = bool(offers) and all(offer.rendered for offer in offers)
    kinds = {_is_rendered(one.name, rendered) for one in named + ranges}
    if {True, False} <= kinds:
        raise InvalidQuery("DICOM and rendered media types are mixed, which PS3.18 8.7.5 does not allow")


def _compatible(named: _Range, acceptable: _Range) -> bool:
    """Whether a media range of the header covers a media type of the query parameter."""
    if acceptable.multipart not in (None, named.multipart):
        return False
    family = acceptable.name.endswith("/*") and named.name.startswith(acceptable.name[:-1])
    return family or acceptable.name in (named.name, ANY)


def _is_rendered(name: str, at_renderings: bool) -> bool | None:
    """Whether a media type is a rendered one; None for ranges and types of no kind."""
    if name in _EITHER:
        return at_renderings
    return True if name in _RENDERED else False if name in _DICOM else None


def _preference(offer: Offer, ranges: Iterable[_Range]) -> tuple[float, bool, int]:
    """The weight of the closest range (RFC 9110 12.5.1), whether any transfer syntax would do and this is the stored
    one, and minus the range's place."""
    best: tuple[int, float, int] = (0, 0.0, 0)
    stored = False
    for place, acceptable in enumerate(ranges):
        closeness = acceptable.specificity(offer)
        if closeness and (closeness, acceptable.quality, -place) > best:
            best = (closeness, acceptable.quality, -place)
            stored = offer.as_stored and acceptable.transfer_syntax_uid == ANY_SYNTAX
    return best[1], stored, best[2]


def _not_acceptable(sentence: str, offers: Iterable[Offer]) -> NotAcceptable:
    available = " or ".join(str(offer) for offer in offers)
    return NotAcceptable(f"{sentence}; available: {available}")


def _parsed(text: str) -> MediaType:
    return next(iter(parse_list(text)), MediaType(""))


_remembered = lru_cache(_REMEMBERED)(_parsed)


def _parse_one(text: str, position: int) -> tuple[MediaType | None, int]:
    """One element of the list from `position`, and where the next begins."""
    name = _NAME.match(text, position)
    if name is None:
        return None, _next_element(text, position)
    parameters: dict[str, str] = {}
    position = name.end()
    while (parameter := _PARAMETER.match(text, position)) is not None:
        position = parameter.end()
        key, quoted, plain = parameter.groups()
        if key:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain or ""
            parameters.setdefault(key.lower(), value)
    whole = "/" in name[1] and text[position : position + 1] in ("", ",")
    return (MediaType(name[1].lower(), parameters) if whole else None), _next_element(text, position)


def _next_element(text: str, position: int) -> int:
    comma = text.find(",", position)
    return len(text) if comma < 0 else comma + 1
