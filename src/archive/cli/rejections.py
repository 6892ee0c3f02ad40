"""`archive rejections …`: rejection notes that have come, what they hide, and taking them back."""

from __future__ import annotations

from typing import Annotated

import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.rejection_notes import MEANINGS, Reason
from archive.services.rejections import Fate, Rejection, State

app = typer.Typer(
    invoke_without_command=True, help="Rejection notes: show what they hide, and take them back."
)

_BY = "command line"

Number = Annotated[int, typer.Argument(help="Number, as `list` shows it.", show_default=False)]
Instance = Annotated[
    str,
    typer.Option("--instance", metavar="UID", help="Only this instance of the note.", show_default=False),
]
Limit = Annotated[int, typer.Option(help="How many.", min=1)]


@app.callback()
def first(context: typer.Context, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Rejection notes: show what they hide, and take them back."""
    opening.without_command(context, show_all, config_file, data)


@app.command("list")
def show_all(
    config_file: ConfigOption = None,
    data: DataOption = None,
    limit: Limit = 20,
    study: Annotated[str, typer.Option("--study", metavar="UID", help="Only about this study.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also what was taken back.")] = False,
) -> None:
    """Show the last notes, and how many instances they hide."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.rejections.last(limit, () if everything else (State.ACTIVE,), study)
    headings = ["Number", "State", "Came", "Reason", *Fate, "Study Instance UID", "Door", "Calling", "From"]
    tables.show(headings, [_row(one, counts) for one, counts in found])


@app.command()
def show(
    number: Number, config_file: ConfigOption = None, data: DataOption = None, limit: Limit = 1000
) -> None:
    """Show what a note refers to, and what has become of it."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.rejections.references(number, limit)
    rows = [[one.fate, one.SOPInstanceUID, one.SeriesInstanceUID, one.StudyInstanceUID] for one in found]
    tables.show(["Fate", "SOP Instance UID", "Series Instance UID", "Study Instance UID"], rows)


@app.command()
def restore(
    number: Number, instance: Instance = "", config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Take a note back: what it hides is stored again, unless another note rejects it too.

    Ends with 1 where something could not be brought back; the rest is."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        done = opened.rejections.restore(number, _BY, instance)
    for uid, reason in done.failed.items():
        typer.echo(f"archive: {uid}: {reason}", err=True)
    typer.echo(f"{done.number} restored, {len(done.failed)} not.")
    raise typer.Exit(1 if done.failed else 0)


@app.command()
def drop(
    number: Number, instance: Instance = "", config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Delete the bytes that are held for a note, for good. What it rejects stays rejected."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        dropped = opened.rejections.drop(number, _BY, instance)
    typer.echo(f"{dropped} dropped.")


def _row(one: Rejection, counts: dict[str, int]) -> list[str]:
    numbers = [str(counts.get(fate, 0)) for fate in Fate]
    source, study = one.note.source, one.note.stored.StudyInstanceUID
    sender = [source.door, source.calling_ae_title, source.address]
    return [
        str(one.id),
        one.state,
        tables.when(one.came_at),
        MEANINGS[Reason(one.reason)],
        *numbers,
        study,
        *sender,
    ]
