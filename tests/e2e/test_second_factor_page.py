"""A second factor in Chromium: set up on the account page, asked for at the sign-in form, reset on the page of a
person; who needs one is led to set it up."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

import browsing
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing, package
from test_light_viewer import _FAULTS, AXE

PASSWORD = "correct horse battery"
MARKUP = "<b>bob"


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """Administrators need a second factor, others may have one."""
    environment = {"ARCHIVE_SIGN_IN_REQUIRED": "always", "ARCHIVE_SIGN_IN_SECOND_FACTOR": "administrators"}
    server = module_archive("--workers", "1", environment=environment)
    for name, role in (("ada", "administrator"), ("bea", "administrator"), (MARKUP, "viewer")):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
            known = in_folder(Path(server.data), "user", "add", name, "--role", role, "--password-stdin")
        assert known.code == 0, known.stderr
    return server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


def enter(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def check(page: Page) -> None:
    """Axe finds no fault."""
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing:
        return  # other tests say so
    page.evaluate(script.read_text())
    found = page.evaluate(_FAULTS)
    assert found[0] == []
    assert found[1] > 5


def picture(page: Page, name: str) -> None:
    """For people who want to see it (ARCHIVE_TEST_FACTOR_SCREENSHOTS names a folder)."""
    if folder := os.environ.get("ARCHIVE_TEST_FACTOR_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def set_up(page: Page) -> tuple[str, list[str]]:
    """On the account page: the secret, and the recovery codes."""
    section = page.get_by_role("region", name="Second factor")
    section.get_by_label("Your password").fill(PASSWORD)
    section.get_by_role("button", name="Set up a second factor").click()
    shown = page.get_by_role("img", name="QR code")
    expect(shown).to_be_visible()
    assert page.evaluate("() => document.getElementById('factor-picture').naturalWidth") > 100
    secret = page.locator("#factor-secret").inner_text().replace(" ", "")
    picture(page, "setting-up")
    check(page)
    page.get_by_label("Code that the app shows").fill("12")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("the code is wrong")).to_be_visible()
    page.get_by_label("Code that the app shows").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Confirm").click()
    codes = page.locator("#factor-codes li")
    expect(codes).to_have_count(10)
    picture(page, "codes")
    check(page)
    told = codes.all_inner_texts()
    page.get_by_role("link", name="Done").click()
    return secret, told


def test_who_needs_one_sets_it_up_and_signs_in_with_it(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        page.goto(f"{server.http_url}/sign-in?next=/people")
        enter(page, "ada")
        expect(page).to_have_title("Your account · DICOM archive")
        expect(page.get_by_text("A second factor is needed here")).to_be_visible()
        expect(page.get_by_role("button", name="Make a token")).to_have_count(0)
        secret, recovery = set_up(page)
        expect(page).to_have_title("Studies · DICOM archive")
        assert secret not in page.content()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_title("Sign in")
        enter(page, "ada")
        code = page.get_by_label("Code of your second factor")
        expect(code).to_be_focused()
        picture(page, "signing-in")
        check(page)
        code.fill("000000x")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("the code is wrong")
        code.fill(pyotp.TOTP(secret).at(int(time.time()) + 30))
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_title("Studies · DICOM archive")
        page.goto(f"{server.http_url}/account")
        expect(page.get_by_text("10 recovery codes left")).to_be_visible()
        picture(page, "account")
        check(page)
        section = page.get_by_role("region", name="Second factor")
        section.get_by_label("Your password").fill(PASSWORD)
        section.get_by_label("Code of your device").fill(recovery[0])
        section.get_by_role("button", name="Take it off").click()
        expect(page.get_by_role("button", name="Set up a second factor")).to_be_visible()
        seen.complaints.clear()  # what was refused: 400, 401


def test_an_administrator_takes_off_that_of_somebody(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, color_scheme="dark", **browsing.PHONE) as seen:
        page = seen.page
        page.goto(f"{server.http_url}/sign-in?next=/account")
        enter(page, MARKUP)
        _, recovery = set_up(page)
        assert page.locator("main b").count() == 0
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_title("Sign in")
        page.goto(f"{server.http_url}/sign-in?next=/account")
        enter(page, MARKUP)
        page.get_by_label("Code of your second factor").fill(recovery[0])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("9 recovery codes left")).to_be_visible()
        page.context.clear_cookies()
        page.goto(f"{server.http_url}/sign-in?next=/account")
        enter(page, "bea")
        set_up(page)
        page.goto(f"{server.http_url}/people")
        expect(page.get_by_text("second factor", exact=True)).to_have_count(2)
        page.get_by_role("link", name=MARKUP).click()
        picture(page, "person")
        check(page)
        page.get_by_role("button", name="Take off the second factor").click()
        page.get_by_role("button", name="Really take off").click()
        expect(page.get_by_role("button", name="Take off the second factor")).to_have_count(0)
        seen.complaints.clear()  # what was refused: 400, 401
