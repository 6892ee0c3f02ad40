"""A population written straight into an index, without objects: what questions are measured on in minutes, where
storing a million objects takes the better part of an hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import orjson
import sqlalchemy as sa
import zstandard
from pydicom.uid import ExplicitVRLittleEndian

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.instance import Element, Instance, Source
from archive.index.database import Connection, Database
from archive.index.recording import record
from benchmarks.synthetic.objects import SOP_CLASSES
from benchmarks.synthetic.population import Population

AT_ONCE = 20_000
"""Studies in one transaction."""
_SOURCE = Source("STOW-RS", "127.0.0.1")
_LARGE_CACHE = sa.text("PRAGMA cache_size = -4000000")


def fill(path: Path, population: Population, say: Callable[[str], None]) -> None:
    """Make an index in this file that holds the population."""
    database = Database.in_file(path)
    database.migrate()
    try:
        for first in range(0, population.count, AT_ONCE):
            last = min(first + AT_ONCE, population.count)
            database.write(partial(_write, population=population, numbers=range(first, last)))
            say(f"{last:,} of {population.count:,} studies are in the index")
    finally:
        database.close()


def _write(connection: Connection, population: Population, numbers: range) -> None:
    connection.execute(_LARGE_CACHE)
    for number in numbers:
        record(connection, _instance(population.values(number)), f"none/{number}", 300, "0" * 64, _SOURCE)


def _instance(values: Mapping[str, str]) -> Instance:
    """As reading the object would give it."""
    given = {"SOPClassUID": SOP_CLASSES[values["Modality"]], **values}
    found = {
        BY_KEYWORD[keyword].tag: _element(BY_KEYWORD[keyword].vr, value) for keyword, value in given.items()
    }
    members = ",".join(f'"{tag:08X}":{element.json}' for tag, element in sorted(found.items()))
    return Instance(
        SOPClassUID=given["SOPClassUID"],
        SOPInstanceUID=values["SOPInstanceUID"],
        SeriesInstanceUID=values["SeriesInstanceUID"],
        StudyInstanceUID=values["StudyInstanceUID"],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        length=3000,
        attributes=found,
        metadata=zstandard.compress(f"{{{members}}}".encode(), 1),
        bulk_values=(),
        frames=b"",
    )


def _element(vr: str, value: str) -> Element:
    shown = {"Alphabetic": value} if vr == "PN" else int(value) if vr == "IS" else value
    return Element(vr, (value,), orjson.dumps({"vr": vr, "Value": [shown]}).decode())
