"""What stands in the place of a value that says whose an object is. The same value of one share has the same
replacement everywhere, so that what belongs together still does; without the secret of the share nobody finds the way
back, or to what another share says.
"""

from __future__ import annotations

import hmac
import re
import struct
from datetime import date, timedelta
from functools import cached_property

from pydicom.uid import UID_dictionary

from archive.dicom.deidentifying.actions import Options
from archive.dicom.writing.encoder import encode_data_set

_DATE = re.compile(r"\d{8}")
_DATE_TIME = re.compile(r"(\d{8})((?:\d\d){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
_TIME = re.compile(r"\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?")
_TEXT = "ANONYMIZED"
_DUMMIES = {
    "AS": b"000Y",
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "TM": b"000000",
    "UR": b"https://anonymized.invalid/",
}
_TEXTS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_LEAST_DAYS, _DAYS = 366, 3653

_PROFILE = ("113100", "Basic Application Confidentiality Profile")
_OPTIONS = {
    "modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "device_identity": ("113109", "Retain Device Identity Option"),
}
"""Context Group 7050 (PS3.16)."""
METHOD = "PS3.15 2024e Basic Application Confidentiality Profile"


class Replacements:
    """Those of one share, by its secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def uid(self, original: str) -> str:
        """Another UID, made of a UUID (PS3.5 B.2); one that DICOM has registered means nobody and stays."""
        if original in UID_dictionary:
            return original
        number = bytearray(self._digest("UID", original)[:16])
        number[6] = number[6] & 0x0F | 0x80  # version 8 and variant of RFC 9562
        number[8] = number[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(number, 'big')}"

    def patient(self, *identity: str) -> str:
        """What a patient is called, as ID and as name."""
        return f"ANON-{self._digest('patient', *identity)[:5].hex().upper()}"

    @cached_property
    def days(self) -> int:
        """So many days later all of it happened than is said: one to eleven years."""
        return _LEAST_DAYS + int.from_bytes(self._digest("days")[:8], "big") % _DAYS

    def uids(self, raw: bytes) -> bytes:
        """The value of an attribute of VR UI."""
        said = raw.decode("ascii", "replace").split("\\")
        return "\\".join(self.uid(one.strip("\0 ")) if one.strip("\0 ") else "" for one in said).encode()

    def moved(self, vr: str, raw: bytes) -> bytes | None:
        """Dates, earlier by `days`; None where that is no date that can be moved."""
        texts = raw.decode("latin_1").strip("\0 ").split("\\")
        try:
            return "\\".join(self._moved(vr, text.strip()) if text.strip() else "" for text in texts).encode()
        except (ValueError, OverflowError):
            return None

    def _moved(self, vr: str, text: str) -> str:
        """Raises ValueError, OverflowError."""
        if vr == "TM" and _TIME.fullmatch(text):
            return text
        if vr == "DA" and _DATE.fullmatch(text):
            return self._earlier(text)
        if vr == "DT" and (parts := _DATE_TIME.fullmatch(text)):
            return self._earlier(parts[1]) + parts[2]
        raise ValueError(vr)

    def _earlier(self, text: str) -> str:
        moved = date(int(text[:4]), int(text[4:6]), int(text[6:])) - timedelta(days=self.days)
        return f"{moved.year:04}{moved:%m%d}"

    def _digest(self, *said: str) -> bytes:
        """Each part with its length before it, so that no two lists of parts are one text."""
        parts = [part.encode("utf-8", "surrogatepass") for part in said]
        return hmac.digest(
            self._secret, b"".join(struct.pack("<I", len(part)) + part for part in parts), "sha256"
        )


def dummy(vr: str) -> bytes:
    """A value that means nothing, of this VR."""
    if vr in _TEXTS:
        return _TEXT.encode()
    return _DUMMIES.get(vr, bytes(8))


def dummy_code(tag: int) -> bytes:
    """A sequence with a code that means nothing, in Explicit VR."""
    return _encoded({tag: {"vr": "SQ", "Value": [_code("ANON", "99ANON", "Anonymized")]}})


def inserted(patient: str, options: Options) -> dict[int, bytes]:
    """What every de-identified object says, by tag, in Explicit VR (PS3.15 E.1.1)."""
    codes = [_PROFILE, *(code for name, code in _OPTIONS.items() if getattr(options, name))]
    dates = "MODIFIED" if options.modified_dates else "REMOVED"
    said: dict[int, dict[str, object]] = {
        0x00100010: {"vr": "PN", "Value": [{"Alphabetic": patient}]},
        0x00100020: {"vr": "LO", "Value": [patient]},
        0x00120062: {"vr": "CS", "Value": ["YES"]},
        0x00120063: {"vr": "LO", "Value": [METHOD]},
        0x00120064: {"vr": "SQ", "Value": [_code(code, "DCM", meaning) for code, meaning in codes]},
        0x00280303: {"vr": "CS", "Value": [dates]},
    }
    return {tag: _encoded({tag: element}) for tag, element in said.items()}


def _code(value: str, scheme: str, meaning: str) -> dict[str, object]:
    return {
        "00080100": {"vr": "SH", "Value": [value]},
        "00080102": {"vr": "SH", "Value": [scheme]},
        "00080104": {"vr": "LO", "Value": [meaning]},
    }


def _encoded(elements: dict[int, dict[str, object]]) -> bytes:
    return encode_data_set({f"{tag:08X}": element for tag, element in elements.items()}, implicit=False)
