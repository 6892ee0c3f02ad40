"""`archive workitems …`: look at workitems and at who is told of them, and put right what its owner has left behind.

In effect at once in a running server. What is shown names patients.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.errors import InvalidValue, NotFound
from archive.dicom.workitems import attributes as table
from archive.dicom.workitems.rules import STATES
from archive.dicom.worklist import keyword_form
from archive.dicom.worklist.entries import text
from archive.services.workitem_events import Receiver
from archive.services.workitems import GLOBAL, Workitem

app = typer.Typer(
    no_args_is_help=True, help="Workitems (Unified Procedure Steps), and who is told what becomes of them."
)

Uid = Annotated[str, typer.Argument(help="SOP Instance UID of the workitem.", show_default=False)]


@app.command("list")
def show_all(
    config_file: ConfigOption = None,
    data: DataOption = None,
    state: Annotated[
        str, typer.Option("--state", help=f"Only in this state: {', '.join(STATES)}.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 100,
) -> None:
    """Show the workitems, in the order in which they are to begin."""
    if state and state not in STATES:
        raise InvalidValue(f"the state of a workitem is one of {', '.join(STATES)}")
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.workitems.all((state,) if state else (), limit)
    headings = ["Start", "State", "Priority", "Patient ID", "Name", "What", "Performer", "UID"]
    tables.show(headings, [_row(one) for one in found])


@app.command()
def show(uid: Uid, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show one workitem whole, as JSON; its Transaction UID is nobody's but its performer's."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.workitems.get(uid)
    typer.echo(json.dumps(keyword_form.written(found), indent=2, ensure_ascii=False))


@app.command()
def cancel(
    uid: Uid,
    config_file: ConfigOption = None,
    data: DataOption = None,
    reason: Annotated[str, typer.Option(help="Why, for those who are told.", show_default=False)] = "",
) -> None:
    """Cancel a workitem, also one that is IN PROGRESS with a performer that will never end it."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        done = archive.workitems.cancel(uid, reason)
    typer.echo(f"{uid} is CANCELED" if done else f"{uid} was CANCELED already")


@app.command()
def subscribers(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show who is told of workitems, how many it keeps from being forgotten, and what it could not be told yet."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.workitem_events.receivers()
    headings = ["AE title", "By", "Workitems", "Kept", "New ones", "Waiting", "Why not"]
    tables.show(headings, [_receiver(one) for one in found])


@app.command()
def unsubscribe(
    ae_title: Annotated[str, typer.Argument(help="Who is told no longer.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
    uid: Annotated[
        str, typer.Option("--workitem", help="Of this workitem only.", show_default=False)
    ] = GLOBAL,
) -> None:
    """End the subscriptions of an AE title, and so its deletion locks: it need not be there any more."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        if not archive.workitems.unsubscribe(ae_title, uid):
            raise NotFound("this AE title is not subscribed: see `archive workitems subscribers`")
    typer.echo(f"{tables.printable(ae_title)} is told no longer")


def _row(item: Workitem) -> list[str]:
    tags = (table.PRIORITY, table.PATIENT_ID, "00100010", table.LABEL)
    priority, patient_id, name, label = (text(item.data_set, tag) for tag in tags)
    start = text(item.data_set, table.START)
    return [start, item.state, priority, patient_id, name, label, item.performer, item.SOPInstanceUID]


def _receiver(one: Receiver) -> list[str]:
    new = {"": "", table.GLOBAL: "all", table.FILTERED: "those that match"}
    return [
        one.ae_title,
        "N-EVENT-REPORT" if one.reported else "HTTP",
        str(one.workitems),
        str(one.deletion_locks),
        ", ".join(new[uid] for uid in one.globally),
        str(one.waiting),
        one.reason,
    ]
