"""The public base of every URL we hand out (pain 6, H10)."""

from __future__ import annotations

import pytest

from archive.settings.doors import Http
from archive.web.http.urls import client_address, is_host, is_loopback_host, public_base, resource_url

SERVER = ("127.0.0.1", 8080)
PROXY = Http(behind_proxy=True)


def base(http: Http, **headers: str) -> str:
    """The base for a request with these headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return public_base(http, named, "http", SERVER)


def test_a_configured_public_url_wins() -> None:
    http = Http(public_url="https://pacs.example/x/", behind_proxy=True)
    assert base(http, host="other", x_forwarded_host="evil") == "https://pacs.example/x/dicom-web"
    assert base(Http(public_url="https://pacs.example/dicom-web")) == "https://pacs.example/dicom-web"


def test_the_host_header_counts_without_a_proxy() -> None:
    assert base(Http(), host="pacs:8080") == "http://pacs:8080/dicom-web"


def test_a_loopback_host_without_port_gets_the_connections_port() -> None:
    """dicomweb-client sends such a Host header."""
    assert base(Http(), host="127.0.0.1") == "http://127.0.0.1:8080/dicom-web"
    assert base(Http(), host="[::1]") == "http://[::1]:8080/dicom-web"
    assert base(Http(), host="pacs.example") == "http://pacs.example/dicom-web"


def test_forwarded_headers_count_behind_a_proxy_only() -> None:
    headers = {"host": "inner:8080", "x_forwarded_proto": "https", "x_forwarded_host": "pacs.example"}
    assert base(Http(), **headers) == "http://inner:8080/dicom-web"
    assert base(PROXY, **headers) == "https://pacs.example/dicom-web"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"forwarded": 'for=1.2.3.4;proto=https;host="a.example:8443"'}, "https://a.example:8443/dicom-web"),
        (
            {"forwarded": 'host=a.example, for="[::1]";host=b.example;proto=https'},
            "https://b.example/dicom-web",
        ),
        ({"forwarded": 'for="x, for=1.2.3.4;host=b.example'}, "http://b.example/dicom-web"),
        ({"x_forwarded_proto": "http, https", "x_forwarded_host": "evil, b"}, "https://b/dicom-web"),
        (
            {"forwarded": "host=evil;proto=https", "x_forwarded_host": "b", "x_forwarded_proto": "https"},
            "https://inner/dicom-web",
        ),
        (
            {"forwarded": "host=B", "x_forwarded_host": "b", "x_forwarded_proto": "https"},
            "https://B/dicom-web",
        ),
        ({"x_forwarded_proto": "https", "x_forwarded_port": "8443"}, "https://inner:8443/dicom-web"),
        ({"x_forwarded_proto": "https", "x_forwarded_port": "443"}, "https://inner/dicom-web"),
        ({"x_forwarded_proto": "https", "x_forwarded_port": "99999999999"}, "https://inner/dicom-web"),
        ({"x_forwarded_prefix": "/pacs/"}, "http://inner/pacs/dicom-web"),
        ({"x_forwarded_prefix": "//evil.example"}, "http://inner/dicom-web"),
        ({"x_forwarded_host": "evil.example/x?"}, "http://inner/dicom-web"),
        ({"x_forwarded_proto": "javascript"}, "http://inner/dicom-web"),
    ],
)
def test_forwarded(headers: dict[str, str], expected: str) -> None:
    assert base(PROXY, host="inner", **headers) == expected


def test_nonsense_for_a_host_is_not_repeated() -> None:
    assert base(Http(), host="x/admin?") == "http://127.0.0.1:8080/dicom-web"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "a:", "a:b", "[::1", "a?", "a#", "a:123456", "é"])
def test_no_hosts(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:1", True),
        ("[::1]:8080", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example", False),
    ],
)
def test_names_of_this_machine(host: str, expected: bool) -> None:
    assert is_loopback_host(host) is expected


def test_resources() -> None:
    assert resource_url("b", "1") == "b/studies/1"
    assert resource_url("b", "1", "2", "3") == "b/studies/1/series/2/instances/3"


@pytest.mark.parametrize(
    ("http", "said", "address"),
    [
        (PROXY, "192.0.2.9", "192.0.2.9"),
        (PROXY, "203.0.113.1, 192.0.2.9", "192.0.2.9"),
        (PROXY, "[2001:db8::1]", "2001:db8::1"),
        (PROXY, "", "127.0.0.1"),
        (PROXY, "x" * 60000, "127.0.0.1"),
        (PROXY, "unknown", "127.0.0.1"),
        (Http(), "192.0.2.9", "127.0.0.1"),
    ],
)
def test_where_a_request_comes_from(http: Http, said: str, address: str) -> None:
    """As the nearest proxy says it, and only where there is one; whatever a client writes before that."""
    headers = {"x-forwarded-for": said} if said else {}
    assert client_address(http, headers, "127.0.0.1") == address
