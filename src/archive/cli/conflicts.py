"""`archive conflicts …`: objects whose identifiers are taken, and deciding what becomes of them."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.security.actor import operator
from archive.services.conflicts import WAITING, Conflict, Decision

app = typer.Typer(
    invoke_without_command=True, help="Objects whose identifiers are taken: show them, and decide about them."
)

MOST_OF_A_STUDY = 100_000
_SETTLED_BY = "command line"
_LONGEST_VALUE = 60

Numbers = Annotated[
    list[int] | None, typer.Argument(help="Numbers, as `list` shows them.", show_default=False)
]
Study = Annotated[
    str, typer.Option("--study", metavar="UID", help="All that is open in this study.", show_default=False)
]
Limit = Annotated[int, typer.Option(help="How many.", min=1)]


@app.callback()
def first(context: typer.Context, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Objects whose identifiers are taken: show them, and decide about them."""
    opening.without_command(context, show, config_file, data)


@app.command("list")
def show(
    config_file: ConfigOption = None,
    data: DataOption = None,
    limit: Limit = 20,
    study: Annotated[str, typer.Option("--study", metavar="UID", help="Only of this study.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also what is decided.")] = False,
) -> None:
    """Show the last ones. What is open is kept aside here; what was refused is with its sender."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.conflicts.last(limit, () if everything else WAITING, study)
    headings = ["Number", "State", "Last", "Times", "SOP Instance UID", "Door", "Calling", "From", "Why"]
    tables.show(headings, [_row(one) for one in found])


@app.command()
def differences(
    number: Annotated[int, typer.Argument(help="Number.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show in what a copy differs from what is stored. This names patients."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.conflicts.differences(number)
    rows = [
        [f"({one.tag[:4]},{one.tag[4:]})", one.keyword, _text(one.stored), _text(one.copy)] for one in found
    ]
    tables.show(["Tag", "Keyword", "Stored", "Kept aside"], rows)


@app.command()
def accept(
    numbers: Numbers = None, study: Study = "", config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Let copies take the place of what is stored; that is kept aside instead, for a while."""
    _decide(Decision.ACCEPT, numbers, study, config_file, data)


@app.command()
def keep(
    numbers: Numbers = None, study: Study = "", config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Leave what is stored as it is; the copies go after a while (storage.copies_days)."""
    _decide(Decision.KEEP, numbers, study, config_file, data)


@app.command()
def drop(
    numbers: Numbers = None, study: Study = "", config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Leave what is stored as it is, and delete the copies now. Of what was refused, only the record goes."""
    _decide(Decision.DROP, numbers, study, config_file, data)


def _decide(decision: Decision, numbers: list[int] | None, study: str, config_file: Any, data: Any) -> None:
    """Ends with 1 where something could not be decided so; the rest is."""
    if not numbers and not study:
        raise typer.BadParameter("name conflicts by their numbers, or a study with --study")
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.conflicts.open_in(study, MOST_OF_A_STUDY) if study else []
        wanted = [*(numbers or ()), *found]
        decided, failed = opened.conflicts.decide_all(wanted, decision, _SETTLED_BY, operator())
    for number, reason in failed.items():
        typer.echo(f"archive: conflict {number}: {reason}", err=True)
    typer.echo(f"{len(decided)} decided, {len(failed)} not.")
    raise typer.Exit(1 if failed else 0)


def _row(one: Conflict) -> list[str]:
    when = tables.when(one.last_at)
    sender = [one.door, one.calling_ae_title, one.address]
    return [str(one.id), one.state, when, str(one.times), one.SOPInstanceUID, *sender, one.reason]


def _text(side: Any) -> str:
    """The values of one side, cut to what a line bears."""
    if side is None:
        return ""
    values = side.get("Value", [value for name, value in side.items() if name != "vr"])
    text = "\\".join(value if isinstance(value, str) else orjson.dumps(value).decode() for value in values)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
