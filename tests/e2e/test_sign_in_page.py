"""Signing in with Chromium: from the viewer to the page and back, and to nowhere else."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import browsing
import dicomweb
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing, package
from objects import mr, part10
from test_light_viewer import _FAULTS, AXE

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """One study, that Ada may see; everybody has to sign in."""
    server = module_archive("--workers", "1", environment={"ARCHIVE_SIGN_IN_REQUIRED": "always"})
    data = Path(server.data)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        known = in_folder(
            data, "user", "add", "ada", "--role", "viewer", "--role", "uploader", "--password-stdin"
        )
    assert known.code == 0, known.stderr
    token = in_folder(data, "token", "add", "ada", "--label", "tests").stdout.strip()
    image = mr(PatientName="Seen^Only By Ada", PatientID="A1")
    stored = dicomweb.CLIENT.post(
        f"{server.dicomweb_url}/studies",
        content=dicomweb.stow_body([part10(image)]),
        headers={"Content-Type": dicomweb.STOW_TYPE, "Authorization": f"Bearer {token}"},
    )
    assert stored.status_code == 200, stored.text
    return server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


def enter(seen: browsing.Watched, password: str = PASSWORD) -> None:
    seen.page.get_by_label("Name").fill("Ada")
    seen.page.get_by_label("Password").fill(password)
    seen.page.get_by_role("button", name="Sign in").click()


def test_one_comes_back_to_where_one_was(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        page.goto(f"{server.http_url}/viewer?StudyInstanceUIDs=1.2.3")
        expect(page).to_have_title("Sign in")
        assert "Ada" not in page.content()
        enter(seen, "wrong")
        expect(page.get_by_role("alert")).to_have_text("name or password is wrong")
        assert [one for one in seen.complaints if "401" not in one] == []
        seen.complaints.clear()
        enter(seen)
        page.wait_for_url(f"{server.http_url}/viewer?StudyInstanceUIDs=1.2.3")
        page.goto(f"{server.http_url}/")
        page.get_by_role("link", name="View pictures of Seen, Only By Ada").click()
        browsing.wait_for_picture(page, least_shades=5)
        assert page.evaluate("() => document.cookie") == ""
        seen.complaints.clear()  # the study 1.2.3 is not there: 404


def test_a_session_that_has_ended_leads_back(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.PHONE) as seen:
        page = seen.page
        page.goto(f"{server.http_url}/viewer")
        enter(seen)
        expect(page.locator("#found li")).to_have_count(1)
        page.context.clear_cookies()
        page.get_by_role("searchbox").fill("seen")
        expect(page).to_have_title("Sign in")
        enter(seen)
        expect(page.locator("#found li")).to_have_count(1)
        seen.complaints.clear()  # the search that was refused: 401


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "https:evil.example",
    ],
)
def test_one_goes_on_to_no_other_host(browser: Browser, server: ArchiveServer, elsewhere: str) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        seen.page.goto(f"{server.http_url}/sign-in?next={elsewhere}")
        enter(seen)
        expect(seen.page).to_have_title("Studies · DICOM archive")
        assert seen.page.url == f"{server.http_url}/"


def test_a_path_that_begins_like_a_host_is_a_path(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        seen.page.goto(f"{server.http_url}/sign-in?next=/.//evil.example/x")
        enter(seen)
        seen.page.wait_for_url(f"{server.http_url}//evil.example/x")
        seen.complaints.clear()  # it is not there: 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_signing_in(browser: Browser, server: ArchiveServer, scheme: str) -> None:
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing as missing:
        pytest.skip(str(missing))
    with browsing.watched(browser, server.http_url, color_scheme=scheme, **browsing.DESKTOP) as seen:
        seen.page.goto(f"{server.http_url}/sign-in")
        seen.page.evaluate(script.read_text())
        found = seen.page.evaluate(_FAULTS)
        assert found[0] == []
        assert found[1] > 5
