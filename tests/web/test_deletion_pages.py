"""The console's pages of deletions, retention, holds and the rules of AE titles: who gets which, and what they say."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from pydicom.dataset import Dataset

from archive.dicom.instance import Scope
from archive.security import identity
from archive.security.actor import Actor
from archive.security.roles import Role
from archive.security.rule_facts import FACTS
from archive.security.rules import DEFAULT_RULES, Rules
from archive.web.console.ae_rules import line_of
from objects import new_uid, part10, secondary_capture
from test_deleting import run_jobs
from web_door import Door, running, settings_for

PASSWORD = "correct horse battery"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MARKUP = "<img src=x onerror=alert(1)>"
NAMES = {"ada": Role.ADMINISTRATOR, "bob": Role.ADMINISTRATOR, "eve": Role.AUDITOR, "rad": Role.RADIOGRAPHER}
MAY = {
    "/deletions": {Role.ADMINISTRATOR},
    "/deletions/due": {Role.ADMINISTRATOR},
    "/deletions/1": {Role.ADMINISTRATOR},
    "/holds": {Role.AUDITOR},
    "/ae-titles/CT1": {Role.ADMINISTRATOR},
}


@pytest.fixture
def approving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Everybody signs in, and deletions want approval."""
    monkeypatch.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    rules = [{"keep_years": 5, "modality": ["OT"], "then": "offer"}]
    settings = settings_for(tmp_path, sign_in__required="always", deletion__approval=True, retention=rules)
    with running(settings) as opened:
        for name, role in NAMES.items():
            opened.archive.people.add(name, "", [role], PASSWORD)
        yield opened


def by(door: Door, name: str) -> dict[str, str]:
    return {"Authorization": "Bearer " + door.archive.people.issue(name, "", 1)[0]}


def stored(door: Door, **headers: str) -> Dataset:
    one = secondary_capture(PatientID=new_uid(), StudyDate="20200101")
    assert door.store(part10(one), **headers).status_code == 200
    return one


def page(door: Door, path: str, name: str = "") -> str:
    answer = door.client.get(path, headers=BROWSER | (by(door, name) if name else {}))
    assert answer.status_code == 200, answer.text
    assert MARKUP not in answer.text
    return answer.text


def asked_for(door: Door, one: Dataset, name: str = "ada", **more: Any) -> dict[str, Any]:
    order = {"StudyInstanceUID": one.StudyInstanceUID, "reason": MARKUP, "override_retention": True, **more}
    answer = door.client.post("/api/deletions", json=order, headers=by(door, name) if name else {})
    assert answer.status_code in (201, 202), answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize("path", MAY)
def test_who_may_not_sees_no_entry_and_is_told(approving: Door, path: str) -> None:
    asked_for(approving, stored(approving, **by(approving, "rad")))
    approving.archive.ae_titles.add("CT1", "192.0.2.1", 104)
    assert approving.client.get(path, headers=BROWSER).status_code == 303
    assert approving.client.get(path).status_code == 401
    entry = f'href="/{path.split("/")[1]}"'
    for name, role in NAMES.items():
        answer = approving.client.get(path, headers=BROWSER | by(approving, name))
        allowed = role in MAY[path]
        assert answer.status_code == (200 if allowed else 403), (name, answer.text)
        assert (entry in answer.text.split("</nav>")[0]) == allowed, name
        if not allowed:
            assert f"{name} has no right to" in html.unescape(answer.text)


def test_who_asked_may_not_approve_and_reads_why(approving: Door) -> None:
    one = stored(approving, **by(approving, "rad"))
    made = asked_for(approving, one)
    mine, theirs = page(approving, "/deletions", "ada"), page(approving, "/deletions", "bob")
    for text in (mine, theirs):
        assert html.escape(MARKUP) in text
        assert f'href="/study/{one.StudyInstanceUID}"' in text
        assert f"Reason to refuse {made['id']}" in text
    assert "You asked for it: somebody else has to approve." in mine
    assert "Approve<" not in mine
    assert "You asked for it" not in theirs
    assert f'data-path="/api/deletions/{made["id"]}/decision" data-body=' in theirs
    assert "Approve<" in page(approving, f"/deletions/{made['id']}", "bob")


