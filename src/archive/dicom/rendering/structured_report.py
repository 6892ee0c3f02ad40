"""The content of a structured report as a tree of lines (PS3.3 C.17.3), whatever it is to be written as.

The tree is a stranger's: how deep it is followed and how many items of it are shown is bounded, and an item by
reference is shown as one, not followed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from archive.dicom.metadata_values import Metadata, is_elsewhere, items, numbers, text, values
from archive.dicom.rendering.annotation import date, person_names, time
from archive.dicom.sop_classes import sop_class_name

MOST_ITEMS = 50_000
DEEPEST = 64

CONTENT_SEQUENCE, VALUE_TYPE, CONCEPT_NAME = "0040A730", "0040A040", "0040A043"


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One content item: `name` is the meaning of its concept name, `value` what it says, as text. `depth` is 0 at the
    root. `cut` says that what is below it is too deep to be shown."""

    depth: int
    value_type: str
    name: str
    value: str
    relationship: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A document: what it is, whose it is, and its content in reading order. `cut`: there is more of it."""

    title: str
    header: tuple[tuple[str, str], ...]
    content: tuple[ContentItem, ...]
    cut: bool = False


def is_report(metadata: Metadata) -> bool:
    """Whether the object has the SR Document Content module."""
    return text(metadata, VALUE_TYPE) == "CONTAINER" or CONTENT_SEQUENCE in metadata


def report(metadata: Metadata) -> Report:
    """The document in the object. Never raises for odd values: it does without them."""
    content = tuple(itertools.islice(_walk(metadata), MOST_ITEMS + 1))
    cut, content = len(content) > MOST_ITEMS, content[:MOST_ITEMS]
    title = content[0].name if content and content[0].name else _class_name(metadata)
    return Report(title, tuple((name, value) for name, value in _header(metadata) if value), content, cut)


def _walk(root: Metadata) -> Iterator[ContentItem]:
    """Depth first, without recursion."""
    waiting: list[tuple[int, Metadata]] = [(0, root)]
    while waiting:
        depth, item = waiting.pop()
        children = items(item, CONTENT_SEQUENCE)
        cut = bool(children) and depth >= DEEPEST
        yield ContentItem(
            depth,
            text(item, VALUE_TYPE),
            _meaning(item, CONCEPT_NAME),
            _value(item),
            text(item, "0040A010"),
            cut,
        )
        if depth < DEEPEST:
            waiting += [(depth + 1, child) for child in reversed(children)]


def _header(metadata: Metadata) -> Iterator[tuple[str, str]]:
    yield "Patient", " = ".join(person_names(metadata, "00100010"))
    yield "Patient ID", text(metadata, "00100020")
    yield "Birth date", date(text(metadata, "00100030"))
    yield "Sex", text(metadata, "00100040")
    yield "Accession number", text(metadata, "00080050")
    yield "Study", text(metadata, "00081030")
    yield "Study date", _moment(metadata, "00080020", "00080030")
    yield "Referring physician", " = ".join(person_names(metadata, "00080090"))
    yield "Document", _class_name(metadata)
    yield "Content date", _moment(metadata, "00080023", "00080033")
    yield "Completion", _state(metadata, "0040A491", "0040A492")
    yield "Verification", text(metadata, "0040A493")
    for observer in items(metadata, "0040A073")[:20]:
        names, when = person_names(observer, "0040A075"), text(observer, "0040A030")
        yield "Verified by", " ".join(part for part in (" = ".join(names), _date_time(when)) if part)
    yield "Preliminary", text(metadata, "0040A496")


def _class_name(metadata: Metadata) -> str:
    return sop_class_name(text(metadata, "00080016"))


def _moment(metadata: Metadata, day: str, hour: str) -> str:
    return f"{date(text(metadata, day))} {time(text(metadata, hour))}".strip()


def _state(metadata: Metadata, flag: str, words: str) -> str:
    return " ".join(part for part in (text(metadata, flag), text(metadata, words)) if part)


def _date_time(value: str) -> str:
    return f"{date(value[:8])} {time(value[8:])}".strip() if value[:8].isdigit() else value


def _meaning(item: Metadata, tag: str) -> str:
    """CodeMeaning; without one the code itself."""
    for code in items(item, tag)[:1]:
        return text(code, "00080104") or _code(code)
    return ""


def _code(code: Metadata) -> str:
    value = text(code, "00080100") or text(code, "00080119") or text(code, "00080120")
    return f"({value}, {text(code, '00080102')})" if value else ""


def _value(item: Metadata) -> str:
    if references := values(item, "0040DB73"):
        return "see item " + ".".join(str(number) for number in references[:DEEPEST])
    speak = _VALUES.get(text(item, VALUE_TYPE))
    return speak(item) if speak else ""


def _num(item: Metadata) -> str:
    for measured in items(item, "0040A300")[:1]:
        found = values(measured, "0040A30A")
        unit = next((text(code, "00080100") for code in items(measured, "004008EA")[:1]), "")
        return f"{found[0]} {'' if unit == '1' else unit}".strip() if found else ""
    return _meaning(item, "0040A301")


def _reference(item: Metadata) -> str:
    said = []
    for reference in items(item, "00081199")[:100]:
        frames = ", ".join(f"{number:g}" for number in numbers(reference, "00081160"))
        name, uid = sop_class_name(text(reference, "00081150")), text(reference, "00081155")
        said.append(f"{name} {uid}" + f" frames {frames}" * bool(frames))
    return "; ".join(said)


def _graphic(item: Metadata) -> str:
    shape, found = text(item, "00700023"), numbers(item, "00700022")
    return f"{shape} " + " ".join(f"{number:g}" for number in found[:200]) + " ..." * (len(found) > 200)


def _temporal(item: Metadata) -> str:
    found = (values(item, tag) for tag in ("0040A132", "0040A138", "0040A13A"))
    return f"{text(item, '0040A130')} " + " ".join(str(value) for part in found for value in part[:200])


def _plain(tag: str, form: Callable[[str], str] = str) -> Callable[[Metadata], str]:
    def speak(item: Metadata) -> str:
        if is_elsewhere(item, tag):
            return "(too long to be shown here: retrieve the metadata)"
        found: Any = values(item, tag)
        return form(found[0]) if found and isinstance(found[0], str) else ""

    return speak


_VALUES: dict[str, Callable[[Metadata], str]] = {
    "TEXT": _plain("0040A160"),
    "CODE": lambda item: _meaning(item, "0040A168"),
    "NUM": _num,
    "PNAME": lambda item: " = ".join(person_names(item, "0040A123")),
    "DATE": _plain("0040A121", date),
    "TIME": _plain("0040A122", time),
    "DATETIME": _plain("0040A120", _date_time),
    "UIDREF": _plain("0040A124"),
    "COMPOSITE": _reference,
    "IMAGE": _reference,
    "WAVEFORM": _reference,
    "SCOORD": _graphic,
    "SCOORD3D": _graphic,
    "TCOORD": _temporal,
}
"""ValueType -> what the item says. A CONTAINER says nothing itself, TABLE is not shown."""
