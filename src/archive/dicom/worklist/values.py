"""Whether the values of a data set are what their VRs allow (PS3.5 6.2): asked of what we shall hand to modalities.

Stored objects are kept as they are, whatever a device made of them. A worklist is ours: a Patient ID of 70 characters
would be cut by one modality and refused by the next, and the images of both would not find together.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

from archive.dicom.attribute_ids import path_name
from archive.dicom.errors import InvalidUID, InvalidValue
from archive.dicom.identifiers import check_uid
from archive.dicom.matching import moments

DataSet = Mapping[str, Mapping[str, Any]]

_LONGEST = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240}
_LINES = frozenset({"ST", "LT", "UT"})
"""VRs in which a line may end, and a backslash is a character of the text."""
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f]")
"""With those of C1: they come of text in windows-1252 that is said to be in ISO 8859-1."""
_CODE = re.compile(r"[A-Z0-9 _]*", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)


def check(data_set: DataSet, path: tuple[int, ...] = ()) -> None:
    """Raises InvalidValue, which names the attribute and never quotes its value, and InvalidUID."""
    for name, element in data_set.items():
        tag = int(name, 16)
        for value in element.get("Value", ()):
            if element["vr"] == "SQ":
                check(value or {}, (*path, tag))
            elif value is not None:
                _check_value(element["vr"], value, (*path, tag))


def _check_value(vr: str, value: Any, path: tuple[int, ...]) -> None:
    if vr == "UI":
        try:
            check_uid(str(value), path[-1])
        except InvalidUID:
            raise InvalidUID(
                f"{path_name(path)} is no UID: digits and single dots, at most 64", path[-1]
            ) from None
        return
    for text in value.values() if isinstance(value, Mapping) else (value,):
        why = _wrong(vr, text) if isinstance(text, str) else ""
        if why:
            raise InvalidValue(f"{path_name(path)} {why} (VR {vr}, PS3.5 6.2)", path[-1])


def _wrong(vr: str, text: str) -> str:
    """What is wrong with a text; nothing if it will do."""
    if (_CONTROL_BUT_LINES if vr in _LINES else _CONTROL).search(text):
        return "holds control characters"
    if "\\" in text and vr not in _LINES:
        return "holds a backslash, which stands between values"
    longest = _LONGEST.get(vr)
    if longest is not None and len(text) > longest:
        return f"is longer than {longest} characters"
    test = _FORMS.get(vr)
    return "is not of the form that it has to have" if test and text and not test(text) else ""


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"\d{8}", text, re.ASCII):
        return False
    try:
        datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


_FORMS: Mapping[str, Callable[[str], object]] = {
    "AS": re.compile(r"\d{3}[DWMY]", re.ASCII).fullmatch,
    "DS": re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *", re.ASCII).fullmatch,
    "DT": moments.date_time_span,
    "IS": re.compile(r" *[+-]?\d{1,10} *", re.ASCII).fullmatch,
    "PN": lambda text: "=" not in text,
    "CS": _CODE.fullmatch,
    "DA": _is_date,
    "TM": _TIME.fullmatch,
    "AE": lambda text: text.isascii() and text.strip(" "),
}
