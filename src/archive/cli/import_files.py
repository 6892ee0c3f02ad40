"""`archive import`: what is given, and whose it is to be. How it is done: `importing` and `reconcile`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from archive.cli import importing, opening, reconcile, sources
from archive.cli.opening import ConfigOption, DataOption
from archive.cli.reconcile import Wishes
from archive.dicom.demographics import ISSUER, PATIENT_ID
from archive.services.reconciling import BIRTH_DATE, NAME, SEX, Choice, reconciled


def _option(flag: str, help_text: str, metavar: str = "TEXT") -> Any:
    return typer.Option(flag, help=help_text, metavar=metavar, show_default=False)


Paths = Annotated[
    list[Path], typer.Argument(help="Files, folders, zip files, DICOMDIRs.", show_default=False)
]
PatientID = Annotated[
    str,
    _option(
        "--patient-id", "Patient ID of ours that all is to have; what else the archive knows of it follows."
    ),
]
Issuer = Annotated[str, _option("--issuer", "Of that Patient ID.")]
PatientName = Annotated[str, _option("--patient-name", "As FAMILY^GIVEN.")]
BirthDate = Annotated[str, _option("--birth-date", "As 19700131.")]
Sex = Annotated[str, _option("--sex", "M, F or O.")]
Accession = Annotated[str, _option("--accession-number", "Of the order that it is imported for.")]
Others = Annotated[
    list[str] | None,
    _option("--set", "Any other attribute of patient or study; may be repeated.", "KEYWORD=VALUE"),
]
OnlyPatient = Annotated[str, _option("--only-patient", "Take only objects with this Patient ID.", "ID")]
OnlyStudy = Annotated[str, _option("--only-study", "Take only this study.", "UID")]
SamePatient = Annotated[
    bool, typer.Option("--same-patient", help="All is of one patient, though it does not look so.")
]
From = Annotated[str, _option("--from", "Where it comes from, to be kept in the objects that are changed.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether the patient is right.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Name every file.")]


def import_files(
    paths: Paths,
    patient_id: PatientID = "",
    issuer: Issuer = "",
    patient_name: PatientName = "",
    birth_date: BirthDate = "",
    sex: Sex = "",
    accession_number: Accession = "",
    others: Others = None,
    only_patient: OnlyPatient = "",
    only_study: OnlyStudy = "",
    same_patient: SamePatient = False,
    source: From = "",
    yes: Yes = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
    verbose: Verbose = False,
) -> None:
    """Store files, all files in folders and zip files, and all that a DICOMDIR names; as they are, or as a patient's.

    Ends with 1 if an object was refused, or is missing on a medium; what is not DICOM is named."""
    given = {PATIENT_ID: patient_id, ISSUER: issuer, NAME: patient_name, BIRTH_DATE: birth_date, SEX: sex}
    given["AccessionNumber"] = accession_number
    wishes = Wishes(
        reconcile.values(given, others or ()), Choice(only_patient, only_study), same_patient, source
    )
    report = _imported(paths, wishes, opening.settings(config_file, data=data), yes=yes)
    typer.echo(importing.summary(report, names=None if verbose else importing.NAMES))
    raise typer.Exit(importing.exit_code(report))


def _imported(paths: list[Path], wishes: Wishes, settings: Any, *, yes: bool) -> importing.Report:
    with ExitStack() as kept:
        gathered = sources.gather(paths, kept)
        archive = kept.enter_context(opening.archive(settings, make=True))
        if not wishes.any:
            return importing.run(archive.ingest, gathered)
        agreed = reconcile.agree(archive, wishes, gathered.files)
        if agreed.text:
            typer.echo(agreed.text, err=True)
            yes or typer.confirm("Import them so?", abort=True, err=True)
        reconciling = agreed.reconciling

        def differs(uid: str) -> bool:
            return reconciling.differs(archive.retrieve, uid)

        return importing.run(reconciled(archive.ingest, reconciling), gathered, differs)
