"""Metadata as a client wrote it, JSON or XML, brought into the one form that `assembly` encodes (PS3.18 annex F).

Everything that the encoder takes for granted is asked here, so that what is wrong is said by attribute before a byte is
written: VRs and what their values may be, group 0002 (which PS3.18 10.5.1.4 keeps out of metadata), depth. Lenient
where the meaning is plain: tags in lower case, a person name as a string, numbers as strings, NaN.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from archive.dicom.errors import CannotUnderstand, MissingAttribute
from archive.dicom.identifiers import check_uid, tag_text
from archive.dicom.reading.json_model import BINARY_VRS, BULK_VRS
from archive.dicom.reading.structure import MAXIMUM_DEPTH
from archive.dicom.receiving.received_values import VALUES, WORD_BYTES

DataSet = dict[str, dict[str, Any]]
"""Attributes by tag. Of each its `vr` and at most one of `Value`, `BulkDataURI` and `InlineBinary`, the last as bytes
in base64 that is known to be good."""

IDENTITY = {
    "SOPClassUID": "00080016",
    "SOPInstanceUID": "00080018",
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
}
CHARACTER_SET = "00080005"
_TAG = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_NOT_IN_METADATA = {
    "0000": "a command element",
    "0002": "File Meta Information, which is made here: leave it out (PS3.18 10.5.1.4)",
    "FFFE": "no attribute",
}
_TRAILING_PADDING = "FFFCFFFC"
_FORMS = ("Value", "BulkDataURI", "InlineBinary")
_LONGEST_URI = 4096


def data_set(read: object, depth: int = 0) -> DataSet:
    """The data set in the one form. Group lengths and padding are left out, as they say nothing. Raises
    CannotUnderstand."""
    if not isinstance(read, dict):
        raise CannotUnderstand("a data set is expected in the metadata, an object of attributes by tag")
    if depth > MAXIMUM_DEPTH:
        raise CannotUnderstand(f"more than {MAXIMUM_DEPTH} sequences inside each other in the metadata")
    made: DataSet = {}
    for name, element in read.items():
        tag = _tag(name)
        if tag in made:
            raise CannotUnderstand(f"{_text(tag)} is in a data set of the metadata twice")
        if tag[4:] != "0000" and tag != _TRAILING_PADDING:
            made[tag] = _element(tag, element, depth)
    return made


def check_identity(found: DataSet) -> None:
    """Raises MissingAttribute, InvalidUID unless it says which object of which series and study it is."""
    for keyword, tag in IDENTITY.items():
        uid = first(found, tag)
        if not uid:
            raise MissingAttribute(f"{keyword} is absent or empty", int(tag, 16))
        check_uid(uid, int(tag, 16))


def first(found: Mapping[str, Mapping[str, Any]], tag: str) -> str:
    """The first value of an attribute as text; empty when it has none."""
    values = found.get(tag, {}).get("Value")
    return str(values[0]) if values and values[0] is not None else ""


def bulk_data_uris(found: DataSet) -> Iterator[str]:
    """Every BulkDataURI, wherever it is."""
    for element in found.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        elif element["vr"] == "SQ":
            for item in element.get("Value", ()):
                yield from bulk_data_uris(item)


def size(found: DataSet) -> int:
    """How many attributes and values there are in it, roughly."""
    count = len(found)
    for element in found.values():
        values = element.get("Value", ())
        count += sum(map(size, values)) if element["vr"] == "SQ" else len(values)
    return count


def _tag(name: object) -> str:
    if not isinstance(name, str) or not _TAG.fullmatch(name):
        raise CannotUnderstand("a name in the metadata is no tag of eight hexadecimal digits")
    tag = name.upper()
    what = _NOT_IN_METADATA.get(tag[:4])
    if what:
        raise CannotUnderstand(f"{_text(tag)} in the metadata is {what}")
    return tag


def _element(tag: str, element: object, depth: int) -> dict[str, Any]:
    if not isinstance(element, dict):
        raise CannotUnderstand(f"{_text(tag)}: an object with a vr is expected")
    vr = element.get("vr")
    if not isinstance(vr, str) or (vr != "SQ" and vr not in VALUES and vr not in BINARY_VRS):
        raise CannotUnderstand(f"{_text(tag)}: its vr is absent or none of PS3.5")
    forms = [form for form in _FORMS if element.get(form) is not None]
    if len(forms) > 1:
        raise CannotUnderstand(f"{_text(tag)} has both {forms[0]} and {forms[1]}")
    if not forms:
        return {"vr": vr}
    given = element[forms[0]]
    if forms[0] == "Value":
        return _with_values(tag, vr, given, depth)
    check = _bulk if forms[0] == "BulkDataURI" else _inline
    return {"vr": vr, forms[0]: check(tag, vr, given)}


def _with_values(tag: str, vr: str, values: object, depth: int) -> dict[str, Any]:
    if not isinstance(values, list):
        raise CannotUnderstand(f"{_text(tag)}: Value is an array")
    if not values:
        return {"vr": vr}
    if vr == "SQ":
        items = ({} if item is None else item for item in values)
        return {"vr": vr, "Value": [data_set(item, depth + 1) for item in items]}
    if vr in BINARY_VRS:
        raise CannotUnderstand(f"{_text(tag)}: {vr} has InlineBinary or BulkDataURI, not Value")
    try:
        return {"vr": vr, "Value": VALUES[vr](values)}
    except (ValueError, TypeError, OverflowError, struct.error):
        raise CannotUnderstand(f"{_text(tag)}: a value is none that {vr} can have") from None


def _bulk(tag: str, vr: str, uri: object) -> str:
    if vr not in BULK_VRS:
        raise CannotUnderstand(f"{_text(tag)}: {vr} has no BulkDataURI (PS3.18 F.2.2)")
    if not isinstance(uri, str) or not uri or len(uri) > _LONGEST_URI:
        raise CannotUnderstand(f"{_text(tag)}: BulkDataURI is a text of 1 to {_LONGEST_URI} characters")
    return uri


def _inline(tag: str, vr: str, text: object) -> str:
    """Of any VR but SQ: PS3.18 F.2.7 has US as an example."""
    if vr == "SQ" or not isinstance(text, str):
        raise CannotUnderstand(f"{_text(tag)}: InlineBinary is a text, and not of a sequence")
    try:
        raw = binascii.a2b_base64(text.encode("ascii"), strict_mode=True) if text else b""
    except ValueError:
        raise CannotUnderstand(f"{_text(tag)}: InlineBinary is not base64") from None
    if len(raw) % WORD_BYTES.get(vr, 1):
        raise CannotUnderstand(f"{_text(tag)}: InlineBinary holds no whole number of {vr} values")
    return text


def _text(tag: str) -> str:
    return tag_text(int(tag, 16))
