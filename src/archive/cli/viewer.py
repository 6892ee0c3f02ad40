"""`archive viewer …`: OHIF for /viewer, fetched once and checked. A running server shows it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from archive.bootstrap.building import viewer
from archive.cli import opening
from archive.cli.opening import ConfigOption, DataOption
from archive.services.viewer import VERSION, Installed, Viewer

app = typer.Typer(no_args_is_help=True, help="The OHIF viewer at /viewer: install it, look, remove it.")

Version = Annotated[str, typer.Option("--version", help="Of @ohif/app.")]
Registry = Annotated[
    str,
    typer.Option("--registry", metavar="URL", help="npm registry; that of the settings.", show_default=False),
]
TarFile = Annotated[
    Path | None,
    typer.Option(
        "--file", help="Package from `npm pack`, where no registry can be reached.", show_default=False
    ),
]


@app.command()
def install(
    version: Version = VERSION,
    registry: Registry = "",
    file: TarFile = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Fetch OHIF (50 MB), check that it is what its makers published, and put it in place."""
    settings = opening.settings(config_file, data=data)
    if not settings.viewer.folder:
        opening.begin(settings, make=True)
    chosen = viewer(settings)
    if file is not None:
        found = chosen.take(file, version)
    else:
        found = _fetched(chosen, registry or settings.viewer.registry, version)
    _show(found)


@app.command()
def status(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Say which viewer is installed. Ends with 1 where none is, and /viewer shows the built-in one."""
    found = viewer(opening.settings(config_file, data=data)).installed()
    if found is None:
        typer.echo("Not installed: /viewer shows the built-in viewer. archive viewer install fetches OHIF.")
        raise typer.Exit(1)
    _show(found)


@app.command()
def remove(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Remove it; /viewer shows the built-in viewer again."""
    gone = viewer(opening.settings(config_file, data=data)).remove()
    typer.echo("Removed." if gone else "Nothing was installed.")


def _fetched(chosen: Viewer, registry: str, version: str) -> Installed:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Fetching OHIF", total=None)
        return chosen.fetch(
            registry, version, lambda came, length: bar.update(task, completed=came, total=length or None)
        )


def _show(found: Installed) -> None:
    size = sum(one.length + one.compressed_length for one in found.files.values())
    typer.echo(f"OHIF {found.about.version}, {len(found.files)} files, {size >> 20} MB in {found.folder}")
