"""A real issuer: people sign in at it with Chromium, dicomweb-client brings its tokens, and thieves and forgers what
they have (issue 7: code flow with PKCE, bearer tokens, expiry, wrong audience, `alg=none`, RS/HS confusion, rotated
keys)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient
from playwright.sync_api import Browser, BrowserContext, Page, expect
from requests import HTTPError, Session

import browsing
from archive.bootstrap.opening import open_database
from archive.dicom.errors import NotSignedIn
from archive.remote.openid import AGAIN_SECONDS, Issuer
from archive.security.roles import RIGHTS, Role
from archive.services.openid import OpenID
from archive.settings.people import OpenIDSettings, SignInSettings
from archive.settings.whole import Settings
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing
from openid_keys import claims, jwk, public_pem, raw, signed
from openid_provider import AUDIENCE, Provider, key, provider

VIEWER = sorted(right.value for right in RIGHTS[Role.VIEWER])
RETURN = "/sign-in/openid/return"


@pytest.fixture(scope="module", params=[False, True], ids=["said in the ID token", "said by userinfo"])
def issuer(request: Any, node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    log = tmp_path_factory.mktemp("provider") / "provider.log"
    try:
        with provider(node, log, userinfo=request.param) as running:
            yield running
    except PackageMissing as missing:
        pytest.skip(f"this machine cannot: {missing}")


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer], issuer: Provider) -> ArchiveServer:
    """Two workers: whoever begins at one may come back to the other."""
    environment = {
        "ARCHIVE_SIGN_IN_REQUIRED": "always",
        "ARCHIVE_OPENID_ISSUER": issuer.url,
        "ARCHIVE_OPENID_CLIENT_ID": "archive",
        "ARCHIVE_OPENID_AUDIENCE": AUDIENCE,
        "ARCHIVE_OPENID_ROLES": "pacs-viewers=viewer",
    }
    server = module_archive("--workers", "2", environment=environment)
    added = in_folder(Path(server.data), "user", "add", "local", "--role", "viewer", "--no-password")
    assert added.code == 0, added.stderr
    issuer.say(redirects=[f"{server.http_url}{RETURN}"])
    return server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


@pytest.fixture
def profile(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", **browsing.DESKTOP)
    yield context
    context.close()


def sign_in(page: Page, server: ArchiveServer, login: str, onward: str = "/viewer/light") -> None:
    """To the issuer, as who wanted to see something, and through its form."""
    page.goto(f"{server.http_url}{onward}")
    expect(page).to_have_title("Sign in")
    page.get_by_role("link", name="Sign in with your organisation").click()
    enter(page, login)


def enter(page: Page, login: str) -> None:
    """Into the form of the issuer."""
    page.locator("[name=login]").fill(login)
    page.locator("[name=password]").fill("any")
    page.locator("[type=submit]").first.click()


def session(page: Page, server: ArchiveServer) -> Any:
    return page.request.get(f"{server.http_url}/api/session").json()


def test_one_signs_in_at_the_issuer(profile: BrowserContext, server: ArchiveServer) -> None:
    page = profile.new_page()
    sign_in(page, server, "ada", "/viewer/light?StudyInstanceUIDs=1.2.3")
    page.wait_for_url(f"{server.http_url}/viewer/light?StudyInstanceUIDs=1.2.3")
    assert session(page, server) == {"name": "ada", "rights": VIEWER}
    assert page.evaluate("() => document.cookie") == ""
    listed = in_folder(Path(server.data), "user", "list").stdout
    assert "ada" in listed
    assert "localhost" in listed
    page.request.delete(f"{server.http_url}/api/session")
    page.goto(f"{server.http_url}/viewer/light")
    expect(page).to_have_title("Sign in")


def test_who_is_called_as_somebody_here_is_refused(profile: BrowserContext, server: ArchiveServer) -> None:
    page = profile.new_page()
    sign_in(page, server, "eve")
    expect(page.get_by_role("alert")).to_contain_text("somebody else is called local here")


def test_who_has_no_role_sees_nothing(profile: BrowserContext, server: ArchiveServer) -> None:
    page = profile.new_page()
    sign_in(page, server, "nobody")
    page.wait_for_url(f"{server.http_url}/viewer/light*")
    assert session(page, server) == {"name": "nobody", "rights": []}
    assert page.request.get(f"{server.dicomweb_url}/studies").status == 403


def test_a_stolen_address_is_worth_nothing(profile: BrowserContext, server: ArchiveServer) -> None:
    """Neither in another browser, which has not the cookie, nor with the cookie once it was used."""
    page = profile.new_page()
    led_back: list[str] = []
    page.on("request", lambda request: led_back.append(request.url) if RETURN in request.url else None)
    page.goto(f"{server.http_url}/sign-in/openid?next=/viewer/light")
    (cookie,) = [one for one in profile.cookies() if one["name"] == "archive-openid"]
    profile.clear_cookies(name="archive-openid")  # as in another browser, to which the address was carried
    enter(page, "ada")
    expect(page.get_by_role("alert")).to_contain_text("not begun in this browser")
    assert page.request.get(f"{server.http_url}/api/session").status == 401
    profile.add_cookies([cookie])  # the one that it was begun in
    page.goto(led_back[0])
    page.wait_for_url(f"{server.http_url}/viewer/light")
    assert session(page, server)["name"] == "ada"
    again = httpx.get(led_back[0], headers={"Cookie": f"archive-openid={cookie['value']}"})
    assert again.status_code == 401


def with_token(server: ArchiveServer, token: str) -> DICOMwebClient:
    bearing = Session()
    bearing.headers["Authorization"] = f"Bearer {token}"
    return DICOMwebClient(server.dicomweb_url, session=bearing)


def test_a_program_brings_a_token_of_the_issuer(server: ArchiveServer, issuer: Provider) -> None:
    assert with_token(server, issuer.token()).search_for_studies() == []
    with pytest.raises(HTTPError, match="403"):
        with_token(server, issuer.token("archive.store")).search_for_studies()
    with pytest.raises(HTTPError, match="403"):
        with_token(server, issuer.token()).delete_study("1.2.3")


def status(server: ArchiveServer, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.dicomweb_url}/studies", headers=headers).status_code


def test_what_is_not_for_us_or_not_in_force(server: ArchiveServer, issuer: Provider) -> None:
    assert status(server, issuer.token(audience="https://billing.example")) == 401
    said = {"iss": issuer.url, "aud": AUDIENCE, "sub": "research", "client_id": "research"}
    right = claims(**said, scope="archive.see")
    assert (
        status(server, signed(right, typ="at+jwt")) == 204
    )  # so the following are refused for what they say
    for wrong in (
        {"exp": int(time.time()) - 60},
        {"nbf": int(time.time()) + 600},
        {"iss": "https://evil.example"},
    ):
        assert status(server, signed({**right, **wrong}, typ="at+jwt")) == 401


def test_forged_tokens(server: ArchiveServer, issuer: Provider) -> None:
    said = {"iss": issuer.url, "aud": AUDIENCE, "sub": "research", "client_id": "research"}
    right = claims(**said, scope="archive.see")
    (public,) = httpx.get(f"{issuer.url}/jwks").json()["keys"]
    forged = [raw({"alg": "none", "typ": "at+jwt"}, right), raw({"alg": "none", "kid": public["kid"]}, right)]
    for secret in (public_pem(), public_pem().strip(), public["n"].encode()):
        forged.append(raw({"alg": "HS256", "kid": public["kid"], "typ": "at+jwt"}, right, secret))
    with_key = {"jku": f"{issuer.url}/evil-keys", "x5u": f"{issuer.url}/evil-keys", "jwk": jwk("rsa", 9)}
    forged += [signed(right, "rsa", 9, typ="at+jwt", kid=kid, **with_key) for kid in ("rsa9", "rsa0", None)]
    assert [status(server, one) for one in forged] == [401] * len(forged)
    assert issuer.asked("/evil-keys") == 0


def test_rotated_keys(issuer: Provider, tmp_path: Path) -> None:
    """In this process, where a minute is not long."""
    ahead = [0.0]
    settings = OpenIDSettings(issuer=issuer.url, client_id="archive", audience=AUDIENCE)
    known = Issuer(settings, lambda: time.monotonic() + ahead[0])
    opened = in_folder(tmp_path, "user", "add", "local", "--role", "viewer", "--no-password")
    assert opened.code == 0, opened.stderr
    database = open_database(Settings(data=tmp_path))
    openid = OpenID(database, settings, SignInSettings(), issuer=known)
    try:
        old = issuer.token()
        assert openid.principal(old).name == "research"
        issuer.say(jwks={"keys": [key(1)]})
        new, before = issuer.token(), issuer.asked("/jwks")
        for _ in range(5):
            with pytest.raises(NotSignedIn):
                openid.principal(new)
        assert issuer.asked("/jwks") == before
        ahead[0] = AGAIN_SECONDS + 1
        assert openid.principal(new).name == "research"
        with pytest.raises(NotSignedIn):
            openid.principal(old)
    finally:
        database.close()
        issuer.say(jwks={"keys": [key(0)]})
