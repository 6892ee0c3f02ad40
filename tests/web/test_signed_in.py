"""Who may do what over HTTP: a matrix of every route and every role, cookies, tokens, and pages of other origins
(reliability.md H9, H14)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from archive.audit import codes, messages
from archive.security import identity
from archive.security.roles import RIGHTS, Right, Role
from archive.web.routes import ROUTES, Route
from objects import new_uid, part10, secondary_capture
from web_door import STUDIES, Door, running, settings_for

PASSWORD = "correct horse battery"
OPEN = {
    "Live", "Ready", "OpenAPI", "SignIn", "WhoAmI", "SignOut", "SignInPage", "SignInPageFile", "Viewer",
    "LightViewer", "LightViewerFile", "ViewerFile", "ConsoleFile", "OpenIDSignIn", "OpenIDReturn",
    "OpenShare", "OpenSharePage",
}  # fmt: skip
"""What nobody has to sign in for: nothing of them tells of a patient."""
FOUND = 200, 204
"""Tests of one door store what others find."""
NOT_THERE = "999999999"
VALUES = {"study": "1.2.3", "series": "1.2.3.4", "instance": "1.2.3.4.5", "frames": "1"}


@pytest.fixture(scope="module", autouse=True)
def _cheap() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(identity, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Everybody has to sign in; there is somebody of each role, and somebody of none."""
    settings = settings_for(tmp_path_factory.mktemp("archive"), sign_in__required="always")
    with running(settings) as opened:
        for role in Role:
            opened.archive.people.add(role.value, "", [role], PASSWORD)
        opened.archive.people.add("none", "", [], PASSWORD)
        yield opened


@pytest.fixture(scope="module")
def token(door: Door) -> Callable[[str], str]:
    made: dict[str, str] = {}

    def of(name: str) -> str:
        if name not in made:
            made[name] = door.archive.people.issue(name, "", 1)[0]
        return made[name]

    return of


@pytest.fixture
def browser(door: Door) -> Iterator[httpx.Client]:
    """With cookies of its own."""
    with httpx.Client(base_url=door.url, timeout=60) as client:
        yield client


def enter(client: httpx.Client, name: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
    return client.post("/api/session", json={"name": name, "password": password}, headers=headers)


def asked(door: Door, route: Route, **headers: str) -> int:
    """The status of a request that could come to anything only with luck: what it names is not there."""
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: VALUES.get(found[1], NOT_THERE), route.path)
    body: dict[str, Any] = {}
    if route.takes_body:
        body = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    kept = {**body.pop("headers", {}), **headers}
    return door.client.request(route.method, path, headers=kept, **body).status_code


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


HTTP_ROUTES = [route for route in ROUTES if route.name != "OpenNotificationConnection"]


@pytest.mark.parametrize("route", HTTP_ROUTES, ids=lambda route: route.name)
def test_every_route_and_every_role(door: Door, token: Callable[[str], str], route: Route) -> None:
    """H14: each cell is allowed or refused as the roles say; and nobody gets anything without signing in."""
    if route.right is None:
        assert route.name in OPEN
        return
    assert asked(door, route) == 401
    assert asked(door, route, **bearer("dat_" + "A" * 43)) == 401
    for role in Role:
        status = asked(door, route, **bearer(token(role.value)))
        allowed = route.right in RIGHTS[role] - {Right.ACCOUNT}  # which is of who signs in in a browser
        assert (status not in (401, 403)) == allowed, (route.name, role, status)
    assert asked(door, route, **bearer(token("none"))) == 403


def test_what_is_open_is_named_here() -> None:
    """A new row of the table is not open by an oversight."""
    assert {route.name for route in ROUTES if route.right is None} == OPEN
    assert {route.right for route in ROUTES} - {None} == set(Right)


def test_a_wrong_or_missing_sign_in_says_what_to_do(door: Door) -> None:
    answer = door.client.get(STUDIES)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert "/api/session" in answer.text
    refused = door.client.get(STUDIES, headers=bearer(door.archive.people.issue("uploader", "", 1)[0]))
    assert refused.status_code == 403
    assert "uploader has no right to see" in refused.text


