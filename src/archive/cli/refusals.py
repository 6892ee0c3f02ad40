"""`archive refusals`: who and what was not let in, why, and what would let them in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from archive.bootstrap.building import Archive
from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.sop_classes import sop_class_name

HEADINGS = ["Last", "Times", "What", "Calling", "From", "About", "Why", "What lets it in"]

_Row = tuple[float, list[str]]


def refusals(
    config_file: ConfigOption = None,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
) -> None:
    """Show the last refused associations and objects, why, and what would let them in."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        rows = sorted((*_associations(archive, limit), *_objects(archive, limit)), key=lambda row: -row[0])
    tables.show(HEADINGS, [row for _, row in rows[:limit]])


def _associations(archive: Archive, limit: int) -> Iterator[_Row]:
    for kept in archive.refusals.associations(limit):
        one = kept.refused
        about = f"called {one.called}"
        yield (
            kept.time,
            [
                *(tables.when(kept.time), str(kept.times), "association"),
                *(one.calling, one.address, about, one.reason, one.remedy),
            ],
        )


def _objects(archive: Archive, limit: int) -> Iterator[_Row]:
    for kept in archive.refusals.objects(limit):
        one = kept.refused
        about = f"{one.door} status {one.status}, {sop_class_name(one.SOPClassUID)} {kept.SOPInstanceUID}"
        yield (
            kept.time,
            [
                *(tables.when(kept.time), str(kept.times), "object"),
                *(one.calling, one.address, about, one.reason, one.remedy),
            ],
        )
