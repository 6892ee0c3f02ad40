"""The OHIF viewer, as its makers publish it, in a real browser: list, open, and a picture on the screen.

OHIF comes from another origin than the archive, as it does in a hospital, so CORS has its part in this.
With `ARCHIVE_TEST_SCREENSHOT=FILE` the open study is also saved there (`make screenshot`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

import dicomweb
import ohif
from archive_process import ArchiveServer
from objects import ct, part10, series

SLICES = 12


@pytest.fixture(scope="module")
def study(ohif_viewer: ohif.Viewer, module_archive: Callable[..., ArchiveServer]) -> str:
    """The Study Instance UID of a CT study in an archive that allows OHIF's origin."""
    server = module_archive(environment={"ARCHIVE_HTTP_CORS_ORIGINS": ohif_viewer.origin})
    slices = series(ct, SLICES)
    stored = dicomweb.store(server.dicomweb_url, *map(part10, slices))
    assert stored.status_code == 200
    ohif_viewer.ask(server.dicomweb_url)
    return str(slices[0].StudyInstanceUID)


@pytest.fixture
def page(chromium: str, study: str, tmp_path: Path) -> Iterator[Page]:
    """A page in a fresh browser. What the page asked elsewhere, or failed at, fails the test."""
    complaints: list[str] = []
    with ohif.browser(chromium, tmp_path / "profile") as context:
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
        page.on("response", lambda answer: complaints.extend(_failures(answer.status, answer.url)))
        yield page
    assert complaints == []


def _failures(status: int, url: str) -> list[str]:
    return [f"{status} {url}"] if status >= 400 else []


def test_the_study_list_shows_the_patient_and_opens_the_study(
    page: Page, study: str, ohif_viewer: ohif.Viewer
) -> None:
    page.goto(ohif_viewer.origin)
    row = page.get_by_text("Phantom, Paula")
    row.wait_for(timeout=ohif.PAINT_SECONDS * 1000)
    listed = page.inner_text("body")
    assert "11-Mar-2024" in listed
    assert "Thorax phantom" in listed
    assert "A2024-0311" in listed
    row.dblclick()
    page.wait_for_url(f"**/*StudyInstanceUIDs={study}*", timeout=ohif.PAINT_SECONDS * 1000)
    ohif.wait_for_picture(page)


def test_the_canvas_holds_the_picture(
    page: Page, study: str, ohif_viewer: ohif.Viewer, tmp_path: Path
) -> None:
    page.goto(ohif_viewer.study(study))
    ohif.wait_for_picture(page)
    assert ohif.shades(page) > 50, "soft tissue, fat and bone have many shades"
    ohif.end_tour(page)
    page.get_by_text(f"(1/{SLICES})").wait_for()
    screenshot = tmp_path / "ohif.png"
    page.screenshot(path=screenshot)
    assert screenshot.stat().st_size > 10_000
    if wanted := os.environ.get("ARCHIVE_TEST_SCREENSHOT"):
        shutil.copyfile(screenshot, wanted)
