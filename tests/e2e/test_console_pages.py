"""The console in Chromium, from signing in to finding what one has uploaded; on a telephone, in the dark, and with
objects whose every text is markup.

With `ARCHIVE_TEST_CONSOLE_SCREENSHOT=FILE` the study list is also saved there (`make screenshot`).
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom.dataelem import DataElement

import browsing
import dicomweb
from archive.cli.demo.plan import planned
from archive_process import ArchiveServer
from in_process import in_folder
from npm_packages import PackageMissing, package
from objects import mr, new_uid, part10
from test_light_viewer import _FAULTS, AXE

PASSWORD = "correct horse battery"
EVIL = """"><img src=x onerror=alert(1)><script>alert(1)</script>"""
GRACE = "Sample, Dr. Grace"


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """The studies of the demonstration, and Ada, who administers."""
    return furnished(module_archive)


@pytest.fixture(scope="module")
def awaiting(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """The same, where a deletion waits for somebody's approval."""
    return furnished(module_archive, ARCHIVE_DELETION_APPROVAL="true")


def furnished(module_archive: Callable[..., ArchiveServer], **environment: str) -> ArchiveServer:
    environment = {"ARCHIVE_SIGN_IN_REQUIRED": "always", **environment}
    server = module_archive("--workers", "1", environment=environment)
    data = Path(server.data)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        known = in_folder(data, "user", "add", "ada", "--role", "administrator", "--password-stdin")
    assert known.code == 0, known.stderr
    token = in_folder(data, "token", "add", "ada", "--label", "tests").stdout.strip()
    store(server, token, *(one.file() for one in planned(date.today())))
    server_tokens[server.http_url] = token
    return server


server_tokens: dict[str, str] = {}


def store(server: ArchiveServer, token: str, *files: bytes) -> None:
    stored = dicomweb.CLIENT.post(
        f"{server.dicomweb_url}/studies",
        content=dicomweb.stow_body(list(files)),
        headers={"Content-Type": dicomweb.STOW_TYPE, "Authorization": f"Bearer {token}"},
    )
    assert stored.status_code in (200, 202), stored.text


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


def enter(page: Page, server: ArchiveServer, path: str = "/") -> None:
    page.goto(f"{server.http_url}{path}")
    expect(page).to_have_title("Sign in")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.http_url}{path}")


def rows(page: Page) -> Any:
    return page.locator("table.studies tbody tr")


