"""`archive export`: which instances are meant, and where they go. What is done with them: `exporting`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from archive.bootstrap.building import Archive
from archive.cli import exporting, opening
from archive.cli.export_targets import FolderTarget, Target, ZipTarget
from archive.cli.exporting import Export, Wanted
from archive.cli.opening import ConfigOption, DataOption
from archive.dicom.errors import ConfigurationError, InvalidQuery, NotFound
from archive.dicom.instance import Level, Scope, StoredInstance
from archive.dicom.query import Key, Match, Query, SingleValue, UIDList
from archive.security.actor import operator
from archive.services.media import Form, Media
from archive.web import qido_parameters

NAMES = 20
"""Instances named for each reason, unless all are asked for."""
MOST = 1_000_000
"""Instances of one file-set; its directory is made in memory."""

_PATIENT_ID, _ISSUER, _STUDY = 0x00100020, 0x00100021, 0x0020000D
_LABEL = re.compile(r"[A-Z0-9_ ]{0,16}", re.ASCII)
_MOST_STUDIES = 1 << 40


def _option(flag: str, help_text: str, metavar: str = "UID") -> Any:
    return typer.Option(flag, help=help_text, metavar=metavar, show_default=False)


@dataclass(frozen=True, slots=True)
class Selection:
    """What the options name."""

    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    patient: str = ""
    issuer: str | None = None
    match: tuple[str, ...] = ()
    everything: bool = False
    several_patients: bool = False

    def check(self) -> None:
        """Raises BadParameter: options that would be ignored are none."""
        named = [self.studies, self.series, self.patient, self.match, self.everything]
        if sum(map(bool, named)) != 1:
            raise typer.BadParameter("say what: one of --study, --series, --patient, --match and --all")
        if self.issuer is not None and not self.patient:
            raise typer.BadParameter("--issuer goes with --patient")


Place = Annotated[Path, typer.Argument(help="A folder, or a file that ends in .zip.", show_default=False)]
Studies = Annotated[list[str] | None, _option("--study", "These studies; may be repeated.")]
Series = Annotated[list[str] | None, _option("--series", "These series; may be repeated.")]
Patient = Annotated[str, _option("--patient", "All studies of a patient.", "ID")]
Issuer = Annotated[str | None, _option("--issuer", "Of the Patient ID, where two have the same.", "TEXT")]
Matching = Annotated[
    list[str] | None,
    _option("--match", "Studies, by attributes as in a search; may be repeated.", "KEYWORD=VALUE"),
]
Everything = Annotated[bool, typer.Option("--all", help="All that is stored.")]
Several = Annotated[
    bool, typer.Option("--several-patients", help="The studies named may be of several patients.")
]
AsForm = Annotated[
    Form,
    typer.Option(
        "--form",
        help="explicit: Explicit VR Little Endian, which every reader takes. compressed: the same, but compressed "
        "objects stay so. stored: all as it is stored.",
    ),
]
Label = Annotated[str, _option("--label", "File-set ID: A-Z, 0-9, _ and spaces, at most 16.", "TEXT")]
Contact = Annotated[
    str, _option("--contact", "Who makes the medium, for README.TXT; else media.contact.", "TEXT")
]
Incomplete = Annotated[
    bool, typer.Option("--incomplete", help="Finish without instances that cannot be had; they are named.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Name every instance that failed.")]


def export(
    target: Place,
    study: Studies = None,
    series: Series = None,
    patient: Patient = "",
    issuer: Issuer = None,
    match: Matching = None,
    everything: Everything = False,
    several_patients: Several = False,
    form: AsForm = Form.EXPLICIT,
    label: Label = "",
    contact: Contact = "",
    incomplete: Incomplete = False,
    config_file: ConfigOption = None,
    data: DataOption = None,
    verbose: Verbose = False,
) -> None:
    """Write studies to a folder or a zip file, with a DICOMDIR: for a CD, a USB drive, a colleague, another archive.

    Every file is read back and compared. Interrupted, it goes on where it was when it is run again."""
    uids = tuple(study or ()), tuple(series or ())
    chosen = Selection(*uids, patient, issuer, tuple(match or ()), everything, several_patients)
    chosen.check()
    if not _LABEL.fullmatch(label):
        raise typer.BadParameter("--label has other characters than A-Z, 0-9, _ and spaces, or more than 16")
    settings = opening.settings(config_file, data=data)
    with opening.archive(settings) as archive:
        instances = selected(archive, chosen)
        wanted = Wanted(instances, form, label, contact or settings.media.contact, incomplete)
        place = _target(target, purpose(chosen, form))
        what = [(one.StudyInstanceUID, one.SOPClassUID) for one in instances]
        archive.auditing.exported(operator(), what, target.absolute().as_uri())
        result = Export(archive.retrieve, Media(archive.retrieve, archive.delivery), place, wanted).run()
    typer.echo(exporting.summary(result, place, None if verbose else NAMES))
    raise typer.Exit(0 if result.complete and not result.failed else 1)


def _target(path: Path, told: str) -> Target:
    if path.suffix.lower() == ".zip" and not path.is_dir():
        return ZipTarget(path)
    return FolderTarget(path, told)


def purpose(chosen: Selection, form: Form) -> str:
    """Tells one export from another, and names nobody."""
    said = (chosen.studies, chosen.series, chosen.patient, chosen.issuer, chosen.match, chosen.everything)
    return hashlib.sha256(orjson.dumps([said, form.value])).hexdigest()


def selected(archive: Archive, chosen: Selection) -> list[StoredInstance]:
    """The instances that are meant, in the archive's order. Raises NotFound, ConfigurationError, InvalidQuery."""
    scope = _scope(archive, chosen)
    found = archive.retrieve.instances(scope)
    if not found:
        raise archive.retrieve.missing(scope)
    _check_all_found(archive, chosen, found)
    if len(found) > MOST:
        raise ConfigurationError(
            f"{len(found)} instances are too many for one DICOMDIR (at most {MOST}): export by patient or by date"
        )
    if (chosen.studies or chosen.series) and not chosen.several_patients:
        _check_one_patient(archive, found)
    return found


