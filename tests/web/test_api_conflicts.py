"""/api/conflicts, and what STOW-RS says of an object that is kept aside (PS3.18 10.5.3 and I.2)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from objects import data_set_bytes, new_uid, part10, secondary_capture
from web_door import Door

OpenDoor = Callable[..., Door]


@pytest.fixture
def holding(open_door: OpenDoor) -> Door:
    """A door of an archive that keeps conflicts aside."""
    return open_door(dimse__duplicates="conflict")


def versions(**keywords: Any) -> tuple[Dataset, Dataset]:
    first = secondary_capture(PatientComments="the first", **keywords)
    second = copy.deepcopy(first)
    second.PatientComments = "the second"
    return first, second


def conflict(door: Door, first: Dataset, second: Dataset) -> dict[str, Any]:
    assert door.store(part10(first)).status_code == 200
    assert door.store(part10(second)).status_code == 202
    return door.client.get("/api/conflicts").json()[0]


def decide(door: Door, decision: str, *numbers: int, **members: Any) -> Any:
    body = {"decision": decision, **({"conflicts": numbers} if numbers else {}), **members}
    return door.client.post("/api/conflicts/decisions", json=body)


def retrieved(door: Door, data_set: Dataset) -> bytes:
    answer = door.client.get(
        f"/dicom-web/studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
        f"/instances/{data_set.SOPInstanceUID}",
        headers={"Accept": "application/dicom; transfer-syntax=*"},
    )
    assert answer.status_code == 200, answer.text
    return data_set_bytes(answer.content)


def test_a_kept_aside_object_is_told_with_a_warning_and_without_url(holding: Door) -> None:
    """Its bytes are safe, and under its URL there is another one: 202, B000, no Retrieve URL."""
    first, second = versions()
    holding.store(part10(first))
    answer = holding.store(part10(second))
    assert answer.status_code == 202
    (item,) = answer.json()["00081199"]["Value"]
    assert item["00081196"]["Value"] == [0xB000]
    assert "Value" not in item["00081190"]
    assert "kept aside as conflict" in answer.headers["Warning"]
    assert "Location" not in answer.headers
    assert retrieved(holding, first) == data_set_bytes(part10(first))


def test_replacing_is_success(open_door: OpenDoor) -> None:
    door = open_door(dimse__duplicates="replace")
    first, second = versions()
    for each in (first, second):
        assert door.store(part10(each)).status_code == 200
    assert retrieved(door, first) == data_set_bytes(part10(second))
    (held,) = door.client.get("/api/conflicts", params={"state": "replaced"}).json()
    assert (held["door"], held["has_copy"], held["settled_by"]) == ("STOW-RS", True, "policy")


def test_conflicts_are_listed_by_state_and_study(holding: Door) -> None:
    first, second = versions()
    one = conflict(holding, first, second)
    two = conflict(holding, *versions())
    assert one["state"] == "open"
    assert one["SOPInstanceUID"] == first.SOPInstanceUID
    assert one["first_at"].endswith("+00:00")
    assert one["settled_at"] is None
    assert "blob_key" not in one

    def listed(**parameters: Any) -> list[int]:
        return [each["id"] for each in holding.client.get("/api/conflicts", params=parameters).json()]

    assert listed() == [two["id"], one["id"]]
    assert listed(limit=1) == [two["id"]]
    assert listed(study=first.StudyInstanceUID) == [one["id"]]
    assert listed(state="kept") == []
    decide(holding, "keep", one["id"])
    assert listed() == [two["id"]]
    assert listed(state="kept") == [one["id"]]
    assert listed(state="all") == [two["id"], one["id"]]


@pytest.mark.parametrize(
    "parameters", [{"state": "odd"}, {"limit": "0"}, {"limit": "10001"}, {"limit": "x"}, {"study": "1..2"}]
)
def test_what_cannot_be_asked(holding: Door, parameters: dict[str, str]) -> None:
    assert holding.client.get("/api/conflicts", params=parameters).status_code == 400


def test_one_is_shown_with_its_differences_and_its_copy(holding: Door) -> None:
    first, second = versions()
    number = conflict(holding, first, second)["id"]
    assert holding.client.get(f"/api/conflicts/{number}").json()["SOPInstanceUID"] == first.SOPInstanceUID
    (difference,) = holding.client.get(f"/api/conflicts/{number}/differences").json()
    assert (difference["tag"], difference["keyword"]) == ("00104000", "PatientComments")
    assert difference["stored"]["Value"] == ["the first"]
    assert difference["copy"]["Value"] == ["the second"]
    copied = holding.client.get(f"/api/conflicts/{number}/copy")
    assert copied.headers["content-type"] == "application/dicom"
    assert data_set_bytes(copied.content) == data_set_bytes(part10(second))
    some = holding.client.get(f"/api/conflicts/{number}/copy", headers={"Range": "bytes=128-131"})
    assert (some.status_code, some.content) == (206, b"DICM")


@pytest.mark.parametrize("number", [4711, 2**63, 10**30])
def test_one_that_is_not_there(holding: Door, number: int) -> None:
    for rest in ("", "/copy", "/differences"):
        path = f"/api/conflicts/{number}{rest}"
        assert holding.client.get(path).status_code == 404
    assert holding.client.get("/api/conflicts/-1").status_code == 404


def test_accepting(holding: Door) -> None:
    first, second = versions()
    number = conflict(holding, first, second)["id"]
    answer = decide(holding, "accept", number)
    assert answer.status_code == 200
    (decided,) = answer.json()["decided"]
    assert (decided["state"], decided["settled_by"]) == ("accepted", "api 127.0.0.1")
    assert retrieved(holding, first) == data_set_bytes(part10(second))
    again = decide(holding, "accept", number)
    assert again.status_code == 409
    assert again.json()["failed"][0]["conflict"] == number


def test_a_study_is_decided_at_once(holding: Door) -> None:
    """A study of another patient: hundreds of images, one decision."""
    study = new_uid()
    holding.store(part10(secondary_capture(StudyInstanceUID=study, PatientID="A")))
    others = [secondary_capture(StudyInstanceUID=study, PatientID="B") for _ in range(3)]
    holding.store(*(part10(each) for each in others))
    assert decide(holding, "accept", study=study).status_code == 409
    assert holding.client.delete(f"/dicom-web/studies/{study}").status_code == 204
    answer = decide(holding, "accept", study=study)
    assert (answer.status_code, len(answer.json()["decided"])) == (200, 3)
    assert retrieved(holding, others[0]) == data_set_bytes(part10(others[0]))


def test_some_can_be_decided_and_others_not(holding: Door) -> None:
    number = conflict(holding, *versions())["id"]
    answer = decide(holding, "drop", number, 4711)
    assert answer.status_code == 200
    assert [each["id"] for each in answer.json()["decided"]] == [number]
    assert [each["conflict"] for each in answer.json()["failed"]] == [4711]
    assert holding.client.get(f"/api/conflicts/{number}/copy").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"decision": "maybe", "conflicts": [1]},
        {"conflicts": [1]},
        {"decision": "drop"},
        {"decision": "drop", "conflicts": [1], "study": "1.2"},
        {"decision": "drop", "conflicts": ["1"]},
        {"decision": "drop", "conflicts": [True]},
        {"decision": "drop", "conflicts": [2**63]},
        {"decision": "drop", "conflict": 1},
        {"decision": "drop", "study": "1..2"},
        [],
    ],
)
def test_a_decision_that_is_none(holding: Door, body: Any) -> None:
    assert holding.client.post("/api/conflicts/decisions", json=body).status_code == 400


def test_a_page_of_another_origin_decides_nothing(holding: Door) -> None:
    number = conflict(holding, *versions())["id"]
    body = b'{"decision": "drop", "conflicts": [%d]}' % number
    plain = holding.client.post(
        "/api/conflicts/decisions", content=body, headers={"Content-Type": "text/plain"}
    )
    assert plain.status_code == 415
    foreign = holding.client.post(
        "/api/conflicts/decisions",
        content=body,
        headers={"Content-Type": "application/json", "Origin": "https://evil.example"},
    )
    assert foreign.status_code == 403
    assert holding.client.get(f"/api/conflicts/{number}").json()["state"] == "open"
