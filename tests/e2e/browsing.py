"""Pages of the archive's own in Debian's Chromium: what they ask, complain of and show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from ohif import CHROMIUM_OPTIONS

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
SECONDS = 60

_SHADES = """() => {
  const canvas = document.querySelector('#viewport canvas');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const shades = new Set();
  for (let i = 0; i < pixels.length; i += 4) shades.add(pixels[i]);
  return shades.size;
}"""
_MEAN = """() => {
  const canvas = document.querySelector('#viewport canvas');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 4) sum += pixels[i];
  return sum / (pixels.length / 4);
}"""


@contextmanager
def running(chromium: str) -> Iterator[Browser]:
    """A browser for many pages, each with a profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, headless=False, args=["--headless=new", *CHROMIUM_OPTIONS]
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, what it asked for, and what was wrong."""

    page: Page
    origin: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def hear(self, message: Any) -> None:
        """What its console says. A violation of the policy is an error there."""
        if message.type == "error" or "Content Security Policy" in message.text:
            self.complaints.append(message.text)

    def note(self, request: Any) -> None:
        """What it asks for; of another host it is a complaint."""
        self.asked.append(request.url)
        ours = (f"{self.origin}/", f"blob:{self.origin}/")
        if not request.url.startswith((*ours, "data:", "about:", "chrome:", "chrome-extension:")):
            self.complaints.append(f"asked elsewhere: {request.url}")


@contextmanager
def watched(browser: Browser, origin: str, **options: Any) -> Iterator[Watched]:
    """A page in a fresh profile. What it asked elsewhere, failed at or was forbidden fails the test."""
    context = browser.new_context(locale="en-GB", **options)
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    seen = Watched(page, origin)
    page.on("console", seen.hear)
    page.on("request", seen.note)
    page.on("pageerror", lambda error: seen.complaints.append(f"page error: {error}"))
    page.on("response", lambda answer: seen.complaints.extend(_failures(answer.status, answer.url)))
    page.on("dialog", lambda dialog: (seen.complaints.append("a dialog"), dialog.dismiss()))
    try:
        yield seen
    finally:
        context.close()
    assert seen.asked
    assert seen.complaints == []


def _failures(status: int, url: str) -> list[str]:
    return [f"{status} {url}"] if status >= 400 else []


def shades(page: Page) -> int:
    """How many different shades the picture has."""
    return int(page.evaluate(_SHADES))


def brightness(page: Page) -> float:
    """The mean of the picture, from 0 to 255."""
    return float(page.evaluate(_MEAN))


def wait_for_picture(page: Page, least_shades: int = 30) -> None:
    """Return when a picture is painted."""
    page.locator("#viewport canvas").wait_for()
    until(page, lambda: shades(page) >= least_shades)


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Return when it holds. Playwright's own waiting evaluates text in the page, which our policy forbids."""
    for _ in range(SECONDS * 20):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it does not come to hold")
