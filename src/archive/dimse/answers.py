"""From a match to the data set of a C-FIND response (PS3.4 C.4.1.1.3.2): what was asked for, and where to get
it.

Every key of the request comes back, with zero length where there is no value; but Timezone Offset From UTC, which has
none, is left out (C.4.1.1.3.2). The character set is the request's when it can hold the answer, so that a workstation
sees its own; otherwise ISO_IR 192 (UTF-8), and never a replacement character: a name that cannot be read is worse than
a set that has to be learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydicom.datadict import dictionary_VR

from archive.dicom.attribute_levels import TIMEZONE_OFFSET_FROM_UTC
from archive.dicom.attributes import BY_TAG
from archive.dicom.query import Match
from archive.dicom.writing.encoder import encode_element
from archive.dimse.identifier import (
    QUERY_RETRIEVE_LEVEL,
    SPECIFIC_CHARACTER_SET,
    Identifier,
    RequestElement,
)

_RETRIEVE_AE_TITLE = 0x00080054
_INSTANCE_AVAILABILITY = 0x00080056
_UTF_8 = ("ISO_IR 192",)
_LONGEST_NAME = 16
_MOST_NAMES = 16
"""SpecificCharacterSet is of VR CS, and PS3.3 C.12.1.1.2 has no more sets than that to name."""

JSONElement = Mapping[str, Any]


Encoder = Callable[[Match], bytes]
"""From a match to the encoded data set of its response."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What all responses to one request share. `character_set` is for a request that names none."""

    identifier: Identifier
    retrieve_ae_title: str
    implicit: bool
    character_set: tuple[str, ...] = ()


def encoder(form: AnswerForm) -> Encoder:
    """For the data sets of the responses to one request: what they have in common is worked out once."""
    facts: dict[int, JSONElement] = {
        QUERY_RETRIEVE_LEVEL: {"vr": "CS", "Value": [form.identifier.level]},
        _RETRIEVE_AE_TITLE: {"vr": "AE", "Value": [form.retrieve_ae_title]},
        _INSTANCE_AVAILABILITY: {"vr": "CS", "Value": ["ONLINE"]},
    }
    asked = form.identifier.specific_character_set or form.character_set
    return _encoder(form.identifier.elements, facts, asked, form.implicit)


def attributes_encoder(
    elements: Mapping[int, RequestElement], character_set: tuple[str, ...], *, implicit: bool
) -> Encoder:
    """For what was asked for and nothing else: the answers of a worklist (PS3.4 K.4.1.1.3.2)."""
    return _encoder(elements, {}, character_set, implicit)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an attribute stands in the answers, and what stands there when a match does not have it."""

    tag: int
    key: str
    element: RequestElement
    absent: bytes


def _encoder(
    elements: Mapping[int, RequestElement],
    facts: Mapping[int, JSONElement],
    asked: tuple[str, ...],
    implicit: bool,
) -> Encoder:
    encode = partial(encode_element, implicit=implicit)
    known = {tag: encode(tag, fact, specific_character_set=()) for tag, fact in facts.items()}
    places = {tag: _place(tag, one, implicit) for tag, one in elements.items() if tag not in facts}
    layout = [known.get(tag) or places[tag] for tag in sorted({*known, *places})]
    below = sum(tag < SPECIFIC_CHARACTER_SET for tag in {*known, *places})

    def encoded(match: Match, charset: tuple[str, ...], declared: bytes) -> bytes:
        body = [
            one if isinstance(one, bytes) else _encoded_place(one, match, charset, implicit) for one in layout
        ]
        body.insert(below, declared)
        return b"".join(body)

    charset = asked if _can_be_named(asked) else _UTF_8
    first, second = ((one, _declared(one, implicit)) for one in (charset, _UTF_8))

    def in_a_fitting_set(match: Match) -> bytes:
        """In the set that was asked for, unless it cannot hold the answer."""
        try:
            return encoded(match, *first)
        except UnicodeEncodeError:
            return encoded(match, *second)

    return in_a_fitting_set


def _place(tag: int, element: RequestElement, implicit: bool) -> _Place:
    empty = {"vr": _vr(tag, element)}
    absent = encode_element(tag, empty, implicit=implicit, specific_character_set=())
    return _Place(tag, f"{tag:08X}", element, b"" if tag == TIMEZONE_OFFSET_FROM_UTC else absent)


def _encoded_place(place: _Place, match: Match, charset: tuple[str, ...], implicit: bool) -> bytes:
    found = match.get(place.key)
    if not found or (place.tag == TIMEZONE_OFFSET_FROM_UTC and not found.get("Value")):
        return place.absent
    shown = _narrowed(found, place.element)
    return encode_element(place.tag, shown, implicit=implicit, specific_character_set=charset)


def encoded_instance(data_set: Match, character_set: tuple[str, ...], *, implicit: bool) -> bytes:
    """A data set as it is: what N-GET answers (PS3.7 10.1.2)."""
    elements = {int(tag, 16): RequestElement(element["vr"]) for tag, element in data_set.items()}
    return _encoder(elements, {}, character_set, implicit)(data_set)


def failed_instances(sop_instance_uids: list[str], *, implicit: bool) -> bytes:
    """The Identifier of a C-MOVE or C-GET response: Failed SOP Instance UID List (PS3.4 C.4.2.1.4.2).

    With explicit VR a UI value has at most 65534 bytes; what does not fit is left out, the counts are
    right."""
    kept, room = [], (1 << 32) - 2 if implicit else 0xFFFE
    for uid in sop_instance_uids:
        room -= len(uid) + 1
        if room < 0:
            break
        kept.append(uid)
    return encode_element(
        0x00080058, {"vr": "UI", "Value": kept}, implicit=implicit, specific_character_set=()
    )


def _narrowed(found: JSONElement, element: RequestElement) -> JSONElement:
    """A sequence with the attributes that the request's item names, all of them when it names none; and so on down."""
    if found["vr"] != "SQ" or not element.item:
        return found
    items = [_item(item or {}, element.item) for item in found.get("Value", [])]
    return {"vr": "SQ", "Value": items}


def _item(item: Mapping[str, JSONElement], wanted: Mapping[int, RequestElement]) -> dict[str, JSONElement]:
    narrowed = {}
    for tag, inner in sorted(wanted.items()):
        held = item.get(f"{tag:08X}")
        narrowed[f"{tag:08X}"] = _narrowed(held, inner) if held else {"vr": _vr(tag, inner)}
    return narrowed


def _can_be_named(charset: tuple[str, ...]) -> bool:
    return len(charset) <= _MOST_NAMES and all(
        name.isascii() and len(name) <= _LONGEST_NAME for name in charset
    )


def _vr(tag: int, element: RequestElement) -> str:
    """The VR of an empty element: ours, the registered one, the request's."""
    if tag in BY_TAG:
        return BY_TAG[tag].vr
    try:
        return str(dictionary_VR(tag)).split(" or ")[0]
    except KeyError:
        return element.vr


def _declared(charset: tuple[str, ...], implicit: bool) -> bytes:
    """The Specific Character Set element. Without non-ASCII text none is needed."""
    if not charset:
        return b""
    element = {"vr": "CS", "Value": list(charset)}
    return encode_element(SPECIFIC_CHARACTER_SET, element, implicit=implicit, specific_character_set=())
