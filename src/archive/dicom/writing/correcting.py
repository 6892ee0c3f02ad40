"""Values that are to be written into an object, in a character set that holds them (PS3.3 C.12.1.1.2).

The object's own character set is taken where it can say the new values. Else an object whose texts are all ASCII is
declared to be in UTF-8, which changes none of them; and one in another single-byte or ISO 2022 set gets a further set
by code extension (PS3.5 6.1.2.5), which leaves its other texts as they are. So no byte is touched but those of the
attributes that are corrected, and the former values stay readable in the Original Attributes Sequence.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping

from archive.dicom import charsets
from archive.dicom.demographics import tag_of, vr_of
from archive.dicom.errors import InvalidValue
from archive.dicom.writing.coercion import Coerced, Coercer

CHARACTER_SET = 0x00080005
_UTF_8 = ("ISO_IR 192",)
_STAND_ALONE = frozenset(("ISO_IR 192", "GB18030", "GBK"))
_EXTENSIONS = (100, 101, 109, 110, 148, 203, 144, 126, 127, 138, 166, 87, 159, 149, 58, 13)
_TEXTS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_ENCODED = "element:"


def wanted(values: Mapping[str, str], named: tuple[str, ...], *, is_ascii: bool) -> tuple[Coerced, ...]:
    """What is to be coerced so that an object says these values. `named` are its character sets, and `is_ascii` says
    whether that is all that its other texts need. Raises InvalidValue where it cannot say them."""
    texts = [(keyword, value) for keyword, value in values.items() if vr_of(keyword) in _TEXTS]
    sets = _sets(texts, named, is_ascii=is_ascii)
    found = [_coerced(keyword, value) for keyword, value in values.items()]
    if sets != named:
        found.append(Coerced(CHARACTER_SET, "CS", "\\".join(sets)))
    return tuple(found)


def former(coercer: Coercer, values: Iterable[str]) -> dict[str, str]:
    """What an object said of those attributes that were changed, in the form in which `wanted` takes it."""
    decode = charsets.decoder(coercer.former_character_sets)
    found = {}
    for keyword in values:
        tag, vr = tag_of(keyword), vr_of(keyword)
        if tag not in coercer.originals:
            continue
        raw = coercer.former.get(tag, b"")
        if vr == "SQ":
            found[keyword] = _ENCODED + base64.b64encode(coercer.originals[tag]).decode() if raw else ""
        else:
            found[keyword] = decode(raw, vr).strip("\0 ")
    return found


def _coerced(keyword: str, value: str) -> Coerced:
    if value.startswith(_ENCODED) and vr_of(keyword) == "SQ":
        element = base64.b64decode(value.removeprefix(_ENCODED))
        return Coerced(tag_of(keyword), "SQ", "", element)
    if not value and vr_of(keyword) == "SQ":
        return Coerced(
            tag_of(keyword), "SQ", "", removed=True
        )  # a module may want an item of one that is there
    return Coerced(tag_of(keyword), vr_of(keyword), value)


def _sets(texts: Iterable[tuple[str, str]], named: tuple[str, ...], *, is_ascii: bool) -> tuple[str, ...]:
    said = list(texts)
    for sets in (named, *_wider(named, is_ascii=is_ascii)):
        failing = next((keyword for keyword, value in said if not _says(sets, value, vr_of(keyword))), None)
        if failing is None:
            return sets
    raise InvalidValue(
        "the character set of this object cannot say the new value, and cannot be changed without touching its other "
        "texts: give the value in its letters",
        tag_of(failing or "SpecificCharacterSet"),
    )


def _says(sets: tuple[str, ...], value: str, vr: str) -> bool:
    try:
        raw = charsets.encode(value, vr, sets)
    except UnicodeEncodeError:
        return False
    return charsets.decoder(sets)(raw, vr) == value


def _wider(named: tuple[str, ...], *, is_ascii: bool) -> Iterator[tuple[str, ...]]:
    if is_ascii:
        yield _UTF_8
    terms = [name.strip().upper() for name in named]
    if "GBK" in terms or "ISO 2022 GBK" in terms:
        yield ("GB18030",)
    if not any(terms) or _STAND_ALONE & set(terms):
        return
    first = terms[0].replace("ISO_IR ", "ISO 2022 IR ")
    for number in _EXTENSIONS:
        added = f"ISO 2022 IR {number}"
        if added not in (first, *terms):
            yield (first, *terms[1:], added)
