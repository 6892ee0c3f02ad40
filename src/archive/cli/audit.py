"""`archive audit …`: who did what, and whether the record of it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from archive.bootstrap.building import Archive
from archive.cli import opening, progress, tables
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.errors import ConfigurationError, InvalidQuery
from archive.security.actor import operator
from archive.services.audit_log import FORMATS, URI, Found, Head, Sought
from archive.services.audit_reports import dealings, described, events_named, what

app = typer.Typer(
    no_args_is_help=True, help="The audit trail: who did what, and whether its record is whole."
)

_LONGEST = 60

Patient = Annotated[str, typer.Option("--patient", metavar="ID", help="Of this patient: ID, or ID^^^ISSUER.")]
Study = Annotated[str, typer.Option("--study", metavar="UID", help="Of this study.")]
Who = Annotated[str, typer.Option("--user", metavar="NAME", help="By this user or AE title.")]
Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="From then on: 2026-01-31 or with T12:00.")
]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Before then.")]
Limit = Annotated[int, typer.Option(help="How many, the newest.", min=1)]


@app.command("list")
def show(
    patient: Patient = "",
    study: Study = "",
    user: Who = "",
    address: Annotated[str, typer.Option(help="From this address.")] = "",
    event: Annotated[
        list[str] | None, typer.Option(help="Only these: a code, or part of a name, such as query.")
    ] = None,
    since: Since = "",
    until: Until = "",
    limit: Limit = 100,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show what has happened, the newest first. This names patients, and is recorded itself."""
    sought = Sought(patient, study, user, address, _events(event or ()), _moment(since), _moment(until))
    with _reading(config_file, data, described(sought)) as opened:
        _show(opened.audit_log.search(sought, limit))


app.command("search", help="The same as `list`.")(show)


@app.command()
def patient(
    patient_id: Annotated[str, typer.Argument(help="ID, or ID^^^ISSUER.", show_default=False)],
    since: Since = "",
    until: Until = "",
    limit: Limit = 10_000,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show everyone who saw, got or changed something of a patient. This is recorded itself."""
    sought = Sought(patient_id, since=_moment(since), until=_moment(until))
    with _reading(config_file, data, described(sought)) as opened:
        found = opened.audit_log.search(sought, limit)
    if len(found) == limit:
        typer.echo(f"archive: only the newest {limit} records are told of; --limit shows more", err=True)
    rows = [
        [one.who, one.address, one.what, str(one.times), tables.when(one.first), tables.when(one.last)]
        for one in dealings(found)
    ]
    tables.show(["Who", "From", "What", "Times", "First", "Last"], rows)


@app.command()
def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER:HASH", help="What was kept elsewhere of a record, as syslog has it."),
    ] = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Verify that no record was altered, removed or put in between. Ends with 1 and names the first that was."""
    further = tuple(_anchor(one) for one in anchor or ())
    with _reading(config_file, data, "verify") as opened, progress.bar("records") as bar:
        task = bar.add_task("Verifying", total=opened.audit_log.count())
        verdict = opened.audit_log.verify(lambda number: bar.advance(task, number), further)
    if verdict.fault:
        typer.echo(f"archive: {verdict.fault}", err=True)
        raise typer.Exit(1)
    typer.echo(
        f"{verdict.records} records are as they were written; {verdict.anchors} anchors bear them out."
    )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="File to be made; - for standard output.", show_default=False)],
    form: Annotated[str, typer.Option("--format", help="xml (PS3.15 A.5) or fhir (AuditEvent).")] = "xml",
    after: Annotated[int, typer.Option(help="Only what comes behind this number.", min=0)] = 0,
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write all messages, one a line. This names patients, and is recorded itself."""
    if form not in FORMATS:
        raise typer.BadParameter(f"--format is one of: {', '.join(FORMATS)}")
    with _reading(config_file, data, f"export {form}") as opened, progress.bar("records") as bar:
        task = bar.add_task("Exporting", total=max(opened.audit_log.count() - after, 0))
        if str(file) == "-":
            _write(opened, form, after, typer.get_binary_stream("stdout"), bar, task)
            return
        try:
            with file.open("xb") as made:
                file.chmod(0o600)
                _write(opened, form, after, made, bar, task)
        except OSError as error:
            raise ConfigurationError(f"{file}: cannot be written ({error.strerror})") from None


def _write(opened: Archive, form: str, after: int, to: Any, bar: Progress, task: Any) -> None:
    for one in opened.audit_log.all(after):
        to.write(FORMATS[form](one.message) + b"\n")
        bar.advance(task)


@contextmanager
def _reading(config_file: Path | None, data: str | None, asked: str) -> Iterator[Archive]:
    """The archive; that its trail is read is recorded first."""
    with opening.archive(opening.settings(config_file, data=data)) as opened:
        opened.auditing.log_used(operator(), URI, asked)
        yield opened


def _show(found: list[Found]) -> None:
    headings = ["Number", "When", "Event", "Who", "From", "Patient", "Study", "Instances", "Outcome"]
    tables.show(headings, [_row(one) for one in found])


def _row(one: Found) -> list[str]:
    message, who = one.message, _who(one)
    instances = sum(number for subject in message.subjects for _, number in subject.sop_classes)
    patient_ids, studies = " ".join(message.patient_ids), " ".join(message.study_instance_uids)
    number = str(instances) if instances else ""
    outcome = message.outcome_text[:_LONGEST] or ("" if not message.outcome else str(message.outcome))
    when = tables.when(message.time)
    return [
        str(one.position),
        when,
        what(one),
        who.UserID,
        who.address,
        patient_ids,
        studies,
        number,
        outcome,
    ]


def _who(one: Found) -> Any:
    return one.message.requestor


def _events(wanted: Iterable[str]) -> tuple[str, ...]:
    try:
        return events_named(wanted)
    except InvalidQuery as error:
        raise typer.BadParameter(f"--event: {error.reason}") from None


def _moment(text: str) -> float:
    if not text:
        return 0.0
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise typer.BadParameter(f"{text} is no time such as 2026-01-31 or 2026-01-31T12:00") from None


def _anchor(text: str) -> Head:
    number, _, digest = text.partition(":")
    if not number.isdigit() or len(digest) != 64:
        raise typer.BadParameter(f"--anchor: {text} is not NUMBER:HASH")
    return Head(int(number), digest)
