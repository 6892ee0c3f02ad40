"""The two metadata models, as the suite reads and writes them: DICOM JSON (PS3.18 Annex F) and XML (PS3.19 A.1).

XML is turned into the shape of JSON, by Table F.3.1-1, so that a check can ask both the same question. The reader keeps
what is wrong visible (values stay text) and names what it does not know.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from typing import Any

from conformance.verdicts import Failed, expect

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
BULK_VRS = frozenset(
    (
        "DS",
        "FL",
        "FD",
        "IS",
        "LT",
        "OB",
        "OD",
        "OF",
        "OL",
        "OV",
        "OW",
        "SL",
        "SS",
        "ST",
        "SV",
        "UC",
        "UL",
        "UN",
        "US",
        "UT",
        "UV",
    )
)
INLINE_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
NUMBER_VRS = frozenset(("FL", "FD", "SL", "SS", "UL", "US"))
EITHER_VRS = frozenset(("DS", "IS", "SV", "UV"))
KNOWN_VRS = BULK_VRS | frozenset(
    ("AE", "AS", "AT", "CS", "DA", "DT", "LO", "PN", "SH", "SQ", "TM", "UI", "UR")
)
GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

Item = Mapping[str, Any]


def first(item: Item, tag: str) -> Any:
    """The first value of an attribute, or None."""
    values = item.get(tag, {}).get("Value") or [None]
    return values[0]


def text(item: Item, tag: str) -> str:
    """The first value as text; for a name its alphabetic group."""
    value = first(item, tag)
    if isinstance(value, dict):
        value = value.get("Alphabetic", "")
    return "" if value is None else str(value)


def walk(item: Item, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every attribute of a JSON object, with those inside sequences, as (path, attribute)."""
    for tag, attribute in item.items():
        yield path + tag, attribute
        if isinstance(attribute, dict) and attribute.get("vr") == "SQ":
            for inner in attribute.get("Value", []):
                yield from walk(inner or {}, f"{path}{tag}.")


def without_bulk(item: Item) -> dict[str, Any]:
    """The object with every bulk value and group length taken out, numbers as text: fit for comparing models."""
    return {tag: _plain(attribute) for tag, attribute in item.items() if not tag.endswith("0000")}


def _plain(attribute: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {"vr": attribute.get("vr")}
    values = attribute.get("Value")
    if values:
        plain["Value"] = [_plain_value(value) or None for value in values]
    return plain


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) <= set(GROUPS):
            return {key: str(group).rstrip("^ ") for key, group in value.items() if group}
        return without_bulk(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{float(value):g}"
    return _number_or_text(value)


def _number_or_text(value: Any) -> Any:
    try:
        return f"{float(value):g}" if isinstance(value, str) and value.strip() else value
    except ValueError:
        return value.strip()


def read_xml(body: bytes) -> dict[str, Any]:
    """A NativeDicomModel in the shape of JSON. Raises `Failed` where it is none."""
    if b"<!DOCTYPE" in body[:4096]:
        raise Failed("the XML has a DOCTYPE")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 (no DOCTYPE, so no entities)
    except ElementTree.ParseError as problem:
        raise Failed(f"the XML is not well formed: {problem}") from None
    expect(_local(root) == "NativeDicomModel", f"the XML's root is {_local(root)}, not NativeDicomModel")
    return _item(root)


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _item(element: ElementTree.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element:
        if _local(child) != "DicomAttribute":
            raise Failed(f"the XML has <{_local(child)}> where DicomAttribute belongs")
        tag, vr = child.get("tag", ""), child.get("vr", "")
        expect(len(tag) == 8 and tag == tag.upper(), f"the XML names a tag {tag!r}")
        expect(vr in KNOWN_VRS, f"the XML gives {tag} the VR {vr!r}")
        found[tag] = _attribute(child, vr)
    return found


def _attribute(element: ElementTree.Element, vr: str) -> dict[str, Any]:
    attribute: dict[str, Any] = {"vr": vr}
    values: dict[int, Any] = {}
    for child in element:
        kind = _local(child)
        if kind == "BulkData":
            attribute["BulkDataURI"] = child.get("uri", "")
        elif kind == "InlineBinary":
            attribute["InlineBinary"] = (child.text or "").strip()
        else:
            values.setdefault(int(child.get("number", "0")), _value(child, kind))
    if values:
        expect(sorted(values) == list(range(1, len(values) + 1)), "values in the XML are not numbered from 1")
        attribute["Value"] = [values[number] for number in sorted(values)]
    return attribute


def _value(element: ElementTree.Element, kind: str) -> Any:
    if kind == "Value":
        return element.text
    if kind == "Item":
        return _item(element)
    if kind != "PersonName":
        raise Failed(f"the XML has <{kind}> inside a DicomAttribute")
    return {_local(group): _components(group) for group in element}


def _components(group: ElementTree.Element) -> str:
    expect(_local(group) in GROUPS, f"the XML has <{_local(group)}> inside PersonName")
    found = {_local(part): part.text or "" for part in group}
    return "^".join(found.get(name, "") for name in COMPONENTS).rstrip("^")


def schema_faults(body: bytes) -> list[str]:
    """Where a NativeDicomModel departs from the schema of PS3.19 A.1.6 though its meaning can be guessed."""
    faults = []
    for element in ElementTree.fromstring(body).iter():  # noqa: S314 (`read_xml` refused a DOCTYPE before)
        if _local(element) != "DicomAttribute":
            continue
        tag, children = element.get("tag"), [_local(child) for child in element]
        numbers = [child.get("number") for child in element if child.get("number")]
        if len(set(numbers)) != len(numbers):
            faults.append(f"{tag} has two children of one number")
        if element.get("vr") == "SQ" and set(children) - {"Item"}:
            faults.append(f"{tag} is a sequence with {sorted(set(children) - {'Item'})}")
        if "BulkData" in children and not any(child.get("uri") or child.get("uuid") for child in element):
            faults.append(f"BulkData of {tag} has neither uri nor uuid")
    return faults


def write_xml(item: Item) -> bytes:
    """A JSON object as a NativeDicomModel."""
    root = ElementTree.Element("NativeDicomModel", xmlns=NAMESPACE)
    _fill(root, item)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, "unicode").encode()


def _fill(parent: ElementTree.Element, item: Item) -> None:
    for tag, attribute in item.items():
        element = ElementTree.SubElement(parent, "DicomAttribute", {"tag": tag, "vr": attribute["vr"]})
        if "BulkDataURI" in attribute:
            ElementTree.SubElement(element, "BulkData", uri=attribute["BulkDataURI"])
        if "InlineBinary" in attribute:
            ElementTree.SubElement(element, "InlineBinary").text = attribute["InlineBinary"]
        for number, value in enumerate(attribute.get("Value", []), 1):
            _fill_value(element, str(number), attribute["vr"], value)


def _fill_value(parent: ElementTree.Element, number: str, vr: str, value: Any) -> None:
    if vr == "SQ":
        _fill(ElementTree.SubElement(parent, "Item", number=number), value)
    elif vr == "PN":
        person = ElementTree.SubElement(parent, "PersonName", number=number)
        for group in GROUPS:
            if value.get(group):
                inner = ElementTree.SubElement(person, group)
                for name, part in zip(COMPONENTS, value[group].split("^"), strict=False):
                    ElementTree.SubElement(inner, name).text = part
    else:
        ElementTree.SubElement(parent, "Value", number=number).text = str(value)
