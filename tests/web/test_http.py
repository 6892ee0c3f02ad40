"""What stands around the handlers: statuses, hosts, origins, deadlines, health (H1, H2, H10, H13, H15)."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable

import httpx
import pytest

from archive.dicom import errors
from archive.web.app import by_path
from archive.web.http.errors import STATUSES, RequestRefused, status_of, worded
from archive.web.http.protocol import HEAD_BYTES
from archive.web.http.urls import ROOT
from archive.web.routes import ROUTES
from web_door import Door

ORIGIN = {"Origin": "http://localhost:3000"}


def raw_answer(door: Door, request: bytes) -> bytes:
    """What the server says until it closes, or the first bytes of it."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=30) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def test_every_error_has_a_row() -> None:
    classes = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.ArchiveError)
    ]
    assert set(classes) == set(STATUSES)


def test_a_fault_of_ours_says_nothing_of_itself() -> None:
    answer = worded(errors.ArchiveError("a secret"))
    assert answer.status == 500
    assert b"secret" not in bytes(answer.body)  # type: ignore[arg-type]
    assert status_of(RequestRefused("x", 415)) == 415


def test_routes_are_unique_and_named_once() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    paths = {route.path for route in ROUTES} | {ROOT, f"{ROOT}/"}
    assert set(by_path()) == paths
    assert sum(len(methods) for methods in by_path().values()) == len(ROUTES) + len(paths), "OPTIONS each"


def test_unknown_resources_and_methods(door: Door) -> None:
    answer = door.client.get("/dicom-web/nothing")
    assert answer.status_code == 404
    assert "/dicom-web/studies" in answer.text
    assert door.client.get("/nothing").status_code == 404
    answer = door.client.delete("/dicom-web/studies")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].replace(" ", "").split(","))
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_is_get_without_a_body(door: Door) -> None:
    answer = door.client.head("/health/live")
    assert (answer.status_code, answer.content) == (200, b"")


def test_health_and_metrics(door: Door) -> None:
    assert door.client.get("/health/live").status_code == 200
    ready = door.client.get("/health/ready").json()
    assert ready["ready"] is True
    assert {check["name"] for check in ready["checks"]} >= {"storage", "index"}
    door.client.get("/dicom-web/studies/1.2.3")
    text = door.client.get("/metrics").text
    assert 'archive_http_requests_total{method="GET",route="/dicom-web/studies/{study}",status="404"}' in text


def test_not_ready_is_503(open_door: Callable[..., Door]) -> None:
    answer = open_door(storage__minimum_free_bytes=1 << 62).client.get("/health/ready")
    assert answer.status_code == 503
    assert any(check["reason"] for check in answer.json()["checks"])


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080"])
def test_foreign_hosts_are_refused_on_loopback(door: Door, host: str) -> None:
    answer = door.client.get("/dicom-web/studies", headers={"Host": host})
    assert answer.status_code == 421
    assert "localhost" in answer.text


def test_foreign_hosts_are_served_behind_a_proxy(open_door: Callable[..., Door]) -> None:
    door = open_door(http__behind_proxy=True, sign_in__required="never")
    assert door.client.get("/dicom-web/studies", headers={"Host": "pacs.example"}).status_code == 204


@pytest.mark.parametrize("host", ["x/admin?", "a b", "localhost@evil", "localhost#"])
def test_hosts_that_are_none(door: Door, host: str) -> None:
    assert door.client.get("/health/live", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["//dicom-web/studies", "/dicom-web//studies", "/DICOM-WEB/studies", "/dicom-web/studies/",
     "/dicom-web/studies;x=1",
     "/dicom-web/studies/..%2f..%2fetc", "/dicom-web/studies/%2e%2e", "/dicom-web/studies/%00", "/dicom-web/%c0%ae"],
)  # fmt: skip
def test_paths_that_are_no_resources(door: Door, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    assert raw_answer(door, request).split(b" ")[1] in (b"400", b"404")


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"Content-Length: -1\r\n", (b"400",)),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", (b"400",)),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", (b"400",)),
        (b"Content-Length: 99999999999999999999\r\n", (b"400", b"413")),
        (b"Content-Length: 999999999999999\r\n", (b"413",)),
        (b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n", (b"400",)),
        (b"X: " + b"x" * (1 << 20) + b"\r\n", (b"431", b"400")),
        (b"X: y\r\n" * 200_000, (b"431", b"400")),
    ],
    ids=["negative", "two", "both", "overflow", "huge", "chunk", "long header", "many headers"],
)
def test_malformed_heads(door: Door, head: bytes, statuses: tuple[bytes, ...]) -> None:
    request = (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
        + head
        + b"\r\n"
    )
    try:
        answer = raw_answer(door, request)
    except ConnectionError:
        answer = b""
    assert not answer or answer.split(b" ")[1] in statuses
    assert door.client.get("/health/live").status_code == 200


