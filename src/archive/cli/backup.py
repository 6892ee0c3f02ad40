"""`archive backup` and `archive restore`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from archive.bootstrap.upkeep import backing_up, restoring
from archive.cli import opening, progress
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.errors import ConfigurationError
from archive.services import backing_up as backups
from archive.services import restoring as restores
from archive.supervisor import ground

MEGABYTE = 1_000_000

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where backups are kept, on another disk.")]


def backup(
    folder: Folder,
    config_file: ConfigOption = None,
    data: DataOption = None,
    rate: Annotated[
        float, typer.Option(help="Megabytes a second that are read at most; 0: no limit.", min=0)
    ] = 0,
    check: Annotated[
        bool, typer.Option("--check", help="Read what earlier backups have copied, and mend it.")
    ] = False,
) -> None:
    """Copy index and objects into a folder, also while the archive runs; what is there is not copied again.

    Ends with 1 if an object of the archive is missing or damaged. `sha256sum --check` reads the lists in it."""
    settings = opening.settings(config_file, data=data)
    if folder.resolve().is_relative_to(settings.data.resolve()):
        raise ConfigurationError("the folder lies in the data folder: name one on another disk")
    with opening.archive(settings) as archive, progress.bar() as bar:
        work = backing_up(archive, folder, bytes_per_second=rate * MEGABYTE, check=check)
        report = work.run(_shown(bar))
    typer.echo(backed_up(report))
    raise typer.Exit(0 if report.is_whole else 1)


def restore(
    folder: Folder,
    config_file: ConfigOption = None,
    data: DataOption = None,
    moment: Annotated[
        str, typer.Option("--backup", help="Which backup; the last one by default.", metavar="MOMENT")
    ] = "",
) -> None:
    """Put a backup into an empty data folder, and compare every file with its digest.

    With index.url the rows go into that database, which must be empty. Ends with 1 if a file of the backup is
    damaged."""
    settings = opening.settings(config_file, data=data)
    ground.make_data_folder(settings.data)
    with progress.bar() as bar, restoring(settings, folder, moment) as work:
        report = work.run(_shown(bar))
    typer.echo(restored(report))
    raise typer.Exit(1 if report.damaged else 0)


def backed_up(report: backups.Report) -> str:
    """What a backup holds, and what of the archive is not in it as it was."""
    lines = [
        f"{'Objects':<14}{report.blobs:>8}",
        f"{'Copied':<14}{report.copied:>8}  {report.copied_bytes} bytes",
    ]
    if report.mended:
        lines += [f"{'Mended':<14}{report.mended:>8}  they were damaged in the backup folder"]
    for name, keys in (("Missing", report.missing), ("Damaged", report.damaged)):
        if keys:
            lines += [
                f"{name:<14}{len(keys):>8}  in the archive: `archive verify` says which objects these are"
            ]
            lines += [f"  {key}" for key in keys[: backups.NAMED]]
    return "\n".join([*lines, "", f"The backup is {report.path}."])


def restored(report: restores.Report) -> str:
    """What was restored."""
    equal = "; all digests equal" if not (report.damaged or report.missing or report.damaged_before) else ""
    lines = [f"{'Restored':<14}{report.blobs:>8}  from the backup of {report.moment}{equal}"]
    if report.damaged:
        lines += [
            f"{'Damaged':<14}{len(report.damaged):>8}  in the backup: not restored. `archive verify` "
            "names the objects: `archive import` them from their sender or another backup folder"
        ]
        lines += [f"  {key}" for key in report.damaged[: backups.NAMED]]
    if report.missing:
        lines += [f"{'Missing':<14}{report.missing:>8}  already when the backup was made"]
    if report.damaged_before:
        lines += [
            f"{'Damaged before':<14}{report.damaged_before:>8}  when the backup was made: `archive verify` names them"
        ]
    return "\n".join(lines)


def _shown(bar: Progress) -> Callable[[str, int, int], None]:
    tasks = {}

    def told(what: str, done: int, number: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=number)
        bar.update(tasks[what], completed=done, total=number)

    return told
