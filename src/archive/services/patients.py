"""The patients of whom something is stored, and their studies: for whoever corrects what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.errors import NotFound
from archive.dicom.instance import Level
from archive.dicom.patient_key import PatientKey
from archive.dicom.query import Key, Match, Query, SingleValue, Universal, Wildcard
from archive.services.correcting import text_of
from archive.services.search import Search

_OF_PATIENT = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "NumberOfPatientRelatedStudies",
)
_OF_STUDY = (
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "StudyDate",
    "AccessionNumber",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
)


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient, and how many studies there are."""

    PatientID: str
    IssuerOfPatientID: str
    name: str
    birth_date: str
    sex: str
    studies: int


@dataclass(frozen=True, slots=True)
class Study:
    """One study of a patient."""

    uid: str
    date: str
    AccessionNumber: str
    description: str
    modalities: str
    instances: int


class Patients:
    """Looks patients up."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def find(self, patient_id: str = "", name: str = "", limit: int = 100) -> list[Patient]:
        """The patients whose ID and name match; `*` and `?` stand for others. Raises InvalidQuery."""
        given = {"PatientID": patient_id, "PatientName": name}
        keys = _keys({keyword: text for keyword, text in given.items() if text}, _OF_PATIENT)
        found = self._search.find(Query(Level.PATIENT, keys, limit=limit)).matches
        return [_patient(one) for one in found]

    def studies(self, key: PatientKey) -> list[Study]:
        """All studies of a patient. Raises NotFound."""
        keys = _keys({"PatientID": key.PatientID}, _OF_STUDY, exact=True)
        found = [
            one
            for one in self._search.find(Query(Level.STUDY, keys)).matches
            if _text(one, "IssuerOfPatientID") == key.IssuerOfPatientID
        ]
        if not found:
            raise NotFound("nothing is stored of this patient: see `archive patients list`")
        return [_study(one) for one in found]


def _keys(given: dict[str, str], shown: Sequence[str], *, exact: bool = False) -> tuple[Key, ...]:
    keys = [
        Key(
            (BY_KEYWORD[keyword].tag,),
            Wildcard(text) if not exact and ("*" in text or "?" in text) else SingleValue(text),
        )
        for keyword, text in given.items()
    ]
    return (*keys, *(Key((BY_KEYWORD[one].tag,), Universal()) for one in shown if one not in given))


def _patient(match: Match) -> Patient:
    texts = [_text(match, keyword) for keyword in _OF_PATIENT]
    return Patient(texts[0], texts[1], texts[2], texts[3], texts[4], int(texts[5] or 0))


def _study(match: Match) -> Study:
    texts = [_text(match, keyword) for keyword in _OF_STUDY[1:]]
    return Study(texts[0], texts[1], texts[2], texts[3], texts[4], int(texts[5] or 0))


def _text(match: Match, keyword: str) -> str:
    return text_of(match.get(BY_KEYWORD[keyword].tag_hex, {}))
