"""/api/patients and /api/corrections, and what DICOMweb says afterwards (dimse.md 1.5, patient merge)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from archive.services import corrections
from objects import part10, secondary_capture
from web_door import Door


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    """Of an archive of its own."""
    return open_door()


@pytest.fixture
def stored(door: Door) -> Dataset:
    one = secondary_capture(PatientID="T99", PatientName="Doe^Emergency", IssuerOfPatientID="HERE")
    other = secondary_capture(PatientID="4711", PatientName="Roe^Jane", PatientSex="F")
    assert door.store(part10(one)).status_code == door.store(part10(other)).status_code == 200
    return one


def make(door: Door, kind: str, **members: Any) -> Any:
    return door.client.post("/api/corrections", json={"kind": kind, **members})


PRIOR, SURVIVING = {"PatientID": "T99", "IssuerOfPatientID": "HERE"}, {"PatientID": "4711"}


def test_a_merge_its_record_and_its_undoing(door: Door, stored: Dataset) -> None:
    answer = make(door, "merge", patient=PRIOR, to=SURVIVING, reason="identified")
    assert answer.status_code == 200
    (one,) = answer.json()
    assert (one["kind"], one["state"], one["reason"], one["to_PatientID"]) == (
        "merge",
        "done",
        "identified",
        "4711",
    )
    assert one["studies"] == [{"StudyInstanceUID": stored.StudyInstanceUID, "state": "done", "reason": ""}]
    assert one["made_by"] == "api 127.0.0.1"
    assert door.client.get(f"/api/corrections/{one['id']}").json() == one
    assert [each["id"] for each in door.client.get("/api/corrections?PatientID=4711").json()] == [one["id"]]
    assert door.client.get("/api/corrections?PatientID=T99").json() == []  # of no issuer
    assert door.client.get(f"/api/corrections?study={stored.StudyInstanceUID}&state=done").json()
    (patient,) = door.client.get("/api/patients").json()
    assert (patient["PatientID"], patient["name"], patient["studies"]) == ("4711", "Roe^Jane", 2)
    metadata = f"/dicom-web/studies/{stored.StudyInstanceUID}/metadata"
    assert door.client.get(metadata).json()[0]["00100010"]["Value"] == [{"Alphabetic": "Roe^Jane"}]
    undone = door.client.post(f"/api/corrections/{one['id']}/undo", json={"reason": "a mistake"})
    assert (undone.status_code, undone.json()[0]["undoes"]) == (200, one["id"])
    assert door.client.get(metadata).json()[0]["00100010"]["Value"] == [{"Alphabetic": "Doe^Emergency"}]
    assert door.client.post(f"/api/corrections/{one['id']}/undo", json={}).status_code == 409


def test_what_is_left_to_the_jobs_is_accepted(
    door: Door, stored: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "AT_ONCE_INSTANCES", -1)
    answer = make(door, "update-patient", patient=PRIOR, attributes={"PatientName": "Doe^John"})
    assert (answer.status_code, answer.json()[0]["state"]) == (202, "pending")
    assert door.client.post(f"/api/corrections/{answer.json()[0]['id']}/undo", json={}).status_code == 409
    assert door.client.post(f"/api/corrections/{answer.json()[0]['id']}/retry").status_code == 409


def test_the_other_kinds(door: Door, stored: Dataset) -> None:
    study = stored.StudyInstanceUID
    assert make(door, "update-study", study=study, attributes={"AccessionNumber": "A7"}).status_code == 200
    assert len(door.client.get("/dicom-web/studies?AccessionNumber=A7").json()) == 1
    assert make(door, "change-id", patient=PRIOR, to={"PatientID": "N1"}).status_code == 200
    assert len(door.client.get("/dicom-web/studies?PatientID=N1").json()) == 1
    assert make(door, "move-study", study=study, to=SURVIVING).status_code == 200
    assert len(door.client.get("/dicom-web/studies?PatientID=4711").json()) == 2
    assert make(door, "move-study", study=study, to=SURVIVING).status_code == 400
    assert make(door, "update-patient", patient=SURVIVING, attributes={"PatientSex": "F"}).json() == []


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"kind": "delete"}, 400),
        ({"kind": "merge", "patient": PRIOR}, 400),
        ({"kind": "merge", "patient": PRIOR, "to": {"PatientID": "typo"}}, 404),
        ({"kind": "merge", "patient": PRIOR, "to": PRIOR}, 400),
        ({"kind": "merge", "patient": {"id": "1"}, "to": SURVIVING}, 400),
        ({"kind": "update-patient", "patient": PRIOR, "attributes": {"PatientID": "1"}}, 400),
        ({"kind": "update-patient", "patient": PRIOR, "attributes": {"PatientName": 1}}, 400),
        ({"kind": "update-study", "study": "1.2.3", "attributes": {"StudyID": "1"}}, 404),
        ({"kind": "update-study", "study": "x", "attributes": {"StudyID": "1"}}, 400),
        ({"kind": "move-study", "study": "1.2.3", "to": SURVIVING, "unknown": 1}, 400),
        ([], 400),
    ],
)
def test_what_cannot_be_done_is_said(door: Door, stored: Dataset, members: Any, status: int) -> None:
    answer = door.client.post("/api/corrections", json=members)
    assert answer.status_code == status, answer.text
    assert "Doe" not in answer.text
    assert door.client.get("/api/corrections").json() == []


def test_corrections_that_are_not_there(door: Door) -> None:
    for number in ("1", "x", "9" * 18):
        assert door.client.get(f"/api/corrections/{number}").status_code == 404
        assert door.client.post(f"/api/corrections/{number}/undo", json={}).status_code == 404
        assert door.client.post(f"/api/corrections/{number}/retry").status_code == 404
    assert door.client.get("/api/corrections?state=x").status_code == 400
    assert door.client.post("/api/corrections", content=b"{}").status_code == 415
