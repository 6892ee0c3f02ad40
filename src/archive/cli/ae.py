"""`archive ae …`: the AE titles that are let in and may be sent to. In effect at once in a running server."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.remote import echo_scu
from archive.remote.peer import Peer
from archive.security.ae_titles import AETitle
from archive.settings import Address

app = typer.Typer(no_args_is_help=True, help="AE titles that are let in and may be sent to.")

Name = Annotated[str, typer.Argument(help="AE title.", show_default=False)]


@app.command()
def add(
    name: Name,
    host: Annotated[str, typer.Argument(help="Host name or address.", show_default=False)],
    port: Annotated[int, typer.Argument(help="DICOM port.", min=1, max=65535, show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make an AE title known, or change its address."""
    with opening.archive(opening.settings(config_file, data=data), make=True) as archive:
        entry = archive.ae_titles.add(name, host, port)
    typer.echo(f"{_at(entry)} is known.")


@app.command("list")
def show(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show all known AE titles."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        entries = archive.ae_titles.all()
    tables.show(
        ["AE title", "Host", "Port"], [[entry.title, entry.host, str(entry.port)] for entry in entries]
    )


@app.command()
def remove(name: Name, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Forget an AE title."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        known = archive.ae_titles.remove(name)
    if not known:
        typer.echo(f"archive: {name} is not known; see `archive ae list`", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name} is forgotten.")


@app.command()
def echo(name: Name, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Ask a known AE title whether it is there (C-ECHO)."""
    settings = opening.settings(config_file, data=data)
    with opening.archive(settings) as archive:
        entry = archive.ae_titles.destination(name)
    peer = Peer(
        entry.host,
        entry.port,
        called_ae_title=entry.title,
        calling_ae_title=settings.dimse.ae_title,
        connect_deadline=settings.dimse.connect_deadline,
        response_deadline=settings.dimse.response_deadline,
        pdu_deadline=settings.dimse.pdu_deadline,
    )
    began = time.monotonic()
    outcome = echo_scu.echo(peer)
    if not outcome.ok:
        typer.echo(f"archive: {_at(entry)}: {outcome.step.value}: {outcome.reason}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{_at(entry)} answers, in {(time.monotonic() - began) * 1000:.0f} ms.")


@app.command()
def refused(
    config_file: ConfigOption = None,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
) -> None:
    """Show the last associations that were refused, and why."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        kept = archive.refusals.associations(limit)
    rows = [
        [tables.when(one.time), str(one.times), e.calling, e.called, e.address, e.reason, e.remedy]
        for one in kept
        for e in (one.refused,)
    ]
    tables.show(["Last", "Times", "Calling", "Called", "From", "Why", "What lets it in"], rows)


def _at(entry: AETitle) -> str:
    return f"{entry.title} at {Address(entry.host, entry.port)}"
