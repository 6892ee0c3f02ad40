"""/api/ae-titles and /api/refusals: every rule goes in and comes out, and nobody else's page gets in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from archive.dicom.errors import CallerRefused
from archive.dimse import server
from archive.network.caller import Caller
from archive.security.rule_facts import FACTS
from archive.security.rules import DEFAULT_RULES, Rules
from objects import ct, part10
from web_door import Door

URL = "/api/ae-titles"
CT1 = {"host": "192.0.2.7", "port": 104}
EVERY_RULE: dict[str, Any] = {
    "addresses": ["198.51.100.0/24"],
    "operations": ["echo", "store"],
    "destinations": ["WS1"],
    "called": ["TEACHING"],
    "aliases": ["", "RÖNTGEN"],
    "any_case": True,
    "maximum_associations": 4,
    "associations": 2,
    "duplicates": "keep",
    "tls": True,
    "require_tls": True,
    "certificate": "ct1.example",
    "identity": "password",
    "user": "ct",
    "character_set": "ISO_IR 100",
    "transfer_syntax": "1.2.840.10008.1.2.4.80",
    "notify": True,
    "see": ["institution=St. Mary*; modality=CT"],
    "relational": False,
}


def put(door: Door, title: str = "CT1", /, **body: Any) -> Any:
    return door.client.put(f"{URL}/{quote(title, safe='')}", json=CT1 | body)


def rules(door: Door, title: str = "CT1") -> Rules:
    entry = door.archive.ae_titles.get(title)
    assert entry is not None
    return entry.rules


def test_an_entry_is_made_changed_shown_and_removed(empty_door: Door) -> None:
    door = empty_door
    assert door.client.get(URL).json() == []
    assert put(door).status_code == 201
    answer = put(door, port=11112, rules={"notify": True})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    shown = door.client.get(f"{URL}/CT1").json()
    assert shown == answer.json()
    assert (shown["title"], shown["host"], shown["port"]) == ("CT1", "192.0.2.7", 11112)
    assert door.client.get(URL).json() == [shown]
    assert put(door).status_code == 200
    assert rules(door) == DEFAULT_RULES
    assert door.client.delete(f"{URL}/CT1").status_code == 204
    assert door.client.delete(f"{URL}/CT1").status_code == 404
    assert door.client.get(f"{URL}/CT1").status_code == 404


def test_every_rule(empty_door: Door) -> None:
    door = empty_door
    assert set(EVERY_RULE) == {fact.name for fact in FACTS}
    answer = put(door, rules={**EVERY_RULE, "password": "s3cret"})
    assert answer.status_code == 201, answer.text
    shown = answer.json()["rules"]
    assert shown == {**EVERY_RULE, "has_password": True}
    assert "s3cret" not in answer.text
    assert "argon2" not in answer.text
    kept = rules(door)
    assert all(getattr(kept, name) != getattr(DEFAULT_RULES, name) for name in EVERY_RULE)
    # what was shown can be put back, and the password is still there
    assert put(door, **door.client.get(f"{URL}/CT1").json()).status_code == 200
    assert rules(door) == kept


@pytest.mark.parametrize(
    ("title", "body", "said"),
    [
        ("CT1", {"port": 0}, "a port is"),
        ("CT1", {"port": "104"}, "port has to be"),
        ("CT1", {"host": " "}, "a host is"),
        ("CT1", {"title": "CT2"}, "not that of the URL"),
        ("CT1", {"colour": "red"}, "unknown member"),
        ("CT1", {"rules": {"colour": "red"}}, "unknown member"),
        ("CT1", {"rules": []}, "rules has to be"),
        ("CT1", {"rules": {"operations": ["teleport"]}}, "operations are"),
        ("CT1", {"rules": {"aliases": [1]}}, "aliases has to be"),
        ("CT1", {"rules": {"associations": True}}, "associations has to be"),
        ("CT1", {"rules": {"associations": 0}}, "associations: a number"),
        ("CT1", {"rules": {"addresses": ["nowhere"]}}, "addresses: "),
        ("CT1", {"rules": {"identity": "password"}}, "identity: "),
        ("CT1", {"rules": {"password_hash": "x"}}, "unknown member"),
        ("CT1", {"rules": {"identity": "password", "user": "ct", "password": ""}}, "password: an empty one"),
        ("TOO LONG FOR A TITLE", {}, "1 to 16"),
        ("A\\B", {}, "1 to 16"),
    ],
)
def test_what_cannot_be_is_refused_by_name(door: Door, title: str, body: dict[str, Any], said: str) -> None:
    answer = put(door, title, **body)
    assert answer.status_code == 400
    assert said in answer.text
    assert door.archive.ae_titles.get(title) is None


def test_host_and_port_are_needed(door: Door) -> None:
    answer = door.client.put(f"{URL}/CT1", json={"host": "192.0.2.7"})
    assert (answer.status_code, "host and port" in answer.text) == (400, True)


@pytest.mark.parametrize("title", ["A/B", "A B", "A%B", "A?B#C"])
def test_titles_that_urls_have_other_uses_for(door: Door, title: str) -> None:
    assert put(door, title).status_code == 201
    assert door.client.get(f"{URL}/{quote(title, safe='')}").json()["title"] == title
    assert door.client.delete(f"{URL}/{quote(title, safe='')}").status_code == 204


def test_only_json_and_only_from_our_own_page(door: Door) -> None:
    """A form of a foreign page can send text, and its script can send JSON where a preflight allows it: neither
    gets in."""
    form = {"Content-Type": "text/plain"}
    assert door.client.put(f"{URL}/EVIL", content=b"{}", headers=form).status_code == 415
    for origin in ("https://evil.example", "http://localhost:9", "null"):
        foreign = {"Origin": origin}
        assert door.client.put(f"{URL}/EVIL", json=CT1, headers=foreign).status_code == 403
        assert door.client.delete(f"{URL}/EVIL", headers=foreign).status_code == 403
        assert door.client.post(f"{URL}/EVIL/echo", headers=foreign).status_code == 403
    assert door.archive.ae_titles.get("EVIL") is None
    ours = {"Origin": door.url}
    assert door.client.put(f"{URL}/OURS", json=CT1, headers=ours).status_code == 201


def test_it_can_be_switched_off(open_door: Any) -> None:
    door = open_door(http__administration="off")
    for path in (URL, f"{URL}/CT1", "/api/refusals"):
        assert door.client.get(path).status_code == 403
    assert put(door).status_code == 403


@pytest.fixture
def dimse_port(empty_door: Door) -> Iterator[int]:
    """The DIMSE door of the same archive."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=(empty_door.archive, listener, lambda: None, stop))
        thread.start()
        yield listener.getsockname()[1]
        stop.set()
        thread.join()


