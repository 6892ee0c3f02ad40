"""Data sets as people write them in JSON: attributes by keyword, values bare, sequences as arrays of objects.

    {"PatientName": "Doe^Jane", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}

PS3.18 F.2 by tags is taken as well, for programs that have it. The keyword form is what comes back: it can be read
without the dictionary at hand, and given back changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archive.dicom.attribute_ids import attribute_path, keyword
from archive.dicom.attribute_levels import vr_of
from archive.dicom.errors import CannotUnderstand
from archive.dicom.receiving import received
from archive.dicom.receiving.received import DataSet

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_MAXIMUM_DEPTH = 8
_LIKE_A_KEYWORD = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)


def data_set(written: object) -> DataSet:
    """The data set in the DICOM JSON Model. Raises CannotUnderstand for what is none, and for an attribute that
    PS3.6 does not know: a slip must not pass for an attribute that nobody asked for."""
    return received.data_set(_by_tag(written, 0))


def written(read: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The keyword form of a data set; attributes without a keyword by tag in the DICOM JSON Model."""
    made: dict[str, Any] = {}
    for name, element in read.items():
        word = keyword(int(name, 16))
        made[word or name] = _bare(element) if word else dict(element)
    return made


def _by_tag(written: object, depth: int) -> dict[str, Any]:
    if not isinstance(written, Mapping) or depth > _MAXIMUM_DEPTH:
        raise CannotUnderstand(
            "an object of attributes by keyword is expected, and in sequences arrays of these"
        )
    made: dict[str, Any] = {}
    for name, value in written.items():
        path = attribute_path(str(name))
        if path is None or len(path) != 1:
            raise CannotUnderstand(
                f"{_quoted(name)} is no attribute: name it by keyword or eight hexadecimal digits"
            )
        tag = f"{path[0]:08X}"
        if tag in made:
            raise CannotUnderstand(f"{_quoted(name)} is there twice")
        made[tag] = _element(path[0], value, depth)
    return made


def _quoted(name: object) -> str:
    """A name that might be meant for a keyword; anything else is a slip, perhaps a patient's, and is not shown."""
    return repr(name) if _LIKE_A_KEYWORD.fullmatch(str(name)) else "what stands where a keyword belongs"


def _element(tag: int, value: object, depth: int) -> dict[str, Any]:
    if isinstance(value, Mapping) and "vr" in value:
        return _with_inner_keywords(value, depth)
    vr = vr_of(tag)
    if vr == "UN":
        raise CannotUnderstand(
            f"({tag >> 16:04X},{tag & 0xFFFF:04X}): its vr is needed, as PS3.18 F.2 has it"
        )
    values = value if isinstance(value, list) else [] if value is None else [value]
    if vr == "SQ":
        return {"vr": vr, "Value": [_by_tag(item, depth + 1) for item in values]}
    return {"vr": vr, "Value": [None if one == "" else one for one in values]}


def _with_inner_keywords(element: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """As PS3.18 F.2 has it, which may hold keywords further in."""
    items = element.get("Value")
    if element.get("vr") != "SQ" or not isinstance(items, list):
        return dict(element)
    return {**element, "Value": [_by_tag(item or {}, depth + 1) for item in items]}


def _bare(element: Mapping[str, Any]) -> Any:
    """The values without what PS3.18 puts around them: one alone, or several in an array."""
    if element["vr"] == "SQ":
        return [written(item or {}) for item in element.get("Value", ())]
    if "InlineBinary" in element or "BulkDataURI" in element:
        return dict(element)
    values = [_bare_value(value) for value in element.get("Value", ())]
    return values[0] if len(values) == 1 else values or ""


def _bare_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(group, "")) for group in _GROUPS).rstrip("=")
    return "" if value is None else value