def test_a_token_in_place_of_a_password(door: Door, token: Callable[[str], str]) -> None:
    """As DICOMweb clients send it that know Basic alone."""
    assert door.client.get(STUDIES, headers=basic("Viewer", token("viewer"))).status_code in FOUND
    assert door.client.get(STUDIES, headers=basic("auditor", token("viewer"))).status_code == 401
    assert door.client.get(STUDIES, headers=basic("viewer", PASSWORD)).status_code == 401


@pytest.mark.parametrize(
    "value",
    ["Bearer", "Basic", "Basic !!!", "Basic dmlld2Vy", "Digest x", "Bearer " + "x" * 5000, "x"],
)
def test_what_is_no_proof_is_refused(door: Door, value: str) -> None:
    assert door.client.get(STUDIES, headers={"Authorization": value}).status_code == 401


def test_what_is_revoked_is_refused_with_the_next_request(door: Door) -> None:
    secret, _ = door.archive.people.issue("viewer", "short", 1)
    assert door.client.get(STUDIES, headers=bearer(secret)).status_code in FOUND
    (made,) = (one for one in door.archive.people.credentials("viewer") if one.label == "short")
    door.archive.people.revoke(made.id)
    assert door.client.get(STUDIES, headers=bearer(secret)).status_code == 401


def test_a_browser_signs_in_and_out(door: Door, browser: httpx.Client) -> None:
    assert browser.get("/api/session").status_code == 401
    entered = enter(browser, "Viewer")
    assert (entered.status_code, entered.json()) == (
        200,
        {"name": "viewer", "rights": ["account", "see", "workitems"]},
    )
    cookie = entered.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert browser.get("/api/session").json()["name"] == "viewer"
    assert browser.get(STUDIES).status_code in FOUND
    kept = dict(browser.cookies)
    assert browser.delete("/api/session").status_code == 204
    assert not browser.cookies
    assert (
        door.client.get(STUDIES, headers={"Cookie": "; ".join(map("=".join, kept.items()))}).status_code
        == 401
    )


def test_signing_in_and_out_is_recorded(door: Door, browser: httpx.Client) -> None:
    """PS3.15 A.5.3.11, User Authentication: whoever it says it is, and whether it was."""
    enter(browser, "Radiographer", "wrong")
    enter(browser, "Radiographer")
    browser.delete("/api/session")
    door.archive.auditing.trail.flush()
    said = [
        one.message for one in door.archive.audit_log.all() if one.message.event == codes.USER_AUTHENTICATION
    ]
    told = [(one.requestor.UserID, one.types[0], one.outcome) for one in said][-3:]
    assert told == [
        ("Radiographer", codes.LOGIN, messages.MINOR_FAILURE),
        ("radiographer", codes.LOGIN, messages.SUCCESS),
        ("radiographer", codes.LOGOUT, messages.SUCCESS),
    ]


def test_the_audit_trail_names_who_looked(door: Door, token: Callable[[str], str]) -> None:
    data_set = secondary_capture()
    assert door.store(part10(data_set), **bearer(token("uploader"))).status_code == 200
    study = f"{STUDIES}/{data_set.StudyInstanceUID}"
    assert door.client.get(study, headers=bearer(token("viewer"))).status_code == 200
    door.archive.auditing.trail.flush()
    about = [
        one.message.participants
        for one in door.archive.audit_log.all()
        if data_set.StudyInstanceUID in one.message.study_instance_uids
    ]
    assert {who.UserID for participants in about for who in participants} >= {"uploader", "viewer"}


def test_a_wrong_password_lets_nobody_in(browser: httpx.Client) -> None:
    assert enter(browser, "viewer", "wrong").status_code == 401
    assert not browser.cookies
    assert browser.post("/api/session", json={"name": "viewer"}).status_code == 400
    assert browser.post("/api/session", data={"name": "viewer", "password": PASSWORD}).status_code == 415


