"""`archive share …`: links to studies for people without an account. In effect at once in a running server."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.deidentifying.actions import OPTIONS, Options
from archive.dicom.errors import InvalidEntry
from archive.security.actor import operator
from archive.security.shares import Share, Wanted
from archive.services.deidentifying import LeftOut
from archive.settings.whole import Settings

app = typer.Typer(no_args_is_help=True, help="Links to studies, for people without an account.")

Number = Annotated[int, typer.Argument(help="As `archive share list` shows it.", show_default=False)]


@app.command()
def add(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY…", help="Study Instance UIDs.", show_default=False)
    ],
    recipient: Annotated[str, typer.Option("--for", help="Who gets the link.", show_default=False)],
    purpose: Annotated[str, typer.Option(help="Why.")] = "",
    days: Annotated[float, typer.Option(help="Days until it ends.", min=0.001)] = 7,
    uses: Annotated[int, typer.Option(help="How often it opens; 0: as often as one likes.", min=0)] = 0,
    download: Annotated[bool, typer.Option("--download", help="Objects may be downloaded as well.")] = False,
    passcode: Annotated[bool, typer.Option("--passcode", help="Ask for a passcode.")] = False,
    passcode_stdin: Annotated[
        bool, typer.Option("--passcode-stdin", help="The passcode is a line of standard input.")
    ] = False,
    attempts: Annotated[int, typer.Option(help="Wrong passcodes until it locks.", min=1)] = 10,
    deidentified: Annotated[
        bool, typer.Option("--deidentified", help="Show a copy that does not say whose the studies are.")
    ] = False,
    retain: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What that copy keeps: {', '.join(OPTIONS)}; any number of times.", show_default=False
        ),
    ] = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a link, and show it: this once, as only its digest is kept."""
    code = _passcode(from_stdin=passcode_stdin) if passcode or passcode_stdin else ""
    if retain and not deidentified:
        raise InvalidEntry("--retain goes with --deidentified")
    how = Options.named(retain or ()) if deidentified else None
    wanted = Wanted(tuple(studies), recipient, purpose, days, code, attempts, uses, download, how)
    settings, who = opening.settings(config_file, data=data), operator()
    with opening.archive(settings) as archive:
        secret, made = archive.shares.make(who, f"command line: {who.user}", wanted, archive.retrieve, _tell)
    typer.echo(f"{_base(settings)}/share/{secret}")
    typer.echo(f"Share {made.id}, until {tables.when(made.expires_at)}.", err=True)


@app.command("list")
def list_shares(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show all links, the newest first."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.shares.listed()
    headings = ["Number", "State", "For", "Purpose", "Made by", "Until", "Uses", "Studies", "Allows"]
    tables.show(headings, [_row(one) for one in found])


@app.command()
def revoke(number: Number, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Take a link back: it ends at once, for who has it open as well."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        archive.shares.revoke(operator(), number)
    typer.echo(f"Share {number} has ended.")


@app.command()
def uses(number: Number, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show when a link was opened, and from where."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        one = archive.shares.get(number)
        found = archive.shares.uses(one.id)
    tables.show(["When", "What", "From"], [[tables.when(u.time), u.what.value, u.address] for u in found])


def _tell(left: LeftOut) -> None:
    text = f"Left out: {left.objects} of series {left.SeriesInstanceUID} ({left.Modality}): {left.reason}"
    typer.echo(text, err=True)


def _row(one: Share) -> list[str]:
    used = f"{one.uses} of {one.most_uses}" if one.most_uses else str(one.uses)
    allows = ("download" if one.may_download else "view") + (", de-identified" if one.deidentified else "")
    told = [str(one.id), one.state(time.time()).value, one.recipient, one.purpose, one.made_by]
    return [*told, tables.when(one.expires_at), used, " ".join(one.studies), allows]


def _passcode(*, from_stdin: bool) -> str:
    if from_stdin:
        asked = sys.stdin.readline().rstrip("\r\n")
    else:
        asked = typer.prompt("Passcode", hide_input=True, confirmation_prompt=True, err=True)
    if not asked:
        raise InvalidEntry("passcode: it is empty")
    return asked


def _base(settings: Settings) -> str:
    """Where people reach the archive."""
    return settings.http.public_url.rstrip("/").removesuffix("/dicom-web") or f"http://{settings.http.listen}"
