"""/api/deletions and /api/holds, and DELETE with them in its way: statuses, who may, and what strangers try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from pydicom.dataset import Dataset

from archive.security import identity
from archive.security.roles import Role
from objects import new_uid, part10, secondary_capture
from test_deleting import run_jobs, urls
from web_door import Door, running, settings_for

PASSWORD = "correct horse battery"
NAMES = {"ada": Role.ADMINISTRATOR, "bob": Role.ADMINISTRATOR, "eve": Role.AUDITOR, "rad": Role.RADIOGRAPHER}


@pytest.fixture
def approving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Everybody signs in, and deletions want approval."""
    monkeypatch.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    settings = settings_for(tmp_path, sign_in__required="always", deletion__approval=True)
    with running(settings) as opened:
        for name, role in NAMES.items():
            opened.archive.people.add(name, "", [role], PASSWORD)
        yield opened


def by(door: Door, name: str) -> dict[str, str]:
    return {"Authorization": "Bearer " + door.archive.people.issue(name, "", 1)[0]}


def stored(door: Door, **headers: str) -> Dataset:
    one = secondary_capture(PatientID=new_uid())
    assert door.store(part10(one), **headers).status_code == 200
    return one


def test_a_deletion_with_a_reason_and_its_certificate(door: Door) -> None:
    one = stored(door)
    order = {"StudyInstanceUID": one.StudyInstanceUID, "reason": "sent by mistake"}
    answer = door.client.post("/api/deletions", json=order)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["state"], made["level"], made["instances"]) == ("deleted", "study", 1)
    assert door.client.get(urls(one)[0]).status_code == 410
    certificate = f"/api/deletions/{made['id']}/certificate"
    assert door.client.get(certificate).status_code == 404
    run_jobs(door)
    told = door.client.get(certificate).json()
    assert [each["SOPInstanceUID"] for each in told["objects"]] == [one.SOPInstanceUID]
    assert door.client.get(f"/api/deletions/{made['id']}").json()["state"] == "done"
    assert door.client.post("/api/deletions", json=order).status_code == 410


def test_what_is_on_hold_is_not_deleted(door: Door) -> None:
    one = stored(door)
    order = {"PatientID": one.PatientID, "reason": "a court"}
    held = door.client.post("/api/holds", json=order)
    assert (held.status_code, held.json()["studies"]) == (201, [one.StudyInstanceUID])
    for url in urls(one):
        answer = door.client.delete(url)
        assert answer.status_code == 409
        assert f"hold {held.json()['id']}" in answer.text
        assert one.PatientID not in answer.text
    assert door.client.post("/api/deletions", json=order).status_code == 409
    assert held.json() in door.client.get("/api/holds").json()
    lift = f"/api/holds/{held.json()['id']}/lift"
    assert door.client.post(lift, json={"reason": " "}).status_code == 400
    assert door.client.post(lift, json={"reason": "over"}).status_code == 200
    assert door.client.post(lift, json={"reason": "over"}).status_code == 404
    assert door.client.delete(urls(one)[0]).status_code == 204


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"reason": "nothing is named"},
        {"SeriesInstanceUID": "1.2", "reason": "no study"},
        {"StudyInstanceUID": "1.2", "SOPInstanceUID": "1.2", "reason": "no series"},
        {"StudyInstanceUID": "1.2", "PatientID": "1", "reason": "both"},
        {"StudyInstanceUID": "../etc", "reason": "no UID"},
        {"StudyInstanceUID": "1.2", "overrides": True},
        {"StudyInstanceUID": "1.2", "override_retention": True},
        {"PatientID": "1"},
        [],
    ],
)
def test_an_order_that_cannot_be(door: Door, order: object) -> None:
    assert door.client.post("/api/deletions", json=order).status_code == 400


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "-1", "1 OR 1=1"])
def test_what_is_not_there(door: Door, number: str) -> None:
    for path in (f"/api/deletions/{number}", f"/api/deletions/{number}/certificate"):
        assert door.client.get(path).status_code == 404
    assert door.client.post(f"/api/holds/{number}/lift", json={"reason": "why"}).status_code == 404


def test_delete_waits_for_somebody_else(approving: Door) -> None:
    """202 as RFC 9110 9.3.5 has it; who asked does not approve, by whatever token."""
    ada, bob, eve, rad = (by(approving, name) for name in NAMES)
    one = stored(approving, **rad)
    study = urls(one)[0]
    assert approving.client.delete(study, headers=rad).status_code == 403
    assert approving.client.delete(study, headers=eve).status_code == 403
    answer = approving.client.delete(study, headers=ada)
    assert answer.status_code == 202
    (waiting,) = approving.client.get("/api/deletions?state=waiting", headers=ada).json()
    assert str(waiting["id"]) in answer.text
    decide = f"/api/deletions/{waiting['id']}/decision"
    approve = {"decision": "approve"}
    for headers in (ada, by(approving, "ada"), eve, rad, {}):
        refused = approving.client.post(decide, json=approve, headers=headers)
        assert refused.status_code in (401, 403), refused.text
    assert approving.client.get(study, headers=rad).status_code == 200
    assert approving.client.post(decide, json={"decision": "no"}, headers=bob).status_code == 400
    assert approving.client.post(decide, json=approve, headers=bob).json()["decided_by"] == "bob"
    assert approving.client.get(study, headers=rad).status_code == 410
    assert approving.client.post(decide, json=approve, headers=bob).status_code == 404


def test_who_deletes_does_not_lift_holds(approving: Door) -> None:
    ada, eve = by(approving, "ada"), by(approving, "eve")
    one = stored(approving, **ada)
    order = {"StudyInstanceUID": one.StudyInstanceUID, "reason": "a court"}
    assert approving.client.post("/api/holds", json=order, headers=ada).status_code == 403
    number = approving.client.post("/api/holds", json=order, headers=eve).json()["id"]
    lift = f"/api/holds/{number}/lift"
    assert approving.client.post(lift, json={"reason": "mine"}, headers=ada).status_code == 403
    assert approving.client.delete(urls(one)[0], headers=ada).status_code == 409


def test_where_nothing_is_deleted(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, http__deletion=False)) as door:
        one = stored(door)
        order = {"StudyInstanceUID": one.StudyInstanceUID, "reason": "why not"}
        assert door.client.post("/api/deletions", json=order).status_code == 403
        assert door.client.get(urls(one)[0]).status_code == 200


def test_delete_gives_no_reason_where_one_is_required(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, deletion__reason_required=True)) as door:
        one = stored(door)
        answer = door.client.delete(urls(one)[0])
        assert answer.status_code == 409
        assert "/api/deletions" in answer.text
        assert door.client.post(
            "/api/deletions", json={"StudyInstanceUID": one.StudyInstanceUID, "reason": "a reason"}
        ).is_success
