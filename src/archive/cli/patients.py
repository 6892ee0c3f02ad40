"""`archive patients …`: whose studies these are, and putting right what is said of them.

In effect at once in a running server; what takes long is carried out by its jobs. What is shown names patients.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archive.bootstrap.building import Archive
from archive.cli import opening, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.services.corrections import Correction, PatientKey
from archive.services.patients import Patient

app = typer.Typer(
    no_args_is_help=True, help="Patients: list them, correct what is said of them, merge two that are one."
)

BY = "command line"


def _option(flag: str, help_text: str) -> Any:
    return typer.Option(flag, help=help_text, show_default=False)


PatientID = Annotated[str, typer.Argument(metavar="PATIENT_ID", show_default=False)]
Study = Annotated[str, typer.Argument(metavar="STUDY_INSTANCE_UID", show_default=False)]
Number = Annotated[int, typer.Argument(help="Number, as `history` shows it.", show_default=False, min=1)]
Issuer = Annotated[str, _option("--issuer", "Issuer of the Patient ID.")]
ToIssuer = Annotated[str, _option("--to-issuer", "Issuer of the other Patient ID.")]
Set = Annotated[list[str] | None, _option("--set", "KEYWORD=VALUE; may be repeated; no value takes it away.")]
Reason = Annotated[str, _option("--reason", "Why; kept with the correction.")]
Limit = Annotated[int, typer.Option(help="How many.", min=1)]


@app.command("list")
def show_all(
    patient_id: Annotated[str, _option("--id", "Patient ID; * and ? stand for others.")] = "",
    name: Annotated[str, _option("--name", "Name; * and ? stand for others.")] = "",
    limit: Limit = 100,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show patients of whom something is stored."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.patients.find(patient_id, name, limit)
    headings = ["Patient ID", "Issuer", "Name", "Born", "Sex", "Studies"]
    tables.show(headings, [_patient(one) for one in found])


@app.command()
def show(
    patient_id: PatientID, issuer: Issuer = "", config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Show one patient's studies."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.patients.studies(PatientKey(patient_id, issuer))
    headings = ["Date", "Accession Number", "Description", "Modalities", "Instances", "Study Instance UID"]
    rows = [
        [one.date, one.AccessionNumber, one.description, one.modalities, str(one.instances), one.uid]
        for one in found
    ]
    tables.show(headings, rows)


@app.command()
def update(
    patient_id: PatientID,
    changes: Set = None,
    issuer: Issuer = "",
    reason: Reason = "",
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say something else of a patient, in all its objects."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        key = PatientKey(patient_id, issuer)
        _done(opened, opened.corrections.update_patient(key, _values(changes), BY, reason))


@app.command()
def merge(
    prior: Annotated[str, typer.Argument(metavar="PRIOR_ID", show_default=False)],
    surviving: Annotated[str, typer.Argument(metavar="SURVIVING_ID", show_default=False)],
    issuer: Issuer = "",
    to_issuer: ToIssuer = "",
    changes: Set = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where nothing is stored of one of them yet.")
    ] = False,
    reason: Reason = "",
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make one patient of two: all that the prior has, now and later, is the surviving one's."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        first, second = PatientKey(prior, issuer), PatientKey(surviving, to_issuer)
        made = opened.corrections.merge(first, second, _values(changes), BY, reason, anyway=anyway)
        _done(opened, made)


@app.command("change-id")
def change_id(
    patient_id: PatientID,
    new: Annotated[str, typer.Argument(metavar="NEW_ID", show_default=False)],
    issuer: Issuer = "",
    to_issuer: ToIssuer = "",
    reason: Reason = "",
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Give a patient another ID, which nobody has."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        first, second = PatientKey(patient_id, issuer), PatientKey(new, to_issuer)
        _done(opened, opened.corrections.change_id(first, second, {}, BY, reason))


@app.command("move-study")
def move_study(
    study: Study,
    patient_id: PatientID,
    issuer: Issuer = "",
    changes: Set = None,
    reason: Reason = "",
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Give a study to another patient: nothing of the former one stays in it."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        target = PatientKey(patient_id, issuer)
        _done(opened, opened.corrections.move_study(study, target, _values(changes), BY, reason))


@app.command("update-study")
def update_study(
    study: Study,
    changes: Set = None,
    reason: Reason = "",
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say something else of a study: AccessionNumber, StudyDescription, ReferringPhysicianName, StudyID."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        _done(opened, opened.corrections.update_study(study, _values(changes), BY, reason))


@app.command()
def history(
    patient_id: Annotated[str, _option("--id", "Only of this Patient ID.")] = "",
    issuer: Issuer = "",
    study: Annotated[str, _option("--study", "Only of this study.")] = "",
    limit: Limit = 20,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show the last corrections, and what keeps them from being done."""
    key = PatientKey(patient_id, issuer) if patient_id else None
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        found = opened.corrections.last(limit, (), key, study)
    headings = ["Number", "State", "Made", "What", "Patient ID", "To", "Study", "By", "Reason", "Failure"]
    tables.show(headings, [_row(one) for one in found])


@app.command()
def undo(
    number: Number, reason: Reason = "", config_file: ConfigOption = None, data: DataOption = None
) -> None:
    """Take a correction back: everything says again what it said before."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        _done(opened, opened.corrections.undo(number, BY, reason))


@app.command()
def retry(number: Number, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Try again what could not be corrected."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        opened.corrections.retry(number)
        _done(opened, [number])


def _done(opened: Archive, numbers: list[int]) -> None:
    """Ends with 1 where something could not be corrected."""
    made = [opened.corrections.get(number) for number in numbers]
    for one in made:
        typer.echo(f"correction {one.id}: {one.kind}, {one.state}")
        if one.failure:
            typer.echo(f"archive: correction {one.id}: {one.failure}", err=True)
    if not made:
        typer.echo("nothing that is stored had to be changed")
    raise typer.Exit(1 if any(one.failure for one in made) else 0)


def _values(changes: list[str] | None) -> dict[str, str]:
    found = {}
    for one in changes or ():
        keyword, sign, value = one.partition("=")
        if not sign:
            raise typer.BadParameter(f"{one!r} is not KEYWORD=VALUE")
        found[keyword.strip()] = value
    return found


def _patient(one: Patient) -> list[str]:
    return [one.PatientID, one.IssuerOfPatientID, one.name, one.birth_date, one.sex, str(one.studies)]


def _row(one: Correction) -> list[str]:
    whose = "/".join(filter(None, (one.PatientID, one.IssuerOfPatientID)))
    target = "/".join(filter(None, (one.to_PatientID, one.to_IssuerOfPatientID)))
    kind = f"{one.kind} {one.undoes}" if one.undoes else one.kind
    told = [
        whose,
        target if target != whose else "",
        one.StudyInstanceUID,
        one.made_by,
        one.reason,
        one.failure,
    ]
    return [str(one.id), one.state, tables.when(one.made_at), kind, *told]
