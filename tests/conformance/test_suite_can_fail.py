"""Every check of the suite fails at some server: one that cannot fail would say nothing about those where it passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from pynetdicom import AE, evt

from conformance import pictures, registry, runner, uids
from conformance.client import Client
from conformance.objects import ramp8
from conformance.verdicts import Outcome
from conformance.world import DimsePeer, World
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


@contextmanager
def refusing_scp() -> Iterator[DimsePeer]:
    """A DIMSE peer that accepts every association and fails every request."""
    ae = AE("WRONG")
    for sop_class in (uids.VERIFICATION, uids.STUDY_ROOT_FIND, uids.STUDY_ROOT_GET, uids.CT):
        ae.add_supported_context(sop_class, [uids.IMPLICIT, uids.EXPLICIT, uids.BIG_ENDIAN])
    single = [(evt.EVT_C_ECHO, lambda event: 0x0122), (evt.EVT_C_STORE, lambda event: 0xA700)]
    many = [(kind, lambda event: iter([(0xA700, None)])) for kind in (evt.EVT_C_FIND, evt.EVT_C_GET)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[*single, *many])
    try:
        yield DimsePeer("127.0.0.1", server.server_address[1], "WRONG")
    finally:
        server.shutdown()


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


def failing(behaviour: Behaviour, strict: bool = False, dimse: DimsePeer | None = None) -> set[str]:
    """The checks that fail at a server; none may be an error."""
    with serve(behaviour) as url, closing(Client(url, seconds=10)) as client:
        world = World(client, "ABCDE", strict, dimse)
        done = runner.run("wrong", world, registry.all_checks(), lambda result: None)
    errors = [result for result in done.results if result.outcome is Outcome.ERROR]
    assert not errors
    return {result.check_id for result in done.results if result.outcome is Outcome.FAIL}


def test_every_check_fails_at_some_wrong_server() -> None:
    failed = failing(WRONG["garbage"], strict=True)
    with refusing_scp() as peer:
        for behaviour in WRONG.values():
            failed |= failing(behaviour, dimse=peer)
    assert [one.id for one in registry.all_checks() if one.id not in failed] == []
