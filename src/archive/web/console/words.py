"""Values of DICOM JSON as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
SEXES = {"F": "Female", "M": "Male", "O": "Other"}


def values(of: Mapping[str, Any], tag: str) -> list[Any]:
    """The values of an attribute, without those that are empty."""
    return [value for value in of.get(tag, {}).get("Value", ()) if value not in (None, "")]


def text(of: Mapping[str, Any], tag: str) -> str:
    """The first value as text; empty without one."""
    found = values(of, tag)
    return str(found[0]) if found else ""


def count(of: Mapping[str, Any], tag: str) -> int:
    """A number of entities; 0 where it is none."""
    found = text(of, tag)
    return int(found) if found.isdecimal() else 0


def name(of: Mapping[str, Any], tag: str) -> str:
    """A person's name: "Doe, Dr. John", and as it is written in another script after it."""
    found = values(of, tag)
    groups = found[0] if found and isinstance(found[0], Mapping) else {}
    written = (_plain(str(groups.get("Alphabetic") or "")), _plain(str(groups.get("Ideographic") or ""), " "))
    return " · ".join(filter(None, written))


def _plain(group: str, between: str = ", ") -> str:
    """A component group: family, given, middle, prefix and suffix (PS3.5 6.2.1.1)."""
    family, given, middle, prefix, suffix = (*map(str.strip, group.split("^")), "", "", "", "", "")[:5]
    called = " ".join(filter(None, (prefix, given, middle)))
    return " ".join(filter(None, (between.join(filter(None, (family, called))), suffix)))


def day(value: str) -> str:
    """A date: 23 Nov 2026; what is none stands as it is."""
    digits = value.replace(".", "")
    if len(digits) != 8 or not digits.isdecimal():
        return value
    try:
        found = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return value
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def time(value: str) -> str:
    """A time: 14:05; empty where it is none."""
    digits = value.replace(":", "")[:4]
    return f"{digits[:2]}:{digits[2:]}" if len(digits) == 4 and digits.isdecimal() else ""


def number_of(number: int, one: str, many: str = "") -> str:
    """1 image, 2 images."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
