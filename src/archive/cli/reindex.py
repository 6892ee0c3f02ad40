"""`archive reindex`: the index made again from the files, and a report of what that brought to light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from archive.bootstrap.upkeep import reindexing
from archive.cli import opening, progress
from archive.cli.opening import ConfigOption, DataOption
from archive.services.reindexing import Report
from archive.supervisor import ground

ONLY_IN_THE_INDEX = (
    "What only the index knew is not there: AE titles and their rules, the worklist and workitems, MPPS, commitments, "
    "refusals, what was refused or deleted, who sent each object by which door, and by which digest a re-send of a "
    "coerced or compressed object is recognised. The settings seed AE titles again."
)


def reindex(
    config_file: ConfigOption = None,
    data: DataOption = None,
    from_files: Annotated[
        bool, typer.Option("--from-files", help="Take nothing over from the index that is there.")
    ] = False,
) -> None:
    """Make the index again from the files; what they do not say is taken over from the former one.

    The archive must not run. Interrupted, it goes on where it was. Ends with 1 if something is not as it was."""
    settings = opening.settings(config_file, data=data)
    opening.begin(settings)
    with (
        ground.sole_supervisor(settings),
        reindexing(settings, from_files=from_files) as work,
        progress.bar() as bar,
    ):
        task = bar.add_task("Planning", total=None)
        bar.update(task, total=work.prepare(), description="Reindexing")
        report = work.run(lambda done: bar.advance(task, done))
    typer.echo(summary(report))
    raise typer.Exit(0 if report.is_whole else 1)


def summary(report: Report) -> str:
    """What became of the blobs, and the next step for each that is not as it was."""
    lines = [f"{'Entered':<14}{report.entered:>8}", f"{'Kept aside':<14}{report.held:>8}  as before"]
    if report.in_doubt:
        lines += [
            f"{'In doubt':<14}{report.in_doubt:>8}  something else has their place: `archive conflicts list` shows them"
        ]
    if report.number_aside:
        lines += [
            f"{'Quarantined':<14}{report.number_aside:>8}  see the folder `quarantine` in the data folder"
        ]
        lines += [f"  {key}: {reason}" for key, reason in report.aside]
    if report.unread:
        lines += ["Could not be read now; they are in their places: mend the disk, and reindex again"]
        lines += [f"  {key}: {reason}" for key, reason in report.unread]
    if report.number_missing:
        lines += [
            f"{'Missing':<14}{report.number_missing:>8}  instances without a file: restore them from a backup"
        ]
        lines += [f"  {uid}" for uid in report.missing]
    if report.lost:
        lines += ["", *_lost(report.lost)]
    return "\n".join([*lines, *_former(report.former)])


def _lost(tables: Sequence[str]) -> list[str]:
    if "*" in tables:
        return [ONLY_IN_THE_INDEX]
    return [f"Not taken over from the former index, which is damaged there: {', '.join(tables)}"]


def _former(kept: str) -> list[str]:
    if not kept:
        return []
    return ["", f"The former index is kept as {kept}; remove it when you do not need it any more."]
