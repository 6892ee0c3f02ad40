"""What becomes of the worklist by orders, on both engines: all of a message or nothing, and nobody else's entries."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InvalidValue, MissingValue, NoLongerChangeable, NotFound, OtherPatient
from archive.dicom.worklist import entries as rules
from archive.dicom.worklist import keyword_form
from archive.dicom.worklist.entries import facts, step_of, text
from archive.services.orders import Control, Order
from worklist_here import ask, begin, end, enter, worklist_archive
from worklists import written


@pytest.fixture
def here(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    """An archive on each engine."""
    with worklist_archive(tmp_path / "data", index_url) as archive:
        yield archive


def order(control: Control = Control.ENTER, state: str = "", **attributes: Any) -> Order:
    numbers = {
        "FillerOrderNumberImagingServiceRequest": "F1",
        "PlacerOrderNumberImagingServiceRequest": "PL1",
    }
    made = written(**(numbers | attributes))
    return Order(control, keyword_form.data_set(made), state)


def bare(**attributes: Any) -> dict[str, Any]:
    """What RIS often do not send."""
    names = ("StudyInstanceUID", "RequestedProcedureID", "AccessionNumber", "Step_ScheduledProcedureStepID")
    return dict.fromkeys(names, "") | attributes


def test_an_order_again_is_the_same_entry(here: Archive) -> None:
    [key] = here.orders.apply([order(**bare())], "RIS")
    before = here.worklist.get(key)
    assert here.orders.apply([order(**bare())], "RIS") == [key]
    after = here.worklist.get(key)
    assert facts(after.data_set) == facts(before.data_set)
    assert len(here.worklist.all()) == 1


def test_orders_are_in_the_audit_trail(here: Archive) -> None:
    here.orders.apply([order(**bare(PatientID="P7", AccessionNumber="A"))], "RIS")
    here.orders.apply([order(Control.CANCEL, **bare(PatientID="P7", AccessionNumber="A"))], "RIS")
    told = [one.message for one in here.audit_log.all()]
    assert [(one.event.value, one.action) for one in told] == [("110109", "C"), ("110109", "D")]
    assert [one.patient_ids for one in told] == [("P7",), ("P7",)]
    assert told[0].requestor.UserID == "RIS"
    assert told[0].subjects[0].details == (("Order", "A"),)


def test_an_order_that_comes_twice_at_once(here: Archive) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: here.orders.apply([order(**bare())], "RIS"), range(8)))
    assert len({key for [key] in keys}) == 1
    assert len(here.worklist.all()) == 1


def test_a_changed_order_keeps_what_it_does_not_say(here: Archive) -> None:
    [key] = here.orders.apply([order(StudyInstanceUID="1.2.77", AccessionNumber="A")], "RIS")
    here.worklist.plan(key, "ARRIVED", "test")
    moment = {"Step_ScheduledProcedureStepStartDate": "", "Step_ScheduledProcedureStepStartTime": ""}
    changed = order(**bare(Step_ScheduledProcedureStepDescription="Neck", **moment))
    assert here.orders.apply([changed], "RIS") == [key]
    found = here.worklist.get(key)
    assert found.state == "ARRIVED"
    assert facts(found.data_set).StudyInstanceUID == "1.2.77"
    assert facts(found.data_set).ScheduledProcedureStepStartDate == "20261123"
    assert text(step_of(found.data_set), rules.START_TIME) == "101500"
    assert text(step_of(found.data_set), rules.STEP_DESCRIPTION) == "Neck"


def test_a_changed_order_keeps_its_numbers_and_who_gave_the_patient_id(here: Archive) -> None:
    """Else it could not be cancelled by the other number, and an order from elsewhere would be taken for it."""
    [key] = here.orders.apply([order(AccessionNumber="A", IssuerOfPatientID="HOSP")], "RIS")
    [again] = here.orders.apply([order(**bare(FillerOrderNumberImagingServiceRequest=""))], "RIS")
    assert again == key
    found = facts(here.worklist.get(key).data_set)
    assert (found.AccessionNumber, found.FillerOrderNumberImagingServiceRequest) == ("A", "F1")
    with pytest.raises(OtherPatient):
        here.orders.apply([order(**bare(IssuerOfPatientID="CLINIC"))], "RIS")


def test_an_order_without_any_number_is_refused(here: Archive) -> None:
    """Sent again, because its acknowledgment was lost, it would be two entries."""
    nameless = bare(FillerOrderNumberImagingServiceRequest="", PlacerOrderNumberImagingServiceRequest="")
    with pytest.raises(MissingValue, match="number"):
        here.orders.apply([order(**nameless)], "RIS")
    assert here.worklist.all() == []


def test_several_steps_of_one_order(here: Archive) -> None:
    two = [order(**bare(Step_ScheduledProcedureStepDescription=name)) for name in ("One", "Two")]
    keys = here.orders.apply(two, "RIS")
    assert len(set(keys)) == 2
    studies = {facts(one.data_set).StudyInstanceUID for one in here.worklist.all()}
    assert len(studies) == 1, "steps of one procedure make one study"
    assert here.orders.apply(two, "RIS") == keys
    with pytest.raises(InvalidValue, match="several steps"):
        here.orders.apply([two[1]], "RIS")
    [third] = here.orders.apply([order(**bare(RequestedProcedureID="OTHER"))], "RIS")
    assert third not in keys
    assert facts(here.worklist.get(third).data_set).StudyInstanceUID not in studies


def test_an_order_of_another_patient(here: Archive) -> None:
    [key] = here.orders.apply([order()], "RIS")
    before = here.worklist.get(key)
    for control in Control:
        with pytest.raises(OtherPatient):
            here.orders.apply([order(control, "ARRIVED", PatientID="P2")], "RIS")
    assert here.worklist.get(key) == before


def test_a_message_is_taken_whole_or_not_at_all(here: Archive) -> None:
    wrong = order(FillerOrderNumberImagingServiceRequest="F2", PatientID="")
    with pytest.raises(MissingValue):
        here.orders.apply([order(), wrong], "RIS")
    assert here.worklist.all() == []


def test_orders_that_share_one_number_are_two(here: Archive) -> None:
    """One placer's order may become two of the filler, and both may have one accession number."""
    filler = "FillerOrderNumberImagingServiceRequest"
    [first] = here.orders.apply([order(**bare(AccessionNumber="A"))], "RIS")
    [second] = here.orders.apply([order(**bare(AccessionNumber="A", **{filler: "F2"}))], "RIS")
    assert first != second
    assert here.orders.apply([order(Control.CANCEL, **bare(**{filler: "F2"}))], "RIS") == [second]
    assert here.worklist.get(first).state == "SCHEDULED"
    placer = "PlacerOrderNumberImagingServiceRequest"
    by_accession = bare(AccessionNumber="B", **{filler: "", placer: ""})
    [third] = here.orders.apply([order(**by_accession)], "RIS")
    assert here.orders.apply([order(**by_accession)], "RIS") == [third]


