"""The console's pages for who runs the archive, in Chromium: what is changed on them is in effect at once, everywhere,
and what strangers have written on them is text."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import SecondaryCaptureImageStorage, Verification  # type: ignore[attr-defined]

import browsing
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing, package
from objects import part10, secondary_capture
from test_light_viewer import _FAULTS, AXE

PASSWORD = "correct horse battery"
MARKUP = "<img src=x onerror=alert(1)>"
PAGES = (
    "/ae-titles",
    "/people",
    "/people/ada",
    "/account",
    "/conflicts",
    "/work",
    "/status",
    "/audit?event=110113",
)


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """Two workers of each door; no title is let in unless it is known, from this machine either."""
    server = module_archive(
        "--workers",
        "2",
        environment={"ARCHIVE_SIGN_IN_REQUIRED": "always", "ARCHIVE_DIMSE_TRUST_THIS_MACHINE": "false"},
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        roles = ("--role", "administrator", "--role", "auditor")
        known = in_folder(Path(server.data), "user", "add", "ada", *roles, "--password-stdin")
    assert known.code == 0, known.stderr
    other = ("--role", "viewer", "--no-password", "--full-name", MARKUP)
    assert in_folder(Path(server.data), "user", "add", "<b>bob", *other).code == 0
    assert in_folder(Path(server.data), "token", "add", "ada", "--label", MARKUP).code == 0
    return server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


@pytest.fixture
def seen(browser: Browser, server: ArchiveServer) -> Iterator[browsing.Watched]:
    """A page in which Ada has signed in."""
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        seen.page.goto(f"{server.http_url}/sign-in?next=/people")
        seen.page.get_by_label("Name").fill("ada")
        seen.page.get_by_label("Password").fill(PASSWORD)
        seen.page.get_by_role("button", name="Sign in").click()
        expect(seen.page).to_have_title("People · DICOM archive")
        yield seen


def _object() -> Dataset:
    read = dcmread(io.BytesIO(part10(secondary_capture())))
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    return read


def stores(server: ArchiveServer, title: str) -> bool:
    """Whether this title may store an object, on a connection of its own."""
    ae = AE(title)
    ae.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    if not association.is_established:
        return False
    try:
        return association.send_c_store(_object()).Status == 0
    finally:
        association.release()


def knocks(server: ArchiveServer, title: str) -> bool:
    ae = AE(title)
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    if association.is_established:
        association.release()
        return True
    return False


def test_an_ae_title_is_added_and_stores_at_once_on_every_worker(
    seen: browsing.Watched, server: ArchiveServer
) -> None:
    page = seen.page
    assert not stores(server, "NEWCT")
    page.goto(f"{server.http_url}/ae-titles")
    page.get_by_label("AE title", exact=True).fill("NEWCT")
    page.get_by_label("Host name or address").fill("127.0.0.1")
    page.get_by_label("Port").fill("11113")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Remove NEWCT")).to_be_visible()
    assert all(stores(server, "NEWCT") for _ in range(8))  # of two workers, each has some of them


def test_a_refused_caller_is_let_in_with_one_click(seen: browsing.Watched, server: ArchiveServer) -> None:
    page = seen.page
    assert not knocks(server, "STRANGER")
    page.goto(f"{server.http_url}/ae-titles")
    page.get_by_role("button", name="Add STRANGER at 127.0.0.1").click()
    expect(page.get_by_role("button", name="Remove STRANGER")).to_be_visible()
    assert all(knocks(server, "STRANGER") for _ in range(6))
    page.get_by_role("button", name="Remove STRANGER").click()
    page.get_by_role("button", name="Really remove STRANGER").click()
    expect(page.get_by_role("button", name="Remove STRANGER")).to_have_count(0)
    assert not knocks(server, "STRANGER")


def test_echo_says_what_failed(seen: browsing.Watched, server: ArchiveServer) -> None:
    page = seen.page
    page.goto(f"{server.http_url}/ae-titles")
    page.get_by_label("AE title", exact=True).fill("GONE")
    page.get_by_label("Host name or address").fill("nowhere.invalid")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Echo GONE").click()
    expect(page.get_by_text("Failed at host name")).to_be_visible()


def test_somebody_is_added_and_disabled(seen: browsing.Watched, server: ArchiveServer) -> None:
    page = seen.page
    page.get_by_label("Name to sign in with").fill("carl")
    page.get_by_label("Password, at least").fill(PASSWORD)
    page.get_by_label("viewer").check()
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="carl").click()
    page.get_by_label("Disabled").check()
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Disabled")).to_be_checked()
    page.goto(f"{server.http_url}/people/ada")
    page.get_by_label("Disabled").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("only administrator")
    seen.complaints.clear()  # 409


def test_a_token_is_shown_once(seen: browsing.Watched, server: ArchiveServer) -> None:
    page = seen.page
    page.goto(f"{server.http_url}/account")
    page.get_by_label("What it is for").fill("export")
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator("#secret output")
    expect(secret).to_contain_text("dat_")
    told = secret.inner_text()
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("cell", name="export", exact=True)).to_be_visible()
    assert told not in page.content()


def test_the_audit_trail_tells_who_changed_what(seen: browsing.Watched, server: ArchiveServer) -> None:
    page = seen.page
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Event").select_option("Security Alert")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("cell", name="<b>bob was made known as viewer")).to_be_visible()


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_no_fault_and_markup_is_text(
    seen: browsing.Watched, server: ArchiveServer, path: str, tmp_path: Path
) -> None:
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing as missing:
        pytest.skip(str(missing))
    knocks(server, "<B>CALLER")
    page = seen.page
    page.goto(f"{server.http_url}{path}")
    assert page.locator("main b, main img[src='x']").count() == 0
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.evaluate(script.read_text())
    found = page.evaluate(_FAULTS)
    assert found[0] == []
    assert found[1] > 5
