"""`archive worklist …`: fill the modality worklist, look at it, and at what modalities have done of it.

In effect at once in a running server. What is shown names patients.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from archive.cli import opening, tables, worklist_files
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.errors import InvalidValue
from archive.dicom.worklist import entries as rules
from archive.dicom.worklist import keyword_form, performed_steps
from archive.dicom.worklist.entries import STATES, text
from archive.services.worklist import Entry

app = typer.Typer(
    no_args_is_help=True, help="The modality worklist: what is scheduled, and what was done of it."
)

SOURCE = "command line"

Number = Annotated[int, typer.Argument(help="Number, as `list` shows it.", show_default=False, min=0)]


def _option(flag: str, help_text: str) -> Any:
    return typer.Option(flag, help=help_text, show_default=False)


@app.command()
def add(
    patient_id: Annotated[str, _option("--patient-id", "Patient ID.")],
    patient_name: Annotated[str, _option("--patient-name", "Name, as FAMILY^GIVEN.")],
    modality: Annotated[str, _option("--modality", "Modality: CT, MR, US and so on.")],
    description: Annotated[str, _option("--description", "What is to be done.")],
    station: Annotated[
        list[str] | None, _option("--station", "AE title of a modality; may be repeated.")
    ] = None,
    start: Annotated[str, _option("--start", 'When, as "2026-12-31 14:30" or "20261231"; now.')] = "",
    accession_number: Annotated[str, _option("--accession-number", "Accession number.")] = "",
    birth_date: Annotated[str, _option("--birth-date", "Of the patient, as 19700131.")] = "",
    sex: Annotated[str, _option("--sex", "Of the patient: M, F or O.")] = "",
    study: Annotated[str, _option("--study", "Study Instance UID; a new one.")] = "",
    others: Annotated[
        list[str] | None, _option("--set", "KEYWORD=VALUE of any other attribute; may be repeated.")
    ] = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Enter one scheduled procedure step."""
    day, time = _moment(start)
    step = {
        "Modality": modality,
        "ScheduledStationAETitle": station or [],
        "ScheduledProcedureStepStartDate": day,
        "ScheduledProcedureStepStartTime": time,
    }
    written = {
        "PatientID": patient_id,
        "PatientName": patient_name,
        "PatientBirthDate": birth_date,
        "PatientSex": sex,
        "AccessionNumber": accession_number,
        "StudyInstanceUID": study,
        "RequestedProcedureDescription": description,
        "ScheduledProcedureStepSequence": [_present(step)],
    }
    whole = keyword_form.data_set(_present(written) | _others(others or []))
    with opening.archive(opening.settings(config_file, data=data), make=True) as archive:
        typer.echo(f"entered as number {archive.worklist.add(whole, SOURCE)[0]}")


@app.command("list")
def show_all(
    config_file: ConfigOption = None,
    data: DataOption = None,
    state: Annotated[str, _option("--state", f"Only in this state: {', '.join(STATES)}.")] = "",
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 100,
) -> None:
    """Show the entries, by their date."""
    states = (rules.check_state(state),) if state else STATES
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.worklist.all(states, limit)
    headings = [
        "Number",
        "State",
        "Date",
        "Time",
        "Modality",
        "Stations",
        "Patient ID",
        "Name",
        "Accession",
        "What",
    ]
    tables.show(headings, [_row(one) for one in found])


@app.command()
def show(number: Number, config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Show one entry whole, as JSON that can be changed and imported."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        entry = archive.worklist.get(number)
    offered = rules.with_state(entry.data_set, entry.state)
    typer.echo(json.dumps(keyword_form.written(offered), indent=2, ensure_ascii=False))


@app.command("set")
def plan(
    number: Number,
    state: Annotated[str, typer.Argument(help=f"One of {', '.join(STATES)}.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Set the state of an entry, such as ARRIVED or CANCELED."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        entry = archive.worklist.plan(number, state, SOURCE)
    typer.echo(f"number {entry.id} is {entry.state}")


@app.command()
def remove(
    numbers: Annotated[list[int], typer.Argument(help="Numbers, as `list` shows them.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Forget entries."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        for number in numbers:
            archive.worklist.remove(number)
            typer.echo(f"number {number} is forgotten")


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Enter what files hold: JSON, DICOM worklist files (.wl), or orders in HL7 v2. Ends with 1 if one was refused."""
    with opening.archive(opening.settings(config_file, data=data), make=True) as archive:
        report = worklist_files.run(archive, paths)
    for path, reason in report.refused:
        typer.echo(f"{path}: {reason}", err=True)
    typer.echo(
        f"{report.entered} entered or changed, {report.there} there already, {len(report.refused)} refused"
    )
    raise typer.Exit(int(bool(report.refused)))


@app.command()
def steps(
    config_file: ConfigOption = None,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1)] = 20,
) -> None:
    """Show what modalities have told of performed procedure steps (MPPS), the last first."""
    with opening.archive(opening.settings(config_file, data=data)) as archive:
        found = archive.performed_steps.newest(limit)
    rows = [
        [
            tables.when(step.changed_at),
            performed_steps.status_of(step.data_set),
            step.calling_ae_title,
            text(step.data_set, rules.MODALITY),
            text(step.data_set, rules.PATIENT_ID),
            str(len(performed_steps.series_uids(step.data_set))),
            step.SOPInstanceUID,
        ]
        for step in found
    ]
    tables.show(["Last", "Status", "From", "Modality", "Patient ID", "Series", "SOP Instance UID"], rows)


def _row(entry: Entry) -> list[str]:
    whole, step = entry.data_set, rules.step_of(entry.data_set)
    stations = " ".join(str(title) for title in step[rules.STATION]["Value"])
    return [
        str(entry.id),
        entry.state,
        text(step, rules.START_DATE),
        text(step, rules.START_TIME)[:4],
        text(step, rules.MODALITY),
        stations,
        text(whole, rules.PATIENT_ID),
        text(whole, rules.PATIENT_NAME),
        text(whole, rules.ACCESSION),
        text(step, rules.STEP_DESCRIPTION),
    ]


def _present(written: dict[str, Any]) -> dict[str, Any]:
    return {keyword: value for keyword, value in written.items() if value}


def _moment(start: str) -> tuple[str, str]:
    """A date and a time, in the ways in which people write them."""
    day, _, time = start.strip().replace("T", " ").partition(" ")
    return day.replace("-", ""), time.strip().replace(":", "")


def _others(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        keyword, sign, value = one.partition("=")
        if not sign:
            raise InvalidValue(f"--set takes KEYWORD=VALUE, not {one[:40]!r}")
        found[keyword.strip()] = value
    return found