def test_a_page_of_another_origin_changes_nothing(door: Door, browser: httpx.Client) -> None:
    """Its requests would bring the cookie of who sits in front of it."""
    foreign = {"Origin": "https://evil.example"}
    assert enter(browser, "administrator", **foreign).status_code == 403
    assert enter(browser, "administrator").status_code == 200
    stored = part10(secondary_capture())
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=BOUNDARY'}
    body = b"--BOUNDARY\r\nContent-Type: application/dicom\r\n\r\n" + stored + b"\r\n--BOUNDARY--\r\n"
    for method, path in (("DELETE", f"{STUDIES}/1.2.3"), ("PUT", "/api/ae-titles/CT1"), ("POST", STUDIES)):
        status = browser.request(method, path, content=body, headers=headers | foreign).status_code
        assert status == 403, (method, path)
    assert browser.delete("/api/session", headers=foreign).status_code == 403
    assert browser.post(STUDIES, content=body, headers=headers | {"Origin": door.url}).status_code == 200


def test_a_password_goes_over_tls_alone(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data", http__behind_proxy=True)
    with running(settings) as door:
        door.archive.people.add("ada", "", [Role.VIEWER], PASSWORD)
        host = {"Host": "pacs.example"}
        assert enter(door.client, "ada", **host).status_code == 403
        entered = enter(door.client, "ada", **host, **{"X-Forwarded-Proto": "https"})
        assert entered.status_code == 200
        cookie = entered.headers["set-cookie"]
        assert cookie.startswith("__Host-archive-session=")
        assert "Secure" in cookie.split("; ")
        secret = cookie.partition("=")[2].partition(";")[0]
        over_tls = {**host, "X-Forwarded-Proto": "https"}
        for name, status in (("__Host-archive-session", 200), ("archive-session", 401)):
            headers = {**over_tls, "Cookie": f"{name}={secret}"}
            assert door.client.get("/api/session", headers=headers).status_code == status, (
                "another host of the same site can set the second"
            )


@pytest.mark.parametrize(
    ("changed", "required"),
    [
        ({}, False),
        ({"http__behind_proxy": True}, True),
        ({"http__public_url": "https://pacs.example"}, True),
        ({"http__behind_proxy": True, "sign_in__required": "never"}, False),
        ({"sign_in__required": "always"}, True),
    ],
)
def test_where_one_has_to_sign_in(tmp_path: Path, changed: dict[str, Any], required: bool) -> None:
    """Out of the box this machine is trusted, and nobody else."""
    with running(settings_for(tmp_path / "data", **changed)) as door:
        assert door.client.get(STUDIES).status_code == (401 if required else 204)
        assert door.client.get("/health/ready").status_code == 200
        said = door.client.get("/api/session")
        assert said.status_code == (401 if required else 200)
        assert (len(said.json()["rights"]) == len(Right)) == (not required)


def test_an_administrator_administers_from_elsewhere(tmp_path: Path) -> None:
    """Who has signed in need not sit at the machine; unless administration is off."""
    for administration, expected in (("local", 200), ("off", 403)):
        changed = {"http__behind_proxy": True, "http__administration": administration}
        with running(settings_for(tmp_path / administration, **changed)) as door:
            door.archive.people.add("ada", "", [Role.ADMINISTRATOR], PASSWORD)
            secret, _ = door.archive.people.issue("ada", "", 1)
            assert door.client.get("/api/ae-titles", headers=bearer(secret)).status_code == expected


def test_nothing_of_a_sign_in_is_logged(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    name = f"canary{new_uid()[-12:]}"
    with httpx.Client(base_url=door.url) as client:
        enter(client, name, "CANARYPASSWORD")
        client.get(STUDIES, headers=bearer("CANARYTOKEN"))
    told = "".join(capfd.readouterr())
    assert "CANARY" not in told
    assert name not in told
