"""`archive export`: which instances are meant (dimse.md 1.6 PDI)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import typer

from archive.bootstrap.building import Archive
from archive.cli.export import Selection, selected
from archive.dicom.errors import ConfigurationError, InvalidQuery, NotFound
from archive_here import fill
from exports import ALL, study
from objects import ct, mr, series


def test_studies_series_patients_and_searches(archive: Archive) -> None:
    one, other = study(), series(ct, 2, PatientID="42", StudyDate="20200102")
    fill(archive, *one, *other)

    def uids(chosen: Selection) -> set[str]:
        return {found.SOPInstanceUID for found in selected(archive, chosen)}

    of_one, of_other = {each.SOPInstanceUID for each in one}, {each.SOPInstanceUID for each in other}
    assert uids(ALL) == of_one | of_other
    assert uids(Selection(studies=(one[0].StudyInstanceUID,))) == of_one
    assert uids(Selection(series=(one[0].SeriesInstanceUID,))) == {each.SOPInstanceUID for each in one[:3]}
    assert uids(Selection(patient="42")) == of_other
    assert uids(Selection(match=("StudyDate=20200101-20200131",))) == of_other
    assert uids(Selection(match=("ModalitiesInStudy=MR",))) == of_one


def test_a_patient_id_of_two_issuers(archive: Archive) -> None:
    """Two patients: nobody gets the other's images."""
    north, south = (mr(PatientID="7", IssuerOfPatientID=issuer) for issuer in ("NORTH", "SOUTH"))
    fill(archive, north, south)
    with pytest.raises(ConfigurationError, match=r"--issuer, which is one of 'NORTH', 'SOUTH'"):
        selected(archive, Selection(patient="7"))
    (found,) = selected(archive, Selection(patient="7", issuer="SOUTH"))
    assert found.SOPInstanceUID == south.SOPInstanceUID


def test_studies_of_two_patients_only_on_purpose(archive: Archive) -> None:
    one, other = mr(PatientID="1"), mr(PatientID="2")
    fill(archive, one, other)
    both = Selection(studies=(one.StudyInstanceUID, other.StudyInstanceUID))
    with pytest.raises(ConfigurationError, match="several patients"):
        selected(archive, both)
    assert len(selected(archive, replace(both, several_patients=True))) == 2


def test_what_is_not_there_is_told(archive: Archive) -> None:
    image = mr()
    fill(archive, image)
    with pytest.raises(NotFound, match=r"1\.2\.3"):
        selected(archive, Selection(studies=(image.StudyInstanceUID, "1.2.3")))
    with pytest.raises(NotFound):
        selected(archive, Selection(patient="nobody"))


@pytest.mark.parametrize("key", ["PatientNam=X", "Rows=512", "SOPInstanceUID=1.2.3", "limit=3"])
def test_keys_that_a_search_would_ignore_are_refused(archive: Archive, key: str) -> None:
    """Else everybody's studies would be on the medium."""
    fill(archive, mr())
    with pytest.raises(InvalidQuery):
        selected(archive, Selection(match=(key,)))


def test_options_that_contradict_each_other() -> None:
    for chosen in (
        Selection(),
        Selection(studies=("1",), patient="2"),
        Selection(studies=("1",), series=("2",)),
        Selection(everything=True, match=("A=B",)),
        Selection(everything=True, issuer="X"),
    ):
        with pytest.raises(typer.BadParameter):
            chosen.check()