def _check_all_found(archive: Archive, chosen: Selection, found: Sequence[StoredInstance]) -> None:
    """What was named and is not there is told, and not left out."""
    there = {one.StudyInstanceUID for one in found} | {one.SeriesInstanceUID for one in found}
    for uid in (*chosen.studies, *chosen.series):
        if uid not in there:
            reason = archive.retrieve.missing(Scope(study_instance_uids=(uid,))).reason
            raise NotFound(f"{uid}: {reason}")


def _scope(archive: Archive, chosen: Selection) -> Scope:
    if chosen.everything:
        return Scope()
    if chosen.patient:
        matches = _of_patient(archive, chosen)
    elif chosen.match:
        matches = _matching(archive, chosen.match)
    else:
        return Scope(study_instance_uids=chosen.studies, series_instance_uids=chosen.series)
    uids = tuple(_value(match, _STUDY) for match in matches)
    if not uids:
        raise NotFound("nothing stored matches: look for it by another key, or with --patient")
    return Scope(study_instance_uids=uids)


def _of_patient(archive: Archive, chosen: Selection) -> list[Match]:
    """The studies of one patient. Raises ConfigurationError where two have the same ID."""
    key = Key((_PATIENT_ID,), SingleValue(chosen.patient))
    found = _studies(archive, Query(Level.STUDY, (key,), include=frozenset((_PATIENT_ID, _ISSUER))))
    same = [match for match in found if _value(match, _PATIENT_ID) == chosen.patient]
    if chosen.issuer is not None:
        return [match for match in same if _value(match, _ISSUER) == chosen.issuer]
    issuers = sorted({_value(match, _ISSUER) for match in same})
    if len(issuers) > 1:
        named = ", ".join(repr(issuer) for issuer in issuers)
        raise ConfigurationError(
            f"{len(issuers)} patients have this Patient ID: say which one with --issuer, which is one of {named}"
        )
    return same


def _matching(archive: Archive, keys: Sequence[str]) -> list[Match]:
    """The studies that a search finds. Raises InvalidQuery for keys that a search would ignore: they would let more out
    than was meant."""
    parameters = []
    for text in keys:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise typer.BadParameter(f"--match {name}: write it as KEYWORD=VALUE")
        parameters.append((name, value))
    search = qido_parameters.parse(parameters, Level.STUDY, _MOST_STUDIES, strict=False)
    names = [name for name, _ in parameters]
    if search.warnings or len(search.query.keys) < len(names):
        raise InvalidQuery(
            search.warnings[0] if search.warnings else f"no attributes of studies: {', '.join(names)}"
        )
    return _studies(archive, search.query)


def _studies(archive: Archive, query: Query) -> list[Match]:
    found = archive.search.find(query)
    matches = list(found.matches)
    if found.remaining or found.unread:
        raise InvalidQuery("not all studies could be searched: ask with other keys, or name the studies")
    return matches


def _check_one_patient(archive: Archive, found: Sequence[StoredInstance]) -> None:
    """A medium is handed to one person, who must not get another's images for a slip in a UID."""
    uids = tuple({one.StudyInstanceUID for one in found})
    key = Key((_STUDY,), UIDList(uids))
    studies = _studies(archive, Query(Level.STUDY, (key,), include=frozenset((_PATIENT_ID, _ISSUER))))
    patients = {(_value(match, _PATIENT_ID), _value(match, _ISSUER)) for match in studies}
    nameless = sum(not patient_id for patient_id, _ in patients) and len(studies) > 1
    if len(patients) > 1 or nameless:
        raise ConfigurationError(
            "these studies are of several patients: leave some out, or add --several-patients if that is meant"
        )


def _value(match: Match, tag: int) -> str:
    values = match.get(f"{tag:08X}", {}).get("Value") or [""]
    return str(values[0])