def test_what_waits_and_is_held_says_so(approving: Door) -> None:
    one = stored(approving, **by(approving, "rad"))
    made = asked_for(approving, one)
    hold = approving.client.post(
        "/api/holds", json={"PatientID": one.PatientID, "reason": MARKUP}, headers=by(approving, "eve")
    ).json()
    for path in ("/deletions", f"/deletions/{made['id']}"):
        assert f"on hold (hold {hold['id']})" in page(approving, path, "bob")
    approve = {"decision": "approve"}
    refused = approving.client.post(
        f"/api/deletions/{made['id']}/decision", json=approve, headers=by(approving, "bob")
    )
    assert refused.status_code == 409
    holds = page(approving, "/holds", "eve")
    assert html.escape(MARKUP) in holds
    assert one.StudyInstanceUID in holds
    assert f'href="/study/{one.StudyInstanceUID}"' not in holds, "auditors see no studies"
    lift = f"/api/holds/{hold['id']}/lift"
    assert f'data-path="{lift}"' in holds
    approving.client.post(lift, json={"reason": "over"}, headers=by(approving, "eve"))
    holds = page(approving, "/holds", "eve")
    assert "None stands." in holds
    assert "over" in holds.partition('id="lifted"')[2]
    assert "on hold" not in page(approving, "/deletions", "bob")


def test_what_a_rule_keeps_waits_for_the_rule(approving: Door) -> None:
    """It was asked for with an override; without one the rule would be named."""
    young = secondary_capture(PatientID=new_uid(), StudyDate="20260101", Modality="OT")
    assert approving.store(part10(young), **by(approving, "rad")).status_code == 200
    order = {"StudyInstanceUID": young.StudyInstanceUID, "reason": "why"}
    answer = approving.client.post("/api/deletions", json=order, headers=by(approving, "ada"))
    assert answer.status_code == 409
    asked_for(approving, young)
    assert "although it has to be kept for longer" in page(approving, "/deletions", "bob")
    due = page(approving, "/deletions/due", "bob")
    assert "modality OT" in due
    assert "5 years" in due
    assert "No study" in due


def test_the_certificate_is_shown_and_downloaded(approving: Door) -> None:
    one = stored(approving, **by(approving, "rad"))
    number = asked_for(approving, one)["id"]
    approving.client.post(
        f"/api/deletions/{number}/decision", json={"decision": "approve"}, headers=by(approving, "bob")
    )
    assert "is made when the last of its bytes has gone" in page(approving, f"/deletions/{number}", "ada")
    run_jobs(approving)
    text = page(approving, f"/deletions/{number}", "ada")
    certificate = html.unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)[0])
    assert f"Certificate of deletion {number}" in certificate
    assert one.SOPInstanceUID in certificate
    assert MARKUP in certificate
    assert f'href="/api/deletions/{number}/certificate" download=' in text
    assert f'href="/deletions/{number}#certificate"' in page(approving, "/deletions", "ada")


def test_a_refused_one_says_why(approving: Door) -> None:
    number = asked_for(approving, stored(approving, **by(approving, "rad")))["id"]
    said = {"decision": "refuse", "reason": f"no {MARKUP}"}
    approving.client.post(f"/api/deletions/{number}/decision", json=said, headers=by(approving, "bob"))
    for path in ("/deletions", f"/deletions/{number}"):
        assert html.escape(f"no {MARKUP}") in page(approving, path, "ada")
    assert approving.client.get("/deletions/999", headers=BROWSER | by(approving, "ada")).status_code == 404


def test_bytes_that_do_not_go_are_told(empty_door: Door) -> None:
    """A folder is in the place of the file, as only a person can do it."""
    door = empty_door
    one = stored(door)
    (found,) = door.archive.retrieve.instances(Scope((one.StudyInstanceUID,)))
    (place,) = door.archive.settings.data.rglob(f"*{found.blob_key.rpartition('/')[2]}*")
    place.unlink()
    place.mkdir()
    (place / "inside").touch()
    number = asked_for(door, one, "")["id"]
    run_jobs(door)
    for path in ("/deletions", f"/deletions/{number}"):
        assert "removing its bytes failed, and is tried again" in page(door, path)


