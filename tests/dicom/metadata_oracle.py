"""pydicom as the oracle of our metadata: where the two may differ, and why.

`differences` gives what is left after these, each of which is meant:

* Group lengths and Data Set Trailing Padding are not in ours (PS3.18 F.2.2).
* SpecificCharacterSet is ISO_IR 192 in ours: the text of the JSON is UTF-8.
* An empty value among several is null in ours (PS3.18 F.2.5), "" in pydicom's; an attribute or sequence without any
  value has no Value (F.2.5), in pydicom's a sequence has [].
* Padding spaces are taken off each value, where pydicom takes them off the last (AE, CS, DS, IS, UI: at both ends).
* Binary values over 1024 bytes and pixel data are a BulkDataURI in ours.
* Words of big endian data sets are little endian in ours (F.2.7); pydicom leaves them as they are.
* IS and DS that are no numbers are strings in ours; pydicom leaves out the attribute, or fails.
* A float that is not finite is a string in ours: JSON has no NaN.
* Of two elements with one tag ours has the first, pydicom the last.
* pydicom leaves out of the JSON what it cannot convert, such as a UID in an item that is not one.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import warnings
from pathlib import Path
from typing import Any

import pydicom

JSON = dict[str, Any]
_NUMERIC = {"DS", "IS", "FL", "FD"}
_UNTIDY = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}


def differences(path: Path, metadata: JSON) -> list[str]:
    """What pydicom makes differently of the file, beyond the differences that are meant."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = pydicom.dcmread(path)
        return compare(metadata, pydicom_json(data_set), big_endian=data_set.original_encoding[1] is False)


def pydicom_json(data_set: pydicom.Dataset) -> JSON:
    """The DICOM JSON that pydicom makes."""
    return json.loads(json.dumps(data_set.to_json_dict(suppress_invalid_tags=True)))


def compare(ours: JSON, theirs: JSON, *, big_endian: bool = False, at: str = "") -> list[str]:
    """The differences between two data sets."""
    found = [f"{at}{tag} is only in pydicom's" for tag in theirs.keys() - ours.keys() if _belongs(tag)]
    if list(ours) != sorted(ours):
        found.append(f"{at} is not in ascending order")
    for tag, mine in ours.items():
        if tag in theirs:
            found += _compare_elements(mine, theirs[tag], big_endian, f"{at}{tag}")
        elif not _is_beyond_pydicom(mine):
            found.append(f"{at}{tag} is only in ours: {str(mine)[:200]}")
    return found


def _belongs(tag: str) -> bool:
    return not tag.endswith("0000") and tag != "FFFCFFFC"


def _is_beyond_pydicom(element: JSON) -> bool:
    """What pydicom leaves out as it cannot convert it: a number that is none, or items that hold such things."""
    values = element.get("Value", [])
    if element["vr"] == "SQ":
        return any(_is_beyond_pydicom(inner) for item in values for inner in item.values())
    if element["vr"] == "UI":
        return any(not pydicom.uid.UID(value).is_valid for value in values)
    return element["vr"] in _NUMERIC and any(isinstance(value, str) for value in values)


def _compare_elements(mine: JSON, other: JSON, big_endian: bool, at: str) -> list[str]:
    if at.endswith("00080005"):
        return [] if mine.get("Value", ["ISO_IR 192"]) == ["ISO_IR 192"] else [f"{at} is not ISO_IR 192"]
    if mine["vr"] != other["vr"]:
        return [f"{at} has VR {mine['vr']}, pydicom {other['vr']}"]
    if mine["vr"] == "SQ":
        return _compare_items(mine.get("Value", []), other.get("Value", []), big_endian, at)
    if "BulkDataURI" in mine:
        return [] if other.get("InlineBinary") or other.get("Value") else [f"{at} is bulk data of nothing"]
    if _tidy(mine) != _tidy(_little_endian(other, big_endian)):
        return [f"{at} is {str(mine)[:200]}, pydicom {str(other)[:200]}"]
    return []


def _compare_items(mine: list[JSON], other: list[JSON], big_endian: bool, at: str) -> list[str]:
    if len(mine) != len(other):
        return [f"{at} has {len(mine)} items, pydicom {len(other)}"]
    return [
        difference
        for number, (item, theirs) in enumerate(zip(mine, other, strict=True))
        for difference in compare(item, theirs, big_endian=big_endian, at=f"{at}[{number}].")
    ]


def _tidy(element: JSON) -> JSON:
    values = [_tidy_value(value, element["vr"]) for value in element.get("Value", [])]
    return {**element, "Value": values} if any(value is not None for value in values) else element


def _tidy_value(value: Any, vr: str) -> Any:
    if isinstance(value, dict):
        return {key: text.rstrip(" ") for key, text in value.items() if text.strip(" ")} or None
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return (value.strip(" ") if vr in ("AE", "CS", "DS", "IS", "UI") else value.rstrip(" ")) or None
    return str(value) if vr in ("SV", "UV") and abs(value) > 1 << 53 else value


def _little_endian(element: JSON, big_endian: bool) -> JSON:
    width = _UNTIDY.get(element["vr"])
    if not big_endian or width is None or "InlineBinary" not in element:
        return element
    raw = base64.b64decode(element["InlineBinary"])
    words = b"".join(raw[i : i + width][::-1] for i in range(0, len(raw), width))
    return {**element, "InlineBinary": base64.b64encode(words).decode()}