def test_echo_says_at_which_step_it_fails(empty_door: Door, dimse_port: int) -> None:
    door = empty_door
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    for title, host, port, step in [
        ("ARCHIVE", "127.0.0.1", dimse_port, "answered"),
        ("OTHER", "127.0.0.1", dimse_port, "rejected"),
        ("NOBODY", "127.0.0.1", closed, "connect"),
        ("NOWHERE", "nowhere.invalid", 104, "host_name"),
    ]:
        assert door.client.put(f"{URL}/{title}", json={"host": host, "port": port}).status_code == 201
        answer = door.client.post(f"{URL}/{title}/echo")
        assert answer.status_code == 200
        assert (answer.json()["step"], answer.json()["ok"]) == (step, step == "answered")
        assert answer.json()["reason"]
    assert door.client.post(f"{URL}/UNKNOWN/echo").status_code == 404


def test_refusals_of_both_kinds(empty_door: Door) -> None:
    """dimse.md section 0, finding 8: who, from where, why, and what would let it in."""
    door = empty_door
    with pytest.raises(CallerRefused):
        door.archive.admissions.admit(Caller("CT1", "ARCHIVE", "192.0.2.7"))
    data_set = ct()
    assert door.store(part10(data_set)[:-100]).status_code == 409
    other = ct(SOPInstanceUID=data_set.SOPInstanceUID, PatientID="other")
    assert door.store(part10(data_set)).status_code == 200
    assert door.store(part10(other)).status_code == 409
    said = door.client.get("/api/refusals").json()
    (association,) = said["associations"]
    assert association["remedy"] == "archive ae add CT1 192.0.2.7 104"
    assert (association["calling"], association["address"], association["times"]) == ("CT1", "192.0.2.7", 1)
    taken, damaged = said["objects"]
    assert (taken["door"], taken["status"]) == ("STOW-RS", "0111")
    assert taken["SOPInstanceUID"] == data_set.SOPInstanceUID
    assert taken["sop_class_name"] == "CT Image Storage"
    assert taken["remedy"] == "archive conflicts list"
    assert damaged["status"] == "C000"
    assert "PatientID" not in str(said)
    assert len(door.client.get("/api/refusals?limit=1").json()["objects"]) == 1


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "one", "1e3", "99999999999999999999"])
def test_a_limit_that_cannot_be(door: Door, limit: str) -> None:
    assert door.client.get(f"/api/refusals?limit={limit}").status_code == 400
