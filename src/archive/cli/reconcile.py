"""`archive import` of objects that become a patient's of ours: whose they are now, whose they are to be, and somebody
who says yes to that. What is shown names patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

import typer

from archive.bootstrap.building import Archive
from archive.cli.media import UNREADABLE
from archive.cli.sources import File
from archive.cli.tables import printable
from archive.dicom.demographics import ISSUER, OF_PATIENT, OF_STUDY, PATIENT_ID, checked, checked_key
from archive.dicom.errors import ArchiveError, ConfigurationError
from archive.dicom.instance import Level
from archive.dicom.part10 import FileMetaReader
from archive.dicom.patient_key import PatientKey
from archive.dicom.query import Key, Match, Query, SingleValue
from archive.dicom.reading.reader import DataSetReader
from archive.services.correcting import text_of
from archive.services.reconciling import BIRTH_DATE, NAME, SEX, Choice, Reconciling, Said, said_so_far

_PIECE = 1 << 16
_MOST_HEAD = 1 << 26
"""Bytes in which an object must have said whose it is."""
_TAGS = {
    PATIENT_ID: 0x00100020,
    ISSUER: 0x00100021,
    NAME: 0x00100010,
    BIRTH_DATE: 0x00100030,
    SEX: 0x00100040,
}
_NAMED = 10
_STUDY_ONLY = frozenset(OF_STUDY)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the options ask for. `values` are by keyword, as they were given."""

    values: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = field(default_factory=Choice)
    same_patient: bool = False
    source: str = ""

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.values) or self.choice != Choice()


@dataclass(frozen=True, slots=True)
class Agreed:
    """What is to be done, and what somebody is to say yes to; `text` is empty where nothing changes."""

    reconciling: Reconciling
    text: str = ""


def values(options: Mapping[str, str], others: Iterable[str]) -> dict[str, str]:
    """What the options give, by keyword, as it is written into objects. Raises InvalidEntry."""
    given = {keyword: value for keyword, value in options.items() if value}
    for text in others:
        keyword, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {keyword}: write it as KEYWORD=VALUE")
        given[keyword] = value
    key = PatientKey(given.pop(PATIENT_ID, ""), given.pop(ISSUER, ""))
    found = checked(given, (*OF_PATIENT, *OF_STUDY))
    if key.PatientID:
        key = checked_key(key)
        found = {PATIENT_ID: key.PatientID, ISSUER: key.IssuerOfPatientID, **found}
    elif key.IssuerOfPatientID:
        raise typer.BadParameter("--issuer goes with --patient-id")
    return found


def agree(archive: Archive, wishes: Wishes, files: Iterable[File]) -> Agreed:
    """Look at all files, and say what is to become of them. Raises ConfigurationError where they are of several
    patients, or of several studies for one order, or where the patient cannot be the one of ours."""
    found = [said for file in files if (said := _said(file)) is not None and wishes.choice.takes(said)]
    if not found:
        raise ConfigurationError("nothing here is of the patient or study that was chosen: nothing to import")
    patients = {said.patient(): said for said in found}
    coercions = archive.ingest.coercions
    if not wishes.values:
        return Agreed(Reconciling({}, wishes.choice, (), coercions, wishes.source))
    _check_one(wishes, found, list(patients.values()))
    given = _completed(archive, wishes.values, list(patients.values()))
    reconciling = Reconciling(given, wishes.choice, patients.values(), coercions, wishes.source)
    return Agreed(reconciling, _told(given, list(patients.values()), len(found)))


