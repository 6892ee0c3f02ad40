"""Instances as the reader would give them, from keywords alone: the index does not care for bytes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import orjson
import zstandard

from archive.dicom.attributes import BY_KEYWORD, REQUEST_ATTRIBUTES
from archive.dicom.instance import BulkValue, Element, Instance, Source
from archive.index.database import Connection, Database
from archive.index.recording import Outcome, record

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
SOURCE = Source("DIMSE", "127.0.0.1", "MODALITY", "ARCHIVE")
_numbers = itertools.count(1)


def new_uid() -> str:
    return f"2.25.{next(_numbers)}"


def element(vr: str, *values: str) -> Element:
    """One attribute; the values as text, a name with its groups between `=`."""
    return Element(vr, values, orjson.dumps({"vr": vr, **_json_values(vr, values)}).decode())


def requests(*items: Mapping[str, str]) -> Element:
    """RequestAttributesSequence, each item from keywords."""
    tags = {keyword: tag for tag, keyword in REQUEST_ATTRIBUTES.items()}
    made = [{f"{tags[k]:08X}": {"vr": "SH", "Value": [v]} for k, v in item.items()} for item in items]
    return Element("SQ", (), orjson.dumps({"vr": "SQ", "Value": made}).decode())


def instance(
    study: str = "", series: str = "", sop: str = "", others: Mapping[str, Any] | None = None, **keywords: Any
) -> Instance:
    """An instance with these attributes; a value is a text, a tuple of them or an Element.

    `others` are further members of the metadata, by their eight hex digits."""
    study, series, sop = study or new_uid(), series or new_uid(), sop or new_uid()
    identity = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop}
    given = {"SOPClassUID": CT, **identity, **keywords}
    elements = {BY_KEYWORD[keyword].tag: _element(keyword, value) for keyword, value in given.items()}
    members = {f"{tag:08X}": orjson.loads(one.json) for tag, one in elements.items()} | dict(others or {})
    return Instance(
        SOPClassUID=given["SOPClassUID"],
        **identity,
        transfer_syntax_uid=EXPLICIT,
        length=1000,
        attributes=elements,
        metadata=zstandard.compress(orjson.dumps(dict(sorted(members.items())))),
        bulk_values=(BulkValue("7FE00010", "OW", 500, 500),),
        frames=b"frames",
    )


def store(where: Database | Connection, *made: Instance, sha256: str = "") -> list[Outcome]:
    """Record them, each under a blob key of its own."""
    if isinstance(where, Database):
        return where.write(lambda connection: store(connection, *made, sha256=sha256))
    return [record(where, one, f"00/00/{new_uid()}", 300, sha256 or "0" * 64, SOURCE) for one in made]


def _element(keyword: str, value: Any) -> Element:
    if isinstance(value, Element):
        return value
    values = (value,) if isinstance(value, str) else tuple(value)
    return element(BY_KEYWORD[keyword].vr, *values)


def _json_values(vr: str, values: tuple[str, ...]) -> dict[str, Any]:
    if not any(values):
        return {}
    if vr == "PN":
        groups = ("Alphabetic", "Ideographic", "Phonetic")
        return {"Value": [dict(zip(groups, value.split("="), strict=False)) for value in values]}
    return {"Value": list(values)}
