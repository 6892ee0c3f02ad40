"""Corrections (dimse.md 1.5: ADT, patient merge, retrieve of updated attributes): patients and studies say what is
right everywhere, and nothing says what was wrong. On both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from archive.bootstrap.building import Archive
from archive.dicom.errors import InstanceConflict, InvalidEntry, NotFound
from archive.dicom.instance import Level, Scope
from archive.dicom.patient_key import PatientKey
from archive.dicom.receiving.commitment import COMMITTED, Reference, Verdict
from archive.services.corrections import State
from corrected import DOE, POE, ROE, agree, answers, kept, of, opened_archive, says, store_all, whose
from held import SCANNER, digest, settle_down, store, stored
from objects import new_uid

DAMAGED = b"XXXX"


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url) as opened:
        yield opened


def test_a_merged_patient_is_the_other_everywhere(archive: Archive) -> None:
    prior = of(DOE, "Doe^Emergency", AccessionNumber="7")
    other = of(ROE, "Roe^Jane", PatientBirthDate="19700101", PatientSex="F")
    store_all(archive, prior, other)
    [number] = archive.corrections.merge(DOE, ROE, {}, "test", "same person")
    assert whose(archive) == dict.fromkeys(
        [prior.SOPInstanceUID, other.SOPInstanceUID], ("2", "", "Roe^Jane")
    )
    assert says(archive, prior, "PatientBirthDate", "PatientSex", "AccessionNumber") == ("19700101", "F", "7")
    assert answers(archive, Level.STUDY, "StudyInstanceUID", PatientName="Doe*") == []
    one = archive.corrections.get(number)
    assert (one.state, one.made_by, one.reason) == (State.DONE, "test", "same person")
    assert digest(other) in stored(archive).values()  # what says it already is not touched
    agree(archive)


def test_former_values_are_kept_in_the_object(archive: Archive) -> None:
    """PS3.3 C.12.1.1.9."""
    [one] = store_all(archive, of(DOE, "Doe^Emergency"))
    archive.corrections.merge(DOE, POE, {"PatientName": "Poe^Jo"}, "test")
    [item] = kept(archive, one).OriginalAttributesSequence
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert (item.SourceOfPreviousValues, item.ModifyingSystem) == ("SCANNER", "ARCHIVE")
    [former] = item.ModifiedAttributesSequence
    assert (former.PatientName, former.PatientID) == ("Doe^Emergency", "1")
    assert not former.IssuerOfPatientID
    assert kept(archive, one).PixelData == one.PixelData


def test_chains_come_to_their_end_and_circles_are_refused(archive: Archive) -> None:
    store_all(archive, of(DOE, "Doe"), of(ROE, "Roe"), of(POE, "Poe"))
    archive.corrections.merge(DOE, ROE, {}, "test")
    archive.corrections.merge(ROE, POE, {}, "test")
    with pytest.raises(InstanceConflict):
        archive.corrections.merge(POE, DOE, {}, "test")
    with pytest.raises(InvalidEntry):
        archive.corrections.merge(DOE, DOE, {}, "test")
    assert archive.corrections.merge(DOE, POE, {}, "test") == []  # they are one already
    with pytest.raises(InstanceConflict):
        archive.corrections.merge(DOE, PatientKey("9"), {}, "test")
    store_all(archive, of(DOE, "Doe"), of(ROE, "Roe^Of^Another^Name"))
    assert set(whose(archive).values()) == {("3", "HOSPITAL", "Poe")}
    agree(archive)


def test_a_chain_that_is_made_from_its_end(archive: Archive) -> None:
    archive.corrections.merge(ROE, POE, {"PatientName": "Poe"}, "test")
    archive.corrections.merge(DOE, ROE, {}, "test")
    store_all(archive, of(DOE, "Doe"), of(ROE, "Roe"))
    assert set(whose(archive).values()) == {("3", "HOSPITAL", "Poe")}


def test_a_patient_who_is_spoken_of_before_anything_comes(archive: Archive) -> None:
    """IHE PIR: the images of an emergency patient may come after all messages."""
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    assert archive.corrections.update_patient(ROE, {"PatientName": "Roe^Jane"}, "test")
    assert archive.corrections.update_patient(ROE, {"PatientName": "Roe^Jane"}, "test") == []
    store_all(archive, of(DOE, "Doe"), of(ROE, "Roe"))
    assert set(whose(archive).values()) == {("2", "", "Roe^Jane")}
    agree(archive)


def test_the_same_id_of_two_issuers_is_of_two_patients(archive: Archive) -> None:
    here, there = PatientKey("1", "HERE"), PatientKey("1", "THERE")
    mine, other, third = store_all(archive, of(here, "Doe"), of(there, "Doe"), of(DOE, "Doe"))
    archive.corrections.merge(here, ROE, {"PatientName": "Roe"}, "test")
    found = whose(archive)
    assert found[mine.SOPInstanceUID] == ("2", "", "Roe")
    assert found[other.SOPInstanceUID] == ("1", "THERE", "Doe")
    assert found[third.SOPInstanceUID] == ("1", "", "Doe")


def test_what_comes_into_a_study_of_the_prior_patient(archive: Archive) -> None:
    """It may say less of the patient than the study did, and belonged to it all the same."""
    here = PatientKey("1", "HERE")
    [first] = store_all(archive, of(here, "Doe"))
    archive.corrections.merge(here, ROE, {"PatientName": "Roe"}, "test")
    study = first.StudyInstanceUID
    store_all(archive, of(DOE, "Doe", study), of(PatientKey(""), "Doe", study), of(here, "Doe", study))
    assert set(whose(archive).values()) == {("2", "", "Roe")}
    with pytest.raises(InstanceConflict):
        store_all(archive, of(PatientKey("1", "THERE"), "Doe", study))
    agree(archive)


def test_another_id_for_a_patient(archive: Archive) -> None:
    store_all(archive, of(DOE, "Doe^John", PatientSex="M"))
    with pytest.raises(NotFound):
        archive.corrections.merge(DOE, ROE, {}, "test", anyway=False)
    with pytest.raises(NotFound):
        archive.corrections.change_id(ROE, POE, {}, "test")
    archive.corrections.change_id(DOE, ROE, {}, "test")
    store_all(archive, of(DOE, "Doe^John"))
    assert set(whose(archive).values()) == {("2", "", "Doe^John")}
    store_all(archive, of(POE, "Poe"))
    with pytest.raises(InstanceConflict):
        archive.corrections.change_id(ROE, POE, {}, "test")


def test_a_patient_of_another_name(archive: Archive) -> None:
    """What comes with the old name is corrected; with a third one, that is what its sender says."""
    first, second = store_all(archive, of(DOE, "Doe^Jon"), of(DOE, "DOE^JON", PatientBirthDate="19000101"))
    changes = {"PatientName": "Doe^John", "PatientBirthDate": "19010101"}
    [number] = archive.corrections.update_patient(DOE, changes, "test")
    late, third = store_all(archive, of(DOE, "doe^jon"), of(DOE, "Smith^John"))
    for one in (first, second, late):
        assert says(archive, one, "PatientName", "PatientBirthDate") == ("Doe^John", "19010101")
    assert says(archive, third, "PatientName", "PatientBirthDate") == ("Smith^John", "19010101")
    assert answers(archive, Level.PATIENT, "PatientName", "PatientBirthDate") == [("Doe^John", "19010101")]
    assert answers(archive, Level.STUDY, "PatientName", PatientName="Doe^Jon") == []
    assert archive.corrections.update_patient(PatientKey("9"), changes, "test") == []
    archive.corrections.undo(number, "test")
    assert says(archive, first, "PatientName", "PatientBirthDate") == ("Doe^Jon", "")
    assert says(archive, second, "PatientName", "PatientBirthDate") == ("DOE^JON", "19000101")
    assert says(archive, late, "PatientName", "PatientBirthDate") == ("doe^jon", "")
    assert archive.corrections.update_patient(DOE, {"PatientSex": ""}, "test") == []
    agree(archive)


def test_back_and_forth_is_no_circle(archive: Archive) -> None:
    store_all(archive, of(DOE, "A"))
    for name in ("B", "A", "B"):
        assert archive.corrections.update_patient(DOE, {"PatientName": name}, "test")
    late = store_all(archive, of(DOE, "A"), of(DOE, "B"))
    assert {says(archive, one, "PatientName") for one in late} == {("B",)}
    agree(archive)


@pytest.mark.parametrize(
    ("named", "said", "name", "sets"),
    [
        (None, "Doe^John", "Müller^Jörg", "ISO_IR 192"),
        ("ISO_IR 100", "Mäyer", "Müller^Jörg", "ISO_IR 100"),
        ("ISO_IR 100", "Mäyer", "Łukasz^Żak", ["ISO 2022 IR 100", "ISO 2022 IR 101"]),
        ("ISO_IR 192", "Mäyer", "山田^太郎", "ISO_IR 192"),
        ("ISO_IR 144", "Иванов", "Παπαδόπουλος", ["ISO 2022 IR 144", "ISO 2022 IR 126"]),
    ],
)
def test_names_in_letters_that_the_object_did_not_have(
    archive: Archive, named: str | None, said: str, name: str, sets: object
) -> None:
    [one] = store_all(archive, of(DOE, "Doe", SpecificCharacterSet=named, InstitutionName=said))
    archive.corrections.update_patient(DOE, {"PatientName": name}, "test")
    found = kept(archive, one)
    assert (found.PatientName, found.InstitutionName, found.SpecificCharacterSet) == (name, said, sets)
    assert says(archive, one, "PatientName") == (name,)
    assert len(answers(archive, Level.STUDY, "PatientName", PatientName=name)) == 1
    archive.corrections.undo(archive.corrections.last()[0].id, "test")
    assert says(archive, one, "PatientName", "InstitutionName") == ("Doe", said)


def test_a_name_that_the_object_cannot_say_changes_nothing(archive: Archive) -> None:
    study = new_uid()
    one, two = store_all(
        archive,
        of(DOE, "Doe", study, SpecificCharacterSet="ISO_IR 100", InstitutionName="Spität"),
        of(DOE, "Doe", study),
    )
    [number] = archive.corrections.update_patient(DOE, {"PatientName": "Nguyễn"}, "test")
    assert says(archive, one, "PatientName") == says(archive, two, "PatientName") == ("Doe",)
    failed = archive.corrections.get(number)
    assert failed.state == State.FAILED
    assert one.SOPInstanceUID in failed.failure
    assert "Doe" not in failed.failure
    agree(archive)


def test_a_study_of_the_wrong_patient(archive: Archive) -> None:
    """Nothing of the patient whose it was stays in it."""
    wrong = of(DOE, "Doe", PatientAddress="Here", PatientSex="M", StudyDescription="Head", PatientWeight="70")
    wrong.OtherPatientIDsSequence = Sequence([Dataset()])
    wrong.OtherPatientIDsSequence[0].PatientID = "D1"
    right, other, _ = store_all(archive, wrong, of(DOE, "Doe"), of(ROE, "Roe", PatientBirthDate="19700101"))
    with pytest.raises(InvalidEntry):
        archive.corrections.move_study(wrong.StudyInstanceUID, POE, {}, "test")
    with pytest.raises(NotFound):
        archive.corrections.move_study(new_uid(), ROE, {}, "test")
    archive.corrections.move_study(wrong.StudyInstanceUID, ROE, {}, "test")
    told = "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAddress", "StudyDescription"
    assert says(archive, right, *told) == ("2", "Roe", "19700101", "", "", "Head")
    assert not kept(archive, right).get("OtherPatientIDsSequence")
    assert says(archive, other, "PatientID", "PatientName") == ("1", "Doe")
    late = [of(DOE, "Doe", wrong.StudyInstanceUID), of(PatientKey(""), "Doe", wrong.StudyInstanceUID)]
    for one in store_all(archive, *late):
        assert says(archive, one, "PatientID", "PatientName", "PatientBirthDate") == ("2", "Roe", "19700101")
    assert says(archive, *store_all(archive, of(DOE, "Doe")), "PatientID") == ("1",)
    archive.corrections.undo(archive.corrections.last()[0].id, "test")
    assert says(archive, right, *told) == ("1", "Doe", "", "M", "Here", "Head")
    assert kept(archive, right).OtherPatientIDsSequence[0].PatientID == "D1"
    agree(archive)


def test_a_study_of_an_unnamed_patient_gets_one(archive: Archive) -> None:
    unnamed, other = store_all(archive, of(PatientKey(""), ""), of(PatientKey(""), ""))
    archive.corrections.move_study(unnamed.StudyInstanceUID, DOE, {"PatientName": "Doe"}, "test")
    assert says(archive, unnamed, "PatientID", "PatientName") == ("1", "Doe")
    assert says(archive, other, "PatientID", "PatientName") == ("", "")
    [late] = store_all(archive, of(PatientKey(""), "", unnamed.StudyInstanceUID))
    assert says(archive, late, "PatientID", "PatientName") == ("1", "Doe")
    agree(archive)


def test_what_is_said_of_a_study(archive: Archive) -> None:
    study = new_uid()
    first, second = store_all(
        archive, of(DOE, "Doe", study, AccessionNumber="A1"), of(DOE, "Doe", study, AccessionNumber="")
    )
    changes = {"AccessionNumber": "A2", "StudyDescription": "Knee"}
    archive.corrections.update_study(study, changes, "test")
    late, other = store_all(
        archive, of(DOE, "Doe", study, AccessionNumber="A1"), of(DOE, "Doe", AccessionNumber="A1")
    )
    for one in (first, second, late):
        assert says(archive, one, "AccessionNumber", "StudyDescription") == ("A2", "Knee")
    assert says(archive, other, "AccessionNumber") == ("A1",)
    assert answers(archive, Level.STUDY, "StudyInstanceUID", AccessionNumber="A2") == [(study,)]
    assert archive.corrections.update_study(study, changes, "test") == []
    archive.corrections.undo(archive.corrections.last()[0].id, "test")
    assert [says(archive, one, "AccessionNumber") for one in (first, second, late)] == [
        ("A1",),
        ("",),
        ("A1",),
    ]
    agree(archive)


@pytest.mark.parametrize(
    "attributes",
    [
        {"StudyDate": "20200101"},
        {"PatientSex": "male"},
        {"PatientBirthDate": "1970"},
        {"PatientName": "A\\B"},
    ],
)
def test_what_cannot_be_corrected_or_said(archive: Archive, attributes: dict[str, str]) -> None:
    store_all(archive, of(DOE, "Doe"))
    with pytest.raises(InvalidEntry):
        archive.corrections.update_patient(DOE, attributes, "test")


def test_undoing_a_merge_gives_each_what_it_had(archive: Archive) -> None:
    prior, own = store_all(archive, of(DOE, "Doe", PatientSex="M"), of(ROE, "Roe"))
    [number] = archive.corrections.merge(DOE, ROE, {}, "test")
    late, shared = store_all(archive, of(DOE, "Doe"), of(ROE, "Roe", prior.StudyInstanceUID))
    [later] = archive.corrections.update_patient(ROE, {"PatientName": "Roe^Jane"}, "test")
    with pytest.raises(InstanceConflict, match=str(later)):
        archive.corrections.undo(number, "test")
    archive.corrections.undo(later, "test")
    archive.corrections.undo(number, "test")
    found = whose(archive)
    assert {found[one.SOPInstanceUID] for one in (prior, late, shared)} == {("1", "", "Doe")}
    assert found[own.SOPInstanceUID] == ("2", "", "Roe")
    assert says(archive, prior, "PatientSex") == ("M",)
    with pytest.raises(InstanceConflict):
        archive.corrections.undo(number, "test")
    [new] = store_all(archive, of(DOE, "Doe"))
    assert whose(archive)[new.SOPInstanceUID] == ("1", "", "Doe")
    agree(archive)


def test_a_re_send_of_what_was_corrected_is_there_already(archive: Archive) -> None:
    [one] = store_all(archive, of(DOE, "Doe"))
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    archive.corrections.update_patient(ROE, {"PatientName": "Roe^Jane"}, "test")
    assert store(archive, one).already_there
    late = of(DOE, "Doe")
    assert not store(archive, late).already_there
    assert store(archive, late).already_there
    assert set(whose(archive).values()) == {("2", "", "Roe^Jane")}
    agree(archive)


def test_damage_is_given_no_new_digest(archive: Archive) -> None:
    study = new_uid()
    one, two = store_all(archive, of(DOE, "Doe", study), of(DOE, "Doe", study))
    [other] = store_all(archive, of(DOE, "Doe"))
    instance = archive.retrieve.instance(Scope(sop_instance_uids=(one.SOPInstanceUID,)))
    path = archive.settings.data / "objects" / instance.blob_key
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + DAMAGED)
    [number] = archive.corrections.update_patient(DOE, {"PatientName": "Doe^John"}, "test")
    failed = archive.corrections.get(number)
    assert (failed.state, one.SOPInstanceUID in failed.failure) == (State.FAILED, True)
    assert says(archive, two, "PatientName") == ("Doe",)
    assert says(archive, other, "PatientName") == ("Doe^John",)
    path.write_bytes(whole)
    archive.corrections.retry(number)
    assert archive.corrections.get(number).state == State.DONE
    assert says(archive, one, "PatientName") == says(archive, two, "PatientName") == ("Doe^John",)
    with pytest.raises(InstanceConflict):
        archive.corrections.retry(number)
    agree(archive)


def test_former_bytes_go_with_time_and_with_the_study(archive: Archive) -> None:
    one, two = store_all(archive, of(DOE, "Doe"), of(DOE, "Doe"))
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    settle_down(archive)
    assert len(list(archive.store.keys())) == 4
    assert archive.corrections.expire(1) == 0
    archive.deletion.delete(Scope((one.StudyInstanceUID,)))
    settle_down(archive)
    assert len(list(archive.store.keys())) == 2
    assert archive.corrections.expire(-1) == 1
    settle_down(archive)
    assert list(stored(archive)) == [two.SOPInstanceUID]
    assert len(list(archive.store.keys())) == 1


def test_commitment_to_what_was_corrected(archive: Archive) -> None:
    """Its sender may delete it: what it means is safe here."""
    [one] = store_all(archive, of(DOE, "Doe"))
    archive.corrections.merge(DOE, ROE, {"PatientName": "Roe"}, "test")
    named = Reference(SOPClassUID=one.SOPClassUID, SOPInstanceUID=one.SOPInstanceUID)
    verdicts = archive.commitment.request(new_uid(), [named], SCANNER)
    assert verdicts == [Verdict(named, COMMITTED)]