@pytest.mark.parametrize(
    ("control", "state"), [(Control.CANCEL, "CANCELED"), (Control.DISCONTINUE, "DISCONTINUED")]
)
def test_orders_are_taken_back(here: Archive, control: Control, state: str) -> None:
    [key] = here.orders.apply([order(**bare())], "RIS")
    assert here.orders.apply([order(control, **bare())], "RIS") == [key]
    assert here.worklist.get(key).state == state
    assert here.orders.apply([order(control, **bare())], "RIS") == [key], "again, it does no harm"
    assert ask(here) == []
    here.orders.apply([order(**bare())], "RIS")
    assert here.worklist.get(key).state == "SCHEDULED", "taken back and ordered again"
    with pytest.raises(NotFound):
        here.orders.apply(
            [
                order(
                    control,
                    **bare(
                        FillerOrderNumberImagingServiceRequest="F9",
                        PlacerOrderNumberImagingServiceRequest="X",
                    ),
                )
            ],
            "RIS",
        )


def test_what_a_modality_discontinued_is_not_offered_because_its_order_comes_again(here: Archive) -> None:
    of = written(FillerOrderNumberImagingServiceRequest="F1")
    key = enter(here, of)
    begin(here, of)
    end(here, "DISCONTINUED")
    for control in (Control.ENTER, Control.DISCONTINUE):
        here.orders.apply([order(control, **bare())], "RIS")
        assert here.worklist.get(key).state == "DISCONTINUED"


def test_what_has_begun_cannot_be_cancelled(here: Archive) -> None:
    of = written(FillerOrderNumberImagingServiceRequest="F1")
    key = enter(here, of)
    begin(here, of)
    with pytest.raises(NoLongerChangeable):
        here.orders.apply([order(Control.CANCEL, **bare())], "RIS")
    end(here)
    with pytest.raises(NoLongerChangeable):
        here.orders.apply([order(Control.DISCONTINUE, **bare())], "RIS")
    assert here.worklist.get(key).state == "COMPLETED"


def test_orders_tell_states(here: Archive) -> None:
    [key] = here.orders.apply([order(**bare())], "RIS")
    here.orders.apply([order(Control.STATE, "COMPLETED", **bare())], "RIS")
    assert here.worklist.get(key).state == "COMPLETED"
    here.orders.apply([order(Control.STATE, "STARTED", **bare())], "RIS")
    assert here.worklist.get(key).state == "COMPLETED", "told late that it has begun"
    here.orders.apply([order(Control.STATE, "SCHEDULED", **bare())], "RIS")
    assert here.worklist.get(key).state == "SCHEDULED", "it has to be done once more"
