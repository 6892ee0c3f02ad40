"""`archive demo`: store the synthetic studies through the same ingest as every import, or delete them again.

What is stored already is not made once more, so that a second run stores nothing, on whatever day; and what is deleted
is named instance by instance, so that nothing goes that somebody has added to these studies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer

from archive.bootstrap.building import Archive
from archive.cli import importing, opening, progress
from archive.cli.demo.patients import STUDIES
from archive.cli.demo.plan import Planned, planned
from archive.cli.opening import ConfigOption, DataOption
from archive.cli.sources import File, Gathered
from archive.dicom.errors import ConfigurationError
from archive.dicom.instance import Level, Scope, StoredInstance
from archive.dicom.query import Query
from archive.settings.whole import Settings

OTHERS = "there are other studies in this archive: --yes puts the synthetic ones beside them"

Remove = Annotated[bool, typer.Option("--remove", help="Delete them again.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Also where other studies are stored.")]


def demo(
    remove: Remove = False, yes: Yes = False, config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Fill an empty archive with a few synthetic studies, to have something to look at."""
    settings = opening.settings(config_file, data=data)
    with opening.archive(settings, make=not remove) as opened:
        if remove:
            typer.echo(f"{taken_out(opened)} synthetic instances deleted.")
            return
        if not yes and has_others(opened):
            raise ConfigurationError(OTHERS)
        report = fill(opened)
    typer.echo(importing.summary(report) if report.results else "All of it is stored already.")
    if not importing.exit_code(report):
        typer.echo(f"\nWhile the archive runs (`archive serve`): {address(settings)}/")
    raise typer.Exit(importing.exit_code(report))


def fill(archive: Archive) -> importing.Report:
    """Store what is not there yet, with a progress bar on stderr."""
    here = stored(archive)
    missing = [one for one in planned(_day(archive, here)) if one.SOPInstanceUID not in here]
    return importing.run(archive.ingest, Gathered([_file(one) for one in missing]))


def taken_out(archive: Archive) -> int:
    """Delete what of it is stored, with a progress bar on stderr; how many instances that were."""
    here = stored(archive).values()
    with progress.bar() as bar:
        for one in bar.track(list(here), description="Deleting"):
            of = ((one.StudyInstanceUID,), (one.SeriesInstanceUID,), (one.SOPInstanceUID,))
            archive.deletion.delete(Scope(*of))
    return len(here)


def stored(archive: Archive) -> Mapping[str, StoredInstance]:
    """What of it is stored, by SOP Instance UID."""
    studies = tuple(study.StudyInstanceUID for study in STUDIES)
    ours = {one.SOPInstanceUID for one in planned(date.today())}
    found = archive.retrieve.instances(Scope(studies))
    return {one.SOPInstanceUID: one for one in found if one.SOPInstanceUID in ours}


def has_others(archive: Archive) -> bool:
    """Whether there are studies that are not of the demonstration."""
    ours = {one.StudyInstanceUID for one in stored(archive).values()}
    return archive.search.count(Query(Level.STUDY)) > len(ours)


def address(settings: Settings) -> str:
    """Where HTTP is, for the person who asks."""
    return settings.http.public_url.rstrip("/") or f"http://{settings.http.listen}"


def _file(one: Planned) -> File:
    return File(Path("demo", one.SOPInstanceUID), lambda: BytesIO(one.file()))


def _day(archive: Archive, here: Mapping[str, StoredInstance]) -> date:
    """The day as of which it is made: where a part of it is stored, that of this part."""
    days_ago = {study.StudyInstanceUID: study.days_ago for study in STUDIES}
    for instance in here.values():
        written = archive.retrieve.attributes(instance)["00080020"]["Value"][0]
        return date.fromisoformat(written) + timedelta(days=days_ago[instance.StudyInstanceUID])
    return date.today()