def _said(file: File) -> Said | None:
    """Whose a file is; None for what says nothing, and will be refused for that."""
    if file.refused:
        return None
    meta, reader = FileMetaReader(), None
    try:
        with file.open() as opened:
            for piece in islice(iter(lambda: opened.read(_PIECE), b""), _MOST_HEAD // _PIECE):
                if reader is None:
                    if not meta.feed(piece):
                        continue
                    reader = DataSetReader(meta.meta.transfer_syntax_uid)
                    reader.feed(meta.rest)
                else:
                    reader.feed(piece)
                if (said := said_so_far(reader)) is not None:
                    return said
    except (ArchiveError, *UNREADABLE):
        return said_so_far(reader) if reader is not None else None
    return None


def _check_one(wishes: Wishes, found: list[Said], patients: list[Said]) -> None:
    if len(patients) > 1 and not wishes.same_patient:
        named = "; ".join(_patient(said) for said in patients[:_NAMED])
        raise ConfigurationError(
            f"these objects are of {len(patients)} patients: {named}. Take one with --only-patient, or add "
            "--same-patient if all of that is one"
        )
    studies = {said.StudyInstanceUID for said in found}
    if len(studies) > 1 and wishes.values.keys() & _STUDY_ONLY:
        named = ", ".join(printable(uid) for uid in sorted(studies)[:_NAMED])
        raise ConfigurationError(
            f"these objects are of {len(studies)} studies, and one order has one: take one with --only-study: {named}"
        )


def _completed(archive: Archive, given: Mapping[str, str], patients: list[Said]) -> dict[str, str]:
    """The values, with what the archive knows of its patient. Raises ConfigurationError where that is somebody else."""
    if PATIENT_ID not in given:
        return dict(given)
    known = _known(archive, given)
    if known is None:
        return dict(given)
    born = known.get(BIRTH_DATE, "")
    for said in patients:
        if BIRTH_DATE not in given and born and said.PatientBirthDate not in ("", born):
            raise ConfigurationError(
                f"the patient here was born on {printable(said.PatientBirthDate)}, and the archive's patient of this "
                f"ID on {born}: look at the ID again; if they are one, say which is right with --birth-date"
            )
    return {**{keyword: value for keyword, value in known.items() if value}, **given, ISSUER: known[ISSUER]}


def _known(archive: Archive, given: Mapping[str, str]) -> dict[str, str] | None:
    """What the archive says of its patient."""
    key = Key((_TAGS[PATIENT_ID],), SingleValue(given[PATIENT_ID]))
    query = Query(Level.PATIENT, (key,), include=frozenset(_TAGS.values()))
    found = [_values(match) for match in archive.search.find(query).matches]
    same = [one for one in found if one[PATIENT_ID] == given[PATIENT_ID]]
    if given[ISSUER]:
        same = [one for one in same if one[ISSUER] == given[ISSUER]]
    if len(same) > 1:
        named = ", ".join(repr(one[ISSUER]) for one in same)
        raise ConfigurationError(
            f"the archive has {len(same)} patients of this ID: say which with --issuer: {named}"
        )
    return same[0] if same else None


def _values(match: Match) -> dict[str, str]:
    return {keyword: text_of(match.get(f"{tag:08X}", {})) for keyword, tag in _TAGS.items()}


def _told(given: Mapping[str, str], patients: list[Said], number: int) -> str:
    lines = [f"Now:   {_patient(said)}" for said in patients[:_NAMED]]
    to_be = Said(*(given.get(keyword, "") for keyword in (PATIENT_ID, ISSUER, NAME, BIRTH_DATE, SEX)))
    lines.append(f"To be: {_patient(to_be)}" if PATIENT_ID in given or NAME in given else "To be: the same")
    shown = (PATIENT_ID, ISSUER, NAME, BIRTH_DATE, SEX)
    lines += [
        f"       {keyword}: {printable(value)}" for keyword, value in given.items() if keyword not in shown
    ]
    return "\n".join([f"{number} objects", *lines])


def _patient(said: Said) -> str:
    """One line; what an object says may be anything."""
    parts = [said.PatientName or "(no name)", said.PatientID or "(no ID)", said.IssuerOfPatientID]
    parts += [f"born {said.PatientBirthDate}" if said.PatientBirthDate else "", said.PatientSex]
    return printable(", ".join(part for part in parts if part))
