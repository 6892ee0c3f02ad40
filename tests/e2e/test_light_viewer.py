"""The built-in viewer in Chromium: pictures, scrolling, windows, zoom, reports; by mouse, keys and touch.

With `ARCHIVE_TEST_LIGHT_SCREENSHOT=FILE` the open study is also saved there (`make screenshot`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

import browsing
import dicomweb
from archive.cli.demo.patients import CT, HEART
from archive.cli.demo.plan import planned
from archive_process import ArchiveServer
from npm_packages import PackageMissing, package
from objects import mr, part10

AXE = "4.11.0"
_FAULTS = """axe.run().then(({ violations, passes }) =>
  [violations.map(each => [each.id, each.nodes.map(node => node.html)]), passes.length])"""
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """An archive with two studies of the demonstration, and one whose texts are markup."""
    server = module_archive("--workers", "1")
    wanted = {CT.StudyInstanceUID, HEART.StudyInstanceUID}
    files = [one.file() for one in planned(date.today()) if one.StudyInstanceUID in wanted]
    texts = ("StudyDescription", "SeriesDescription", "InstitutionName", "PatientID")
    evil = mr(PatientName="<b>^<img src>", **dict.fromkeys(texts, EVIL), StudyInstanceUID="1.2.3.4.666")
    stored = dicomweb.store(server.dicomweb_url, *files, part10(evil))
    assert stored.status_code == 200
    return server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing.running(chromium) as running:
        yield running


@pytest.fixture
def seen(browser: Browser, server: ArchiveServer) -> Iterator[browsing.Watched]:
    with browsing.watched(browser, server.http_url, color_scheme="dark", **browsing.DESKTOP) as watched:
        yield watched


def address(server: ArchiveServer, study: str) -> str:
    return f"{server.http_url}/viewer?StudyInstanceUIDs={study}"


def opened(seen: browsing.Watched, server: ArchiveServer, study: str = CT.StudyInstanceUID) -> Page:
    seen.page.goto(address(server, study))
    browsing.wait_for_picture(seen.page)
    return seen.page


def changes(page: Page, act: Callable[[], object]) -> None:
    """What is done changes the picture."""
    before = page.locator("#viewport canvas").screenshot()
    act()
    browsing.until(page, lambda: page.locator("#viewport canvas").screenshot() != before)


def test_a_study_is_found_opened_scrolled_windowed_and_zoomed(
    seen: browsing.Watched, server: ArchiveServer
) -> None:
    page = seen.page
    page.goto(f"{server.http_url}/viewer")
    expect(page.locator("#found li")).to_have_count(3)
    page.get_by_role("searchbox").fill("grace")
    expect(page.locator("#found li")).to_have_count(1)
    page.get_by_role("link", name="Sample, Dr. Grace").click()
    browsing.wait_for_picture(page)
    corner = page.locator(".corner.bottom.left")
    expect(page.locator(".corner.top.left")).to_contain_text("DEMO-1")
    expect(corner).to_contain_text("Image 31 of 60")
    expect(page.locator(".corner.bottom.right")).to_contain_text("C 40 W 80")
    assert [page.locator(f".side.{side}").inner_text() for side in ("left", "right", "top", "bottom")] == [
        *"RLAP"
    ]
    if wanted := os.environ.get("ARCHIVE_TEST_LIGHT_SCREENSHOT"):
        page.screenshot(path=wanted)
    changes(page, lambda: _wheel(page, 100))
    expect(corner).to_contain_text("Image 32 of 60")
    page.keyboard.press("Home")
    expect(corner).to_contain_text("Image 1 of 60")
    changes(page, lambda: page.keyboard.press("PageDown"))
    expect(corner).to_contain_text("Image 11 of 60")
    page.get_by_role("slider").fill("31")
    expect(corner).to_contain_text("Image 31 of 60")
    brain = browsing.brightness(page)
    page.get_by_role("combobox", name="Window").select_option("Bone")
    expect(page.locator(".corner.bottom.right")).to_contain_text("C 500 W 2,500")
    browsing.until(page, lambda: browsing.brightness(page) < brain - 5)
    assert any("window=500.00%2C2500.00%2Clinear" in url for url in seen.asked)
    page.keyboard.press("r")
    expect(page.locator(".corner.bottom.right")).to_contain_text("C 40 W 80")
    page.get_by_role("radio", name="Window").click()
    changes(page, lambda: _drag(page, 200, 0))
    assert float(re.findall(r"W ([\d,.]+)", page.locator(".corner.bottom.right").inner_text())[0]) > 90
    changes(page, lambda: page.keyboard.press("+"))
    expect(page.locator(".corner.bottom.right")).to_contain_text("125 %")
    changes(page, lambda: page.keyboard.press("i"))


def _wheel(page: Page, down: int) -> None:
    page.locator("#viewport").hover()
    page.mouse.wheel(0, down)


def _drag(page: Page, across: int, down: int) -> None:
    page.mouse.move(600, 400)
    page.mouse.down()
    page.mouse.move(600 + across, 400 + down, steps=8)
    page.mouse.up()


def test_scrolling_back_asks_for_nothing_twice(seen: browsing.Watched, server: ArchiveServer) -> None:
    """Neighbours are there before they are wanted."""
    page = opened(seen, server)
    page.wait_for_load_state("networkidle")
    frames = [url for url in seen.asked if "/frames/" in url]
    assert len(frames) > 20
    for key in ("ArrowDown",) * 5 + ("ArrowUp",) * 5:
        page.keyboard.press(key)
        assert (
            page.evaluate("document.querySelector('.corner.bottom.left').textContent.includes('…')") is False
        )
    page.wait_for_load_state("networkidle")
    again = [url for url in seen.asked if "/frames/" in url]
    assert len(set(again)) == len(again)


def test_a_loop_plays(seen: browsing.Watched, server: ArchiveServer) -> None:
    page = opened(seen, server, HEART.StudyInstanceUID)
    expect(page.locator("#number")).to_have_text("1 / 48")
    page.get_by_role("button", name="Play").click()
    browsing.until(page, lambda: int(page.locator("#number").inner_text().split(" / ")[0]) > 10)
    page.get_by_role("button", name="Stop").click()
    stopped = page.locator("#number").inner_text()
    page.wait_for_timeout(200)
    assert page.locator("#number").inner_text() == stopped


def test_reports_are_text_and_documents_are_saved(
    seen: browsing.Watched, server: ArchiveServer, tmp_path: Path
) -> None:
    page = opened(seen, server)
    page.get_by_role("button", name="Report SR").click()
    expect(page.locator("#other pre")).to_contain_text("Ventricles symmetrical")
    expect(page.locator("#viewport")).to_be_hidden()
    page.get_by_role("button", name="Report (PDF)").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the PDF").click()
    saved.value.save_as(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-1.4")
    page.get_by_role("button", name="Head 3.0").click()
    browsing.wait_for_picture(page)


def test_markup_in_an_object_is_text(seen: browsing.Watched, server: ArchiveServer) -> None:
    """`watched` fails on a script that ran, on a dialog, and on what the policy had to stop."""
    page = seen.page
    page.goto(f"{server.http_url}/viewer")
    expect(page.locator("#found li", has_text=EVIL)).to_have_count(1)
    opened(seen, server, "1.2.3.4.666")
    for place in (".corner.top.left", ".corner.top.right", ".corner.bottom.left", "#series", "#about"):
        expect(page.locator(place)).to_contain_text(EVIL)
    expect(page.locator("#patient")).to_have_text("<b>, <img src>")
    assert page.locator("img:not([src*='/thumbnail'])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_fits_and_obeys_fingers(browser: Browser, server: ArchiveServer, scheme: str) -> None:
    with browsing.watched(browser, server.http_url, color_scheme=scheme, **browsing.PHONE) as seen:
        page = opened(seen, server)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = page.locator("#viewport").bounding_box()
        assert box is not None
        assert box["height"] > 400
        session = page.context.new_cdp_session(page)
        at = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        _swipe(session, [at], [[at[0], at[1] + 120]])
        number = int(page.locator("#number").inner_text().split(" / ")[0])
        assert number > 35
        fingers = [[at[0] - 30, at[1]], [at[0] + 30, at[1]]]
        _swipe(session, fingers, [[at[0] - 90, at[1]], [at[0] + 90, at[1]]])
        zoom = page.locator(".corner.bottom.right").inner_text()
        assert int(re.findall(r"(\d+) %", zoom)[0]) > 200
        page.goto(f"{server.http_url}/viewer")
        expect(page.locator("#found li")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def _swipe(session: CDPSession, begin: list[list[float]], end: list[list[float]]) -> None:
    """Each finger from where it begins to where it ends."""
    begun, ended = np.array(begin), np.array(end)

    def send(kind: str, points: Any) -> None:
        touches = [{"x": float(x), "y": float(y), "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", begun)
    for step in range(1, 9):
        send("touchMove", begun + (ended - begun) * step / 8)
    send("touchEnd", [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: Browser, server: ArchiveServer, scheme: str) -> None:
    try:
        script = package("axe-core", AXE, lambda name: name.endswith("axe.min.js")) / "package" / "axe.min.js"
    except PackageMissing as missing:
        pytest.skip(str(missing))
    with browsing.watched(browser, server.http_url, color_scheme=scheme, **browsing.DESKTOP) as seen:
        for begin in (lambda: opened(seen, server), lambda: _list(seen, server)):
            begin()
            seen.page.evaluate(script.read_text())
            found = seen.page.evaluate(_FAULTS)
            assert found[0] == []
            assert found[1] > 10


def _list(seen: browsing.Watched, server: ArchiveServer) -> None:
    seen.page.goto(f"{server.http_url}/viewer")
    expect(seen.page.locator("#found li")).to_have_count(3)


def test_what_is_not_there_is_said(browser: Browser, server: ArchiveServer) -> None:
    with browsing.watched(browser, server.http_url) as seen:
        seen.page.goto(address(server, "1.2.3.4.5"))
        expect(seen.page.get_by_role("alert")).to_have_text("There is no such study.")
