"""What is burned in for the parameter `annotation` (PS3.18 8.3.5.1.1): the TABLE keyword -> lines of text.

A value that no font can show makes its keyword unsupported for the picture: half an identification is worse than none,
and the answer says that it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from archive.dicom.metadata_values import Metadata, numbers, text, values
from archive.dicom.rendering.lettering import Lettering

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def person_names(metadata: Metadata, tag: str) -> list[str]:
    """The component groups of a person's name that are there, each as `Family, Given Middle`."""
    found = values(metadata, tag)
    groups: Mapping[str, Any] = found[0] if found and isinstance(found[0], Mapping) else {}
    return [_spoken(groups[name]) for name in _GROUPS if isinstance(groups.get(name), str) and groups[name]]


def supported(keywords: Iterable[str], metadata: Metadata, lettering: Lettering) -> list[str]:
    """Those of the keywords whose lines can be drawn on pictures of this object, in the order given."""
    return [
        name for name in keywords if name in KEYWORDS and KEYWORDS[name](metadata, 1, lettering) is not None
    ]


def lines(keyword: str, metadata: Metadata, frame_number: int, lettering: Lettering) -> list[str]:
    """What the keyword writes on this frame; nothing when it is not supported for it."""
    return KEYWORDS[keyword](metadata, frame_number, lettering) or []


def _patient(metadata: Metadata, _frame: int, lettering: Lettering) -> list[str] | None:
    names = person_names(metadata, "00100010")
    name = next((name for name in names if lettering.can_draw(name)), None)
    identifier = text(metadata, "00100020")
    if (names and name is None) or not lettering.can_draw(identifier):
        return None
    born, sex, age = (text(metadata, tag) for tag in ("00100030", "00100040", "00101010"))
    details = "  ".join(part for part in (date(born), sex, age) if part and lettering.can_draw(part))
    return [line for line in (name or "", f"ID {identifier}" if identifier else "", details) if line]


def _technique(metadata: Metadata, frame_number: int, lettering: Lettering) -> list[str]:
    series, instance = (_plain(metadata, tag) for tag in ("00200011", "00200013"))
    frames = _plain(metadata, "00280008")
    place = f"Se {series}" * bool(series) + f"  Im {instance}" * bool(instance)
    if frames not in ("", "1"):
        place += f"  Fr {frame_number}/{frames}"
    found = (
        f"{date(text(metadata, '00080020'))} {time(text(metadata, '00080030'))}".strip(),
        f"{text(metadata, '00080060')} {text(metadata, '00180015')}".strip(),
        place.strip(),
        _position(metadata),
        _exposure(metadata),
    )
    return [line for line in found if line and lettering.can_draw(line)]


def _position(metadata: Metadata) -> str:
    position = numbers(metadata, "00200032")
    if len(position) == 3:
        return "Pos " + "\\".join(f"{value:.1f}" for value in position)
    location = _plain(metadata, "00201041")
    return f"Loc {location}" if location else ""


def _exposure(metadata: Metadata) -> str:
    rows = (
        ("00180060", "kV"),
        ("00181151", "mA"),
        ("00180050", "mm"),
        ("00180081", "ms TE"),
        ("00180080", "ms TR"),
    )
    return "  ".join(f"{value} {unit}" for tag, unit in rows if (value := _plain(metadata, tag)))


def _plain(metadata: Metadata, tag: str) -> str:
    found = numbers(metadata, tag)[:1]
    return f"{found[0]:g}" if found else ""


def _spoken(group: str) -> str:
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    first = " ".join(part.strip() for part in (prefix, given, middle) if part.strip())
    name = ", ".join(part for part in (family.strip(), first) if part)
    return f"{name} {suffix}".strip()


def date(value: str) -> str:
    """A DA value as 2026-11-22; anything else as it is."""
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}" if len(value) == 8 and value.isdigit() else value


def time(value: str) -> str:
    """A TM value as 16:28; anything else as it is."""
    return f"{value[:2]}:{value[2:4]}" if len(value) >= 4 and value[:4].isdigit() else value


KEYWORDS: dict[str, Callable[[Metadata, int, Lettering], list[str] | None]] = {
    "patient": _patient,
    "technique": _technique,
}
"""The values of the parameter. None: the lines cannot be drawn."""