def test_from_signing_in_to_the_pictures(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        enter(page, server)
        expect(page.get_by_role("link", name=GRACE, exact=True)).to_be_visible()
        if wanted := os.environ.get("ARCHIVE_TEST_CONSOLE_SCREENSHOT"):
            page.screenshot(path=wanted, clip={"x": 0, "y": 0, "width": 1280, "height": 530})
        page.get_by_role("searchbox").press_sequentially("gra sam")
        expect(rows(page)).to_have_count(1)
        expect(page.get_by_role("status")).to_have_text("1 study")
        page.wait_for_url(f"{server.http_url}/?q=gra+sam")
        page.reload()
        expect(rows(page)).to_have_count(1)
        page.get_by_role("combobox", name="Modality").select_option("MR")
        expect(page.get_by_role("heading", name="No study found")).to_be_visible()
        page.get_by_role("link", name="Clear").click()
        page.get_by_role("link", name=GRACE, exact=True).click()
        expect(page.get_by_role("heading", name=GRACE)).to_be_visible()
        pictures = page.locator(".series img")
        expect(pictures).to_have_count(3)
        browsing.until(page, lambda: pictures.first.evaluate("one => one.naturalWidth") > 100)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download ZIP").click()
        assert download.value.suggested_filename.endswith(".zip")
        page.get_by_role("link", name="Open in viewer").click()
        browsing.wait_for_picture(page)
        page.goto(f"{server.http_url}/")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_title("Sign in")
        page.goto(f"{server.http_url}/")
        expect(page).to_have_title("Sign in")


def test_what_is_uploaded_is_found_and_deleted(
    browser: Browser, server: ArchiveServer, tmp_path: Path
) -> None:
    study = new_uid()
    files = [
        mr(PatientName="Uploaded^Una", StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1")
        for _ in range(5)
    ]
    for number, one in enumerate(files):
        (tmp_path / f"{number}.dcm").write_bytes(part10(one))
    (tmp_path / "notes.txt").write_text("no DICOM at all")
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        enter(page, server, "/upload")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose files").press("Enter")
        chooser.value.set_files(sorted(tmp_path.iterdir()))
        expect(page.get_by_role("status")).to_have_text("Done: 5 stored, 1 refused, of 6 files.")
        refused = page.locator(".uploads li", has_text="notes.txt")
        expect(refused.locator(".badge")).to_have_text("Refused")
        assert re.search(r"[a-z]{3}", refused.locator(".said").inner_text())
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("status")).to_have_text("Done: 5 stored, 1 refused, of 6 files.")
        assert all("409" in one or "400" in one for one in seen.complaints)
        seen.complaints.clear()
        page.get_by_role("link", name="Show the study").click()
        expect(page.get_by_role("heading", name="Uploaded, Una")).to_be_visible()
        page.goto(f"{server.http_url}/?q=una")
        expect(rows(page)).to_have_count(1)
        page.get_by_role("link", name="Uploaded, Una", exact=True).click()
        page.get_by_role("button", name="Delete …").click()
        page.get_by_label("to confirm").fill("delete")
        page.get_by_label("Reason").fill("sent twice")
        page.get_by_role("button", name="Delete study").click()
        page.wait_for_url(f"{server.http_url}/")
        asked = dicomweb.CLIENT.get(
            f"{server.http_url}/api/deletions",
            headers={"Authorization": f"Bearer {server_tokens[server.http_url]}"},
        )
        assert [one["reason"] for one in asked.json()] == ["sent twice"]
        expect(page.get_by_role("link", name="Uploaded, Una", exact=True)).to_have_count(0)


@pytest.mark.parametrize("reason", ["", "by mistake"])
def test_a_deletion_that_waits_says_so(browser: Browser, awaiting: ArchiveServer, reason: str) -> None:
    """It looks like no deletion that was carried out, with a reason or without one."""
    with browsing.watched(browser, awaiting.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        enter(page, awaiting, "/?q=grace")
        page.get_by_role("link", name=GRACE, exact=True).click()
        page.get_by_role("button", name="Delete …").click()
        page.get_by_label("to confirm").fill("delete")
        page.get_by_label("Reason").fill(reason)
        page.get_by_role("button", name="Delete study").click()
        expect(page.get_by_role("alert")).to_contain_text("until a second person has approved")
        page.goto(f"{awaiting.http_url}/?q=grace")
        expect(rows(page)).to_have_count(1)


def test_dropped_folders(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        enter(page, server, "/upload")
        page.evaluate(
            """() => {
              const transfer = new DataTransfer();
              transfer.items.add(new File(["x"], "DICOMDIR"));
              transfer.items.add(new File(["x"], ".DS_Store"));
              const dropped = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
              document.getElementById("drop").dispatchEvent(dropped);
            }"""
        )
        expect(page.get_by_role("status")).to_have_text("Done: 0 stored, 2 left out, of 2 files.")


def test_markup_in_every_text_stays_text(browser: Browser, server: ArchiveServer) -> None:
    made = mr(StudyInstanceUID=new_uid(), SeriesInstanceUID=new_uid(), SOPInstanceUID=new_uid())
    for element in list(made):
        if element.VR in ("PN", "LO", "SH", "CS", "ST", "LT", "UT", "AE"):
            del made[element.tag]
    for keyword in (
        "PatientName", "PatientID", "PatientSex", "StudyDescription", "SeriesDescription", "AccessionNumber", "StudyID",
        "ReferringPhysicianName", "BodyPartExamined", "PatientBirthDate", "StudyTime", "InstitutionName", "Modality",
        "Manufacturer", "StationName", "ProtocolName", "PatientComments", "OperatorsName", "PhotometricInterpretation",
    ):  # fmt: skip
        tag = pydicom.datadict.tag_for_keyword(keyword)
        assert tag is not None
        value = "MONOCHROME2" if keyword == "PhotometricInterpretation" else EVIL
        made.add(DataElement(tag, pydicom.datadict.dictionary_VR(tag), value, validation_mode=0))
    made.StudyDate = "20250601"
    store(server, server_tokens[server.http_url], part10(made))
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        enter(page, server)
        page.get_by_role("searchbox").fill("2025-06-01")
        expect(rows(page)).to_have_count(1)
        assert "<script>alert(1)</script>" in rows(page).inner_text()
        page.goto(f"{server.http_url}/study/{made.StudyInstanceUID}")
        assert "<script>alert(1)</script>" in page.locator("main").inner_text()
        page.goto(f"{server.http_url}/?q=" + EVIL.replace("<", "%3C").replace('"', "%22"))
        assert page.get_by_role("searchbox").input_value() == EVIL
        assert page.locator("img[src=x]").count() == 0
        assert seen.complaints == []
        page.goto(f"{server.http_url}/study/%3Cscript%3Ealert(1)")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert all(one.startswith(("400 ", "404 ", "Failed to load resource")) for one in seen.complaints)
        seen.complaints.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [browsing.DESKTOP, browsing.PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_fault(
    browser: Browser, server: ArchiveServer, scheme: str, device: dict[str, Any]
) -> None:
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing as missing:
        pytest.skip(str(missing))
    with browsing.watched(browser, server.http_url, color_scheme=scheme, **device) as seen:
        page = seen.page
        enter(page, server, "/?q=grace")
        study = page.get_by_role("link", name=GRACE, exact=True).get_attribute("href")
        for path in ("/", "/?q=nobody", study, "/upload", "/study/1.2.3"):
            page.goto(f"{server.http_url}{path}")
            page.evaluate(script.read_text())
            found = page.evaluate(_FAULTS)
            assert found[0] == [], path
            assert found[1] > 5
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        seen.complaints.clear()  # the study that is not there: 404


def test_by_keyboard_and_without_a_script(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        page = seen.page
        enter(page, server)
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("hanako")
        page.wait_for_url(f"{server.http_url}/?q=hanako")
        expect(rows(page)).to_have_count(1)
        with page.expect_response(lambda answer: "q=hanako" in answer.url):  # what was typed is left
            page.get_by_role("link", name="Skip to content").focus()
        expect(page.locator(".htmx-request, .htmx-settling")).to_have_count(0)
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.get_by_role("link", name=re.compile("^Mihon")).first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Mihon, Hanako")
        cookies = page.context.cookies()
    context = browser.new_context(java_script_enabled=False)
    try:
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(f"{server.http_url}/")
        page.get_by_role("searchbox").fill("hanako")
        page.get_by_role("button", name="Search").click()
        expect(rows(page)).to_have_count(1)
    finally:
        context.close()


def test_how_long_the_list_takes(browser: Browser, server: ArchiveServer) -> None:
    """Told, not judged: machines differ."""
    with browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen:
        enter(seen.page, server)
        begun = time.perf_counter()
        seen.page.goto(f"{server.http_url}/", wait_until="load")
        expect(rows(seen.page).first).to_be_visible()
        painted = seen.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
        assert painted is not None
        print(f"the study list: painted after {painted:.0f} ms, there in {time.perf_counter() - begun:.2f} s")
