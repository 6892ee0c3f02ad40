"""/api/worklist and /api/performed-steps."""

from __future__ import annotations

from typing import Any

import pytest

from web_door import Door
from worklists import as_json, performed, written

WORKLIST = "/api/worklist"


def add(door: Door, of: dict[str, Any]) -> Any:
    answer = door.client.post(WORKLIST, json=of)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_entry_from_beginning_to_end(empty_door: Door) -> None:
    door = empty_door
    of = written(PatientName="Müller^Jörg=山田")
    [made] = add(door, of)
    assert made["state"] == "SCHEDULED"
    assert made["source"].startswith("api ")
    assert made["attributes"] == of | {
        "ScheduledProcedureStepSequence": made["attributes"]["ScheduledProcedureStepSequence"]
    }
    url = f"{WORKLIST}/{made['id']}"
    assert door.client.get(url).json() == made
    changed = door.client.put(url, json=made["attributes"] | {"AdmissionID": "V1"}).json()
    assert changed["attributes"]["AdmissionID"] == "V1"
    arrived = door.client.put(f"{url}/state", json={"state": "ARRIVED"}).json()
    assert arrived["state"] == "ARRIVED"
    assert [one["id"] for one in door.client.get(WORKLIST, params={"state": "ARRIVED"}).json()] == [
        made["id"]
    ]
    assert door.client.get(WORKLIST, params={"state": "SCHEDULED"}).json() == []
    assert door.client.delete(url).status_code == 204
    assert door.client.get(url).status_code == 404
    assert door.client.delete(url).status_code == 404


def test_several_steps_at_once(empty_door: Door) -> None:
    of = written()
    first = of["ScheduledProcedureStepSequence"][0]
    of["ScheduledProcedureStepSequence"] = [first, first | {"ScheduledProcedureStepID": "OTHER"}]
    assert len(add(empty_door, of)) == 2


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "ScheduledProcedureStepSequence"),
        ([], 400, "object"),
        ({"PatientNname": "x"}, 400, "PatientNname"),
        (written(PatientID=""), 400, "PatientID"),
        (written(AccessionNumber="x" * 17), 400, "AccessionNumber"),
        (written(StudyInstanceUID="x"), 400, "StudyInstanceUID"),
    ],
)
def test_what_is_refused_says_why(door: Door, body: Any, status: int, words: str) -> None:
    answer = door.client.post(WORKLIST, json=body)
    assert answer.status_code == status
    assert words in answer.text


def test_patients_are_not_mixed_up(empty_door: Door) -> None:
    of = written()
    [made] = add(empty_door, of)
    other = of | {"PatientID": "P2"}
    assert empty_door.client.post(WORKLIST, json=other).status_code == 409
    assert empty_door.client.put(f"{WORKLIST}/{made['id']}", json=other).status_code == 409
    assert empty_door.client.post(WORKLIST, json=of).status_code == 409


def test_only_json_is_taken(door: Door) -> None:
    """A form of a foreign page cannot call itself JSON."""
    answer = door.client.post(WORKLIST, content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


@pytest.mark.parametrize("name", ["x", "-1", "9" * 30, "0"])
def test_entries_that_are_not_there(door: Door, name: str) -> None:
    assert door.client.get(f"{WORKLIST}/{name}").status_code == 404
    assert door.client.put(f"{WORKLIST}/{name}/state", json={"state": "ARRIVED"}).status_code == 404
    assert door.client.put(f"{WORKLIST}/{name}", json=written()).status_code == 404


def test_states_and_limits(door: Door) -> None:
    [made] = add(door, written())
    url = f"{WORKLIST}/{made['id']}"
    assert door.client.put(f"{url}/state", json={"state": "SOMETIME"}).status_code == 400
    assert door.client.put(f"{url}/state", json={"status": "ARRIVED"}).status_code == 400
    assert door.client.get(WORKLIST, params={"state": "SOMETIME"}).status_code == 400
    assert door.client.get(WORKLIST, params={"limit": "0"}).status_code == 400
    assert len(door.client.get(WORKLIST, params={"limit": "1"}).json()) == 1


def test_performed_steps(empty_door: Door) -> None:
    door = empty_door
    door.archive.performed_steps.create("1.2.9", as_json(performed()), "CT1", "")
    [step] = door.client.get("/api/performed-steps").json()
    assert (step["SOPInstanceUID"], step["status"], step["calling_ae_title"]) == (
        "1.2.9",
        "IN PROGRESS",
        "CT1",
    )
    assert step["attributes"]["PatientName"] == "Doe^Jane"
    assert door.client.get("/api/performed-steps/1.2.9").json() == step
    assert door.client.get("/api/performed-steps/1.2.8").status_code == 404
    assert door.client.get("/api/performed-steps/x").status_code == 400
