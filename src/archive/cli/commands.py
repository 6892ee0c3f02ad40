"""The tree of commands, and what an error becomes: one line on stderr and an exit code."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from archive import config
from archive.cli import (
    ae,
    audit,
    backup,
    commitments,
    conflicts,
    deletions,
    export,
    import_files,
    opening,
    patients,
    refusals,
    reindex,
    rejections,
    shares,
    users,
    verify,
    viewer,
    workitems,
    worklist,
)
from archive.cli.demo import command as demonstration
from archive.cli.opening import ConfigOption, DataOption
from archive.config import KEYS
from archive.dicom.errors import ArchiveError, ConfigurationError
from archive.security import tls
from archive.settings.whole import Settings
from archive.supervisor.serve import serve as run_supervisor

FAILED = 1
MISCONFIGURED = 2

# Without pretty exceptions: those print local variables, and a local variable may be a patient.
app = typer.Typer(name="archive", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
config_app = typer.Typer(no_args_is_help=True, help="The settings.")
app.add_typer(ae.app, name="ae")
app.add_typer(audit.app, name="audit")
app.add_typer(conflicts.app, name="conflicts")
app.add_typer(deletions.delete_app, name="delete")
app.add_typer(deletions.app, name="deletions")
app.add_typer(deletions.hold_app, name="hold")
app.add_typer(rejections.app, name="rejections")
app.add_typer(patients.app, name="patients")
app.add_typer(commitments.app, name="commitments")
app.add_typer(commitments.notifications_app, name="notifications")
app.add_typer(worklist.app, name="worklist")
app.add_typer(workitems.app, name="workitems")
app.add_typer(viewer.app, name="viewer")
app.add_typer(users.app, name="user")
app.add_typer(users.tokens_app, name="token")
app.add_typer(shares.app, name="share")
app.add_typer(config_app, name="config")
app.command()(refusals.refusals)
app.command()(reindex.reindex)
app.command()(backup.backup)
app.command()(backup.restore)
app.command("import")(import_files.import_files)
app.command()(export.export)
app.command()(verify.verify)
app.command()(demonstration.demo)


def main() -> None:
    """Run the command in sys.argv."""
    try:
        app()
    except ConfigurationError as error:
        _end(error.reason, MISCONFIGURED)
    except ArchiveError as error:
        _end(error.reason, FAILED)


def _end(reason: str, code: int) -> None:
    sys.stderr.write(f"archive: {' '.join(reason.split())}\n")
    sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"archive {version('dicom-archive')}")
        raise typer.Exit


@app.callback()
def archive(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """A DICOM archive: DIMSE and DICOMweb over one store of bytes and one index."""


@app.command()
def serve(
    config_file: ConfigOption = None,
    data: DataOption = None,
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where HTTP listens.")] = None,
    dimse: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where DIMSE listens.")] = None,
    workers: Annotated[int | None, typer.Option(help="Workers for DIMSE, and as many for HTTP.")] = None,
) -> None:
    """Run the archive until Ctrl-C or SIGTERM."""
    options = {"data": data, "http__listen": http, "dimse__listen": dimse, "workers": workers}
    raise typer.Exit(run_supervisor(opening.settings(config_file, **options)))


@config_app.command("check")
def check(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Read the settings, and the certificates, as `serve` would, and show what is in effect."""
    settings = opening.settings(config_file, data=data)
    if settings.tls.listen:
        tls.server(settings.tls)
    typer.echo(in_effect(settings))


def in_effect(settings: Settings) -> str:
    """Every setting with its value, one a line; the password of the index stays hidden."""
    lines = [f"{key.path} = {config.value_of(settings, key)}" for key in KEYS.values()]
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", "\n".join(lines))
