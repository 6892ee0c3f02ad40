"""OHIF as `archive viewer install` puts it at /viewer: from a registry into a running archive, then in Chromium under
the archive's own policy, without a word to any other host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

import browsing
import dicomweb
import ohif
from archive.cli.demo.patients import CT
from archive.cli.demo.plan import planned
from archive.services.viewer import DIGESTS, VERSION, Viewer
from archive_process import ArchiveServer
from encoded_objects import encoded_in
from npm_packages import PackageMissing, tarball
from objects import part10
from viewer_package import Registry, serving

COMPRESSED = (JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1)
EVERY = 5
"""Of the slices, these are enough for a volume."""


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """An archive with a study, into which OHIF was installed while it ran."""
    try:
        package = tarball("@ohif/app", VERSION)
    except PackageMissing as missing:
        pytest.skip(str(missing))
    server = module_archive("--workers", "1")
    of_study = [one for one in planned(date.today()) if one.StudyInstanceUID == CT.StudyInstanceUID]
    slices, reports = of_study[:-2], of_study[-2:]
    files = [one.file() for one in (*slices[::EVERY], *reports)]
    assert dicomweb.store(server.dicomweb_url, *files).status_code == 200
    assert 'data-base=""' in dicomweb.CLIENT.get(f"{server.http_url}/viewer").text, "the built-in viewer"
    with serving(Registry(package.read_bytes(), integrity=DIGESTS[VERSION])) as registry:
        found = Viewer(server.data / "viewer").fetch(registry.url, VERSION, lambda came, length: None)
    assert found.about.version == VERSION
    return server


@pytest.fixture
def seen(chromium: str, server: ArchiveServer) -> Iterator[browsing.Watched]:
    with (
        browsing.running(chromium) as browser,
        browsing.watched(browser, server.http_url, **browsing.DESKTOP) as watched,
    ):
        yield watched


def test_a_study_opens_by_its_address_and_says_nothing_to_others(
    seen: browsing.Watched, server: ArchiveServer
) -> None:
    """`watched` fails on what the policy forbids, on errors of the page, and on requests to other hosts."""
    page = seen.page
    page.goto(f"{server.http_url}/viewer?StudyInstanceUIDs={CT.StudyInstanceUID}")
    page.locator("canvas.cornerstone-canvas").first.wait_for()
    browsing.until(page, lambda: ohif.shades(page) > 50)
    assert page.evaluate("window.crossOriginIsolated") is True
    assert page.evaluate("typeof SharedArrayBuffer") == "function"
    page.get_by_text("Head 3.0 H31").first.wait_for()
    assert any("/thumbnail?" in url or url.endswith("/thumbnail") for url in seen.asked)
    assert any(url.endswith("/frames/1") for url in seen.asked)
    workers = [worker.url for worker in page.workers]
    assert workers, "decoders run beside the page"
    page.get_by_role("button", name="Skip all").click()
    page.get_by_text("Confirm and hide").click()
    page.locator('[data-cy="Layout"]').click()
    page.locator('[data-cy="MPR"]').click()
    browsing.until(page, lambda: page.locator("canvas.cornerstone-canvas").count() == 3)
    browsing.until(page, lambda: ohif.shades(page) > 50)


def test_compressed_frames_and_documents_are_shown(seen: browsing.Watched, server: ArchiveServer) -> None:
    """Decoders need more than a page may, and have it as workers; a document is shown from memory."""
    page = seen.page
    for number, syntax in enumerate(COMPRESSED, 1):
        made = encoded_in(syntax)
        made.PatientID = f"COMPRESSED-{number}"
        assert dicomweb.store(server.dicomweb_url, part10(made, syntax)).status_code == 200
        page.goto(f"{server.http_url}/viewer?StudyInstanceUIDs={made.StudyInstanceUID}")
        page.locator("canvas.cornerstone-canvas").first.wait_for()
        browsing.until(page, lambda: ohif.shades(page) > 10)
    page.goto(f"{server.http_url}/viewer?StudyInstanceUIDs={CT.StudyInstanceUID}")
    browsing.until(page, lambda: ohif.shades(page) > 50)
    page.get_by_text("Report (PDF)").first.dblclick()
    page.locator("object[data^='blob:']").wait_for()
    browsing.until(page, lambda: any(url.startswith("chrome-extension:") for url in seen.asked))


def test_its_study_list_shows_what_is_stored(seen: browsing.Watched, server: ArchiveServer) -> None:
    page = seen.page
    page.goto(f"{server.http_url}/viewer")
    page.get_by_text("Sample, Grace").first.wait_for()
    assert page.url == f"{server.http_url}/viewer/"
