"""What most commands begin with: settings from the options, and the archive from the settings."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from archive import config
from archive.bootstrap.building import Archive, build
from archive.bootstrap.preparing import prepare
from archive.dicom.errors import ConfigurationError
from archive.settings.whole import Settings
from archive.supervisor import ground, logs

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (see conf/archive.toml).")]
DataOption = Annotated[str | None, typer.Option("--data", help="Data folder; ./data by default.")]


def settings(config_file: Path | None, **options: Any) -> Settings:
    """The settings in effect. Options are named by their path, with `__` for the dot.

    Raises ConfigurationError."""
    overrides = {name.replace("__", "."): value for name, value in options.items()}
    return config.load(config_file, overrides=overrides)


def begin(chosen: Settings, *, make: bool = False) -> None:
    """What comes before everything else. Raises ConfigurationError."""
    if not make and not chosen.data.is_dir():
        raise ConfigurationError(f"no archive in {chosen.data}: name its data folder with --data")
    logs.configure("warning", "cli", sys.stderr)
    ground.make_data_folder(chosen.data)


@contextlib.contextmanager
def archive(chosen: Settings, *, make: bool = False) -> Iterator[Archive]:
    """The archive in this process, beside a running server or without one.

    Only with `make` is a data folder made that is not there: else a wrong --data would look like an empty archive.
    Raises ConfigurationError, OutOfResources."""
    begin(chosen, make=make)
    prepare(chosen)
    opened = build(chosen)
    try:
        yield opened
    finally:
        opened.close()


def without_command(
    context: typer.Context,
    show: Callable[[Path | None, str | None], None],
    config_file: Path | None,
    data: str | None,
) -> None:
    """What a group of commands does when none is named. Options in front of a command would not reach it."""
    if context.invoked_subcommand is None:
        show(config_file, data)
    elif config_file or data:
        raise typer.BadParameter("--config and --data come behind the command")
