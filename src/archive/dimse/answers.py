"""From a match to the data set of a C-FIND response (PS3.4 C.4.1.1.3.2): what was asked for, and where to get
it.

Every key of the request comes back, with zero length where there is no value; but Timezone Offset From UTC, which has
none, is left out (C.4.1.1.3.2). The character set is the request's when it can hold the answer, so that a workstation
sees its own; otherwise ISO_IR 192 (UTF-8), and never a replacement character: a name that cannot be read is worse than
a set that has to be learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
_EMPTY: JSONElement = {}


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What all responses to one request share. `character_set` is for a request that names none."""

    identifier: Identifier
    retrieve_ae_title: str
    implicit: bool
    character_set: tuple[str, ...] = ()


def encoded_answer(match: Match, form: AnswerForm) -> bytes:
    """The data set of one response."""
    answer = dict(_requested(match, form.identifier.elements))
    answer[QUERY_RETRIEVE_LEVEL] = {"vr": "CS", "Value": [form.identifier.level]}
    answer[_RETRIEVE_AE_TITLE] = {"vr": "AE", "Value": [form.retrieve_ae_title]}
    answer[_INSTANCE_AVAILABILITY] = {"vr": "CS", "Value": ["ONLINE"]}
    return _in_a_fitting_set(
        answer, form.identifier.specific_character_set or form.character_set, form.implicit
    )


def encoded_attributes(
    match: Match, elements: Mapping[int, RequestElement], character_set: tuple[str, ...], *, implicit: bool
) -> bytes:
    """What was asked for and nothing else: the answer of a worklist (PS3.4 K.4.1.1.3.2)."""
    return _in_a_fitting_set(dict(_requested(match, elements)), character_set, implicit)


def encoded_instance(data_set: Match, character_set: tuple[str, ...], *, implicit: bool) -> bytes:
    """A data set as it is: what N-GET answers (PS3.7 10.1.2)."""
    return _in_a_fitting_set(
        {int(tag, 16): element for tag, element in data_set.items()}, character_set, implicit
    )


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


def _in_a_fitting_set(answer: Mapping[int, JSONElement], asked: tuple[str, ...], implicit: bool) -> bytes:
    """In the set that was asked for, unless it cannot hold the answer."""
    if not answer.get(TIMEZONE_OFFSET_FROM_UTC, _EMPTY).get("Value"):
        answer = {tag: element for tag, element in answer.items() if tag != TIMEZONE_OFFSET_FROM_UTC}
    try:
        return _encoded(answer, asked if _can_be_named(asked) else _UTF_8, implicit)
    except UnicodeEncodeError:
        return _encoded(answer, _UTF_8, implicit)


def _requested(match: Match, elements: Mapping[int, RequestElement]) -> Iterator[tuple[int, JSONElement]]:
    for tag, element in elements.items():
        found = match.get(f"{tag:08X}")
        yield tag, _narrowed(found, element) if found else {"vr": _vr(tag, element)}


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


def _encoded(answer: Mapping[int, JSONElement], charset: tuple[str, ...], implicit: bool) -> bytes:
    """Elements in the order of their tags. Without non-ASCII text no Specific Character Set is needed."""
    body = [
        encode_element(tag, answer[tag], implicit=implicit, specific_character_set=charset)
        for tag in sorted(answer)
    ]
    if not charset:
        return b"".join(body)
    declared = encode_element(
        SPECIFIC_CHARACTER_SET,
        {"vr": "CS", "Value": list(charset)},
        implicit=implicit,
        specific_character_set=(),
    )
    below = sum(tag < SPECIFIC_CHARACTER_SET for tag in answer)
    return b"".join(body[:below]) + declared + b"".join(body[below:])
