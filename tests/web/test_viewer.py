"""/viewer without a browser: which page, which headers, no file but the viewer's."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from archive.services.viewer import Viewer
from viewer_package import SCRIPT, Registry, packed, serving
from web_door import Door

OWN = Path(__file__).resolve().parents[2] / "src" / "archive" / "web" / "viewer" / "files"


@pytest.fixture
def with_ohif(empty_door: Door) -> Door:
    """A door with a viewer that was installed after it was opened."""
    assert empty_door.client.get("/viewer").status_code == 200
    with serving(Registry(packed())) as registry:
        Viewer(empty_door.archive.settings.data / "viewer").fetch(registry.url, "3.14.0", lambda *_: None)
    return empty_door


def policy(answer: httpx.Response) -> dict[str, str]:
    [field] = answer.headers.get_list("content-security-policy")
    return {name: values for name, _, values in (one.strip().partition(" ") for one in field.split(";"))}


def assert_isolated(answer: httpx.Response) -> None:
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    said = policy(answer)
    assert said["default-src"] == said["base-uri"] == said["form-action"] == "'none'"
    assert "'unsafe-inline'" not in said["script-src"]
    is_script = answer.headers["content-type"].startswith("text/javascript")
    assert is_script or "'unsafe-eval'" not in said["script-src"], "workers alone may"
    assert not re.search(r"https?:|\*", " ".join(said[name] for name in said if name != "frame-ancestors"))


@pytest.mark.parametrize("path", ["/viewer", "/viewer/light", "/viewer?StudyInstanceUIDs=1.2.3"])
def test_the_built_in_viewer_needs_nothing_else(empty_door: Door, path: str) -> None:
    answer = empty_door.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert_isolated(answer)
    assert policy(answer)["script-src"] == policy(answer)["style-src"] == "'self'"
    assert policy(answer)["require-trusted-types-for"] == "'script'"
    assert not re.search(r"<script>|<style|\son\w+=|style=|https?://", answer.text)
    named = re.findall(r'(?:src|href)="(/[^"]+)"', answer.text)
    assert len(named) == 3
    for each in named:
        assert empty_door.client.get(each).status_code == 200, each


@pytest.mark.parametrize("path", sorted(OWN.glob("*.*")), ids=lambda path: path.name)
def test_its_files_are_its_own_and_ask_no_other_host(empty_door: Door, path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
    answer = empty_door.client.get(f"/viewer/light/{path.name}")
    if path.suffix == ".html":
        assert answer.status_code == 404
        return
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert answer.headers["content-type"].partition(";")[0] == types[path.suffix]
    assert answer.text == text
    assert_isolated(answer)
    tag = answer.headers["etag"]
    again = empty_door.client.get(f"/viewer/light/{path.name}", headers={"If-None-Match": tag})
    assert again.status_code == 304


def test_without_ohif_its_addresses_lead_to_the_built_in_viewer(empty_door: Door) -> None:
    answer = empty_door.client.get("/viewer/viewer?StudyInstanceUIDs=1.2.3&x=%0d%0a")
    assert (answer.status_code, answer.headers["location"]) == (
        302,
        "/viewer?StudyInstanceUIDs=1.2.3&x=%0d%0a",
    )
    assert empty_door.client.get(f"/viewer/{SCRIPT}").status_code == 404


def test_ohif_is_there_at_once_and_gone_at_once(with_ohif: Door) -> None:
    assert with_ohif.client.get("/viewer").headers["location"] == "/viewer/"
    opened = with_ohif.client.get("/viewer?StudyInstanceUIDs=1.2.3")
    assert opened.headers["location"] == "/viewer/viewer?StudyInstanceUIDs=1.2.3"
    for path in ("/viewer/", "/viewer/viewer?StudyInstanceUIDs=1.2.3", "/viewer/index.html"):
        page = with_ohif.client.get(path)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert f'src="/viewer/{SCRIPT}"' in page.text
        assert "<script>" not in page.text
        assert page.headers["cache-control"] == "private, no-cache"
        assert_isolated(page)
    assert with_ohif.client.get("/viewer/light").status_code == 200
    Viewer(with_ohif.archive.settings.data / "viewer").remove()
    assert with_ohif.client.get("/viewer").headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("headers", "light"),
    [
        ({"Sec-CH-UA-Mobile": "?1"}, True),
        (
            {
                "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari"
            },
            True,
        ),
        ({"Sec-CH-UA-Mobile": "?0", "User-Agent": "Android Mobile"}, False),
        ({"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36"}, False),
    ],
    ids=["hint", "iPhone", "hint of none", "desktop"],
)
def test_a_telephone_gets_the_viewer_that_fits(with_ohif: Door, headers: dict[str, str], light: bool) -> None:
    answer = with_ohif.client.get("/viewer?StudyInstanceUIDs=1.2", headers=headers)
    assert answer.status_code == (200 if light else 302)
    assert ("/viewer/light/app.js" in answer.text) is light
    assert with_ohif.client.get("/viewer/", headers=headers).status_code == 200, "OHIF, if it must be"


def test_its_files_have_their_types_codings_and_times(with_ohif: Door) -> None:
    def get(name: str, coding: str = "identity") -> httpx.Response:
        answer = with_ohif.client.get(f"/viewer/{name}", headers={"Accept-Encoding": coding})
        assert answer.status_code == 200
        assert_isolated(answer)
        return answer

    plain, packed_up = get(SCRIPT), get(SCRIPT, "br;q=1, gzip;q=0.5")
    assert packed_up.headers["content-encoding"] == "gzip"
    assert int(packed_up.headers["content-length"]) < len(plain.content)
    assert packed_up.content == plain.content, "httpx decodes it"
    assert "accept-encoding" in packed_up.headers["vary"].lower()
    assert "content-encoding" not in get(SCRIPT, "gzip;q=0, identity").headers
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["content-type"] == "text/javascript"
    assert get("fedcba9876543210.wasm").headers["content-type"] == "application/wasm"
    style = get("app.bundle.css")
    assert style.headers["content-type"].startswith("text/css")
    assert style.headers["cache-control"] == "private, no-cache"
    assert gzip.decompress(gzip.compress(style.content)) == style.content
    head = with_ohif.client.head(f"/viewer/{SCRIPT}", headers={"Accept-Encoding": "identity"})
    assert int(head.headers["content-length"]) == len(plain.content)


@pytest.mark.parametrize(
    "name",
    ["installed.json", "../current", "..%2fcurrent", "%2e%2e/%2e%2e/index.sqlite", "assets/../../current",
     "assets/x.png",
     f"{SCRIPT}.gz", f"{SCRIPT}.map", "/etc/passwd.x", "a\\..\\b.js", "x.js%00"],
)  # fmt: skip
def test_no_other_file_is_served(with_ohif: Door, name: str) -> None:
    answer = with_ohif.client.get(f"/viewer/{name}")
    assert answer.status_code in (400, 404), answer.text
    assert "version" not in answer.text


def test_behind_a_proxy_all_addresses_have_its_prefix(open_door: Callable[..., Door]) -> None:
    door = open_door(http__behind_proxy=True, sign_in__required="never")
    there = {"X-Forwarded-Prefix": "/pacs", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "h.example"}
    page = door.client.get("/viewer", headers=there).text
    assert 'data-base="/pacs"' in page
    assert 'src="/pacs/viewer/light/app.js"' in page
    with serving(Registry(packed())) as registry:
        Viewer(door.archive.settings.data / "viewer").fetch(registry.url, "3.14.0", lambda *_: None)
    moved = door.client.get("/viewer?StudyInstanceUIDs=1.2", headers=there)
    assert moved.headers["location"] == "/pacs/viewer/viewer?StudyInstanceUIDs=1.2"
    assert f'src="/pacs/viewer/{SCRIPT}"' in door.client.get("/viewer/", headers=there).text
    script = door.client.get("/viewer/app-config.js", headers=there).text
    assert '"routerBasename": "/pacs/viewer"' in script
    assert 'location.origin + "/pacs/dicom-web"' in script


def test_pages_of_others_may_frame_it_only_where_they_may_read(open_door: Callable[..., Door]) -> None:
    said = policy(open_door(http__cors_origins=["https://portal.example"]).client.get("/viewer"))
    assert said["frame-ancestors"] == "'self' https://portal.example"
