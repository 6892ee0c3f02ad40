"""The way to an issuer and back over HTTP: where it may lead, its cookies, and what an attacker sends there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from archive.audit import codes, messages
from archive.security.roles import RIGHTS, Role
from openid_issuer import Issuing, issuing
from openid_keys import CLIENT, public_pem, raw
from openid_keys import claims as made
from web_door import STUDIES, Door, running, settings_for

GO_ON = re.compile(r'http-equiv="refresh" content="0;url=([^"]*)"')


@contextmanager
def opened(folder: Path, issuer: Issuing, **more: Any) -> Iterator[Door]:
    issuer.changes["roles"] = ["doctors"]
    told = {"openid__issuer": issuer.url, "openid__client_id": CLIENT, "openid__roles": ["doctors=viewer"]}
    with running(settings_for(folder / "data", sign_in__required="always", **told, **more)) as door:
        yield door


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuing]:
    with issuing() as begun:
        yield begun


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, issuer: Issuing) -> Iterator[Door]:
    with opened(tmp_path_factory.mktemp("archive"), issuer, openid__label="Clinic <b>& Co") as door:
        yield door


@pytest.fixture
def browser(door: Door) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=door.url, timeout=60) as client:
        yield client


def came_back(client: httpx.Client, issuer: Issuing, onward: str = "", **said: str) -> httpx.Response:
    sent = client.get("/sign-in/openid", params={"next": onward} if onward else None)
    assert sent.status_code == 303
    assert sent.headers["location"].startswith(f"{issuer.url}/auth?")
    return client.get("/sign-in/openid/return", params={**issuer.went(sent.headers["location"]), **said})


def test_there_and_back(door: Door, issuer: Issuing, browser: httpx.Client) -> None:
    answer = came_back(browser, issuer, "/viewer?StudyInstanceUIDs=1.2&x=%3Cb%3E")
    assert answer.status_code == 200
    found = GO_ON.search(answer.text)
    assert found is not None
    assert found[1] == f"{door.url}/viewer?StudyInstanceUIDs=1.2&amp;x=%3Cb%3E"
    set_cookies = answer.headers.get_list("set-cookie")
    session, flow = set_cookies
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(session.split("; "))
    assert flow.startswith("archive-openid=;")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    rights = sorted(right.value for right in RIGHTS[Role.VIEWER])
    assert browser.get("/api/session").json() == {"name": "ada", "rights": rights}
    assert browser.delete("/api/session").status_code == 204
    assert browser.get("/api/session").status_code == 401


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/.//evil.example",
        "/%2e%2e//evil.example",
        "/x/../..//evil",
        "/\t/evil.example",
        "javascript:alert(1)",
        "https:evil.example",
        "viewer",
        "/viewer\r\nX: y",
        "/viewer\u202e",
        "x" * 5000,
        "/" + "x" * 5000,
    ],
)
def test_one_goes_on_to_no_other_host(
    door: Door, issuer: Issuing, browser: httpx.Client, elsewhere: str
) -> None:
    found = GO_ON.search(came_back(browser, issuer, elsewhere).text)
    assert found is not None
    there = httpx.URL(found[1])
    assert f"{there.scheme}://{there.netloc.decode()}" == door.url
    assert found[1] == f"{door.url}/" or found[1] == f"{door.url}//evil.example/"


def test_the_cookie_decides_in_which_browser_it_ends(
    door: Door, issuer: Issuing, browser: httpx.Client
) -> None:
    sent = browser.get("/sign-in/openid")
    cookie = sent.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    said = issuer.went(sent.headers["location"])
    refused = httpx.get(f"{door.url}/sign-in/openid/return", params=said)
    assert refused.status_code == 401
    assert "not begun in this browser" in refused.text
    assert not any("session" in one for one in refused.headers.get_list("set-cookie"))
    assert browser.get("/sign-in/openid/return", params=said).status_code == 200
    assert browser.get("/sign-in/openid/return", params=said).status_code == 401  # its cookie is gone
    with httpx.Client(base_url=door.url, headers={"Cookie": cookie.partition(";")[0]}) as thief:
        assert (
            thief.get("/sign-in/openid/return", params=said).status_code == 401
        )  # with the cookie, afterwards


def test_errors_are_shown_as_text(issuer: Issuing, browser: httpx.Client) -> None:
    answer = came_back(browser, issuer, error="<script>", error_description="<script>alert(1)</script>")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    for query in ("state=a&state=b", "code=%00", "state=%ff", "state=" + "x" * 5000, ""):
        assert browser.get(f"/sign-in/openid/return?{query}").status_code in (400, 401)


def test_the_page_shows_the_button(browser: httpx.Client) -> None:
    text = browser.get("/sign-in", params={"next": '/viewer?a="><b>'}).text
    assert "Clinic &lt;b&gt;&amp; Co" in text
    assert 'href="/sign-in/openid?next=%2Fviewer%3Fa%3D%22%3E%3Cb%3E"' in text


def test_it_is_recorded(door: Door, issuer: Issuing, browser: httpx.Client) -> None:
    came_back(browser, issuer, error="access_denied")
    came_back(browser, issuer)
    door.archive.auditing.trail.flush()
    told = [one.message for one in door.archive.audit_log.all()]
    outcomes = [one.outcome for one in told if one.event == codes.USER_AUTHENTICATION]
    assert outcomes[-2:] == [messages.MINOR_FAILURE, messages.SUCCESS]
    assert any("made ada known as viewer" in repr(one.subjects) for one in told)


def test_bearer_tokens_of_the_issuer(door: Door, issuer: Issuing) -> None:
    def status(token: str, method: str = "GET") -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, f"{door.url}{STUDIES}/1.2.3", headers=headers).status_code

    token = issuer.token(roles=["doctors"])
    assert status(token) == 404
    assert status(token, "DELETE") == 403
    assert status(issuer.token(roles=["doctors"], exp=1)) == 401
    claims = made(iss=issuer.url, scope="openid", roles=["doctors"])
    assert status(raw({"alg": "none"}, claims)) == 401
    assert status(raw({"alg": "HS256", "kid": "rsa0"}, claims, public_pem())) == 401
    assert status(issuer.id_token()) == 401
    assert status(door.archive.people.issue("ada", "", 1)[0]) == 404  # our own go on working
    assert "eyJ" not in httpx.get(f"{door.url}{STUDIES}", headers={"Authorization": "Bearer eyJ.a.b"}).text


def test_an_issuer_that_is_away(tmp_path: Path) -> None:
    with issuing() as issuer, opened(tmp_path, issuer) as door:
        issuer.answers["/.well-known/openid-configuration"] = 500, b""
        answer = door.client.get("/sign-in/openid")
        assert answer.status_code == 503
        assert "cannot be asked at the moment" in answer.text
        assert answer.headers["retry-after"]
        refused = door.client.get(STUDIES, headers={"Authorization": f"Bearer {issuer.token()}"})
        assert refused.status_code == 503
        assert door.client.get("/health/ready").status_code == 200


def test_without_an_issuer_there_is_no_such_way(tmp_path: Path) -> None:
    with running(settings_for(tmp_path / "data", sign_in__required="always")) as door:
        assert door.client.get("/sign-in/openid").status_code == 404
        assert door.client.get("/sign-in/openid/return?code=x").status_code == 404
        assert "openid" not in door.client.get("/sign-in").text


def test_one_signs_in_over_tls_alone(tmp_path: Path) -> None:
    with issuing() as issuer, opened(tmp_path, issuer, http__behind_proxy=True) as door:
        host = {"Host": "pacs.example"}
        assert door.client.get("/sign-in/openid", headers=host).status_code == 403
        secure = {**host, "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/pacs"}
        sent = door.client.get("/sign-in/openid?next=/pacs/viewer", headers=secure)
        assert "redirect_uri=https%3A%2F%2Fpacs.example%2Fpacs%2Fsign-in" in sent.headers["location"]
        cookie = sent.headers["set-cookie"].partition(";")[0]
        assert cookie.startswith("__Host-archive-openid=")
        assert "Secure" in sent.headers["set-cookie"].split("; ")
        said = issuer.went(sent.headers["location"])
        fixed = {
            **secure,
            "Cookie": cookie.removeprefix("__Host-"),
        }  # another host of the same site can set it
        assert door.client.get("/sign-in/openid/return", params=said, headers=fixed).status_code == 401
        answer = door.client.get("/sign-in/openid/return", params=said, headers={**secure, "Cookie": cookie})
        assert "url=https://pacs.example/pacs/viewer" in answer.text
        assert answer.headers.get_list("set-cookie")[0].startswith("__Host-archive-session=")


def test_nothing_of_it_is_logged(
    issuer: Issuing, browser: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    came_back(browser, issuer, code="CANARYCODE")
    browser.get("/api/session", headers={"Authorization": f"Bearer {issuer.token(sub='CANARYSUB')}"})
    told = "".join(capfd.readouterr())
    assert "CANARY" not in told
    assert "eyJ" not in told