def test_where_nobody_signs_in_nobody_approves(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, deletion__approval=True)) as door:
        asked_for(door, stored(door), "")
        text = page(door, "/deletions")
        assert "Who approves has to sign in." in text
        assert "Approve<" not in text


def test_where_nothing_is_deleted(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, http__deletion=False)) as door:
        text = page(door, "/deletions")
        assert "Nothing is deleted here" in text
        assert "<form" not in text


def test_the_page_of_a_study_has_the_mark_and_the_button(approving: Door) -> None:
    one = stored(approving, **by(approving, "rad"))
    path = f"/study/{one.StudyInstanceUID}"
    assert "On legal hold" not in page(approving, path, "ada")
    approving.archive.holds.place(Actor("HTTP", user="eve"), "a court", study=one.StudyInstanceUID)
    ada = page(approving, path, "ada")
    assert "On legal hold" in ada
    assert "before the hold is lifted" in ada
    assert "data-hold" not in ada, "who deletes places no holds"
    assert "On legal hold" not in page(approving, path, "rad"), "it concerns those who delete or hold"
    approving.archive.people.add("both", "", [Role.AUDITOR, Role.VIEWER], PASSWORD)
    both = page(approving, path, "both")
    assert f'data-patient="{one.PatientID}"' in both
    assert "On legal hold" in both


@pytest.mark.parametrize("path", ["/holds?study=1.2.3&patient=P%221&issuer=I"])
def test_what_a_link_names_is_filled_in(door: Door, path: str) -> None:
    text = page(door, path)
    assert 'value="1.2.3"' in text
    assert 'value="P&#34;1"' in text


def test_the_rules_of_an_ae_title_are_shown(empty_door: Door) -> None:
    door = empty_door
    rules = Rules(
        addresses=("192.0.2.0/24",), aliases=("", "A\x07B"), see=(f"institution={MARKUP}",), require_tls=True
    )
    door.archive.ae_titles.add("CT/1 ", "192.0.2.1", 104, rules)
    assert 'href="/ae-titles/CT/1"' in page(door, "/ae-titles")
    text = page(door, "/ae-titles/CT/1")
    for fact in FACTS:
        assert f'name="{"sees-studies" if fact.name == "see" else fact.name}"' in text
    assert "192.0.2.0/24</textarea>" in text
    assert "&#34;&#34;\nA\\x07B</textarea>" in text
    assert html.escape(MARKUP) in text
    assert text.count('class="badge mark"') == 3
    assert door.client.get("/ae-titles/NOBODY", headers=BROWSER).status_code == 404


@pytest.mark.parametrize(
    ("value", "line"), [("", '""'), ("A\x07B", r"A\x07B"), ("A\\x41", r"A\x5cx41"), ("CT 1", "CT 1")]
)
def test_a_value_as_a_line(value: str, line: str) -> None:
    assert line_of(value) == line


def test_a_rule_that_says_nothing_is_not_marked(empty_door: Door) -> None:
    door = empty_door
    door.archive.ae_titles.add("CT1", "192.0.2.1", 104, DEFAULT_RULES)
    assert 'class="badge mark"' not in page(door, "/ae-titles/CT1")


def test_the_quarantine_is_listed_with_its_reasons(empty_door: Door) -> None:
    door = empty_door
    assert "Files in quarantine" in page(door, "/work")
    one = stored(door)
    (found,) = door.archive.retrieve.instances(Scope((one.StudyInstanceUID,)))
    door.archive.store.set_aside(found.blob_key, f"damaged {MARKUP}")
    text = page(door, "/work")
    assert html.escape(f"damaged {MARKUP}") in text
    assert found.blob_key.rpartition("/")[2] in text


def test_a_page_changes_nothing(door: Door) -> None:
    """They have one method: what changes something goes over the API."""
    for path in MAY:
        assert door.client.post(path).status_code == 405
