"""The suite's own machinery: deadlines, garbage on the wire, outcomes, reports and the command."""

from __future__ import annotations

import json
import socket
import threading
import time
import xml.etree.ElementTree as ElementTree
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conformance import registry, report, runner
from conformance.__main__ import dimse_peer, main, move_destination, other_server
from conformance.client import Client
from conformance.registry import Check
from conformance.verdicts import Failed, Level, Outcome, Result, Skipped, Unreachable
from conformance.world import World
from wrong_server import Reply, raw, serve

NOWHERE = "http://127.0.0.1:1/dicom-web"


def swallow(connection: socket.socket) -> None:
    """Read, and never answer."""
    while connection.recv(65536):
        pass


def babble(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x00\xffthis is no HTTP\r\n\r\n" * 10)
    connection.close()


def leave(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    connection.shutdown(socket.SHUT_RDWR)


def drip(connection: socket.socket) -> None:
    """A byte now and then, for ever: no single read takes long."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    never = threading.Event()
    while not never.wait(0.05):
        connection.sendall(b".")


@pytest.mark.parametrize("behaviour", [swallow, babble, leave, drip])
def test_a_server_that_hangs_or_babbles_is_a_failure_in_time(
    behaviour: Callable[[socket.socket], None],
) -> None:
    start = time.monotonic()
    with raw(behaviour) as url, closing(Client(url, seconds=0.5)) as client, pytest.raises(Failed):
        client.send("GET", "/studies", "*/*")
    assert time.monotonic() - start < 10


def test_nobody_at_the_address_is_told_from_a_failure() -> None:
    with closing(Client(NOWHERE)) as client, pytest.raises(Unreachable):
        client.send("GET", "/studies", "*/*")


def test_the_client_sends_what_it_is_told_and_nothing_of_its_own() -> None:
    seen: list[dict[str, str]] = []

    def note(method: str, path: str, fields: dict[str, str], payload: bytes) -> Reply:
        seen.append(fields)
        return 200, {}, b""

    with serve(note) as url, closing(Client(url, token="secret")) as client:
        client.send("GET", "/studies", None)
        client.send("GET", "/studies", "a/b", {"Range": "bytes=0-1"})
        client.send("GET", url.replace("127.0.0.1", "localhost") + "/x", None)
    assert not {"accept", "accept-encoding", "user-agent"} & set(seen[0])
    assert (seen[1]["accept"], seen[1]["range"]) == ("a/b", "bytes=0-1")
    assert [fields.get("authorization") for fields in seen] == ["Bearer secret", "Bearer secret", None]


@pytest.fixture
def world() -> Iterator[World]:
    """A server that is not there."""
    with closing(Client(NOWHERE)) as client:
        yield World(client, "ABCDE")


def check_that(run: registry.Run, needs: tuple[str, ...] = (), strict: bool = False) -> Check:
    return Check("N1.99", "a title", "8.7", Level.MANDATORY, run, needs, strict)


def fails(world: World) -> None:
    raise Failed("wrong")


def skips(world: World) -> None:
    raise Skipped("not claimed")


def crashes(world: World) -> None:
    raise RecursionError("deep")


def cannot_reach(world: World) -> None:
    world.client.send("GET", "/studies", "*/*")


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (lambda world: None, Outcome.PASS),
        (fails, Outcome.FAIL),
        (skips, Outcome.SKIP),
        (crashes, Outcome.ERROR),
        (cannot_reach, Outcome.ERROR),
    ],
)
def test_outcomes(world: World, run: registry.Run, outcome: Outcome) -> None:
    result = runner.judge(check_that(run), world)
    assert result.outcome is outcome
    assert bool(result.reason) == (outcome is not Outcome.PASS)


def test_a_check_without_its_object_is_skipped_and_says_so(world: World) -> None:
    result = runner.judge(check_that(fails, needs=("ct1",)), world)
    assert (result.outcome, result.reason) == (Outcome.SKIP, "needs ct1, which could not be stored")


def test_what_is_strict_is_asked_with_strict_alone(world: World) -> None:
    assert runner.judge(check_that(fails, strict=True), world).outcome is Outcome.SKIP
    world.strict = True
    assert runner.judge(check_that(fails, strict=True), world).outcome is Outcome.FAIL


def remembers(deleted: set[str], refuse: bool = False) -> Callable[..., Reply]:
    def reply(method: str, path: str, fields: dict[str, str], payload: bytes) -> Reply:
        if method == "DELETE":
            deleted.add(path)
            return (405 if refuse else 204), {}, b""
        return 200, {"Content-Type": "application/dicom+json"}, b"{}"

    return reply


@pytest.mark.parametrize("refuse", [False, True])
def test_what_was_stored_is_deleted_or_named(refuse: bool) -> None:
    deleted: set[str] = set()
    with serve(remembers(deleted, refuse)) as url, closing(Client(url)) as client:
        world = World(client, "ABCDE")
        done = runner.run(
            "x", world, [check_that(lambda world: None, needs=("ct1", "mf"))], lambda result: None
        )
    assert len(deleted) == 2
    assert [("DELETE answers 405" in note and "2 studies" in note) for note in done.notes] == [True] * refuse


def a_run() -> runner.Run:
    rows = [
        (Outcome.PASS, ""),
        (Outcome.FAIL, "a | b <c>\x00\ud800"),
        (Outcome.SKIP, "no"),
        (Outcome.ERROR, "E"),
    ]
    results = [
        Result(f"N1.{n}", f"title *{n}*", "8.7", Level.MANDATORY, outcome, reason, ("GET /x \x1b",))
        for n, (outcome, reason) in enumerate(rows)
    ]
    return runner.Run("one", "http://x", True, tuple(results), ("a note",))


def test_junit_is_well_formed_whatever_a_server_said() -> None:
    suite = ElementTree.fromstring(report.as_junit([a_run()]).encode())[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert [child.tag for case in suite for child in case] == ["failure", "skipped", "error"]


def test_json_and_markdown_hold_every_result() -> None:
    assert [one["outcome"] for one in json.loads(report.as_json([a_run()]))[0]["results"]] == [
        "pass", "fail", "skip", "error",
    ]  # fmt: skip
    table = report.as_markdown([a_run(), a_run()])
    assert "| Content negotiation | 1 / 2 / 1 | 1 / 2 / 1 |" in table
    assert "| N1.1 | title \\*1\\* | 8.7 | mandatory | **fail** | **fail** |" in table


def test_the_summary_counts_by_level() -> None:
    assert "mandatory    pass   1   fail   1   skip   1  error   1" in report.summary(a_run())


def test_the_command_ends_with_2_when_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dicomweb", NOWHERE, "--only", "N1.1"]) == 2
    assert "no DICOMweb server answers" in capsys.readouterr().out


def test_the_command_writes_all_reports_and_ends_with_1_on_failures(tmp_path: Path) -> None:
    paths = {kind: tmp_path / f"out.{kind}" for kind in ("junit", "json", "markdown")}
    options = [text for kind, path in paths.items() for text in (f"--{kind}", str(path))]
    with serve(lambda *request: (200, {"Content-Type": "application/dicom+json"}, b"{}")) as url:
        assert (
            main(["--dicomweb", url, "--against", f"other={url}", "--only", "N9.1", "--quiet", *options]) == 1
        )
    assert {kind: bool(path.read_text()) for kind, path in paths.items()} == dict.fromkeys(paths, True)
    assert "| server | other |" in paths["markdown"].read_text()


def test_the_command_ends_with_0_when_nothing_failed() -> None:
    with serve(lambda *request: (204, {}, b"")) as url:
        assert main(["--dicomweb", url, "--only", "Q9.5"]) == 0


def test_a_dimse_peer_is_read() -> None:
    assert (dimse_peer("[::1]:104:ABC").host, dimse_peer("h:104:A B").called) == ("::1", "A B")
    for wrong in ("h:104", "h:x:A", ":104:A", "h:70000:A"):
        with pytest.raises(Exception, match="HOST:PORT:AET"):
            dimse_peer(wrong)


def test_a_destination_of_moves_is_read() -> None:
    assert move_destination("SUITE:11113") == ("SUITE", 11113)
    for wrong in ("SUITE", ":104", "SUITE:x", "SUITE:0"):
        with pytest.raises(ArgumentTypeError, match="AET:PORT"):
            move_destination(wrong)


def test_another_server_is_read() -> None:
    one = other_server("Orthanc=http://h/x,[::1]:104:ABC")
    assert (one.name, one.url, one.peer and one.peer.called) == ("Orthanc", "http://h/x", "ABC")
    with pytest.raises(ArgumentTypeError):
        other_server("http://h/x")


def test_results_go_between_the_marks_of_a_document() -> None:
    document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    found = report.filled(document, "new")
    assert found == f"before\n{report.BEGIN}\n\nnew\n{report.END}\nafter\n"
    assert report.filled("no marks", "new") == "new"


def test_the_list_names_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{one.id:7} " in listed for one in registry.all_checks())
