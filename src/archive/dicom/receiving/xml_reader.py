"""The Native DICOM Model as a client sends it (PS3.19 A.1), read into the same form as DICOM JSON (PS3.18 F.3.1).

expat is driven directly: events, no tree, and no entities. A DOCTYPE is refused where it begins, as no model of the
standard has one and every attack by XML does. The attributes of XML that repeat what the tag says (`keyword`) are not
looked at. A private attribute may be given with the block `00` and its creator (F.3.1); it then gets a block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from archive.dicom.errors import CannotUnderstand, ObjectTooLarge
from archive.dicom.reading.structure import MAXIMUM_DEPTH
from archive.dicom.receiving.json_reader import MAXIMUM_BYTES

MAXIMUM_ELEMENTS = 750_000
"""XML elements of one document."""
MAXIMUM_ITEMS = 1_000_000
_MOST_NESTED = 3 * MAXIMUM_DEPTH + 8
_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_GROUPS = {"Alphabetic": "Alphabetic", "SingleByte": "Alphabetic"} | {
    name: name for name in ("Ideographic", "Phonetic")
}
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_PLACES = {
    "NativeDicomModel": ("",),
    "DicomAttribute": ("NativeDicomModel", "Item"),
    "Value": ("DicomAttribute",),
    "InlineBinary": ("DicomAttribute",),
    "BulkData": ("DicomAttribute",),
    "Item": ("DicomAttribute",),
    "PersonName": ("DicomAttribute",),
    **dict.fromkeys(_GROUPS, ("PersonName",)),
    **dict.fromkeys(_COMPONENTS, tuple(_GROUPS)),
}
"""Each element of the model, and what it may stand in."""
_TEXTS = frozenset(("Value", "InlineBinary", *_COMPONENTS))
_NUMBER = re.compile(r"[1-9][0-9]{0,7}", re.ASCII)
_WHITE = re.compile(r"\s+")


def data_set(pieces: Iterable[bytes]) -> dict[str, Any]:
    """The one data set of a document, not yet checked. Raises CannotUnderstand, ObjectTooLarge."""
    reader = _Reader()
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MAXIMUM_BYTES:
            raise ObjectTooLarge(f"the metadata of an object are longer than {MAXIMUM_BYTES} bytes")
        reader.feed(piece)
    return reader.finish()


@dataclass(slots=True)
class _Attribute:
    """One that is open: its tag, what is known of it, and its private creator."""

    tag: str
    element: dict[str, Any]
    creator: str = ""
    values: dict[int, Any] = field(default_factory=dict)


class _Reader:
    """Listens to expat."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.EntityDeclHandler = _refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.buffer_text = True
        self._open: list[str] = [""]
        self._count = 0
        self._text: list[str] | None = None
        self._sets: list[dict[str, Any]] = []
        self._blocks: list[dict[tuple[str, str], str]] = []
        self._attributes: list[_Attribute] = []
        self._name: dict[str, str] = {}
        self._parts: dict[str, str] = {}
        self._number = 1
        self._numbers: list[int] = []

    def feed(self, piece: bytes) -> None:
        self._parse(piece, False)

    def finish(self) -> dict[str, Any]:
        self._parse(b"", True)
        return self._sets[0]

    def _parse(self, piece: bytes, last: bool) -> None:
        try:
            self._parser.Parse(piece, last)
        except (expat.ExpatError, ValueError, LookupError) as error:
            line = getattr(error, "lineno", self._parser.CurrentLineNumber)
            raise CannotUnderstand(f"the XML is not well formed, at line {line}") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        kind = name.removeprefix(f"{_NAMESPACE} ")
        self._hold(1)
        if len(self._open) > _MOST_NESTED:
            raise CannotUnderstand("the XML is nested too deep")
        if self._open[-1] not in _PLACES.get(kind, ()):
            raise CannotUnderstand(
                f"the XML is no Native DICOM Model, at line {self._parser.CurrentLineNumber}"
            )
        self._open.append(kind)
        self._text = [] if kind in _TEXTS else None
        begin = _BEGIN.get(kind)
        if begin is not None:
            begin(self, attributes)

    def _end(self, _: str) -> None:
        kind = self._open.pop()
        text = "".join(self._text) if self._text is not None else ""
        self._text = None
        end = _END.get(kind)
        if end is not None:
            end(self, text)
        elif kind in _COMPONENTS:
            self._parts[kind] = text
        elif kind in _GROUPS:
            self._end_group(kind)

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
        elif text.strip():
            raise CannotUnderstand(
                f"text between the elements of the XML, at line {self._parser.CurrentLineNumber}"
            )

    # --- what begins ---

    def _begin_model(self, _: dict[str, str]) -> None:
        self._sets.append({})
        self._blocks.append({})

    def _begin_attribute(self, attributes: dict[str, str]) -> None:
        element = {"vr": attributes.get("vr")}
        self._attributes.append(
            _Attribute(attributes.get("tag", "").upper(), element, attributes.get("privateCreator", ""))
        )

    def _begin_value(self, attributes: dict[str, str]) -> None:
        """Its number; without one, the next (PS3.19 requires it, some writers leave it out)."""
        values = self._attributes[-1].values
        text = attributes.get("number", str(len(values) + 1))
        self._number = int(text) if _NUMBER.fullmatch(text) else 0
        if not 0 < self._number <= MAXIMUM_ITEMS or self._number in values:
            raise CannotUnderstand(
                f"a number is wrong or twice in the XML, at line {self._parser.CurrentLineNumber}"
            )

    def _begin_item(self, attributes: dict[str, str]) -> None:
        self._begin_value(attributes)
        self._numbers.append(self._number)
        self._sets.append({})
        self._blocks.append({})

    def _begin_name(self, attributes: dict[str, str]) -> None:
        self._begin_value(attributes)
        self._name = {}

    def _begin_group(self, _: dict[str, str]) -> None:
        self._parts = {}

    def _bulk_data(self, attributes: dict[str, str]) -> None:
        uri = attributes.get("uri") or attributes.get("uuid", "")
        self._put("BulkDataURI", uri)

    # --- what ends ---

    def _end_value(self, text: str) -> None:
        self._attributes[-1].values[self._number] = text

    def _end_inline(self, text: str) -> None:
        self._put("InlineBinary", _WHITE.sub("", text))

    def _end_item(self, _: str) -> None:
        self._blocks.pop()
        self._attributes[-1].values[self._numbers.pop()] = self._sets.pop()

    def _end_group(self, group: str) -> None:
        joined = "^".join(self._parts.get(part, "") for part in _COMPONENTS)
        self._name[_GROUPS[group]] = joined.rstrip("^")

    def _end_name(self, _: str) -> None:
        self._attributes[-1].values[self._number] = self._name

    def _end_attribute(self, _: str) -> None:
        attribute = self._attributes.pop()
        if attribute.values:
            self._attributes.append(attribute)
            self._put("Value", self._in_order(attribute.values))
            self._attributes.pop()
        into = self._sets[-1]
        tag = attribute.tag
        if attribute.creator:
            tag = _placed(into, self._blocks[-1], tag, attribute.creator.strip())
        if tag in into and not (attribute.element == into[tag] and _is_creator(tag)):
            raise CannotUnderstand(
                f"a tag is twice in a data set of the XML, at line {self._parser.CurrentLineNumber}"
            )
        into[tag] = attribute.element

    def _in_order(self, values: dict[int, Any]) -> list[Any]:
        """By number; a number that is left out is an empty value."""
        highest = max(values)
        self._hold(highest - len(values))
        return [values.get(number) for number in range(1, highest + 1)]

    def _hold(self, more: int) -> None:
        """Count elements of XML, and values that are in the data set without one."""
        self._count += more
        if self._count > MAXIMUM_ELEMENTS:
            raise ObjectTooLarge(
                f"the metadata of an object hold more than {MAXIMUM_ELEMENTS} elements of XML, or empty values"
            )

    def _put(self, form: str, value: Any) -> None:
        element = self._attributes[-1].element
        if len(element) > 1:
            raise CannotUnderstand(
                f"an attribute has values of two kinds, at line {self._parser.CurrentLineNumber}"
            )
        element[form] = value


