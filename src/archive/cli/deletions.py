"""`archive delete …`, `archive deletions …` and `archive hold …`: deleting with a reason, approving of it, the
certificates; and what nobody deletes. In effect at once beside a running server, whose jobs remove the bytes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.patient_key import PatientKey
from archive.security.actor import operator
from archive.services import certificates
from archive.services.deletion_requests import Order, Request, State, Target
from archive.services.holds import Hold

delete_app = typer.Typer(no_args_is_help=True, help="Delete a patient, study, series or instance for good.")
app = typer.Typer(no_args_is_help=True, help="Deletions, their approval, and their certificates.")
hold_app = typer.Typer(no_args_is_help=True, help="What is on hold: nobody deletes anything of it.")

Number = Annotated[int, typer.Argument(help="As the list shows it.", show_default=False)]
Uid = Annotated[str, typer.Argument(show_default=False)]
Reason = Annotated[str, typer.Option(help="Why. It stands in the certificate.")]
WhyOption = Annotated[str, typer.Option("--reason", help="Why.")]
Override = Annotated[bool, typer.Option("--override", help="Although it has to be kept for longer.")]
Limit = Annotated[int, typer.Option(help="Most that are shown.", min=1)]
Issuer = Annotated[str, typer.Option(help="Who gave the patient's ID, if the studies say that.")]


@delete_app.command("study")
def delete_study(
    study: Uid,
    reason: Reason,
    override: Override = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete a study, with all that is kept of it."""
    _delete(Target(StudyInstanceUID=study), reason, config_file, data, override=override)


@delete_app.command("series")
def delete_series(
    study: Uid,
    series: Uid,
    reason: Reason,
    override: Override = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete a series, with all that is kept of it."""
    _delete(Target("", "", study, series), reason, config_file, data, override=override)


@delete_app.command("instance")
def delete_instance(
    study: Uid,
    series: Uid,
    instance: Uid,
    reason: Reason,
    override: Override = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete an instance, with all that is kept of it."""
    _delete(Target("", "", study, series, instance), reason, config_file, data, override=override)


@delete_app.command("patient")
def delete_patient(
    patient: Annotated[str, typer.Argument(help="The Patient ID.", show_default=False)],
    reason: Reason,
    issuer: Issuer = "",
    override: Override = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete all studies of a patient, with all that is kept of them."""
    _delete(Target(patient, issuer), reason, config_file, data, override=override)


def _delete(
    target: Target, reason: str, config_file: Path | None, data: str | None, *, override: bool
) -> None:
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        order = Order(target, reason, everything=True, overrides=override)
        one = archive.deletions.ask(order, operator())
    if one.state == State.WAITING:
        typer.echo(f"Deletion {one.id} waits: somebody else runs `archive deletions approve {one.id}`.")
    else:
        typer.echo(
            f"Deletion {one.id}: {one.instances} instances are deleted; the server's jobs remove their bytes."
        )


@app.command("list")
def list_deletions(
    state: Annotated[State | None, typer.Option(help="Only those.")] = None,
    limit: Limit = 1000,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show deletions, the last first."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.deletions.last((state,) if state else (), limit)
    headings = ["Number", "State", "Level", "What", "Instances", "Asked by", "At", "Decided by", "Reason"]
    tables.show(headings, [_row(one) for one in found])


@app.command()
def show(number: Number, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show one deletion."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        one = archive.deletions.get(number)
    names = [name for name in Request.__dataclass_fields__ if getattr(one, name) not in ("", 0.0)]
    tables.show(
        ["", ""],
        [[name, _said(getattr(one, name), moment=name.endswith("_at"))] for name in names],
    )


@app.command()
def approve(number: Number, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Approve of a deletion that waits: it is carried out. Not for who asked for it."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        one = archive.deletions.approve(number, operator())
    typer.echo(f"Deletion {one.id} is carried out.")


@app.command()
def refuse(
    number: Number, reason: WhyOption, config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Refuse a deletion that waits."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        one = archive.deletions.refuse(number, operator(), reason)
    typer.echo(f"Deletion {one.id} is refused.")


@app.command()
def certificate(
    number: Number,
    as_text: Annotated[bool, typer.Option("--text", help="For a person; JSON otherwise.")] = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show the certificate of a deletion. The SHA-256 of its JSON is in the audit trail."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        told = archive.deletions.certificate(number)
    typer.echo(certificates.worded(told) if as_text else told, nl=False)


@app.command()
def due(limit: Limit = 1000, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show studies whose time is over by a rule of retention that offers or deletes."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = list(islice(archive.deletions.due(), limit))
    rows = [
        [one.StudyInstanceUID, str(one.rule), one.then, tables.when(one.since), str(one.held or "")]
        for one in found
    ]
    tables.show(["Study Instance UID", "Rule", "Then", "Since", "On hold"], rows)


@hold_app.command()
def add(
    reason: WhyOption,
    study: Annotated[str, typer.Option(help="Study Instance UID.")] = "",
    patient: Annotated[str, typer.Option(help="Patient ID.")] = "",
    issuer: Issuer = "",
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Place a hold on a study or a patient."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        key = PatientKey(patient, issuer) if patient else None
        one = archive.holds.place(operator(), reason, study=study, patient=key)
    typer.echo(f"Hold {one.id} stands, on {len(one.studies)} studies by name.")


@hold_app.command("list")
def list_holds(
    all_of_them: Annotated[bool, typer.Option("--all", help="Also those that were lifted.")] = False,
    limit: Limit = 1000,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show what is on hold."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.holds.last(lifted=all_of_them, limit=limit)
    tables.show(["Number", "On", "By", "Since", "Reason", "Lifted"], [_hold_row(one) for one in found])


@hold_app.command()
def lift(
    number: Number, reason: WhyOption, config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Lift a hold."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        one = archive.holds.lift(operator(), number, reason)
    typer.echo(f"Hold {one.id} is lifted.")


def _said(value: Any, *, moment: bool) -> str:
    return tables.when(value) if moment else str(value)


def _row(one: Request) -> list[str]:
    what = one.SOPInstanceUID or one.SeriesInstanceUID or one.StudyInstanceUID
    what = what or "^^^".join(filter(None, (one.PatientID, one.IssuerOfPatientID)))
    asked = [str(one.instances), one.asked_by, tables.when(one.asked_at), one.decided_by, one.reason]
    return [str(one.id), one.state, one.level, what, *asked]


def _hold_row(one: Hold) -> list[str]:
    what = "^^^".join(filter(None, (one.PatientID, one.IssuerOfPatientID))) or ", ".join(one.studies)
    lifted = f"{tables.when(one.lifted_at)} by {one.lifted_by}: {one.lifted_because}" if one.lifted_at else ""
    return [str(one.id), what, one.placed_by, tables.when(one.placed_at), one.reason, lifted]
