"""Shares in Chromium: made on the page of a study, opened in a fresh profile, seen, taken back, refused."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import browsing
import dicomweb
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing, package
from objects import mr, part10
from test_light_viewer import _FAULTS, AXE

PASSWORD = "correct horse battery"
CODE = "blue-whale-7"
SHARED = mr(PatientName="Shared^With Dr X", PatientID="S1")
OTHER = mr(PatientName="Other^Patient", PatientID="S2")


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """Two studies, which Ada may share; two workers; everybody has to sign in."""
    server = module_archive("--workers", "2", environment={"ARCHIVE_SIGN_IN_REQUIRED": "always"})
    data = Path(server.data)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        known = in_folder(data, "user", "add", "ada", "--role", "radiographer", "--password-stdin")
    assert known.code == 0, known.stderr
    token = in_folder(data, "token", "add", "ada", "--label", "tests").stdout.strip()
    stored = dicomweb.CLIENT.post(
        f"{server.dicomweb_url}/studies",
        content=dicomweb.stow_body([part10(SHARED), part10(OTHER)]),
        headers={"Content-Type": dicomweb.STOW_TYPE, "Authorization": f"Bearer {token}"},
    )
    assert stored.status_code == 200, stored.text
    return server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


def sign_in(page: Page, server: ArchiveServer, onward: str) -> None:
    page.goto(f"{server.http_url}/sign-in?next={onward}")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.http_url}{onward}")


def make(page: Page, recipient: str, passcode: str = "") -> str:
    """The link that the dialog of the study's page makes, with the keyboard alone."""
    page.get_by_role("button", name="Share …").press("Enter")
    dialog = page.get_by_role("dialog", name="Share by a link")
    expect(dialog).to_be_visible()
    dialog.get_by_label("For whom").fill(recipient)
    dialog.get_by_label("Passcode").fill(passcode)
    page.keyboard.press("Enter")
    link = dialog.get_by_role("textbox", name="Link")
    expect(link).to_be_visible()
    return link.input_value()


def test_a_share_is_made_opened_seen_and_taken_back(browser: Browser, server: ArchiveServer) -> None:
    study = f"/study/{SHARED.StudyInstanceUID}"
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as mine:
        sign_in(mine.page, server, study)
        link = make(mine.page, "Dr X", CODE)
        with browsing.watched(browser, server.http_url, **browsing.PHONE) as theirs:
            page = theirs.page
            page.goto(link)
            expect(page.get_by_role("heading", name="Shared with you")).to_be_visible()
            assert "With Dr X" not in page.content()
            page.get_by_label("Passcode").fill("guessed")
            page.get_by_role("button", name="Open").click()
            expect(page.get_by_role("alert")).to_have_text("the passcode is wrong")
            theirs.complaints.clear()  # 401
            page.get_by_label("Passcode").fill(CODE)
            page.keyboard.press("Enter")
            page.wait_for_url("**/viewer?StudyInstanceUIDs=*")
            browsing.wait_for_picture(page, least_shades=5)
            page.goto(f"{server.http_url}/viewer/light")
            expect(page.locator("#found li")).to_have_count(1)
            assert theirs.complaints == []

            mine.page.goto(f"{server.http_url}/shares")
            row = mine.page.get_by_role("row", name="Dr X")
            expect(row).to_contain_text("open")
            row.locator("summary").click()
            expect(row.locator(".uses li").first).to_contain_text("opened from")
            row.get_by_role("button", name="Revoke").click()
            row.get_by_role("button", name="Really revoke").click()
            expect(row).to_contain_text("revoked")

            page.goto(f"{server.http_url}/viewer?StudyInstanceUIDs={SHARED.StudyInstanceUID}")
            expect(page).to_have_title("Sign in")
            page.goto(link)
            expect(page.locator("main")).to_contain_text("this share was taken back")
            theirs.complaints.clear()  # 410


def test_a_de_identified_share_shows_pictures_and_no_name(
    browser: Browser, server: ArchiveServer, tmp_path: Path
) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as mine:
        sign_in(mine.page, server, f"/study/{SHARED.StudyInstanceUID}")
        mine.page.get_by_role("button", name="Share …").click()
        dialog = mine.page.get_by_role("dialog", name="Share by a link")
        kept = dialog.get_by_label("age, sex and size of the patient")
        expect(kept).to_be_hidden()
        dialog.get_by_label("De-identified").check()
        kept.check()
        dialog.get_by_label("For whom").fill("Study group")
        dialog.screenshot(path=tmp_path / "dialog.png")
        dialog.get_by_role("button", name="Make link").click()
        made = dialog.get_by_role("textbox", name="Link")
        expect(made).to_be_visible(timeout=60_000)
        link = made.input_value()
        mine.page.goto(f"{server.http_url}/shares")
        row = mine.page.get_by_role("row", name="Study group")
        expect(row).to_contain_text("de-identified but for age, sex and size of the patient")
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as theirs:
        theirs.page.goto(link)
        theirs.page.get_by_role("button", name="Open").click()
        theirs.page.wait_for_url("**/viewer?StudyInstanceUIDs=2.25.*")
        browsing.wait_for_picture(theirs.page, least_shades=5)
        theirs.page.goto(f"{server.http_url}/viewer/light")
        expect(theirs.page.locator("#found li")).to_have_count(1)
        expect(theirs.page.locator("#found li")).to_contain_text("ANON-")
        assert "With Dr X" not in theirs.page.content()
        assert theirs.complaints == []


def test_the_link_is_shown_once(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        sign_in(seen.page, server, f"/study/{SHARED.StudyInstanceUID}")
        link = make(seen.page, "Dr Once")
        seen.page.keyboard.press("Escape")
        seen.page.get_by_role("button", name="Share …").click()
        expect(seen.page.get_by_label("For whom")).to_have_value("")
        assert link not in seen.page.content()
        seen.page.goto(f"{server.http_url}/shares")
        assert link.rpartition("/")[2] not in seen.page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: Browser, server: ArchiveServer, scheme: str) -> None:
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing as missing:
        pytest.skip(str(missing))
    with browsing.watched(browser, server.http_url, color_scheme=scheme, **browsing.DESKTOP) as seen:
        sign_in(seen.page, server, f"/study/{SHARED.StudyInstanceUID}")
        link = make(seen.page, "Dr Axe", CODE)
        _check(seen.page, script.read_text())
        for path in (f"{server.http_url}/shares", link):
            seen.page.goto(path)
            _check(seen.page, script.read_text())


def _check(page: Page, script: str) -> None:
    page.evaluate(script)
    found = page.evaluate(_FAULTS)
    assert found[0] == []
    assert found[1] > 5
