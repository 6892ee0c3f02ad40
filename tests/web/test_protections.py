"""What browsers are told on every answer: no scripts, no sniffing, no referrer, no cache, frames for few (O11, H15)."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from archive.settings.doors import Http
from archive.web.http.protections import NO_STORE, Protections
from archive.web.routes import ROUTES
from objects import LargeObject, mr, part10
from rendered_objects import CDA_STORAGE, content, document, report
from web_door import Door, connected

LOCAL = {"Origin": "http://localhost:3000"}


def stored(door: Door, file: bytes) -> str:
    """Store it; its path."""
    answer = door.store(file)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    return url.removeprefix(door.url)


def policy(answer: httpx.Response) -> dict[str, list[str]]:
    """The one Content-Security-Policy, by directive."""
    [field] = answer.headers.get_list("content-security-policy")
    return {words[0]: words[1:] for words in (directive.split() for directive in field.split(";"))}


def assert_protected(answer: httpx.Response) -> None:
    """The fields that no answer may lack."""
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    said = policy(answer)
    assert said["default-src"] == ["'none'"]
    assert said["sandbox"] == []  # not even allow-scripts
    assert said["base-uri"] == said["form-action"] == ["'none'"]
    assert "script-src" not in said
    assert "*" not in said["frame-ancestors"]
    assert answer.headers["cache-control"] in ("no-store", "private, no-cache")
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_on_every_resource(door: Door, route: object) -> None:
    """From the route table: with a body that nobody can use, or none, and values that name nothing."""
    path = re.sub(r"\{\w+(:path)?\}", "7", route.path)  # type: ignore[attr-defined]
    method = route.method  # type: ignore[attr-defined]
    answer = door.client.request(method, path, content=b"{" if method in ("POST", "PUT") else None)
    assert answer.status_code < 500
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert route.right is None or route.refused is not None  # type: ignore[attr-defined]
        # A page: what it may do instead is held in test_viewer, test_sign_in_page and test_console.
        assert policy(answer)["default-src"] == ["'none'"]
        return
    assert_protected(answer)


def test_on_every_kind_of_answer(door: Door) -> None:
    instance = stored(door, part10(mr()))
    study = instance.partition("/series/")[0]
    tag = door.client.get(f"{instance}/metadata").headers["etag"]
    asked: list[tuple[int, str, str, dict[str, str]]] = [
        (200, "GET", instance, {}),
        (200, "HEAD", instance, {}),
        (206, "GET", instance, {"Range": "bytes=0-9"}),
        (416, "GET", instance, {"Range": "bytes=99999999-"}),
        (304, "GET", f"{instance}/metadata", {"If-None-Match": tag}),
        (412, "GET", f"{instance}/metadata", {"If-Match": '"x"'}),
        (200, "GET", f"{study}/metadata", {}),
        (200, "GET", f"{study}/metadata", {"Accept-Encoding": "gzip"}),
        (200, "GET", study, {"Accept": "application/zip"}),
        (200, "GET", study, {"Accept": 'multipart/related; type="application/dicom"'}),
        (200, "GET", f"{instance}/rendered", {}),
        (200, "GET", f"{instance}/thumbnail", {}),
        (200, "GET", f"{instance}/frames/1", {}),
        (200, "GET", "/dicom-web/studies?limit=1", {}),
        (204, "GET", "/dicom-web/studies?PatientID=nobody", {}),
        (204, "OPTIONS", "/dicom-web/studies", LOCAL | {"Access-Control-Request-Method": "GET"}),
        (400, "GET", "/dicom-web/studies?limit=x", {}),
        (400, "GET", "/health/live", {"Host": "a b"}),
        (404, "GET", "/dicom-web/nothing", {}),
        (405, "DELETE", "/dicom-web/studies", {}),
        (406, "GET", instance, {"Accept": "text/html"}),
        (415, "POST", "/dicom-web/studies", {"Content-Type": "text/plain"}),
        (421, "GET", "/health/live", {"Host": "evil.example"}),
        (501, "PURGE", "/health/live", {}),
    ]
    for status, method, path, headers in asked:
        answer = door.client.request(method, path, headers=headers)
        assert answer.status_code == status, (method, path, answer.text)
        assert_protected(answer)


def test_on_a_body_that_is_too_large(open_door: Callable[..., Door]) -> None:
    headers = {"Content-Type": "application/dicom"}
    door = open_door(http__maximum_body_bytes=10)
    answer = door.client.post("/dicom-web/studies", content=bytes(11), headers=headers)
    assert answer.status_code == 413
    assert_protected(answer)


def test_on_a_fault_of_ours(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(door.archive.search), "find", lambda *_: 1 // 0)
    answer = door.client.get("/dicom-web/studies")
    assert answer.status_code == 500
    assert_protected(answer)


@pytest.mark.parametrize(
    ("said", "status"),
    [(b"\0\0\0\r\n\r\n", b"400"), (b"GET /" + b"a" * (1 << 18), b"431")],
    ids=["400", "431"],
)
def test_on_what_no_application_answers(door: Door, said: bytes, status: bytes) -> None:
    with connected(door) as connection:
        connection.sendall(said)
        head = connection.recv(4096).lower()
    assert head.split(b" ")[1] == status
    assert b"\r\nx-content-type-options: nosniff\r\n" in head
    assert b"\r\ncontent-security-policy: default-src 'none'; sandbox\r\n" in head


def test_a_search_without_an_entity_tag_is_kept_by_no_cache(door: Door) -> None:
    assert NO_STORE == (b"cache-control", b"no-store")
    assert door.client.get("/dicom-web/studies/1.2.3").headers["cache-control"] == "no-store"
    assert door.client.get("/metrics").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("origins", "framed_by"),
    [
        (
            [],
            [
                "'self'",
                "http://localhost:*",
                "http://127.0.0.1:*",
                "https://localhost:*",
                "https://127.0.0.1:*",
            ],
        ),
        (["https://viewer.example", "http://a.example:8080/"], None),
        (["https://viewer.example; script-src *", "null", "https://v.example\r\nx: y"], ["'self'"]),
        (["*"], ["*"]),
    ],
    ids=["out of the box", "named", "no origins", "all"],
)
def test_frames_are_for_the_pages_that_may_read(
    open_door: Callable[..., Door], origins: list[str], framed_by: list[str] | None
) -> None:
    said = policy(open_door(http__cors_origins=origins).client.get("/health/live"))
    assert sorted(said["frame-ancestors"]) == sorted(framed_by or ["'self'", *origins])
    assert said["default-src"] == ["'none'"]


@pytest.mark.parametrize(
    ("http", "headers", "expected"),
    [
        (Http(), {"x-forwarded-proto": "https"}, False),
        (Http(behind_proxy=True), {"x-forwarded-proto": "https"}, True),
        (Http(behind_proxy=True), {"x-forwarded-proto": "https, http"}, False),
        (Http(behind_proxy=True), {"x-forwarded-proto": "http"}, False),
        (Http(behind_proxy=True), {"forwarded": "for=1.2.3.4;proto=https"}, True),
        (Http(behind_proxy=True), {"forwarded": "proto=https", "x-forwarded-proto": "http"}, False),
        (Http(behind_proxy=True), {}, False),
        (Http(public_url="HTTPS://pacs.example"), {}, True),
        (Http(public_url="http://pacs.example", behind_proxy=True), {"x-forwarded-proto": "https"}, False),
    ],
)
def test_tls_alone_is_asked_of_those_who_came_by_it(
    http: Http, headers: dict[str, str], expected: bool
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    fields = dict(Protections(http).of({"type": "http", "headers": raw}))
    assert (fields.get(b"strict-transport-security") == b"max-age=31536000") is expected


def test_behind_a_proxy_with_tls(open_door: Callable[..., Door]) -> None:
    door = open_door(http__behind_proxy=True, sign_in__required="never")
    answer = door.client.get("/dicom-web/studies", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"]


@pytest.mark.parametrize(
    ("media_type", "sop_class", "ending"),
    [("application/pdf", None, "pdf"), ("text/xml", CDA_STORAGE, "xml")],
    ids=["pdf", "xml"],
)
def test_a_document_is_a_file_to_be_saved(
    door: Door, media_type: str, sop_class: str | None, ending: str
) -> None:
    """O11: by every door of HTTP, whatever is in it."""
    data = b"%PDF-1.4 <script>alert(1)</script>"
    made = document(data, media_type, **({"sop_class": sop_class} if sop_class else {}))
    path = stored(door, part10(made))
    uri = {"requestType": "WADO", "studyUID": made.StudyInstanceUID, "seriesUID": made.SeriesInstanceUID}
    uri |= {"objectUID": made.SOPInstanceUID, "contentType": media_type}
    for answer in (
        door.client.get(f"{path}/rendered"),
        door.client.get(f"{path}/rendered", headers={"Range": "bytes=0-4"}),
        door.client.get("/wado", params=uri),
    ):
        assert answer.status_code in (200, 206), answer.text
        name = f"{made.SOPInstanceUID}.{ending}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert_protected(answer)


def test_a_report_shows_what_a_stranger_wrote_and_runs_none_of_it(door: Door) -> None:
    """O11: HTML and JavaScript in a value."""
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    path = stored(door, part10(report([content("TEXT", attack, TextValue=attack)], title=attack[:60])))
    answer = door.client.get(f"{path}/rendered", headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert_protected(answer)


def test_large_answers_that_are_passed_on_have_them_too(door: Door) -> None:
    large = LargeObject(pixel_bytes=3 << 20)
    body = b"".join(large.pieces())
    answer = door.client.post(
        "/dicom-web/studies", content=body, headers={"Content-Type": "application/dicom"}
    )
    url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    retrieved = door.client.get(url)
    assert len(retrieved.content) > 1 << 20
    assert_protected(retrieved)
