"""/api/session/second-factor and what asks for it: set up, confirmed, taken off, reset, required; and that no secret of
it is anywhere but where it is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from xml.etree import ElementTree

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher

from archive.audit import codes, messages
from archive.security import identity
from archive.security.roles import Role
from archive.security.second_factor import RECOVERY_CODES
from web_door import STUDIES, Door

PASSWORD = "correct horse battery"
OWN = "/api/session/second-factor"
Browse = Callable[..., httpx.Client]
OpenDoor = Callable[..., Door]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(identity, "_HASHER", hasher)


def opened(open_door: OpenDoor, required: str = "optional") -> Door:
    """Ada administers, Bob sees; nobody has a second factor yet."""
    door = open_door(sign_in__required="always", sign_in__second_factor=required)
    for name, role in (("ada", Role.ADMINISTRATOR), ("bob", Role.VIEWER)):
        door.archive.people.add(name, "", [role], PASSWORD)
    return door


@pytest.fixture
def clients() -> Iterator[Callable[[Door], httpx.Client]]:
    with ExitStack() as stack:
        yield lambda door: stack.enter_context(httpx.Client(base_url=door.url, timeout=60))


def enter(client: httpx.Client, name: str, code: str | None = None) -> httpx.Response:
    said = {"name": name, "password": PASSWORD} | ({} if code is None else {"code": code})
    return client.post("/api/session", json=said)


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + 30 * steps)


def enrolled(client: httpx.Client) -> tuple[str, list[str]]:
    """The secret and the recovery codes of who has signed in. The present code is used by that, the next is not."""
    begun = client.post(OWN, json={"password": PASSWORD})
    assert begun.status_code == 201, begun.text
    secret = begun.json()["secret"]
    confirmed = client.post(f"{OWN}/confirmation", json={"code": code_of(secret)})
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["recovery_codes"]


def test_one_sets_it_up_signs_in_with_it_and_takes_it_off(
    open_door: OpenDoor, clients: Callable[[Door], httpx.Client]
) -> None:
    door = opened(open_door)
    bob, elsewhere = clients(door), clients(door)
    for client in (bob, elsewhere):
        assert enter(client, "bob").status_code == 200
    assert bob.get(OWN).json() == {"enabled": False, "required": False, "recovery_codes": 0}
    secret, recovery = enrolled(bob)
    assert len(recovery) == RECOVERY_CODES
    assert bob.get(OWN).json() == {"enabled": True, "required": False, "recovery_codes": RECOVERY_CODES}
    assert bob.get(STUDIES).status_code == 204
    assert elsewhere.get(STUDIES).status_code == 401
    asked = enter(elsewhere, "bob")
    assert asked.status_code == 401
    assert 'error="insufficient_user_authentication"' in asked.headers["www-authenticate"]
    assert "a code of the second factor is needed" in asked.text
    assert "set-cookie" not in asked.headers
    code = code_of(secret, 1)
    assert enter(elsewhere, "bob", code).json() == {"name": "bob", "rights": ["account", "see", "workitems"]}
    again = enter(elsewhere, "bob", code)
    assert (again.status_code, "insufficient" in again.headers["www-authenticate"]) == (401, False)
    assert enter(elsewhere, "bob", recovery[0]).status_code == 200
    assert enter(elsewhere, "bob", recovery[0]).status_code == 401
    off = {"password": PASSWORD, "code": recovery[1]}
    for wrong in ({"code": "000000x"}, {"password": "wrong"}):
        assert bob.post(f"{OWN}/removal", json=off | wrong).status_code == 401
    assert bob.post(f"{OWN}/removal", json={"password": PASSWORD}).status_code == 400
    assert bob.post(f"{OWN}/removal", json=off).status_code == 204
    assert enter(elsewhere, "bob").status_code == 200
    assert bob.post(f"{OWN}/removal", json=off | {"code": recovery[2]}).status_code == 404


def test_what_is_told_once(open_door: OpenDoor, clients: Callable[[Door], httpx.Client]) -> None:
    door = opened(open_door)
    bob = clients(door)
    enter(bob, "bob")
    assert bob.post(OWN, json={"password": "wrong"}).status_code == 401
    begun = bob.post(OWN, json={"password": PASSWORD})
    assert begun.headers["cache-control"] == "no-store"
    told = begun.json()
    assert told["address"].startswith("otpauth://totp/")
    assert told["secret"] in told["address"]
    picture = ElementTree.fromstring(told["picture"])
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert {one.tag.rpartition("}")[2] for one in picture.iter()} <= {"svg", "g", "path"}
    assert bob.post(f"{OWN}/confirmation", json={"code": "1"}).status_code == 400
    page = bob.get("/account", headers={"Accept": "text/html"})
    assert told["secret"] not in page.text + bob.get(OWN).text
    assert bob.post(f"{OWN}/confirmation", json={"code": code_of(told["secret"])}).status_code == 200
    assert bob.post(OWN, json={"password": PASSWORD}).status_code == 400


def test_a_token_sets_up_and_takes_off_nothing(open_door: OpenDoor) -> None:
    door = opened(open_door)
    token, _ = door.archive.people.issue("ada", "", 1)
    headers = {"Authorization": f"Bearer {token}"}
    assert door.client.get(OWN, headers=headers).status_code == 403
    for path in (OWN, f"{OWN}/confirmation", f"{OWN}/removal"):
        assert door.client.post(path, json={"password": PASSWORD}, headers=headers).status_code == 403


def test_an_administrator_resets_it(open_door: OpenDoor, clients: Callable[[Door], httpx.Client]) -> None:
    door = opened(open_door)
    ada, bob = clients(door), clients(door)
    enter(ada, "ada")
    enter(bob, "bob")
    secret, recovery = enrolled(bob)
    assert ada.get("/api/people/bob").json()["has_second_factor"] is True
    assert bob.delete("/api/people/bob/second-factor").status_code == 403
    assert ada.delete("/api/people/nobody/second-factor").status_code == 404
    assert ada.delete("/api/people/bob/second-factor").status_code == 204
    assert ada.delete("/api/people/bob/second-factor").status_code == 404
    assert ada.get("/api/people/bob").json()["has_second_factor"] is False
    assert enter(bob, "bob").status_code == 200
    trail = door.archive.audit_log.all()
    last = [one.message for one in trail if one.message.types[:1] == (codes.USER_SECURITY_CHANGED,)][-1]
    assert (last.requestor.UserID, last.outcome_text) == ("ada", "bob: the second factor was taken off")
    assert not any(told in str(trail) for told in (secret, *recovery))


@pytest.mark.parametrize(("required", "name"), [("administrators", "ada"), ("everybody", "bob")])
def test_who_needs_one_can_do_nothing_but_set_it_up(
    open_door: OpenDoor, clients: Callable[[Door], httpx.Client], required: str, name: str
) -> None:
    door = opened(open_door, required)
    client = clients(door)
    assert enter(client, name).json() == {"name": name, "rights": ["account"], "must_enrol": True}
    for method, path in (
        ("GET", STUDIES),
        ("GET", "/api/people"),
        ("GET", "/api/tokens"),
        ("POST", "/api/tokens"),
        ("DELETE", "/api/tokens/1"),
        ("POST", "/api/session/password"),
        ("POST", f"{OWN}/removal"),
    ):
        answer = client.request(method, path, **({"json": {}} if method == "POST" else {}))
        assert (answer.status_code, "/account" in answer.text) == (403, True), path
    browser = {"Accept": "text/html"}
    for path in ("/", "/people"):
        led = client.get(path, headers=browser)
        assert (led.status_code, led.headers["location"]) == (303, "/account"), path
    assert "Set one up" in client.get("/account", headers=browser).text
    assert client.get("/api/session").json()["must_enrol"] is True
    enrolled(client)
    assert "must_enrol" not in client.get("/api/session").json()
    assert client.get(STUDIES).status_code == 204
    assert client.get("/api/tokens").status_code == 200


def test_who_has_no_role_is_led_nowhere(open_door: OpenDoor, clients: Callable[[Door], httpx.Client]) -> None:
    door = opened(open_door, "everybody")
    door.archive.people.add("none", "", [], PASSWORD)
    client = clients(door)
    enter(client, "none")
    assert client.get("/account", headers={"Accept": "text/html"}).status_code == 403
    assert client.get(STUDIES).status_code == 403


def test_a_wrong_code_is_in_the_audit_trail(
    open_door: OpenDoor, clients: Callable[[Door], httpx.Client]
) -> None:
    """PS3.15 A.5.3.11, User Authentication: also that somebody had the password alone."""
    door = opened(open_door)
    bob = clients(door)
    enter(bob, "bob")
    secret, _ = enrolled(bob)
    for code in (None, "wrong", code_of(secret, 1)):
        enter(bob, "bob", code)
    door.archive.auditing.trail.flush()
    said = [
        one.message for one in door.archive.audit_log.all() if one.message.event == codes.USER_AUTHENTICATION
    ][-3:]
    assert [one.outcome for one in said] == [
        messages.MINOR_FAILURE,
        messages.MINOR_FAILURE,
        messages.SUCCESS,
    ]
    assert "code of the second factor is needed" in str(said[0].outcome_text)
    assert "the code is wrong" in str(said[1].outcome_text)


def test_no_secret_is_in_a_log_an_error_or_a_metric(
    open_door: OpenDoor, clients: Callable[[Door], httpx.Client], capfd: pytest.CaptureFixture[str]
) -> None:
    """H19, for secrets."""
    door = opened(open_door)
    bob, ada = clients(door), clients(door)
    enter(bob, "bob")
    enter(ada, "ada")
    secret, recovery = enrolled(bob)
    canary = "zzcanarycode"
    answers = [
        enter(bob, "bob", canary),
        enter(bob, "bob", recovery[0]),
        enter(bob, "bob", recovery[0]),
        bob.post(f"{OWN}/confirmation", json={"code": canary}),
        bob.post(f"{OWN}/removal", json={"password": canary, "code": canary}),
        bob.post(OWN, json={"password": PASSWORD, "code": 1}),
        ada.get("/metrics"),
        ada.get("/api/people"),
        ada.get("/people/bob", headers={"Accept": "text/html"}),
    ]
    told = "".join([*capfd.readouterr(), *(str(one.headers) + one.text for one in answers)])
    assert "archive_http_requests_total" in told
    for one in (canary, secret, secret.lower(), *recovery, *(code.replace("-", "") for code in recovery)):
        assert one not in told
