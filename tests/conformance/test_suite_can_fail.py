"""Every check of the suite fails at some server: one that cannot fail would say nothing about those where it passes."""

from __future__ import annotations

from contextlib import closing

import pytest
from pynetdicom.acse import ACSE

import wrong_scp
from conformance import pictures, registry, runner
from conformance.checks import dimse_tasks, dimse_workitems
from conformance.client import Client
from conformance.objects import ramp8
from conformance.registry import Check
from conformance.verdicts import Outcome
from conformance.world import DimsePeer, World
from ports import free_port
from wrong_server import Behaviour, Reply, serve

JSON = {"Content-Type": "application/dicom+json"}


def always(status: int, kind: str = "", body: bytes = b"") -> Behaviour:
    """The same to every request."""
    headers = {"Content-Type": kind} if kind else {}
    return lambda method, path, fields, payload: (status, headers, body)


def stores_then(behaviour: Behaviour, status: int = 200) -> Behaviour:
    """Says that it stored everything, and behaves so otherwise."""

    def reply(method: str, path: str, fields: dict[str, str], payload: bytes) -> Reply:
        if method == "POST" and path.endswith("/studies"):
            return status, JSON, b"{}"
        return behaviour(method, path, fields, payload)

    return reply


def shows_one_picture(method: str, path: str, fields: dict[str, str], payload: bytes) -> Reply:
    """The same ramp to everyone, with a name in it."""
    if "png" in fields.get("accept", ""):
        return 200, {"Content-Type": "image/png"}, pictures.png(ramp8())
    return 200, {"Content-Type": "image/jpeg"}, pictures.JPEG_BASELINE_32X24 + b"Plover ICC_PROFILE"


def echoes(method: str, path: str, fields: dict[str, str], payload: bytes) -> Reply:
    """The path as the answer; stumbles over parameters."""
    stumbles = any(name in path for name in ("transferSyntax", "region", "frameNumber", "nosuch"))
    return 500 if stumbles else 200, {"Content-Type": "text/plain"}, path.encode()


WRONG: dict[str, Behaviour] = {
    "garbage": always(200, "text/plain", b"garbage"),
    "broken": stores_then(always(500)),
    "untyped": stores_then(always(200, "", b"x")),
    "empty": stores_then(always(204)),
    "empty objects": always(200, JSON["Content-Type"], b"[{}]"),
    "refuses everything": stores_then(always(400, "text/plain", b"no")),
    "accepts no type": stores_then(always(406)),
    "stores with warnings that it keeps": stores_then(always(404), 202),
    "conflict": always(409, JSON["Content-Type"], b"{}"),
    "unescaped": always(200, "text/html", "<übel>".encode()),
    "one picture": stores_then(shows_one_picture),
    "echo": stores_then(echoes),
}


WRONG_PEERS = {wrong_scp.refusing: "DIM", wrong_scp.agreeable: "DIM", wrong_scp.closed: "DIM.11"}
"""With the checks that are worth asking there."""
DIMSE = "DIM"
"""The service of the checks that need a DIMSE peer."""


def checks(service: str, of: bool) -> list[Check]:
    """The checks of a service, or all others."""
    return [one for one in registry.all_checks() if one.id.startswith(service) == of]


def failing(
    asked: list[Check], behaviour: Behaviour, strict: bool = False, dimse: DimsePeer | None = None
) -> set[str]:
    """The checks that fail at a server; none may be an error."""
    with serve(behaviour) as url, closing(Client(url, seconds=10)) as client:
        world = World(client, "ABCDE", strict, dimse)
        done = runner.run("wrong", world, asked, lambda result: None)
    errors = [result for result in done.results if result.outcome is Outcome.ERROR]
    assert not errors
    return {result.check_id for result in done.results if result.outcome is Outcome.FAIL}


def test_every_check_fails_at_some_wrong_server() -> None:
    asked = checks(DIMSE, of=False)
    failed = failing(asked, WRONG["garbage"], strict=True)
    for behaviour in WRONG.values():
        failed |= failing(asked, behaviour)
    assert [one.id for one in asked if one.id not in failed] == []


def test_every_check_of_dimse_fails_at_some_wrong_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimse_tasks, "SECONDS", 1)
    monkeypatch.setattr(dimse_workitems, "SECONDS", 1)
    monkeypatch.setattr(ACSE, "_check_async_ops", wrong_scp.wide_window)
    asked, failed = checks(DIMSE, of=True), set()
    for wrong, wanted in WRONG_PEERS.items():
        with wrong(free_port()) as peer:
            failed |= failing(registry.chosen([wanted]), WRONG["empty objects"], dimse=peer)
    assert [one.id for one in asked if one.id not in failed] == []
