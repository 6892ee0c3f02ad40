"""The Identifier of C-FIND, C-MOVE and C-GET, read from its bytes: a plain view of a small data set.

Of a sequence the one item is kept that it may have (PS3.4 C.2.2.2.6). The bytes are taken apart here and not by
pydicom: an Identifier is a stranger's, and pydicom guesses, warns and recurses where this has to refuse;
values are then decoded as the reader decodes those of the objects, so that both sides of a comparison are
made alike.

How long and how manifold it may be is limited: every match is answered with every key, so an Identifier of a
million empty keys would be answered a million times as long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import Struct

from archive.dicom import charsets
from archive.dicom.dictionary import Choice, public_vr
from archive.dicom.errors import CannotUnderstand, InvalidQuery
from archive.dicom.reading import json_model
from archive.dicom.transfer_syntaxes import transfer_syntax

SPECIFIC_CHARACTER_SET = 0x00080005
QUERY_RETRIEVE_LEVEL = 0x00080052

MAXIMUM_BYTES = 1 << 20
"""Room for a list of 16,000 UIDs of the greatest length."""
MAXIMUM_ELEMENTS = 1000
"""Elements and items together. PS3.4 C.6 knows about a hundred keys; PS3.6 registers 5000 attributes."""

_LONGEST_VALUE = 0xFFFF
"""What explicit VR can say of a text (PS3.5 7.1.2). Only lists of UIDs are longer in earnest."""
_MAXIMUM_DEPTH = 16
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""VRs whose length takes four bytes in explicit VR (PS3.5 7.1.2)."""

_TEXTS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)

_NUMBERS = frozenset(("AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"))

_TAG_AND_LENGTH = Struct("<HHI")
_TAG_VR_AND_LENGTH = Struct("<HH2sH")
_LENGTH = Struct("<I")


@dataclass(frozen=True, slots=True)
class RequestElement:
    """One attribute of the Identifier: VR, values as text, the attributes of a sequence's item, and the bytes of what
    cannot be read as values."""

    vr: str
    values: tuple[str, ...] = ()
    item: Mapping[int, RequestElement] | None = None
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Identifier:
    """`elements` without group lengths, Specific Character Set and Query/Retrieve Level. `encoded`: as it was sent."""

    level: str
    specific_character_set: tuple[str, ...]
    elements: Mapping[int, RequestElement]
    encoded: bytes = field(default=b"", compare=False, repr=False)

    def values(self, tag: int) -> tuple[str, ...]:
        """The values of an attribute that are not empty."""
        element = self.elements.get(tag)
        return tuple(value for value in element.values if value) if element else ()


def collected(pieces: Iterable[bytes] | None) -> bytes:
    """The whole Identifier. Raises InvalidQuery when there is none, or more than MAXIMUM_BYTES of it."""
    if pieces is None:
        raise InvalidQuery("the request has no Identifier")
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > MAXIMUM_BYTES:
            raise InvalidQuery(f"the Identifier is longer than {MAXIMUM_BYTES} bytes")
    return bytes(whole)


def read(encoded: bytes, transfer_syntax_uid: str) -> Identifier:
    """Raises CannotUnderstand for bytes that are no data set in this transfer syntax, InvalidQuery for more elements
    than MAXIMUM_ELEMENTS."""
    cursor = _Cursor(encoded, transfer_syntax(transfer_syntax_uid).implicit)
    elements = _decoded(_data_set(cursor, len(encoded), depth=0), ())
    level = elements.pop(QUERY_RETRIEVE_LEVEL, RequestElement("CS"))
    charset = elements.pop(SPECIFIC_CHARACTER_SET, RequestElement("CS"))
    return Identifier(level.values[0] if level.values else "", charset.values, elements, encoded)


@dataclass(slots=True)
class _Raw:
    """An element as it was sent; `items` for a sequence."""

    vr: str
    value: bytes = b""
    items: list[dict[int, _Raw]] | None = None


@dataclass(slots=True)
class _Cursor:
    """Where we are in the bytes."""

    data: bytes
    implicit: bool
    at: int = 0
    elements: int = 0

    def unpack(self, form: Struct) -> tuple[int, ...]:
        """Raises CannotUnderstand past the end."""
        return form.unpack(self.take(form.size))

    def take(self, length: int) -> bytes:
        """Raises CannotUnderstand past the end."""
        taken = self.data[self.at : self.at + length]
        self.at += length
        if len(taken) != length:
            raise CannotUnderstand("the Identifier is cut off")
        return taken

    def header(self) -> tuple[int, str, int]:
        """Tag, VR and length of the next element; items and delimiters have no VR in any transfer syntax."""
        self.elements += 1
        if self.elements > MAXIMUM_ELEMENTS:
            raise InvalidQuery(f"more than {MAXIMUM_ELEMENTS} elements in the Identifier")
        group, number, length = self.unpack(_TAG_AND_LENGTH)
        tag = group << 16 | number
        if group == 0xFFFE:
            return tag, "", length
        if self.implicit:
            return tag, public_vr(tag, Choice()) if not group % 2 else "UN", length
        self.at -= _TAG_AND_LENGTH.size
        _, _, vr, short = _TAG_VR_AND_LENGTH.unpack(self.take(_TAG_VR_AND_LENGTH.size))
        if not (vr.isalpha() and vr.isupper()):
            raise CannotUnderstand("the Identifier is not in the transfer syntax of its context")
        return tag, vr.decode("ascii"), self.unpack(_LENGTH)[0] if vr in _LONG_VRS else short


