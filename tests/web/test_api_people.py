"""/api/people, /api/credentials, /api/tokens and /api/session/password: what administrators and everybody for
themselves may change, what nobody may, and that it is recorded with who did it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from argon2 import PasswordHasher

from archive.audit import codes
from archive.security import identity
from archive.security.people import Kind
from archive.security.roles import Role
from web_door import STUDIES, Door

PASSWORD, OTHER = "correct horse battery", "another horse battery"
Browse = Callable[..., httpx.Client]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(identity, "_HASHER", hasher)


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    """Everybody has to sign in; Ada administers, Bob sees, Eve audits."""
    door = open_door(sign_in__required="always")
    for name, role in (("ada", Role.ADMINISTRATOR), ("bob", Role.VIEWER), ("eve", Role.AUDITOR)):
        door.archive.people.add(name, "", [role], PASSWORD)
    return door


@pytest.fixture
def browse(door: Door) -> Iterator[Browse]:
    """A browser in which somebody has signed in."""
    with ExitStack() as stack:

        def begun(name: str, password: str = PASSWORD) -> httpx.Client:
            client = stack.enter_context(httpx.Client(base_url=door.url, timeout=60))
            entered = client.post("/api/session", json={"name": name, "password": password})
            assert entered.status_code == 200, entered.text
            return client

        yield begun


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def recorded(door: Door) -> list[tuple[str, str, str]]:
    """Who changed what, as the audit trail has it."""
    kinds = (codes.USER_SECURITY_CHANGED, codes.SECURITY_ROLES_CHANGED)
    return [
        (one.message.requestor.UserID, one.message.types[0].value, one.message.outcome_text)
        for one in door.archive.audit_log.all()
        if one.message.types and one.message.types[0] in kinds
    ]


def test_somebody_is_made_known_changed_and_forgotten(door: Door, browse: Browse) -> None:
    ada = browse("ada")
    new = {"name": "Carl", "full_name": "<b>Carl</b>", "roles": ["viewer"], "password": PASSWORD}
    made = ada.post("/api/people", json=new)
    assert made.status_code == 201
    form = {"name": "carl", "full_name": "<b>Carl</b>", "roles": ["viewer"], "disabled": False}
    assert made.json() == {**form, "has_password": True, "has_second_factor": False, "see": []}
    assert PASSWORD not in ada.get("/api/people").text
    carl = browse("carl")
    assert carl.get(STUDIES).status_code == 204
    assert ada.patch("/api/people/carl", json={"roles": ["uploader"]}).json()["roles"] == ["uploader"]
    assert carl.get(STUDIES).status_code == 403  # with the next request
    assert ada.patch("/api/people/carl", json={"disabled": True}).json()["disabled"] is True
    assert carl.get("/api/session").status_code == 401
    assert ada.delete("/api/people/carl").status_code == 204
    assert ada.get("/api/people/carl").status_code == 404
    assert recorded(door)[-4:] == [
        ("ada", "110137", "carl was made known as viewer"),
        ("ada", "110136", "roles of carl: uploader; before: viewer"),
        ("ada", "110137", "carl: disabled"),
        ("ada", "110137", "carl was removed"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "roles": ["king"]},
        {"name": "x", "roles": [1]},
        {"name": "a:b", "roles": []},
        {"name": "ada", "roles": ["viewer"]},
        {"name": "x", "roles": ["viewer"], "password": "short"},
        {"name": "x", "roles": ["viewer"], "admin": True},
        {"name": "x", "full_name": "a\nb", "roles": ["viewer"]},
    ],
)
def test_what_cannot_be_is_refused(door: Door, browse: Browse, body: object) -> None:
    before = len(recorded(door))
    assert browse("ada").post("/api/people", json=body).status_code == 400
    assert len(door.archive.people.all()) == 3
    assert len(recorded(door)) == before


@pytest.mark.parametrize("name", ["bob", "eve"])
def test_others_administer_nobody(door: Door, browse: Browse, name: str) -> None:
    client = browse(name)
    for method, path in (
        ("GET", "/api/people"),
        ("GET", "/api/people/ada"),
        ("GET", "/api/people/ada/credentials"),
        ("POST", "/api/people"),
        ("PATCH", f"/api/people/{name}"),
        ("DELETE", "/api/people/ada"),
        ("DELETE", "/api/credentials/1"),
    ):
        body = {"roles": ["administrator"]} if method in ("POST", "PATCH") else None
        assert client.request(method, path, json=body).status_code == 403, (method, path)
    assert door.archive.people.get(name).roles.isdisjoint({Role.ADMINISTRATOR})


def test_the_last_administrator_stays(door: Door, browse: Browse) -> None:
    ada = browse("ada")
    for refused in (
        ada.patch("/api/people/ada", json={"disabled": True}),
        ada.patch("/api/people/ADA", json={"roles": ["viewer"]}),
        ada.delete("/api/people/ada"),
    ):
        assert refused.status_code == 409
        assert "only administrator" in refused.text
    assert ada.get("/api/people").status_code == 200
    door.archive.people.add("zoe", "", [Role.ADMINISTRATOR], PASSWORD)
    door.archive.people.change("zoe", disabled=True)  # who may not sign in is nobody's successor
    assert ada.delete("/api/people/ada").status_code == 409
    door.archive.people.change("zoe", disabled=False)
    assert ada.patch("/api/people/ada", json={"roles": ["viewer"]}).status_code == 200
    assert ada.get("/api/people").status_code == 403


def test_an_administrator_ends_what_others_have_signed_in_with(door: Door, browse: Browse) -> None:
    ada, bob = browse("ada"), browse("bob")
    (session,) = ada.get("/api/people/bob/credentials").json()
    assert session["kind"] == "session"
    assert ada.delete(f"/api/credentials/{session['id']}").status_code == 204
    assert bob.get("/api/session").status_code == 401
    assert ada.delete(f"/api/credentials/{session['id']}").status_code == 404
    assert ada.delete("/api/credentials/999999999999999999").status_code == 404
    assert recorded(door)[-1] == ("ada", "110137", f"session or token {session['id']} of bob was ended")


def test_a_token_of_ones_own(door: Door, browse: Browse) -> None:
    bob = browse("bob")
    made = bob.post("/api/tokens", json={"label": "<i>export</i>", "days": 7, "roles": ["viewer"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert door.client.get(STUDIES, headers=bearer(secret)).status_code == 204
    listed = bob.get("/api/tokens")
    assert secret not in listed.text
    (token,) = (one for one in listed.json() if one["kind"] == "token")
    assert (token["label"], token["roles"]) == ("<i>export</i>", ["viewer"])
    assert bob.delete(f"/api/tokens/{token['id']}").status_code == 204
    assert door.client.get(STUDIES, headers=bearer(secret)).status_code == 401


@pytest.mark.parametrize(
    "body", [{}, {"label": " "}, {"label": "x", "days": 0}, {"label": "x", "days": 9999}]
)
def test_a_token_that_cannot_be(door: Door, browse: Browse, body: object) -> None:
    assert browse("bob").post("/api/tokens", json=body).status_code == 400
    assert not [one for one in door.archive.people.credentials("bob") if one.kind is Kind.TOKEN]


def test_a_token_makes_no_tokens(door: Door) -> None:
    """Nor does it change the password: who has found one that may do little must not come by more."""
    narrow, _ = door.archive.people.issue("ada", "little", 1, [Role.VIEWER])
    whole, _ = door.archive.people.issue("ada", "all", 1)
    for secret in (narrow, whole):
        for path, body in (
            ("/api/tokens", {"label": "more"}),
            ("/api/session/password", {"old": PASSWORD, "new": OTHER}),
        ):
            assert door.client.post(path, json=body, headers=bearer(secret)).status_code == 403
    assert len(door.archive.people.credentials("ada")) == 2


def test_others_tokens_are_out_of_reach(door: Door, browse: Browse) -> None:
    door.archive.people.issue("ada", "hers", 1)
    (hers,) = door.archive.people.credentials("ada")
    bob = browse("bob")
    assert all(one["name"] == "bob" for one in bob.get("/api/tokens").json())
    assert bob.delete(f"/api/tokens/{hers.id}").status_code == 404
    assert len(door.archive.people.credentials("ada")) == 1


def test_another_password_ends_every_session(door: Door, browse: Browse) -> None:
    bob, elsewhere = browse("bob"), browse("bob")
    said = {"old": PASSWORD, "new": OTHER}
    assert bob.post("/api/session/password", json={**said, "old": "wrong"}).status_code == 401
    assert bob.post("/api/session/password", json={**said, "new": "short"}).status_code == 400
    assert bob.get("/api/session").status_code == 200
    assert bob.post("/api/session/password", json=said).status_code == 204
    assert bob.get("/api/session").status_code == 401
    assert elsewhere.get("/api/session").status_code == 401
    browse("bob", OTHER)
    assert ("bob", "110137", "bob: another password") in recorded(door)


def test_guesses_at_the_old_password_are_counted(browse: Browse) -> None:
    """Who finds a browser that somebody left must not try out passwords there."""
    bob = browse("bob")
    for _ in range(5):
        bob.post("/api/session/password", json={"old": "a guess", "new": OTHER})
    answer = bob.post("/api/session/password", json={"old": PASSWORD, "new": OTHER})
    assert answer.status_code == 401
    assert "too many" in answer.text


def test_pages_of_other_origins_change_nobody(door: Door, browse: Browse) -> None:
    ada, foreign = browse("ada"), {"Origin": "https://evil.example"}
    assert ada.patch("/api/people/bob", json={"disabled": True}, headers=foreign).status_code == 403
    assert ada.post("/api/tokens", json={"label": "x"}, headers=foreign).status_code == 403
    assert not door.archive.people.get("bob").disabled


def test_where_nobody_signs_in_nobody_has_an_account(empty_door: Door) -> None:
    assert empty_door.client.get("/api/tokens").status_code == 404
    assert empty_door.client.post("/api/tokens", json={"label": "x"}).status_code == 404
    assert empty_door.client.get("/api/people").json() == []
