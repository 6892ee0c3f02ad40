"""The Native DICOM Model in XML (PS3.19 A.1), made from the DICOM JSON Model: same content, other brackets.

Written as text: the model has six elements and no mixed content, so a tree would only cost memory. Characters that
XML 1.0 cannot hold become question marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from archive.dicom.attribute_ids import keyword

DataSet = Mapping[str, Mapping[str, Any]]

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_HEAD = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">'
)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def document(data_set: DataSet) -> bytes:
    """One data set as an XML document in UTF-8."""
    return text(data_set).encode("utf-8")


def text(data_set: DataSet) -> str:
    """The same before it is encoded; its XML declaration says UTF-8."""
    return "".join((_HEAD, *_attributes(data_set), "</NativeDicomModel>"))


def _attributes(data_set: DataSet) -> Iterator[str]:
    """Depth is bounded: what is stored was refused beyond 64 levels."""
    for tag, element in sorted(data_set.items()):
        creator = _private_creator(data_set, tag)
        named = f" privateCreator={quoteattr(_clean(creator))}" if creator else ""
        name = keyword(int(tag, 16))
        named += f' keyword="{name}"' if name else ""
        yield f'<DicomAttribute tag="{tag}" vr="{element["vr"]}"{named}>'
        yield from _content(element)
        yield "</DicomAttribute>"


def _content(element: Mapping[str, Any]) -> Iterator[str]:
    if "BulkDataURI" in element:
        yield f"<BulkData uri={quoteattr(_clean(element['BulkDataURI']))}/>"
    elif "InlineBinary" in element:
        yield f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
    else:
        yield from _values(element["vr"], element.get("Value", ()))


def _values(vr: str, values: Iterable[Any]) -> Iterator[str]:
    for number, value in enumerate(values, start=1):
        if vr == "SQ":
            yield f'<Item number="{number}">'
            yield from _attributes(value or {})
            yield "</Item>"
        elif vr == "PN" and value is not None:
            yield f'<PersonName number="{number}">'
            yield from _person_name(value)
            yield "</PersonName>"
        elif value is not None:
            yield f'<Value number="{number}">{_text(value)}</Value>'


def _person_name(value: Mapping[str, str]) -> Iterator[str]:
    for group in ("Alphabetic", "Ideographic", "Phonetic"):
        if value.get(group):
            parts = zip(_NAME_PARTS, value[group].split("^"), strict=False)
            inner = "".join(f"<{part}>{_text(text)}</{part}>" for part, text in parts if text)
            yield f"<{group}>{inner}</{group}>"


def _private_creator(data_set: DataSet, tag: str) -> str:
    """The private creator of an attribute of an odd group (PS3.5 7.8.1); empty for others."""
    if tag[3] not in "13579BDF" or tag[4:6] == "00":
        return ""
    values = data_set.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value", ())
    return str(values[0]) if values else ""


def _text(value: Any) -> str:
    """A carriage return as a reference, as the end of a line is a line feed to every reader of XML (XML 1.0, 2.11)."""
    return escape(_clean(str(value)), {"\r": "&#13;"})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
