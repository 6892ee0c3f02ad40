"""Paths and Host names that are written otherwise than they should be lead nowhere else (H10), and whoever is not let
in learns nothing of what there is (H14)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from archive.security.roles import Right
from archive.web.routes import ROUTES
from objects import mr, part10
from web_door import Door, connected

ADMINISTRATION = [route for route in ROUTES if route.path.startswith("/api/") and route.right is not None]


@pytest.fixture
def closed(open_door: Callable[..., Door]) -> Door:
    """A door whose administration nobody may use."""
    return open_door(http__administration="off", http__deletion=False)


def status(door: Door, method: str, target: str, host: str = "localhost") -> int:
    """Of a request that is sent just so; 0 when the connection is closed."""
    with connected(door) as connection:
        connection.sendall(
            f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = connection.recv(65536)
    return int(answer.split(b" ")[1]) if answer else 0


@pytest.mark.parametrize(
    "target",
    ["/api/ae-titles", "//api/ae-titles", "/api//ae-titles", "/./api/ae-titles", "/x/../api/ae-titles",
     "/%61pi/ae-titles", "/api%2fae-titles", "/api/%61e-titles", "/API/ae-titles", "/api/ae-titles/",
     "/api/ae-titles;x", "/api/ae-titles%00", "/api/ae-titles?x", "/api\\ae-titles", "http://localhost/api/ae-titles",
     "http://evil@localhost/api/ae-titles", "/dicom-web/../api/ae-titles", "/health/live/..%2f..%2fapi/ae-titles"],
)  # fmt: skip
def test_h10_another_spelling_opens_no_door(closed: Door, target: str) -> None:
    for host in ("localhost", "localhost:80", "127.0.0.1"):
        assert status(closed, "GET", target, host) in (0, 400, 403, 404)
    for host in ("localhost/api?", "x/api/ae-titles?", "localhost#", "evil@localhost", "localhost, x"):
        assert status(closed, "GET", target, host) in (0, 400)


def test_h10_another_spelling_deletes_nothing(closed: Door) -> None:
    made = mr()
    assert closed.store(part10(made)).status_code == 200
    study = f"studies/{made.StudyInstanceUID}"
    for target in (
        f"/dicom-web/{study}",
        f"/dicom-web//{study}",
        f"/dicom-web/%73tudies/{made.StudyInstanceUID}",
        f"/dicom-web/{study}/series/..%2f",
        f"/DICOM-WEB/{study}",
    ):
        for method in ("DELETE", "delete"):
            assert status(closed, method, target) in (0, 400, 403, 404, 405)
    assert closed.client.get(f"/dicom-web/{study}").status_code == 200


@pytest.mark.parametrize("route", ADMINISTRATION, ids=lambda route: route.name)
def test_h14_whoever_may_not_administer_learns_nothing_of_what_is_there(closed: Door, route: object) -> None:
    """From the route table: the same answer for everything, whether it is there or not."""
    answers = set()
    for name in ("1", "999999", "ARCHIVE"):
        path = re.sub(r"\{\w+(:path)?\}", name, route.path)  # type: ignore[attr-defined]
        answer = closed.client.request(route.method, path)  # type: ignore[attr-defined]
        answers.add((answer.status_code, answer.text))
    assert len(answers) == 1
    # Nobody has an account of their own where nobody signs in.
    nothing = 404 if route.right is Right.ACCOUNT else 403  # type: ignore[attr-defined]
    assert {code for code, _ in answers} == {nothing}


def test_h14_there_is_an_administration() -> None:
    assert len(ADMINISTRATION) > 20