def test_a_head_at_the_limit_is_read(door: Door) -> None:
    assert door.client.get("/health/live", headers={"X": "x" * (HEAD_BYTES // 2)}).status_code == 200


@pytest.mark.parametrize(
    "accept", ["a/b," * 10_000, "a/b;" * 10_000, 'a/b;x="' * 5_000, "*/*;q=0." + "1" * 30_000]
)
def test_enormous_accept_headers(door: Door, accept: str) -> None:
    answer = door.client.get("/dicom-web/studies", headers={"Accept": accept})
    assert answer.status_code in (204, 406)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("https://127.0.0.1", True),
        ("http://[::1]:8042", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
    ],
)
def test_origins(door: Door, origin: str, allowed: bool) -> None:
    """H15: nobody reads with credentials, and by default only pages of this machine do at all."""
    answer = door.client.get("/dicom-web/studies", headers={"Origin": origin})
    assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in answer.headers["vary"].lower()


def test_preflight(door: Door) -> None:
    headers = ORIGIN | {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "accept,authorization",
    }
    answer = door.client.options("/dicom-web/studies/1/series/2/instances/3/frames/1", headers=headers)
    assert answer.status_code == 204
    assert {"accept", "authorization", "content-type", "range", "if-none-match", "if-range"} <= set(
        answer.headers["access-control-allow-headers"].split(", ")
    )
    assert int(answer.headers["access-control-max-age"]) >= 3600
    kept_back = {"DELETE", "PUT"}
    assert {route.method for route in ROUTES} - kept_back | {"HEAD", "OPTIONS"} == _methods(answer)
    evil = door.client.options("/dicom-web/studies", headers=headers | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers


@pytest.mark.parametrize(("origins", "may_delete"), [(["https://viewer.example"], True), (["*"], False)])
def test_only_pages_of_named_origins_may_delete(
    open_door: Callable[..., Door], origins: list[str], may_delete: bool
) -> None:
    door = open_door(http__cors_origins=origins)
    headers = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "DELETE"}
    answer = door.client.options("/dicom-web/studies/1", headers=headers)
    assert ("DELETE" in _methods(answer)) is may_delete


def _methods(preflight: httpx.Response) -> set[str]:
    return set(preflight.headers["access-control-allow-methods"].split(", "))


def test_errors_can_be_read_across_origins(door: Door) -> None:
    answer = door.client.get("/dicom-web/studies/1.2", headers=ORIGIN)
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    assert "Warning" in answer.headers["access-control-expose-headers"]


def test_configured_origins_replace_the_default(open_door: Callable[..., Door]) -> None:
    door = open_door(http__cors_origins=["https://viewer.example"])
    allowed = {
        origin: door.client.get("/health/live", headers={"Origin": origin}).headers.get(
            "access-control-allow-origin"
        )
        for origin in ("https://viewer.example", "http://localhost:3000")
    }
    assert allowed == {"https://viewer.example": "https://viewer.example", "http://localhost:3000": None}


def test_ranges_of_any_size_are_harmless(door: Door) -> None:
    """H12: of what cannot be sliced the whole resource is the answer (RFC 9110 14.2)."""
    for ranges in ("0-0," * 10_000, "0-99999999999999999999", "-1"):
        answer = door.client.get("/health/live", headers={"Range": f"bytes={ranges}"})
        assert answer.status_code == 200
