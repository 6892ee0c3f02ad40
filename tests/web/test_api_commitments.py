"""/api/commitments and /api/notifications: who was told what, who could not be, and once more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from archive.dicom.instance import Source
from archive.dicom.receiving.commitment import Reference
from archive.security.rules import Rules
from archive.services.reports import Held
from objects import new_uid, part10, secondary_capture
from web_door import Door

OpenDoor = Callable[..., Door]


@pytest.fixture
def prompt(open_door: OpenDoor) -> Door:
    """An archive that does not wait for instances."""
    return open_door(dimse__commitment_wait=0)


def asked(door: Door, *references: Reference) -> tuple[str, Held]:
    """A request by DIMSE whose requestor has gone."""
    uid = new_uid()
    source = Source("DIMSE", "10.0.0.7", "MODALITY", "ARCHIVE")
    held = door.archive.reports.accept(uid, references, source)
    door.archive.reports.let_go(held)
    return uid, held


def stored(door: Door) -> Reference:
    made = secondary_capture()
    assert door.store(part10(made)).status_code == 200
    return Reference(made.SOPClassUID, made.SOPInstanceUID)


def get(door: Door, path: str) -> Any:
    answer = door.client.get(f"/api{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_requests_and_what_was_found(prompt: Door) -> None:
    assert get(prompt, "/commitments") == []
    good, absent = stored(prompt), Reference("1.2.840.10008.5.1.4.1.1.7", new_uid())
    uid, held = asked(prompt, good, absent)
    (one,) = get(prompt, "/commitments?state=waiting")
    assert (one["TransactionUID"], one["state"], one["instances_checked"]) == (uid, "waiting", 0)
    assert (one["calling_ae_title"], one["address"], one["last_at"]) == ("MODALITY", "10.0.0.7", None)
    assert get(prompt, f"/commitments/{uid}")["instances"] == []
    list(prompt.archive.commitment.work(held.key))
    found = get(prompt, f"/commitments/{uid}")
    assert (found["instances_asked"], found["instances_failed"]) == (2, 1)
    assert [(each["SOPInstanceUID"], each["FailureReason"]) for each in found["instances"]] == [
        (good.SOPInstanceUID, 0),
        (absent.SOPInstanceUID, 0x0112),
    ]


def test_what_was_given_up_is_taken_up_again(prompt: Door) -> None:
    uid, held = asked(prompt, stored(prompt))
    list(prompt.archive.commitment.work(held.key))
    turn = prompt.archive.reports.get(uid).turn
    prompt.archive.reports.failed(Held(held.key, turn), "nobody there", given_up=True)
    (one,) = get(prompt, "/commitments?state=given up&limit=1")
    assert one["reason"] == "nobody there"
    answer = prompt.client.post(f"/api/commitments/{uid}/report")
    assert answer.status_code == 202
    assert get(prompt, "/commitments?state=given up") == []
    assert get(prompt, f"/commitments/{uid}")["state"] == "waiting"


def test_notifications(prompt: Door) -> None:
    prompt.archive.ae_titles.add("RIS", "127.0.0.1", 1, Rules(notify=True))
    prompt.archive.notifications.notice()
    stored(prompt)
    prompt.archive.notifications.notice(time.time() + 100)
    (one,) = get(prompt, "/notifications")
    assert (one["ae_title"], one["state"], one["attempts"]) == ("RIS", "waiting", 0)
    assert prompt.client.post(f"/api/notifications/{one['id']}/report").status_code == 202
    assert get(prompt, "/notifications?state=delivered") == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/commitments?state=lost", 400),
        ("GET", "/commitments?limit=0", 400),
        ("GET", "/notifications?limit=many", 400),
        ("GET", "/commitments/2.25.404", 404),
        ("GET", "/commitments/no-uid", 400),
        ("POST", "/commitments/2.25.404/report", 404),
        ("POST", "/notifications/404/report", 404),
        ("POST", "/notifications/99999999999999999999999/report", 404),
        ("POST", "/notifications/x/report", 404),
    ],
)
def test_what_is_refused(prompt: Door, method: str, path: str, status: int) -> None:
    assert prompt.client.request(method, f"/api{path}").status_code == status
