"""The OHIF viewer as a client: its prebuilt files, a server for them, and Debian's Chromium to run it in.

OHIF is the viewer that most people will put before this archive, so it is tested whole: the package that its
makers publish, in a real browser, from an origin that is not the archive's (so CORS is exercised as well).
The package is fetched once with npm and kept in `.test-cache/`, which git ignores.
"""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from npm_packages import package

VERSION = "3.13.2"
PAINT_SECONDS = 60

CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)

# Only large values count: the corners' text is drawn elsewhere, but noise in black is no picture.
_COUNT_SHADES = """() => {
  const shades = new Set();
  for (const canvas of document.querySelectorAll('canvas.cornerstone-canvas')) {
    const context = canvas.getContext('2d');
    if (!context || !canvas.width || !canvas.height) continue;
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < pixels.length; i += 4) shades.add(pixels[i]);
  }
  return shades.size;
}"""


def distribution() -> Path:
    """The folder with OHIF's prebuilt files, fetched at the first call. Raises PackageMissing."""
    return package("@ohif/app", VERSION, _is_needed) / "package" / "dist"


def _is_needed(name: str) -> bool:
    """Leaves out source maps and the segmentation models' run-time, three quarters of the package."""
    wanted = name.startswith("package/dist/") and not name.startswith("package/dist/ort/")
    return wanted and not name.endswith(".map")


@contextmanager
def viewer() -> Iterator[Viewer]:
    """Serve OHIF on a port of its own. Set `dicomweb_root` of what comes back before a page is opened."""
    server = _Server(distribution())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Viewer(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Viewer:
    """OHIF being served: its origin, and the archive that its pages ask."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.origin = f"http://127.0.0.1:{server.server_port}"

    def ask(self, dicomweb_root: str) -> None:
        """From now on pages talk to the archive at this URL."""
        self._server.script = f"window.config = {json.dumps(_configuration(dicomweb_root))};".encode()

    def study(self, study_instance_uid: str) -> str:
        """The address that opens a study."""
        return f"{self.origin}/viewer?StudyInstanceUIDs={study_instance_uid}"


def _configuration(dicomweb_root: str) -> dict[str, Any]:
    source = {
        "friendlyName": "archive",
        "name": "archive",
        "qidoRoot": dicomweb_root,
        "wadoRoot": dicomweb_root,
        "wadoUriRoot": dicomweb_root,
        "qidoSupportsIncludeField": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "singlepart": "bulkdata,video",
        "bulkDataURI": {"enabled": True},
    }
    return {
        "routerBasename": None,
        "showStudyList": True,
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showWarningMessageForCrossOrigin": False,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "dicomweb",
                "configuration": source,
            }
        ],
    }


class _Server(ThreadingHTTPServer):
    """OHIF's files, with our own configuration and `index.html` for every address that is no file."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder.resolve()
        self.script = b"window.config = {};"

    def content(self, path: str) -> tuple[bytes, str]:
        """What a GET of `path` answers: body and media type."""
        if path == "/app-config.js":
            return self.script, "text/javascript"
        file = (self.folder / path.lstrip("/")).resolve()
        if not file.is_file() or not file.is_relative_to(self.folder):
            file = self.folder / "index.html"
        return file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        body, media_type = self.server.content(self.path.partition("?")[0])
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Tests are quiet."""


@contextmanager
def browser(chromium: str, profile: Path) -> Iterator[BrowserContext]:
    """Debian's Chromium with a fresh profile, painting WebGL in software."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            headless=False,
            args=["--headless=new", *CHROMIUM_OPTIONS],
            service_workers="block",
            viewport={"width": 1440, "height": 900},
        )
        try:
            yield context
        finally:
            context.close()


def shades(page: Page) -> int:
    """How many different shades the pictures' own pixels have; overlays are not in the canvas."""
    return int(page.evaluate(_COUNT_SHADES))


def wait_for_picture(page: Page, least_shades: int = 16) -> None:
    """Return when a picture is painted: its pixels vary. Raises Playwright's TimeoutError."""
    page.wait_for_selector("canvas.cornerstone-canvas", timeout=PAINT_SECONDS * 1000)
    page.wait_for_function(f"({_COUNT_SHADES})() >= {least_shades}", timeout=PAINT_SECONDS * 1000)


def end_tour(page: Page) -> None:
    """Leave the tour that OHIF offers at the first visit, and wait until nothing covers the picture."""
    skip = page.get_by_text("Skip all")
    skip.wait_for(timeout=PAINT_SECONDS * 1000)
    skip.click()
    page.wait_for_selector(".shepherd-modal-is-visible", state="detached")
    page.mouse.move(0, 0)
