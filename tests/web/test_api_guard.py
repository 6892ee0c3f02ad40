"""Who may use /api, and what a body in JSON has to be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from archive.settings.doors import Http
from archive.settings.values import Address
from archive.web.api import guard, json_body
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked

BASE = "http://127.0.0.1:8080/dicom-web"


def asked(method: str = "GET", address: str = "127.0.0.1", **headers: str) -> Asked:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Asked({}, "", names, BASE, peer_address=address, method=method)


def allowed(http: Http, request: Asked) -> bool:
    refused = None
    try:
        guard.check(http, request)
    except RequestRefused as error:
        refused = error.status
    assert refused in (None, 403)
    return refused is None


def test_this_machine_is_the_administrators() -> None:
    assert allowed(Http(), asked("PUT"))
    assert allowed(Http(), asked("GET", "::1"))


@pytest.mark.parametrize(
    "changed",
    [
        {"behind_proxy": True},
        {"public_url": "https://pacs.example"},
        {"listen": Address("0.0.0.0", 8080), "behind_proxy": True},
        {"administration": "off"},
    ],
)
def test_whoever_a_proxy_lets_in_is_no_administrator(changed: dict[str, Any]) -> None:
    """Out of the box; for GET as well, as refusals say who is there."""
    http = dataclasses.replace(Http(), **changed)
    assert not allowed(http, asked())
    opened = dataclasses.replace(http, administration="on")
    assert allowed(opened, asked())


def test_another_machine_is_not_this_one() -> None:
    assert not allowed(Http(), asked("GET", "192.0.2.1"))
    assert not allowed(Http(), asked("GET", ""))


@pytest.mark.parametrize(
    "header",
    [
        "forwarded",
        "via",
        "x_forwarded_for",
        "x_forwarded_host",
        "x_forwarded_proto",
        "x_forwarded_server",
        "x_forwarded",
        "x_original_forwarded_for",
        "x_real_ip",
        "x_client_ip",
        "client_ip",
        "true_client_ip",
        "cf_connecting_ip",
        "x_cluster_client_ip",
        "x_envoy_external_address",
    ],
)
def test_a_proxy_that_the_settings_do_not_name_is_seen(header: str) -> None:
    """It connects from this machine, for somebody who is not here."""
    assert not allowed(Http(), asked("GET", **{header: "192.0.2.1"}))
    with_underscores = dataclasses.replace(asked(), headers={header: "192.0.2.1"})
    assert not allowed(Http(), with_underscores)


@pytest.mark.parametrize(
    ("origin", "may_change"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.0.0.1:9999", False),
        ("http://localhost:8080", False),
        ("https://evil.example", False),
        ("null", False),
        ("https://console.example", True),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_page_of_another_origin_changes_nothing(origin: str, may_change: bool, method: str) -> None:
    http = Http(cors_origins=("https://console.example", "*", "null"))
    assert allowed(http, asked(method, origin=origin)) is may_change
    assert allowed(http, asked("GET", origin=origin))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "application/dicom+json"},
        {"content_type": "application/json", "content_encoding": "gzip"},
    ],
)
def test_a_body_that_a_form_could_send_is_not_taken(headers: dict[str, str]) -> None:
    with pytest.raises(RequestRefused) as refused:
        json_body.taker(asked("POST", **headers), lambda _: Answer())
    assert refused.value.status == 415


def test_the_action_gets_the_value() -> None:
    got = []
    taker = json_body.taker(
        asked("POST", content_type="application/json; charset=utf-8"),
        lambda value: got.append(value) or json_body.answer(value, 201),
    )
    assert taker.feed(b'{"a": ')
    assert taker.feed(b"[1]}")
    answer = taker.finish()
    assert got == [{"a": [1]}]
    assert (answer.status, answer.media_type, answer.body) == (201, "application/json", b'{"a":[1]}')


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"nan"])
def test_what_is_not_json_is_400(text: bytes) -> None:
    taker = json_body.taker(asked("POST", content_type="application/json"), lambda _: Answer())
    taker.feed(text)
    with pytest.raises(RequestRefused, match="not JSON") as refused:
        taker.finish()
    assert refused.value.status == 400


def test_a_long_body_is_413() -> None:
    taker = json_body.taker(asked("POST", content_type="application/json"), lambda _: Answer(), 10)
    with pytest.raises(RequestRefused) as refused:
        taker.feed(b" " * 11)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "JSON object"),
        ({"prt": 1}, "unknown member 'prt'; known are host, port"),
        ({"port": "1"}, "port has to be a whole number"),
        ({"port": True}, "port has to be a whole number"),
        ({"host": None}, "host has to be a text"),
    ],
)
def test_members_are_named_when_they_are_wrong(value: Any, sentence: str) -> None:
    with pytest.raises(RequestRefused, match=sentence):
        json_body.members(value, {"host": str, "port": int})
    assert json_body.members({"port": 1}, {"host": str, "port": int}) == {"port": 1}
