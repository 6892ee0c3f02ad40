"""From Identifiers to scopes, by the rules of PS3.4 C.4.2.1.4.1, and the level of an Identifier."""

from __future__ import annotations

import pytest

from archive.dicom.errors import InvalidQuery, InvalidUID
from archive.dicom.instance import Level, Scope
from archive.dimse.keys import level_asked, scope, supported_keys
from identifiers import identifier


@pytest.mark.parametrize("level", [None, "", "EXAM", "INSTANCE"])
def test_level_is_required(level: str | None) -> None:
    with pytest.raises(InvalidQuery):
        level_asked(identifier(level, StudyInstanceUID="1.2.3"), Level.STUDY)


def test_no_patient_level_in_study_root() -> None:
    with pytest.raises(InvalidQuery):
        level_asked(identifier("PATIENT", PatientID="1"), Level.STUDY)
    assert level_asked(identifier("PATIENT", PatientID="1"), Level.PATIENT) is Level.PATIENT


def test_a_unique_key_of_a_lower_level_is_refused() -> None:
    with pytest.raises(InvalidQuery) as refused:
        scope(identifier("STUDY", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3"), Level.STUDY)
    assert refused.value.tag == 0x0020000E


def test_scope_of_each_level() -> None:
    assert scope(identifier("PATIENT", PatientID="P 1"), Level.PATIENT) == Scope(patient_ids=("P 1",))
    assert scope(identifier("STUDY", StudyInstanceUID=["1.2", "1.3"]), Level.STUDY) == Scope(("1.2", "1.3"))
    everything = identifier("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", SOPInstanceUID="1.9")
    assert scope(everything, Level.STUDY) == Scope(("1.2",), ("1.2.3",), ("1.9",))
    assert scope(identifier("SERIES", SeriesInstanceUID="1.2.3"), Level.STUDY) == Scope((), ("1.2.3",))


def test_a_backslash_in_a_patient_id_does_not_name_two_patients() -> None:
    both = scope(identifier("PATIENT", PatientID=["A", "B"]), Level.PATIENT)
    assert both == Scope(patient_ids=("A\\B",))


def test_patient_id_counts_in_the_patient_root_only() -> None:
    both = identifier("STUDY", PatientID="7", StudyInstanceUID="1.2")
    assert scope(both, Level.PATIENT) == Scope(("1.2",), patient_ids=("7",))
    assert scope(both, Level.STUDY) == Scope(("1.2",))


@pytest.mark.parametrize(
    ("root", "level", "keywords"),
    [
        (Level.STUDY, "STUDY", {}),
        (Level.STUDY, "STUDY", {"StudyInstanceUID": ""}),
        (Level.STUDY, "SERIES", {"StudyInstanceUID": "1.2"}),
        (Level.PATIENT, "PATIENT", {}),
        (Level.PATIENT, "PATIENT", {"PatientID": "*"}),
        (Level.STUDY, "PATIENT", {"PatientID": "7"}),
    ],
)
def test_nobody_gets_everything(root: Level, level: str, keywords: dict[str, str]) -> None:
    with pytest.raises(InvalidQuery):
        scope(identifier(level, **keywords), root)


def test_a_retrieve_names_whole_uids() -> None:
    with pytest.raises(InvalidUID):
        scope(identifier("STUDY", StudyInstanceUID="1.2.*"), Level.STUDY)


def test_every_required_key_is_supported() -> None:
    keys = supported_keys(Level.STUDY)
    assert {"PatientName", "PatientID", "StudyDate", "StudyInstanceUID"} <= set(keys[Level.STUDY])
    assert supported_keys(Level.PATIENT)[Level.PATIENT][0] == "PatientName"


def test_an_issuer_means_one_of_two_patients_of_the_same_id() -> None:
    """Not of PS3.4 Table C.6-1, but said; alone it is no unique key."""
    both = identifier("PATIENT", PatientID="7", IssuerOfPatientID="A\\B")
    assert scope(both, Level.PATIENT) == Scope(patient_ids=("7",), issuers_of_patient_id=("A\\B",))
    anyone = identifier("PATIENT", PatientID="7", IssuerOfPatientID="*")
    assert scope(anyone, Level.PATIENT) == Scope(patient_ids=("7",))
    study = identifier("STUDY", PatientID="7", IssuerOfPatientID="A", StudyInstanceUID="1.2")
    assert scope(study, Level.STUDY) == Scope(("1.2",))
    for asked in ({"IssuerOfPatientID": "A"}, {"PatientID": "7", "IssuerOfPatientID": "A*"}):
        with pytest.raises(InvalidQuery):
            scope(identifier("PATIENT", **asked), Level.PATIENT)
