"""`archive ae …`: the AE titles that are let in and may be sent to, and their rules. In effect at once in a running
server."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from archive.bootstrap.building import Archive
from archive.cli import opening, tables
from archive.cli.ae_options import NO_CHANGES, Changes, described, differing, ruled
from archive.cli.opening import ConfigOption, DataOption
from archive.remote import echo_scu
from archive.remote.peer import peer_of
from archive.security.actor import operator
from archive.security.ae_titles import AETitle
from archive.security.rules import DEFAULT_RULES
from archive.settings.values import Address

app = typer.Typer(no_args_is_help=True, help="AE titles that are let in and may be sent to.")

Name = Annotated[str, typer.Argument(help="AE title.", show_default=False)]


@app.command()
@ruled
def add(
    name: Name,
    host: Annotated[str, typer.Argument(help="Host name or address.", show_default=False)],
    port: Annotated[int, typer.Argument(help="DICOM port.", min=1, max=65535, show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
    changes: Changes = NO_CHANGES,
) -> None:
    """Make an AE title known, or change its address; its rules stay but for those that are named."""
    with opening.archive(opening.settings(config_file, data=data), make=True) as archive:
        known = archive.ae_titles.get(name)
        rules = changes.applied(known.rules if known else DEFAULT_RULES)
        entry = archive.ae_titles.add(name, host, port, rules, by=operator())
        _warn(archive, entry)
    typer.echo(f"{_at(entry)} is known.")


@app.command("set")
@ruled
def change(
    name: Name,
    config_file: ConfigOption = None,
    data: DataOption = None,
    host: Annotated[str | None, typer.Option(help="Host name or address.")] = None,
    port: Annotated[int | None, typer.Option(help="DICOM port.", min=1, max=65535)] = None,
    changes: Changes = NO_CHANGES,
) -> None:
    """Change the rules of a known AE title, or its address."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        known = _known(archive, name)
        rules = changes.applied(known.rules)
        entry = archive.ae_titles.add(
            known.title, host or known.host, port or known.port, rules, by=operator()
        )
        _warn(archive, entry)
    typer.echo(f"{_at(entry)} is changed.")


@app.command()
def show(name: Name, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show an AE title with all its rules."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        entry = _known(archive, name)
    rows = [("host", entry.host), ("port", str(entry.port)), *described(entry.rules)]
    tables.show([entry.title, ""], [list(row) for row in rows])


@app.command("list")
def list_titles(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show all known AE titles, and which rules each has of its own."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        entries = archive.ae_titles.all()
    rows = [[one.title, one.host, str(one.port), ", ".join(differing(one.rules))] for one in entries]
    tables.show(["AE title", "Host", "Port", "Rules"], rows)


@app.command()
def remove(name: Name, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Forget an AE title."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        if not archive.ae_titles.remove(name, by=operator()):
            raise _unknown(name)
    typer.echo(f"{name} is forgotten.")


@app.command()
def echo(name: Name, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Ask a known AE title whether it is there (C-ECHO), over TLS if it has that rule; where it fails, say at which
    step."""
    settings = opening.settings(config_file, data=data)
    with opening.archive(settings) as archive:
        entry = _known(archive, name)
    began = time.monotonic()
    outcome = echo_scu.echo(peer_of(entry, settings))
    if not outcome.ok:
        typer.echo(f"archive: {_at(entry)}: {outcome.step.value}: {outcome.reason}", err=True)
        raise typer.Exit(1)
    how = " over TLS" if entry.rules.tls else ""
    typer.echo(f"{_at(entry)} answers{how}, in {(time.monotonic() - began) * 1000:.0f} ms.")


@app.command()
def refused(
    config_file: ConfigOption = None,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
) -> None:
    """Show the last associations that were refused, why, and what would let them in. See `archive refusals` for
    objects."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        kept = archive.refusals.associations(limit)
    rows = [
        [tables.when(one.time), str(one.times), e.calling, e.called, e.address, e.reason, e.remedy]
        for one in kept
        for e in (one.refused,)
    ]
    tables.show(["Last", "Times", "Calling", "Called", "From", "Why", "What lets it in"], rows)


def _known(archive: Archive, name: str) -> AETitle:
    entry = archive.ae_titles.get(name)
    if entry is None:
        raise _unknown(name)
    return entry


def _unknown(name: str) -> typer.Exit:
    typer.echo(
        f"archive: {name} is not known: see `archive ae list`, or make it known with `archive ae add`",
        err=True,
    )
    return typer.Exit(1)


def _warn(archive: Archive, entry: AETitle) -> None:
    """Of what will keep it out although it is no mistake of the entry."""
    tokens = archive.settings.tokens
    if entry.rules.identity == "token" and not (tokens.issuer and tokens.audience):
        typer.echo("archive: no token is accepted before [tokens] is set in the settings", err=True)
    if (entry.rules.require_tls or entry.rules.certificate) and not archive.settings.tls.listen:
        typer.echo("archive: nobody can call over TLS before [tls] is set in the settings", err=True)


def _at(entry: AETitle) -> str:
    return f"{entry.title} at {Address(entry.host, entry.port)}"
