"""Media types, and the choice among those that we can send (RFC 9110 12.5.1, PS3.18 8.7).

Read leniently, as real viewers write them: quoted and unquoted parameters, any order, several types in one header,
DICOM and rendered ones mixed; what cannot be read is ignored (8.7.7). A missing Accept header counts as `*/*`,
where the standard asks for 406 and no client expects it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from archive.dicom.errors import NotAcceptable

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
MULTIPART = "multipart/related"
ANY_SYNTAX = "*"

MAXIMUM_RANGES = 200
"""Of one Accept header; the rest is not read. No client writes a dozen."""

_SYNONYMS = {"image/x-dicom-rle": "image/dicom-rle", "image/x-jls": "image/jls", "image/jpg": "image/jpeg"}
_NAME = re.compile(r'\s*([^\s;,="]+)\s*')
_PARAMETER = re.compile(r';\s*(?:([^\s;,="]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*)?)?')


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range: `name` in lower case, without parameters; names of parameters in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def quality(self) -> float:
        """The weight; 1 when there is none, 0 for one that is no number."""
        text = self.parameters.get("q", "1")
        return float(text) if re.fullmatch(r"(0|1)?(\.\d{0,9})?", text) and text not in ("", ".") else 0.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that we can send. `transfer_syntax_uids` are those that its parts have (none for a rendered
    one); a part is `multipart` or alone. `by_name_only`: not what this type means without a transfer syntax, so only
    an explicit one or `*` selects it."""

    media_type: str
    multipart: bool = False
    transfer_syntax_uids: frozenset[str] = frozenset()
    by_name_only: bool = False

    def __str__(self) -> str:
        syntaxes = "".join(f"; transfer-syntax={uid}" for uid in sorted(self.transfer_syntax_uids))
        return (f'{MULTIPART}; type="{self.media_type}"' if self.multipart else self.media_type) + syntaxes


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
    return next(iter(parse_list(text)), MediaType(""))


def choose(accept: str | None, offers: Sequence[Offer]) -> Offer:
    """The offer that the client likes best; among equals the one it names first. Raises NotAcceptable, which says
    what there is."""
    ranges = [
        _Range.of(media_type) for media_type in parse_list(accept if accept and accept.strip() else "*/*")
    ]
    ranked = [(_preference(offer, ranges), -index) for index, offer in enumerate(offers)]
    (quality, _), index = max(ranked, default=((0.0, 0), 0))
    if quality <= 0:
        available = " or ".join(str(offer) for offer in offers)
        raise NotAcceptable(f"nothing in the Accept header is available here; available: {available}")
    return offers[-index]


@dataclass(frozen=True, slots=True)
class _Range:
    """One acceptable type. For multipart/related `name` is that of the parts."""

    name: str
    multipart: bool | None
    transfer_syntax_uid: str
    quality: float

    @staticmethod
    def of(media_type: MediaType) -> _Range:
        syntax = media_type.parameters.get("transfer-syntax", "").strip()
        name, multipart = media_type.name, None if media_type.name.endswith("*") else False
        if name.startswith("multipart/"):
            name, multipart = media_type.parameters.get("type", "*/*").strip().lower(), True
        return _Range(_SYNONYMS.get(name, name), multipart, syntax, media_type.quality)

    def specificity(self, offer: Offer) -> int:
        """How closely it names the offer; 0 when it does not."""
        if self.multipart not in (None, offer.multipart) or not self._syntax_fits(offer):
            return 0
        offered = offer.media_type.lower()
        if self.name == offered:
            return 4 if self.transfer_syntax_uid else 3
        if self.name.endswith("/*") and offered.startswith(self.name[:-1]):
            return 2
        return 1 if self.name == "*/*" else 0

    def _syntax_fits(self, offer: Offer) -> bool:
        if not offer.transfer_syntax_uids or self.transfer_syntax_uid == ANY_SYNTAX:
            return True
        if not self.transfer_syntax_uid:
            return not offer.by_name_only or self.name.endswith("*")
        return offer.transfer_syntax_uids == {self.transfer_syntax_uid}


def _preference(offer: Offer, ranges: Iterable[_Range]) -> tuple[float, int]:
    """The weight of the closest range (RFC 9110 12.5.1), and minus its place in the header."""
    best = (0, 0.0, 0)
    for place, acceptable in enumerate(ranges):
        closeness = acceptable.specificity(offer)
        if closeness and (closeness, acceptable.quality, -place) > best:
            best = (closeness, acceptable.quality, -place)
    return best[1], best[2]


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
