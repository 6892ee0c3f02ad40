"""/api/audit: what auditors find in the trail, that others find nothing, and that reading it is recorded."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from archive.audit import codes
from archive.dicom.errors import NotSignedIn
from archive.security.actor import Actor
from archive.security.roles import Role
from objects import new_uid, part10, secondary_capture
from web_door import STUDIES, Door

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    door = open_door(sign_in__required="always")
    for role in Role:
        door.archive.people.add(role.value, "", [role], by=Actor("CLI", user=MARKUP))
    return door


def as_a(door: Door, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {door.archive.people.issue(role, '', 1)[0]}"}


@pytest.fixture
def auditor(door: Door) -> dict[str, str]:
    return as_a(door, "auditor")


def stored(door: Door, patient: str) -> str:
    """A study of a patient, stored by somebody and seen by somebody else: its UID."""
    data_set = secondary_capture(PatientID=patient)
    assert door.store(part10(data_set), **as_a(door, "uploader")).status_code == 200
    study = str(data_set.StudyInstanceUID)
    assert door.client.get(f"{STUDIES}/{study}", headers=as_a(door, "viewer")).status_code == 200
    door.archive.auditing.trail.flush()
    return study


@pytest.mark.parametrize("path", ["/api/audit", "/api/audit/patients/P1", "/api/audit/verification"])
def test_it_is_for_auditors_alone(door: Door, path: str) -> None:
    for role in Role:
        allowed = role is Role.AUDITOR
        assert door.client.get(path, headers=as_a(door, role.value)).status_code == (200 if allowed else 403)
    assert door.client.get(path).status_code == 401


def test_everyone_who_saw_a_patient(door: Door, auditor: dict[str, str]) -> None:
    patient = new_uid()[-16:]
    study = stored(door, patient)
    stored(door, f"{patient}0")  # somebody else
    report = door.client.get(f"/api/audit/patients/{patient}", headers=auditor).json()
    assert report["complete"] is True
    assert {"uploader", "viewer"} <= {one["user"] for one in report["dealings"]}
    found = door.client.get("/api/audit", params={"patient": patient}, headers=auditor).json()["records"]
    assert {uid for one in found for uid in one["studies"]} == {study}
    same = door.client.get("/api/audit", params={"study": study}, headers=auditor).json()["records"]
    assert {one["id"] for one in same} <= {one["id"] for one in found}
    assert same


def test_that_it_is_read_is_recorded(door: Door, auditor: dict[str, str]) -> None:
    door.client.get("/api/audit", params={"patient": "P7"}, headers=auditor)
    last = list(door.archive.audit_log.all())[-1].message
    assert (last.event, last.requestor.UserID) == (codes.AUDIT_LOG_USED, "auditor")
    assert last.subjects[0].details == (("Asked", "patient=P7"),)


def test_it_comes_in_pages(door: Door, auditor: dict[str, str]) -> None:
    params: dict[str, str | int] = {"event": "Security Alert", "limit": 2}
    seen: list[int] = []
    while True:
        page = door.client.get("/api/audit", params=params, headers=auditor).json()
        seen += [one["id"] for one in page["records"]]
        if page["next"] is None:
            break
        params["before"] = page["next"]
    assert len(seen) == len(set(seen)) >= len(Role)
    assert seen == sorted(seen, reverse=True)


def test_by_outcome_user_and_time(door: Door, auditor: dict[str, str]) -> None:
    with pytest.raises(NotSignedIn):
        door.archive.sign_in.enter("viewer", "wrong", "192.0.2.1")
    door.archive.auditing.signed_in(Actor("HTTP", "192.0.2.1", user='x"outcome":0,'), failed="wrong")
    door.archive.auditing.trail.flush()

    def ids(**params: str) -> list[dict[str, str]]:
        answer = door.client.get("/api/audit", params=params, headers=auditor)
        assert answer.status_code == 200, answer.text
        records: list[dict[str, str]] = answer.json()["records"]
        return records

    failed, succeeded = ids(outcome="failure"), ids(outcome="success")
    assert [one["user"] for one in failed] == ['x"outcome":0,']
    assert {one["outcome"] for one in succeeded} == {"success"}
    assert ids(address="192.0.2.1") == failed
    assert ids(user='x"outcome":0,') == failed
    assert ids(until="2020-01-01") == []
    assert ids(since="2020-01-01T00:00:00Z", outcome="failure") == failed


@pytest.mark.parametrize(
    "query", ["outcome=maybe", "since=yesterday", "event=nothing-such", "limit=0", "before=x", "format=xml"]
)
def test_a_question_that_cannot_be_asked(door: Door, auditor: dict[str, str], query: str) -> None:
    assert door.client.get(f"/api/audit?{query}", headers=auditor).status_code == 400


def test_a_spreadsheet_sees_no_formula(door: Door, auditor: dict[str, str]) -> None:
    door.archive.auditing.signed_in(Actor("HTTP", user='=HYPERLINK("https://evil.example")'))
    door.archive.auditing.trail.flush()
    answer = door.client.get("/api/audit?format=csv&event=User%20Auth", headers=auditor)
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["user"] == '\'=HYPERLINK("https://evil.example")'


def test_whether_it_is_whole(door: Door, auditor: dict[str, str]) -> None:
    verdict = door.client.get("/api/audit/verification", headers=auditor).json()
    assert verdict["whole"] is True
    assert verdict["records"] >= len(Role)
