"""/api/status: what is there and what waits, for who may observe, and nothing of patients."""

from __future__ import annotations

from collections.abc import Callable

from archive.index import outbox
from archive.security.roles import Role
from objects import part10, secondary_capture
from web_door import Door


def test_it_counts_what_is_there(empty_door: Door) -> None:
    data_set = secondary_capture(PatientName="Canary^Name", PatientID="CANARY")
    assert empty_door.store(part10(data_set)).status_code == 200
    answer = empty_door.client.get("/api/status")
    told = answer.json()
    assert told["index"] == {"kind": "SQLite", "counts": {"studies": 1, "series": 1, "instances": 1}}
    assert told["disks"][0]["free_bytes"] <= told["disks"][0]["total_bytes"]
    assert told["damaged"] == {}
    assert "canary" not in answer.text.lower()
    assert data_set.StudyInstanceUID not in answer.text


def test_what_was_given_up_is_told(empty_door: Door) -> None:
    with_reason = empty_door.archive.database.write
    with_reason(lambda connection: outbox.put(connection, "test.event", {"number": 1}))
    with_reason(lambda connection: outbox.put(connection, "test.event", {"number": 2}))
    (first, _) = with_reason(lambda c: outbox.claim(c, now=2e9, lease_seconds=1, limit=2))
    with_reason(lambda connection: outbox.fail(connection, first.id, retry_at=None, reason="no way"))
    queues = {one["event"]: one for one in empty_door.client.get("/api/status").json()["queues"]}
    assert {name: queues["test.event"][name] for name in ("waiting", "failed", "given_up")} == {
        "waiting": 1,
        "failed": 0,
        "given_up": 1,
    }


def test_who_may_see_it(open_door: Callable[..., Door]) -> None:
    door = open_door(sign_in__required="always")
    for role in Role:
        door.archive.people.add(role.value, "", [role])
        secret, _ = door.archive.people.issue(role.value, "", 1)
        status = door.client.get("/api/status", headers={"Authorization": f"Bearer {secret}"}).status_code
        assert status == (200 if role in (Role.ADMINISTRATOR, Role.AUDITOR) else 403)
    assert door.client.get("/api/status").status_code == 401
