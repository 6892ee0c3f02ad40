"""What information systems say of patients reaches whom it is about, and nobody else (dimse.md 1.5: HL7 ADT, patient
merge). On both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InstanceConflict, InvalidEntry, InvalidValue, NotFound, OtherPatient
from archive.dicom.patient_key import Identifier, PatientKey
from archive.dicom.worklist import keyword_form
from archive.dicom.worklist.patients import key_of
from archive.services.orders import Control, Order
from archive.services.patient_updates import Merge, Move
from corrected import opened_archive, whose
from held import store
from objects import new_uid, secondary_capture
from worklists import as_json, ended, performed, written

BARE, HOSP, CLINIC = PatientKey("4711"), PatientKey("4711", "HOSP"), PatientKey("4711", "CLINIC")
TEMPORARY = PatientKey("T1")
BY = "HL7 RIS 10.0.0.1"


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url, **{"worklist.stations": ["CT=CT1"], "hl7.listen": ""}) as opened:
        yield opened


def keep(archive: Archive, key: PatientKey, name: str = "Doe^Jane", study: str = "") -> str:
    """An object of this patient; its SOP Instance UID."""
    issuer = key.IssuerOfPatientID or None
    one = secondary_capture(
        PatientName=name,
        PatientID=key.PatientID,
        IssuerOfPatientID=issuer,
        StudyInstanceUID=study or new_uid(),
    )
    store(archive, one)
    return str(one.SOPInstanceUID)


def schedule(archive: Archive, key: PatientKey, **attributes: str) -> int:
    issuer = {"IssuerOfPatientID": key.IssuerOfPatientID} if key.IssuerOfPatientID else {}
    of = written(PatientID=key.PatientID, **issuer, **attributes)
    [number] = archive.worklist.add(keyword_form.data_set(of), "test")
    return number


def entry_key(archive: Archive, number: int) -> PatientKey:
    return key_of(archive.worklist.get(number).data_set)


def name_of(archive: Archive, number: int) -> str:
    return str(keyword_form.written(archive.worklist.get(number).data_set)["PatientName"])


def identifier(key: PatientKey, home: bool | None = None) -> Identifier:
    issuer = (key.IssuerOfPatientID,) if key.IssuerOfPatientID else ()
    return Identifier(key.PatientID, issuer, home)


def update(archive: Archive, *keys: PatientKey, home: bool | None = None, **said: str) -> list[int]:
    found = [identifier(key, home) for key in keys]
    return archive.patient_updates.update(found, said or {"PatientName": "Roe^Rita"}, BY, "ADT^A08 M1")


def merge(
    archive: Archive,
    prior: PatientKey,
    surviving: PatientKey,
    home: bool | None = None,
    changed: bool = False,
) -> list[int]:
    one = Merge(identifier(prior, home), identifier(surviving, home), {"PatientName": "Roe^Rita"}, changed)
    return archive.patient_updates.merge([one], BY, "ADT^A40 M1")


def names(archive: Archive) -> dict[PatientKey, str]:
    return {PatientKey(told[0], told[1]): told[2] for told in whose(archive).values()}


@pytest.mark.parametrize(
    ("home", "reached"),
    [(None, {BARE}), (True, {BARE}), (False, set())],
)
def test_an_id_without_issuer_is_that_of_the_usual_authority(
    archive: Archive, home: bool | None, reached: set[PatientKey]
) -> None:
    """Modalities leave the issuer out; information systems name it."""
    keep(archive, BARE)
    update(archive, HOSP, home=home)
    assert {key for key, name in names(archive).items() if name == "Roe^Rita"} == reached


def test_the_same_id_of_another_issuer_is_another_patient(archive: Archive) -> None:
    keep(archive, CLINIC)
    keep(archive, HOSP)
    update(archive, HOSP)
    assert names(archive) == {CLINIC: "Doe^Jane", HOSP: "Roe^Rita"}


def test_an_id_that_may_be_anybodys_is_not_guessed(archive: Archive) -> None:
    keep(archive, CLINIC)
    keep(archive, BARE)
    for attempt in (update, lambda one, key: merge(one, key, PatientKey("1", "HOSP"))):
        with pytest.raises(InvalidValue, match="assigning_authorities"):
            attempt(archive, HOSP)
    assert names(archive) == {CLINIC: "Doe^Jane", BARE: "Doe^Jane"}
    update(archive, HOSP, home=True)
    assert names(archive) == {CLINIC: "Doe^Jane", BARE: "Roe^Rita"}


def test_all_identifiers_of_a_patient_are_considered(archive: Archive) -> None:
    other = PatientKey("99", "MPI")
    keep(archive, HOSP)
    keep(archive, other)
    keep(archive, PatientKey("99"))
    update(archive, HOSP, other, home=False)
    assert names(archive) == {HOSP: "Roe^Rita", other: "Roe^Rita", PatientKey("99"): "Doe^Jane"}


def test_a_patient_of_whom_only_the_worklist_knows(archive: Archive) -> None:
    number = schedule(archive, HOSP)
    update(archive, HOSP)
    assert name_of(archive, number) == "Roe^Rita"


def test_a_patient_of_whom_only_a_modality_has_told(archive: Archive) -> None:
    """It has begun without a worklist, and sends its images later."""
    archive.performed_steps.create("1.9", as_json(performed(written(PatientID="4711"))), "CT1", "127.0.0.1")
    update(archive, HOSP)
    step = keyword_form.written(archive.performed_steps.find("1.9").data_set)
    assert step["PatientName"] == "Roe^Rita"


def test_nobody_knows_the_patient(archive: Archive) -> None:
    keep(archive, TEMPORARY)
    assert update(archive, HOSP) == []
    assert update(archive, TEMPORARY, PatientName="Doe^Jane") == [], "it says so already"
    assert names(archive) == {TEMPORARY: "Doe^Jane"}


@pytest.mark.parametrize("survivor", [BARE, HOSP, None])
def test_a_merge_reaches_objects_and_entries(archive: Archive, survivor: PatientKey | None) -> None:
    """The emergency patient was stored without issuer, and scheduled with one."""
    keep(archive, TEMPORARY, "Unknown^Male")
    number = schedule(archive, PatientKey("T1", "HOSP"))
    if survivor is not None:
        keep(archive, survivor)
    merge(archive, PatientKey("T1", "HOSP"), HOSP)
    assert {key.PatientID for key in names(archive)} == {"4711"}
    assert names(archive)[survivor or BARE] == "Roe^Rita"
    assert entry_key(archive, number).PatientID == "4711"
    assert name_of(archive, number) == "Roe^Rita"


def test_what_comes_after_a_merge_of_an_unknown_patient(archive: Archive) -> None:
    """IHE PIR: the images of the emergency department come when the patient has long been identified."""
    merge(archive, PatientKey("T1", "HOSP"), HOSP)
    first, second = keep(archive, TEMPORARY), keep(archive, PatientKey("T1", "HOSP"))
    assert whose(archive)[first] == ("4711", "", "Roe^Rita")
    assert whose(archive)[second] == ("4711", "HOSP", "Roe^Rita")


def test_the_same_merge_again_changes_nothing(archive: Archive) -> None:
    keep(archive, TEMPORARY)
    number = schedule(archive, TEMPORARY)
    assert merge(archive, TEMPORARY, BARE)
    before = (whose(archive), archive.worklist.get(number))
    assert merge(archive, TEMPORARY, BARE) == []
    assert (whose(archive), archive.worklist.get(number)) == before


def test_a_merge_that_is_sent_again_when_more_is_known(archive: Archive) -> None:
    """Whoever was nobody at first has objects now, without issuer: the same message still means the same."""
    merge(archive, PatientKey("T1", "HOSP"), HOSP)
    keep(archive, BARE)
    for _ in range(2):
        merge(archive, PatientKey("T1", "HOSP"), HOSP)
    late = keep(archive, PatientKey("T1", "HOSP"))
    assert whose(archive)[late][0] == "4711"
    assert set(names(archive).values()) == {"Roe^Rita"}


def test_a_change_that_is_not_carried_out_yet_and_comes_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_uid()
    keep(archive, TEMPORARY, study=study)
    said = {"PatientName": "Roe^Rita"}
    moving = Move([study], identifier(TEMPORARY), identifier(BARE), said)
    with monkeypatch.context() as patched:
        patched.setattr("archive.services.corrections.AT_ONCE_INSTANCES", -1)
        assert archive.patient_updates.move(moving, BY, "ADT^A45 M1")
        assert archive.patient_updates.move(moving, BY, "ADT^A45 M1") == []
        keep(archive, PatientKey("5"))
        keep(archive, PatientKey("6"))
        archive.corrections.merge(PatientKey("5"), PatientKey("6"), said, BY)
        merge(archive, PatientKey("5"), PatientKey("6"), changed=True)
    for _ in archive.corrections.work(100):
        pass
    assert {key.PatientID for key in names(archive)} == {"4711", "6"}


def test_a_merged_patient_is_not_spoken_of_any_more(archive: Archive) -> None:
    """A late update of "Unknown^Male" must not become the name of the patient who survives."""
    keep(archive, TEMPORARY)
    merge(archive, TEMPORARY, BARE)
    with pytest.raises(OtherPatient, match="merged"):
        update(archive, TEMPORARY, PatientName="Unknown^Male")
    assert names(archive) == {BARE: "Roe^Rita"}
    update(archive, BARE, TEMPORARY, PatientName="Roe^Ruth")
    assert names(archive) == {BARE: "Roe^Ruth"}, "systems go on listing the former identifier"


def test_merges_of_one_message_are_all_done_or_none(archive: Archive) -> None:
    for key in ("A", "B", "C"):
        keep(archive, PatientKey(key), key)
    merge(archive, PatientKey("B"), PatientKey("C"))
    said = {"PatientName": "Roe^Rita"}
    pairs = [("A", "C"), ("C", "B")]
    both = [Merge(Identifier(one, (), None), Identifier(other, (), None), said) for one, other in pairs]
    with pytest.raises(InstanceConflict):
        archive.patient_updates.merge(both, BY, "ADT^A40 M1")
    assert {key.PatientID for key in names(archive)} == {"A", "C"}


def test_chains_of_merges(archive: Archive) -> None:
    keep(archive, PatientKey("A"))
    merge(archive, PatientKey("A"), PatientKey("B"))
    merge(archive, PatientKey("B"), PatientKey("C"))
    late = keep(archive, PatientKey("A"))
    assert whose(archive)[late][0] == "C"
    assert {key.PatientID for key in names(archive)} == {"C"}


def test_another_id_for_a_patient(archive: Archive) -> None:
    keep(archive, TEMPORARY)
    assert merge(archive, TEMPORARY, BARE, changed=True)
    assert merge(archive, TEMPORARY, BARE, changed=True) == [], "the same message again"
    assert names(archive) == {BARE: "Roe^Rita"}
    other = PatientKey("5")
    keep(archive, other, "Poe^Paul")
    with pytest.raises(InstanceConflict, match="A40"):
        merge(archive, other, BARE, changed=True)
    assert names(archive) == {BARE: "Roe^Rita", other: "Poe^Paul"}


def test_a_study_goes_to_another_patient(archive: Archive) -> None:
    study = new_uid()
    moved, stays = keep(archive, TEMPORARY, study=study), keep(archive, TEMPORARY)
    keep(archive, BARE, "Roe^Rita")
    number = schedule(archive, TEMPORARY, StudyInstanceUID=study)
    one = Move(
        [study],
        identifier(PatientKey("T1", "HOSP")),
        identifier(HOSP),
        {"PatientName": "Roe^Rita"},
    )
    assert archive.patient_updates.move(one, BY, "ADT^A45 M1")
    assert whose(archive)[moved][:1] == ("4711",)
    assert whose(archive)[stays][:1] == ("T1",)
    assert entry_key(archive, number) == BARE
    assert archive.patient_updates.move(one, BY, "ADT^A45 M1") == [], "the same message again"


def test_a_study_that_is_of_neither(archive: Archive) -> None:
    study = new_uid()
    one = Move([study], identifier(TEMPORARY), identifier(BARE), {"PatientName": "Roe^Rita"})
    with pytest.raises(NotFound):
        archive.patient_updates.move(one, BY, "ADT^A45 M1")
    keep(archive, PatientKey("9"), study=study)
    with pytest.raises(OtherPatient):
        archive.patient_updates.move(one, BY, "ADT^A45 M1")
    assert {key.PatientID for key in names(archive)} == {"9"}


def test_a_value_that_cannot_be(archive: Archive) -> None:
    keep(archive, BARE)
    number = schedule(archive, BARE)
    with pytest.raises((InvalidEntry, InvalidValue)):
        update(archive, BARE, PatientBirthDate="1970")
    assert name_of(archive, number) == "Doe^Jane"


# --- who has not heard of the merge ---


def order(key: PatientKey, control: Control = Control.ENTER, **attributes: str) -> Order:
    number = {"FillerOrderNumberImagingServiceRequest": "F1"}
    whole = written(PatientID=key.PatientID, PatientName="Unknown^Male", **(number | attributes))
    return Order(control, keyword_form.data_set(whole))


def test_orders_of_a_merged_patient(archive: Archive) -> None:
    """Those that are here go on; a new one is for whoever has the ID now, and nobody knows who that is."""
    [number] = archive.orders.apply([order(TEMPORARY)], "RIS")
    merge(archive, TEMPORARY, BARE)
    changed = order(TEMPORARY, StudyInstanceUID="", Step_ScheduledProcedureStepID="", RequestedProcedureID="")
    archive.orders.apply([changed], "RIS")
    assert entry_key(archive, number) == BARE
    assert name_of(archive, number) == "Roe^Rita"
    new = order(TEMPORARY, FillerOrderNumberImagingServiceRequest="F2")
    with pytest.raises(OtherPatient, match="merged"):
        archive.orders.apply([new], "RIS")
    with pytest.raises(OtherPatient, match="merged"):
        schedule(archive, TEMPORARY)
    assert len(archive.worklist.all()) == 1


def test_a_modality_that_asked_before_the_merge(archive: Archive) -> None:
    """It begins the step of the surviving patient, in the name of the former one, and ends it."""
    of = written(PatientID="T1", PatientName="Unknown^Male")
    [number] = archive.worklist.add(keyword_form.data_set(of), "test")
    merge(archive, TEMPORARY, BARE)
    archive.performed_steps.create("1.9", as_json(performed(of)), "CT1", "127.0.0.1")
    assert archive.worklist.get(number).state == "STARTED"
    change = as_json(ended(PatientID="T1", PatientName="Unknown^Male"))
    assert archive.performed_steps.change("1.9", change, "CT1").not_set == ()
    assert archive.worklist.get(number).state == "COMPLETED"
    step = archive.performed_steps.find("1.9")
    assert key_of(step.data_set) == BARE
    other = as_json(ended("DISCONTINUED", PatientID="T2"))
    archive.performed_steps.create("1.10", as_json(performed(of)), "CT1", "127.0.0.1")
    with pytest.raises(InvalidValue):
        archive.performed_steps.change("1.10", other, "CT1")


def test_undoing_a_merge_brings_the_entries_back(archive: Archive) -> None:
    keep(archive, TEMPORARY, "Unknown^Male")
    number = schedule(archive, TEMPORARY, PatientName="Unknown^Male")
    done = merge(archive, TEMPORARY, BARE)
    archive.corrections.undo(done[-1], "admin")
    assert names(archive) == {TEMPORARY: "Unknown^Male"}
    assert (entry_key(archive, number), name_of(archive, number)) == (TEMPORARY, "Unknown^Male")
