"""What passes any worker is in the plot of every worker, also when the one that counted it has died."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import browsing
import dicomweb
import scu
from archive_process import ArchiveServer, StartArchive
from objects import encoded, part10, secondary_capture

SECONDS = 60
AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
PAIR = (str(SecondaryCaptureImageStorage), str(ExplicitVRLittleEndian))


def counted(server: ArchiveServer, span: str = "hour") -> tuple[int, int]:
    """Objects received and sent, up to the last record that is over."""
    told = httpx.get(f"{server.http_url}/api/throughput", timeout=SECONDS).json()[span]
    received, sent = (sum(number or 0 for number in told[way]["objects"]) for way in ("received", "sent"))
    return received, sent


def awaited(server: ArchiveServer, expected: tuple[int, int]) -> None:
    deadline = time.monotonic() + SECONDS
    while counted(server) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [counted(server) for _ in range(6)] == [
        expected
    ] * 6  # each on a connection of its own, so of both workers


def test_every_worker_shows_what_all_have_seen(
    start_archive: StartArchive, chromium: str, tmp_path: Path
) -> None:
    server = start_archive("--workers", "2")
    made = [secondary_capture() for _ in range(6)]
    for one in made:
        status, _ = scu.store(server, PAIR, one.SOPInstanceUID, [encoded(one)])
        assert status == 0
    for one in made[:4]:
        url = f"{server.dicomweb_url}/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}"
        answer = dicomweb.CLIENT.get(f"{url}/instances/{one.SOPInstanceUID}", headers=AS_STORED)
        assert answer.status_code == 200
    got = scu.get(server, [PAIR], QueryRetrieveLevel="STUDY", StudyInstanceUID=made[0].StudyInstanceUID)
    assert len(got) == 1
    awaited(server, (6, 5))
    for pid in server.worker_pids("dimse"):
        os.kill(pid, signal.SIGKILL)
    again = secondary_capture()
    assert dicomweb.store(server.dicomweb_url, part10(again)).status_code == 200
    awaited(server, (7, 5))
    text = dicomweb.CLIENT.get(f"{server.http_url}/metrics").text
    for line in (
        r'archive_objects_received_total{ae_title="TESTSCU",door="DIMSE"} 6\.0',
        r'archive_objects_received_total{ae_title="",door="HTTP"} 1\.0',
        r'archive_objects_sent_total{ae_title="",door="HTTP"} 4\.0',
        r'archive_bytes_sent_total{ae_title="[A-Z]+",door="DIMSE"} [1-9]',
    ):
        assert re.search(f"^{line}", text, re.MULTILINE), line
    with (
        browsing.running(chromium) as browser,
        browsing.watched(browser, server.http_url, **browsing.DESKTOP) as seen,
    ):
        page = seen.page
        page.goto(f"{server.http_url}/status")
        table = page.get_by_role("table", name="Objects and megabytes received and sent in the last hour")
        expect(table.get_by_role("row", name="Together")).to_contain_text("7")
        expect(page.get_by_role("img", name="objects/s of the last hour")).to_be_visible()
        assert "." in (page.locator("polyline.received").first.get_attribute("points") or "")
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        with page.expect_response(lambda answer: "/status?span=hour" in answer.url):
            pass  # htmx asks anew by itself
        page.get_by_role("link", name="Last day").click()
        expect(page.get_by_role("heading", name="Throughput, last day")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_on_a_telephone(
    start_archive: StartArchive, chromium: str, tmp_path: Path, scheme: str
) -> None:
    server = start_archive("--workers", "1")
    assert dicomweb.store(server.dicomweb_url, part10(secondary_capture())).status_code == 200
    with (
        browsing.running(chromium) as browser,
        browsing.watched(browser, server.http_url, **browsing.PHONE, color_scheme=scheme) as seen,
    ):
        seen.page.goto(f"{server.http_url}/status")
        expect(seen.page.get_by_role("img", name="MB/s of the last hour")).to_be_visible()
        seen.page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