def _data_set(cursor: _Cursor, end: int | None, depth: int) -> dict[int, _Raw]:
    """The elements up to `end`, or up to the item delimiter."""
    elements: dict[int, _Raw] = {}
    while end is None or cursor.at < end:
        tag, vr, length = cursor.header()
        if tag == _ITEM_END and end is None:
            return elements
        if tag >> 16 == 0xFFFE:
            raise CannotUnderstand("the Identifier has an item outside of a sequence")
        if tag in elements:
            raise InvalidQuery("an attribute is in the Identifier twice (PS3.5 7.1)", tag)
        if vr == "SQ" or length == _UNDEFINED or (vr == "UN" and _known_vr(tag, vr) == "SQ"):
            explicit_items = vr != "UN" and not cursor.implicit
            elements[tag] = _Raw("SQ", items=_items(cursor, length, depth + 1, implicit=not explicit_items))
        else:
            elements[tag] = _Raw(vr, cursor.take(length))
    return elements


def _items(cursor: _Cursor, length: int, depth: int, *, implicit: bool) -> list[dict[int, _Raw]]:
    """Of a sequence that is given as UN they are in implicit VR (PS3.5 6.2.2 note 2)."""
    if depth > _MAXIMUM_DEPTH:
        raise CannotUnderstand("the Identifier is nested too deep")
    around, cursor.implicit = cursor.implicit, implicit
    items: list[dict[int, _Raw]] = []
    end = None if length == _UNDEFINED else cursor.at + length
    while end is None or cursor.at < end:
        tag, _, item_length = cursor.header()
        if tag == _SEQUENCE_END and end is None:
            break
        if tag != _ITEM:
            raise CannotUnderstand("the Identifier has something else than items in a sequence")
        items.append(_data_set(cursor, None if item_length == _UNDEFINED else cursor.at + item_length, depth))
    cursor.implicit = around
    return items


def _decoded(raw: Mapping[int, _Raw], outer_set: tuple[str, ...]) -> dict[int, RequestElement]:
    """Without group lengths. An item has the character set of the data set around it (PS3.5 6.1.2.3)."""
    charset = outer_set
    if SPECIFIC_CHARACTER_SET in raw:
        charset = json_model.split("CS", raw[SPECIFIC_CHARACTER_SET].value, charsets.decoder(()), "<")
    decode = charsets.decoder(charset)
    return {tag: _element(tag, element, charset, decode) for tag, element in raw.items() if tag & 0xFFFF}


def _element(tag: int, raw: _Raw, charset: tuple[str, ...], decode: charsets.Decoder) -> RequestElement:
    if raw.items is not None:
        return _sequence(tag, [_decoded(item, charset) for item in raw.items])
    vr = raw.vr if raw.vr in _TEXTS or raw.vr in _NUMBERS else _known_vr(tag, raw.vr)
    if len(raw.value) > _LONGEST_VALUE and vr != "UI":
        raise InvalidQuery(f"a key of VR {vr} with {len(raw.value)} bytes in the Identifier", tag)
    if b"\0" in raw.value.rstrip(b"\0 ") and vr in _TEXTS:
        raise CannotUnderstand("a key of the Identifier holds a NUL")
    # of a private attribute in implicit VR nobody knows the VR; the values of most are texts
    split = json_model.split("LO" if vr == "UN" else vr, raw.value, decode, "<")
    values = tuple(value.strip(" ") for value in split)
    if any(values):
        return RequestElement(vr, values)
    return RequestElement(vr, raw=raw.value if vr == "OB" or raw.value.strip(b"\0 ") else b"")


def _known_vr(tag: int, sent: str) -> str:
    """That of PS3.6 for a VR that does not say what the values are; of a private attribute nobody knows another."""
    return sent if tag >> 16 & 1 else public_vr(tag, Choice())


def _sequence(tag: int, items: list[dict[int, RequestElement]]) -> RequestElement:
    """What the second item of a key asks for would be left out without a word."""
    if any(_has_value(element) for item in items[1:] for element in item.values()):
        raise InvalidQuery("a sequence in the Identifier has more than one item (PS3.4 C.2.2.2.6)", tag)
    return RequestElement("SQ", item=items[0] if items else None)


def _has_value(element: RequestElement) -> bool:
    if element.item:
        return any(_has_value(inner) for inner in element.item.values())
    return bool(element.values or element.raw)
