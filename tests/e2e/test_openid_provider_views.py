"""A real issuer that says what people see: they sign in at it with Chromium, and find that on two workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from pydicom import Dataset

import browsing
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing
from objects import part10, secondary_capture
from openid_provider import AUDIENCE, Provider, provider
from test_openid_provider import RETURN, sign_in


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
    server = module_archive(
        "--workers",
        "2",
        environment={
            "ARCHIVE_SIGN_IN_REQUIRED": "always",
            "ARCHIVE_OPENID_ISSUER": issuer.url,
            "ARCHIVE_OPENID_CLIENT_ID": "archive",
            "ARCHIVE_OPENID_AUDIENCE": AUDIENCE,
            "ARCHIVE_OPENID_ROLES": "pacs-viewers=viewer",
            "ARCHIVE_OPENID_VIEW_CLAIM": "sees",
            "ARCHIVE_OPENID_VIEWS": "st-marys -> institution=St. Mary*",
        },
    )
    issuer.say(redirects=[f"{server.http_url}{RETURN}"])
    return server


@pytest.fixture(scope="module")
def studies(server: ArchiveServer) -> dict[str, Dataset]:
    folder = Path(server.data)
    added = in_folder(folder, "user", "add", "robot", "--role", "uploader", "--no-password")
    assert added.code == 0, added.stderr
    token = in_folder(folder, "token", "add", "robot", "--label", "x").stdout.strip()
    made = {name: secondary_capture(InstitutionName=name) for name in ("St. Mary's", "Holy Cross")}
    for one in made.values():
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/dicom"}
        stored = httpx.post(
            f"{server.dicomweb_url}/studies", content=_wrapped(part10(one)), headers=_multipart(headers)
        )
        assert stored.status_code == 200, stored.text
    return made


def _wrapped(file: bytes) -> bytes:
    return b"--BOUNDARY\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--BOUNDARY--\r\n"


def _multipart(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Content-Type": 'multipart/related; type="application/dicom"; boundary=BOUNDARY'}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


@pytest.fixture
def profile(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", **browsing.DESKTOP)
    yield context
    context.close()


def test_one_finds_what_the_issuer_says(
    profile: BrowserContext, server: ArchiveServer, studies: dict[str, Dataset]
) -> None:
    page = profile.new_page()
    sign_in(page, server, "mary")
    page.wait_for_url(f"{server.http_url}/viewer/light*")
    there, hidden = studies.values()
    for _ in range(6):  # of two workers, each has some of them
        text = page.request.get(f"{server.dicomweb_url}/studies").text()
        assert there.StudyInstanceUID in text
        assert hidden.StudyInstanceUID not in text
        path = f"{server.dicomweb_url}/studies/{hidden.StudyInstanceUID}/metadata"
        assert page.request.get(path).status == 404
    page.goto(f"{server.http_url}/account")
    expect(page.get_by_text("Institution St. Mary*")).to_be_visible()
    listed = in_folder(Path(server.data), "user", "list").stdout
    assert "institution=St. Mary*" in " ".join(listed.split())


@pytest.mark.parametrize(
    ("login", "why"),
    [("ada", "does not say which studies you see"), ("lost", "names no studies that are known here")],
)
def test_who_is_told_to_see_nothing_here_does_not_get_in(
    profile: BrowserContext, server: ArchiveServer, studies: dict[str, Dataset], login: str, why: str
) -> None:
    page = profile.new_page()
    sign_in(page, server, login)
    expect(page.get_by_role("alert")).to_contain_text(why)
    assert page.request.get(f"{server.http_url}/api/session").status == 401
    assert page.request.get(f"{server.dicomweb_url}/studies").status == 401


def test_a_program_of_which_nothing_is_said_gets_nothing(server: ArchiveServer, issuer: Provider) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    answer = httpx.get(f"{server.dicomweb_url}/studies", headers=headers)
    assert answer.status_code == 401
    assert "openid.view_claim" in answer.text