def _is_creator(tag: str) -> bool:
    return tag[4:6] == "00" and tag[3:4] in "13579BDF"


def _placed(into: dict[str, Any], known: dict[tuple[str, str], str], tag: str, creator: str) -> str:
    """The tag of a private attribute in the block of its creator, which is reserved unless it is (PS3.5 7.8.1).
    `known`: the blocks of creators that were looked for before in this data set."""
    group = tag[:4]
    if len(tag) != 8 or tag[3] not in "13579BDF":
        return tag
    asked = tag[4:6] if tag[4:6] >= "10" else known.get((group, creator), "")
    blocks = [asked] if asked else [f"{number:02X}" for number in range(0x10, 0x100)]
    for block in blocks:
        found = into.setdefault(f"{group}00{block}", {"vr": "LO", "Value": [creator]})
        if [str(value).strip() for value in found.get("Value", ())] == [creator]:
            if not tag[4:6] >= "10":
                known[group, creator] = block
            return f"{group}{block}{tag[6:]}"
    raise CannotUnderstand("a private attribute in the XML stands in the block of another creator")


def _refuse_doctype(*_: object) -> None:
    raise CannotUnderstand("the XML has a DOCTYPE: send it without (PS3.19 A.1 has none)")


_BEGIN: dict[str, Callable[[_Reader, dict[str, str]], None]] = {
    "NativeDicomModel": _Reader._begin_model,
    "DicomAttribute": _Reader._begin_attribute,
    "Value": _Reader._begin_value,
    "Item": _Reader._begin_item,
    "PersonName": _Reader._begin_name,
    "BulkData": _Reader._bulk_data,
    **dict.fromkeys(_GROUPS, _Reader._begin_group),
}
_END: dict[str, Callable[[_Reader, str], None]] = {
    "Value": _Reader._end_value,
    "InlineBinary": _Reader._end_inline,
    "Item": _Reader._end_item,
    "PersonName": _Reader._end_name,
    "DicomAttribute": _Reader._end_attribute,
}
