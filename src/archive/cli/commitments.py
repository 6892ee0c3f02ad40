"""`archive commitments …` and `archive notifications …`: what others were told, and what they could not be told."""

from __future__ import annotations

from typing import Annotated

import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.services.notifications import Notification
from archive.services.reports import Progress, Report

app = typer.Typer(
    invoke_without_command=True,
    help="Storage commitment asked for by DIMSE, and who was told what came of it.",
)
notifications_app = typer.Typer(
    invoke_without_command=True, help="Studies that AE titles with `notify` are told of as available."
)

_REASONS = {
    0: "kept",
    0x0110: "its bytes are not as they came in, or cannot be read",
    0x0112: "not stored",
    0x0119: "stored as another SOP class",
    0x0213: "the store could not be read then",
}
"""Of PS3.3 C.14.1.1, in the words of what we found."""

Limit = Annotated[int, typer.Option(help="How many.", min=1)]
Transaction = Annotated[str, typer.Argument(help="Transaction UID.", show_default=False)]
State = Annotated[
    Progress | None, typer.Option("--state", help="Only those that have come so far.", show_default=False)
]


@app.callback()
def first(context: typer.Context, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Storage commitment asked for by DIMSE, and who was told what came of it."""
    opening.without_command(context, show, config_file, data)


@app.command("list")
def show(
    config_file: ConfigOption = None, data: DataOption = None, limit: Limit = 20, state: State = None
) -> None:
    """Show the last requests. A result that could not be told is tried again for dimse.report_days."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.reports.newest(limit, state)
    headings = [
        "Asked",
        "By",
        "From",
        "Instances",
        "Not kept",
        "Result",
        "Attempts",
        "Why not",
        "Transaction UID",
    ]
    tables.show(headings, [_report(one) for one in found])


@app.command()
def items(transaction_uid: Transaction, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show what was found of each instance of a request."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        verdicts = opened.commitment.result(transaction_uid)
    if verdicts is None:
        typer.echo("archive: this request is still worked on", err=True)
        raise typer.Exit(1)
    rows = [[one.reference.SOPInstanceUID, _REASONS.get(one.failure_reason, "")] for one in verdicts]
    tables.show(["SOP Instance UID", "Found"], rows)


@app.command()
def again(transaction_uid: Transaction, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Check a request anew and tell the result once more, for as long as is tried at first."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        report = opened.reports.again(transaction_uid)
    typer.echo(f"{report.calling_ae_title} will be told by the running archive.")


@notifications_app.callback()
def first_notification(
    context: typer.Context, config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Studies that AE titles with `notify` are told of as available."""
    opening.without_command(context, show_notifications, config_file, data)


@notifications_app.command("list")
def show_notifications(
    config_file: ConfigOption = None, data: DataOption = None, limit: Limit = 20, state: State = None
) -> None:
    """Show the last ones. What could not be told is tried again for dimse.report_days."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.notifications.newest(limit, state)
    headings = ["Number", "Last", "To", "State", "Attempts", "Why not", "Study Instance UID"]
    tables.show(headings, [_notification(one) for one in found])


@notifications_app.command("again")
def notify_again(
    number: Annotated[int, typer.Argument(help="Number, as `list` shows it.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Tell of a study once more, as it is now."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.notifications.again(number)
    typer.echo(f"{found.ae_title} will be told by the running archive.")


def _report(one: Report) -> list[str]:
    return [
        tables.when(one.requested_at),
        one.calling_ae_title,
        one.address,
        str(one.number_of_items),
        str(one.failed) if one.finished else "",
        one.progress.value if one.finished else f"{one.checked} checked",
        str(one.attempts),
        one.reason,
        one.TransactionUID,
    ]


def _notification(one: Notification) -> list[str]:
    return [
        str(one.id),
        tables.when(one.last_at),
        one.ae_title,
        one.progress.value,
        str(one.attempts),
        one.reason,
        one.StudyInstanceUID,
    ]
